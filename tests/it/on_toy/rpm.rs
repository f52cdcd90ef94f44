//! A real rpm database. No Fedora is at hand: the test puts this system's libraries into packages with
//! Fedora's names, registers them in a database, and shows pykeel that database and Fedora's
//! `os-release` in a mount namespace.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::debian::cannot_enter;
use crate::missing::Missing;
use crate::on_cpython::system::WITHOUT_LIBRARIES;
use crate::skip;
use crate::support::{Artifact, check, pykeel, run, start};
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact::{artifact, directory_until_next_run};

const OS_RELEASE: &str = "NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=42\nPRETTY_NAME=\"Fedora Linux 42\"\n";

/// Fedora's packages of the libraries: source package, binary package, the beginnings of sonames.
const PACKAGES: &[(&str, &str, &[&str])] = &[
    ("openssl", "openssl-libs", &["libssl.", "libcrypto."]),
    ("sqlite", "sqlite-libs", &["libsqlite3."]),
    ("ncurses", "ncurses-libs", &["libncursesw.", "libpanelw.", "libtinfo."]),
    ("ncurses", "ncurses-base", &[]),
    ("util-linux", "libuuid", &["libuuid."]),
    ("others", "everything-else", &["lib"]),
];

/// These have no licence text: one leaves it to another package of its source, one has none.
const WITHOUT_TEXT: &[&str] = &["ncurses-libs", "sqlite-libs"];

/// Everything that the toolchain runs, loads and reads, and what else lies where it looks, by the names below
/// `/usr`: a host with rpm has packages for all of it. Files of the libraries are left to other packages.
fn toolchain_files(libraries: &[(String, PathBuf)]) -> BTreeSet<String> {
    let plan = run(pykeel().args(["build", "3.13.5", "--optimize", "none", "--dry-run", "--json"])).exits(0).json();
    let environment = plan[0]["provenance"]["environment"].as_array().expect("a list").iter();
    let packages =
        environment.map(|entry| entry.as_str().expect("text").split('=').next().expect("a package").to_owned());
    let listed = check("dpkg-query", &[vec!["--listfiles".to_owned()], packages.collect()].concat());
    let mut files: BTreeSet<String> = listed.lines().map(below_usr).collect();
    let library_places = check("gcc", &["-print-search-dirs"]);
    let library_places = library_places.lines().find_map(|line| line.strip_prefix("libraries: =")).expect("a list");
    let flat = library_places.split(':').map(|place| (place, 1)).chain([("/usr/lib/bfd-plugins", 1)]);
    let headers = check("gcc", &["-print-file-name=include"]);
    for (place, depth) in flat.chain([("/usr/include", usize::MAX), (headers.trim(), usize::MAX)]) {
        let Ok(place) = fs_err::canonicalize(place) else { continue };
        for entry in walkdir::WalkDir::new(place).max_depth(depth).into_iter().filter_map(Result::ok) {
            files.insert(below_usr(entry.path().to_str().expect("UTF-8")));
        }
    }
    let of_libraries: BTreeSet<&str> = libraries.iter().map(|(_, file)| file.to_str().expect("UTF-8")).collect();
    // Programs that a build runs if they are there.
    files.extend(["git", "hg", "python3", "svnversion"].map(|name| format!("/usr/bin/{name}")));
    // What a link leads to may lie elsewhere.
    let targets: Vec<_> = files.iter().filter_map(|file| fs_err::canonicalize(file).ok()).collect();
    files.extend(targets.iter().map(|file| below_usr(file.to_str().expect("UTF-8"))));
    let is_read = |file: &String| {
        let places = ["/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib64/", "/usr/libexec/", "/usr/include/"];
        places.iter().any(|place| file.starts_with(place))
            && !file.contains(['[', ' ', '%', '{', '*', '?'])
            && !of_libraries.contains(file.as_str())
            && Path::new(file).symlink_metadata().is_ok_and(|metadata| !metadata.is_dir())
    };
    files.into_iter().filter(is_read).collect()
}

fn below_usr(file: &str) -> String {
    if ["/lib", "/bin", "/sbin"].iter().any(|top| file.starts_with(top)) {
        format!("/usr{file}")
    } else {
        file.to_owned()
    }
}

/// A database that has the toolchain in a package, made once in a run of the tests.
static TOOLCHAIN: LazyLock<Fedora> = LazyLock::new(|| {
    let fedora = Fedora { directory: directory_until_next_run("rpm-toolchain-") };
    let list = fedora.path("files");
    let files: String = toolchain_files(&libraries()).iter().map(|file| format!("{file}\n")).collect();
    fs_err::write(&list, files).expect("a file");
    let spec = format!(
        "Name: toolchain\nVersion: 4.2\nRelease: 7.fc42\nSummary: -\nLicense: Unused\nAutoReqProv: no\n%description\n-\n\
         %install\nmkdir -p %{{buildroot}}\ntar -C / -cf - -T {0} | tar -C %{{buildroot}} -xf -\nrm -f %{{buildroot}}/usr/lib/os-release\n\
         install -D {1} %{{buildroot}}/usr/lib/os-release\n%files -f {0}\n",
        list.display(),
        fedora.path("os-release").display()
    );
    fs_err::write(fedora.path("os-release"), OS_RELEASE).expect("a file");
    fedora.build("toolchain", &spec);
    fedora
});

/// A database of rpm, and what shows it to a program.
struct Fedora {
    directory: tempfile::TempDir,
}

impl Fedora {
    /// Makes the packages from libraries (soname and file) and notes them in a database. `change`
    /// may change the copy of a library that goes into a package.
    fn new(libraries: &[(String, PathBuf)], change: impl Fn(&str, &Path)) -> Self {
        let fedora = Self { directory: tempfile::tempdir().expect("a directory") };
        if !libraries.is_empty() {
            fs_err::create_dir_all(fedora.path("root/var/lib")).expect("a directory");
            check("cp", &["-a".as_ref(), TOOLCHAIN.database().as_os_str(), fedora.database().as_os_str()]);
        }
        let mut left: Vec<&(String, PathBuf)> = libraries.iter().collect();
        for source in ["openssl", "sqlite", "ncurses", "util-linux", "others"] {
            // Packages without the main one, as most of Fedora's that split libraries off.
            let mut spec = format!(
                "Name: {source}\nEpoch: 1\nVersion: 4.2\nRelease: 7.fc42\nSummary: -\nLicense: Unused\nAutoReqProv: no\n\
                 %description\n-\n"
            );
            let (mut install, mut files) = (String::from("%install\n"), String::new());
            for (_, package, sonames) in PACKAGES.iter().filter(|(from, ..)| *from == source) {
                let _ = write!(
                    spec,
                    "%package -n {package}\nSummary: -\nLicense: LicenseRef-{package}\n%description -n {package}\n-\n"
                );
                let _ = writeln!(files, "%files -n {package}");
                if !WITHOUT_TEXT.contains(package) {
                    let text = fedora.path("licenses").join(package).join("COPYING");
                    fs_err::create_dir_all(text.parent().expect("a parent")).expect("a directory");
                    fs_err::write(&text, format!("the licence of {package}\n")).expect("a file");
                    let _ = writeln!(install, "install -D {0} %{{buildroot}}{0}", text.display());
                    let _ = writeln!(files, "%license {}", text.display());
                }
                let (of_package, others): (Vec<_>, Vec<_>) =
                    left.into_iter().partition(|(soname, _)| sonames.iter().any(|start| soname.starts_with(start)));
                left = others;
                for (soname, file) in of_package {
                    let copy = fedora.path("libraries").join(soname);
                    fs_err::create_dir_all(copy.parent().expect("a parent")).expect("a directory");
                    fs_err::copy(file, &copy).expect("a library");
                    change(soname, &copy);
                    let _ = writeln!(install, "install -D {} %{{buildroot}}{}", copy.display(), file.display());
                    let _ = writeln!(files, "{}", file.display());
                }
            }
            fedora.build(source, &format!("{spec}{install}{files}"));
        }
        assert!(left.is_empty());
        let macros = fs_err::read_to_string("/usr/lib/rpm/macros").expect("rpm's macros");
        fs_err::write(fedora.path("macros"), format!("{macros}\n%_dbpath {}\n", fedora.database().display()))
            .expect("a file");
        fs_err::write(fedora.path("os-release"), OS_RELEASE).expect("a file");
        fedora
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.path("root/var/lib/rpm")
    }

    fn build(&self, source: &str, spec: &str) {
        let top = self.path("top");
        fs_err::create_dir_all(&top).expect("a directory");
        let file = self.path(&format!("{source}.spec"));
        fs_err::write(&file, spec).expect("a file");
        let mut command = Command::new("rpmbuild");
        command.args(["-bb", "--quiet", "--define"]).arg(format!("_topdir {}", top.display()));
        // Bytes stay as they are, and are not compressed.
        for setting in
            ["_build_id_links none", "__os_install_post %{nil}", "debug_package %{nil}", "_binary_payload w0.ufdio"]
        {
            command.args(["--define", setting]);
        }
        run(command.arg(file)).exits(0);
        let packages = walkdir::WalkDir::new(top.join("RPMS")).into_iter().filter_map(Result::ok);
        let packages = packages.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
        fs_err::create_dir_all(self.database()).expect("a directory");
        // Noted as installed and not unpacked. Debian's rpm wants to be asked twice.
        let mut command = Command::new("rpm");
        command.args(["--install", "--justdb", "--nodeps", "--force-debian", "--dbpath"]).arg(self.database());
        run(command.args(packages)).exits(0);
        fs_err::remove_dir_all(top).expect("a directory");
    }

    /// A command that sees Fedora where this system is.
    fn shows(&self, command: &Command) -> Command {
        const SCRIPT: &str =
            r#"mount --bind "$1" /etc/os-release; mount --bind "$2" /usr/lib/rpm/macros; shift 2; exec "$@""#;
        let mut shown = Command::new("unshare");
        shown.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-ec", SCRIPT, "sh"]);
        shown.arg(self.path("os-release")).arg(self.path("macros"));
        start(&mut shown, command);
        shown
    }
}

/// Why there can be no such database here, if so.
fn cannot_make() -> Option<(Missing, &'static str)> {
    if let Some(reason) = cannot_enter() {
        return Some(reason);
    }
    let there = |name| Command::new(name).arg("--version").output().is_ok();
    if there("rpm") && there("rpmbuild") {
        None
    } else {
        Some((Missing::Program("rpm"), "there is no rpm or no rpmbuild"))
    }
}

/// The libraries of the toy's artifact and their files on this system.
fn libraries() -> Vec<(String, PathBuf)> {
    let artifact = artifact("runtime");
    let libraries = artifact.manifest["libraries"].as_array().expect("a list").iter();
    libraries
        .map(|library| {
            let soname = library["soname"].as_str().expect("a soname").to_owned();
            let path = check("gcc", &[format!("-print-file-name={soname}")]);
            (soname, fs_err::canonicalize(path.trim()).expect("a library"))
        })
        .collect()
}

fn library<'a>(manifest: &'a Value, soname: &str) -> &'a Value {
    let libraries = manifest["libraries"].as_array().expect("a list");
    libraries.iter().find(|library| library["soname"] == soname).expect("the library")
}

#[test]
fn bundled_libraries_are_compared_with_rpms_database() {
    if let Some((missing, reason)) = cannot_make() {
        skip!(missing, "{reason}");
    }
    let fedora = Fedora::new(&libraries(), |_, _| {});
    let toy = Toy::new(WITHOUT_LIBRARIES);
    let ended = run(&mut fedora.shows(&toy.build_command())).exits(0);
    let built = Artifact::built(&ended.json()[0]);
    let ssl = library(&built.manifest, "libssl.so.3");
    assert_eq!(ssl["package"], "openssl-libs");
    assert_eq!(ssl["version"], "1:4.2-7.fc42");
    assert_eq!((&ssl["source_package"], &ssl["source_version"]), (&"openssl".into(), &"4.2-7.fc42".into()));
    assert_eq!(ssl["package_checksum"], format!("sha256:{}", ssl["sha256"].as_str().expect("a digest")));
    let text = |package: &str, name: &str| {
        let member = format!("python-3.13/share/licenses/{package}/{name}");
        check("tar", &["-xOf", built.tarball.to_str().expect("UTF-8"), &member])
    };
    assert_eq!(text("openssl-libs", "COPYING"), "the licence of openssl-libs\n");
    assert_eq!(text("ncurses-libs", "COPYING"), "the licence of ncurses-base\n");
    let named = text("sqlite-libs", "LICENSE");
    assert!(named.contains("sqlite-libs has no licence text") && named.contains("LicenseRef-sqlite-libs"), "{named}");
    run(pykeel().arg("verify").arg(&built.tarball)).exits(0);
}

#[test]
fn a_library_that_rpm_has_otherwise_is_refused() {
    if let Some((missing, reason)) = cannot_make() {
        skip!(missing, "{reason}");
    }
    let fedora = Fedora::new(&libraries(), |soname, copy| {
        if soname == "libz.so.1" {
            let mut bytes = fs_err::read(copy).expect("the library");
            bytes.push(0);
            fs_err::write(copy, bytes).expect("the library");
        }
    });
    let toy = Toy::new(WITHOUT_LIBRARIES);
    let ended = run(&mut fedora.shows(&toy.build_command())).exits(4);
    ended.says(&[
        "libz.so.1",
        "it was changed: its checksum is sha256:",
        "the package database has sha256:",
        "dnf reinstall everything-else",
    ]);
    toy.left_nothing();
}

#[test]
fn packages_of_fedora_are_listed_and_looked_for_by_name() {
    if let Some((missing, reason)) = cannot_make() {
        skip!(missing, "{reason}");
    }
    let libraries = libraries();
    let fedora = Fedora::new(&libraries, |_, _| {});
    let toy = Toy::new(WITHOUT_LIBRARIES);
    let mut command = toy.build_command();
    let ended = run(&mut fedora.shows(command.args(["--libraries", "system"]))).exits(0);
    let built = Artifact::built(&ended.json()[0]);
    let listed =
        ["ca-certificates", "everything-else", "libuuid", "ncurses-libs", "openssl-libs", "sqlite-libs", "tzdata"];
    assert_eq!(built.manifest["runtime_packages"], serde_json::json!(listed));

    // A root of Fedora that has them all but the two that are no libraries.
    let root = fedora.path("root");
    fs_err::create_dir_all(root.join("etc")).expect("a directory");
    fs_err::write(root.join("etc/os-release"), OS_RELEASE).expect("a file");
    // Fedora has a package of dpkg too, for those who build Debian's packages there.
    fs_err::create_dir_all(root.join("var/lib/dpkg")).expect("a directory");
    fs_err::write(root.join("var/lib/dpkg/status"), "").expect("a file");
    let digest = format!("sha256:{}", built.digest);
    let mut command = toy.command(&["install", &digest, "--json", "--root"]);
    let ended = run(command.arg(&root)).exits(0).says(&[
        "lacks the packages ca-certificates tzdata",
        "dnf install -y --setopt=install_weak_deps=0 ca-certificates tzdata",
    ]);
    assert_eq!(ended.json()[0]["missing_packages"], serde_json::json!(["ca-certificates", "tzdata"]));
}

#[test]
fn what_a_build_lacks_is_told_as_dnf_takes_it() {
    if let Some((missing, reason)) = cannot_make() {
        skip!(missing, "{reason}");
    }
    let fedora = Fedora::new(&[], |_, _| {});
    let toy = Toy::new(Behaviour::default());
    toy.write_recipe(|recipe| recipe.replace("openssl/ssl.h", "no-such/ssl.h"));
    run(&mut fedora.shows(&toy.build_command()))
        .exits(1)
        .says(&["no-such/ssl.h (for _ssl, _hashlib)", "dnf install -y --setopt=install_weak_deps=0 openssl-devel"]);
    // Its database knows none of the libraries.
    toy.write_recipe(|recipe| recipe);
    run(&mut fedora.shows(&toy.build_command())).exits(4).says(&["no package owns it"]);
}
