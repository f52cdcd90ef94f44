//! Reproducible builds: an artifact is identical to one that was built where everything differs that
//! must not matter. `tests/data/elsewhere.sh` changes directory, user, umask, HOME, TZ, locale, host
//! name, clock, processors, the order of directories and other packages; this file the job count.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::made_once;
use crate::level::count;
use crate::missing::Missing;
use crate::skip;
use crate::support::{Artifact, Ended, RELEASE, artifact, artifact_of, check, is_root, pykeel, run, shared_store};
use crate::toy::{Behaviour, Toy};

/// Packages that configure or setup.py would notice and that no recipe wants: headers of libraries,
/// and programs that tell of a source tree or trace a program.
const OTHER_PACKAGES: [&str; 8] = [
    "libgdbm-dev",
    "libgdbm-compat-dev",
    "libdb5.3-dev",
    "libb2-dev",
    "libbluetooth-dev",
    "systemtap-sdt-dev",
    "valgrind",
    "subversion",
];

/// What a store lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Files {
    /// A file system that is not the usual one, and a user who is not root.
    Tmpfs,
    /// One that lists directories in another order each time. It is slow and knows one user.
    Disorderfs,
}

/// The reason why this machine cannot build elsewhere, if there is one.
fn cannot() -> Option<(Missing, String)> {
    if !is_root() {
        return Some((Missing::Root, "only root can be another user on another host".into()));
    }
    let trial = run(Command::new("unshare").args(["--mount", "--uts", "true"]));
    (trial.code != 0).then(|| (Missing::Mounts, format!("there are no namespaces: {}", trial.err.trim())))
}

/// A root with other packages, unpacked once and kept beside the shared store.
fn other_packages() -> PathBuf {
    made_once("pykeel-tests-registered-packages", |root| {
        let debs = root.join("debs");
        fs_err::create_dir_all(&debs).expect("a directory");
        // apt downloads as a user of its own.
        fs_err::set_permissions(&debs, Permissions::from_mode(0o777)).expect("a directory");
        run(Command::new("apt-get").arg("download").args(OTHER_PACKAGES).current_dir(&debs)).exits(0);
        for deb in fs_err::read_dir(&debs).expect("packages") {
            let deb = deb.expect("a package").path();
            check("dpkg-deb", &["-x".as_ref(), deb.as_os_str(), root.as_os_str()]);
            register(&deb, &root.join("dpkg"));
        }
    })
}

/// Adds a package to files of dpkg's database, as its installation would.
fn register(deb: &Path, database: &Path) {
    let ask = |words: &[&str]| {
        let words = words.iter().map(OsStr::new).chain([deb.as_os_str()]);
        check("dpkg-deb", &words.collect::<Vec<_>>())
    };
    let field = |name: &str| {
        let words = ["-f".as_ref(), deb.as_os_str(), OsStr::new(name)];
        check("dpkg-deb", &words).trim().to_owned()
    };
    let info = database.join("info");
    fs_err::create_dir_all(&info).expect("a directory");
    let (package, architecture) = (field("Package"), field("Architecture"));
    let stem = if field("Multi-Arch") == "same" { format!("{package}:{architecture}") } else { package };
    // `drwxr-xr-x root/root 0 2023-01-01 00:00 ./usr/`, and what a link says after an arrow.
    let list: String = ask(&["-c"])
        .lines()
        .filter_map(|line| line.split_once(" ./"))
        .map(|(_, path)| format!("/{}\n", path.split(" -> ").next().unwrap_or(path).trim_end_matches('/')))
        .collect();
    fs_err::write(info.join(format!("{stem}.list")), list).expect("a file");
    let control = tempfile::tempdir().expect("a directory");
    check("dpkg-deb", &["-e".as_ref(), deb.as_os_str(), control.path().as_os_str()]);
    fs_err::copy(control.path().join("md5sums"), info.join(format!("{stem}.md5sums"))).expect("the checksums");
    let status = database.join("status");
    let mut records = fs_err::read_to_string(&status).unwrap_or_default();
    records.push_str(&ask(&["-f"]).replacen('\n', "\nStatus: install ok installed\n", 1));
    fs_err::write(status, records + "\n").expect("a file");
}

/// A place where everything differs that must not matter.
struct Elsewhere {
    directory: tempfile::TempDir,
    files: Files,
}

impl Elsewhere {
    fn new(files: Files) -> Self {
        let elsewhere = Self { directory: tempfile::tempdir().expect("a directory"), files };
        let base = elsewhere.base();
        fs_err::set_permissions(base, Permissions::from_mode(0o755)).expect("a directory");
        // The user there cannot go where this program was built.
        fs_err::copy(env!("CARGO_BIN_EXE_pykeel"), base.join("pykeel")).expect("a copy");
        let library = base.join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clock.c");
        check("gcc", &["-shared".as_ref(), "-fPIC".as_ref(), "-o".as_ref(), library.as_path(), &source]);
        elsewhere
    }

    fn base(&self) -> &Path {
        self.directory.path()
    }

    /// `pykeel build` with some words, from the archives of a directory.
    fn build(&self, sources: &Path, words: &[&str]) -> Ended {
        let base = self.base();
        let mut command = Command::new("unshare");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/elsewhere.sh");
        command.args(["--mount", "--uts", "--propagation", "private", "sh"]).arg(script);
        command.arg(base.join("pykeel")).args(["build", "--json", "--offline", "--allow-eol"]).args(words);
        let files = match self.files {
            Files::Tmpfs => "tmpfs",
            Files::Disorderfs => "disorderfs",
        };
        command.env("BASE", base).env("PLACE", base.join("place")).env("FILES", files).env("SOURCES", sources);
        run(command.env("LIBRARY", base.join("clock.so")).env("PACKAGES", other_packages()))
    }

    /// What `--out` has.
    fn out(&self, name: &str) -> PathBuf {
        self.base().join("out").join(name)
    }
}

/// Compares an artifact with the one of the same name that was built elsewhere.
#[track_caller]
fn assert_same(artifact: &Artifact, elsewhere: &Elsewhere, ended: &Ended) {
    let built = ended.json();
    let built: Vec<&serde_json::Value> = built.as_array().expect("an array").iter().collect();
    let key = |built: &&&serde_json::Value| built["build_key"] == artifact.build_key;
    let other =
        built.iter().find(key).unwrap_or_else(|| panic!("another plan: {} is none of {built:?}", artifact.name));
    let tarball = elsewhere.out(&format!("{}.tar.zst", artifact.name));
    if other["digest"] != artifact.digest {
        let shown = run(pykeel().arg("inspect").arg(&artifact.tarball).arg(&tarball));
        panic!("{} is another:\n{}{}", artifact.name, shown.out, shown.err);
    }
    let bytes = |path: &Path| fs_err::read(path).expect("a file");
    assert!(bytes(&tarball) == bytes(&artifact.tarball), "{}: the tarball", artifact.name);
    let manifest = format!("{}.manifest.json", artifact.name);
    let stored = artifact.tarball.with_file_name(&manifest);
    assert!(bytes(&elsewhere.out(&manifest)) == bytes(&stored), "{}: the manifest", artifact.name);
}

/// Builds a release elsewhere, and compares it with artifacts that were built here.
fn same_elsewhere(release: &str, here: &[Artifact], files: Files, words: &[&str]) {
    if let Some((missing, reason)) = cannot() {
        skip!(missing, "{reason}");
    }
    let elsewhere = Elsewhere::new(files);
    let ended = elsewhere.build(&shared_store().join("sources"), &[&[release], words].concat());
    if ended.code == 77 {
        skip!(Missing::Fuse, "disorderfs does not mount: {}", ended.err);
    }
    let ended = ended.exits(0);
    for artifact in here {
        assert_same(artifact, &elsewhere, &ended);
    }
}

#[test]
fn the_newest_series_is_the_same_elsewhere_in_both_flavors() {
    let here = ["runtime", "builder"].map(artifact);
    same_elsewhere(RELEASE, &here, Files::Tmpfs, &["--flavor", "all", "--jobs", "3"]);
}

#[test]
#[ignore = "scripts/test --full: builds 3.13.5 twice more"]
fn without_a_profile_and_with_bytecode_it_is_the_same_elsewhere() {
    let words = ["--optimize", "none", "--bytecode", "unchecked-hash"];
    artifact("runtime"); // Its source is there now.
    // A store of its own: in the shared one a version names one artifact.
    let store = made_once("pykeel-tests-plain-store", |store| {
        fs_err::create_dir_all(store).expect("a directory");
        check("cp", &[Path::new("-a"), &shared_store().join("sources"), store]);
    });
    let mut command = pykeel();
    command.env("PYKEEL_STORE", store).args(["build", RELEASE, "--json"]).args(words);
    let built = run(&mut command).exits(0).json();
    let words = [&words[..], &["--jobs", "1"]].concat();
    same_elsewhere(RELEASE, &[Artifact::built(&built[0])], Files::Tmpfs, &words);
}

/// Builds an old series elsewhere, unless no mirror has its source.
fn old_series_is_the_same_elsewhere(release: &'static str, files: Files) {
    let Some(here) = artifact_of(release, "runtime") else {
        skip!(Missing::Source(release), "no mirror has the source of Python {release}");
    };
    same_elsewhere(release, &[here], files, &["--jobs", "3"]);
}

/// Its setup.py finds extension modules by listing directories.
#[test]
#[ignore = "scripts/test --full: builds 3.9.2 a second time"]
fn the_oldest_series_is_the_same_on_a_file_system_without_an_order() {
    old_series_is_the_same_elsewhere("3.9.2", Files::Disorderfs);
}

#[test]
#[ignore = "scripts/test --full: builds 3.11.2 a second time"]
fn an_old_series_is_the_same_elsewhere() {
    old_series_is_the_same_elsewhere("3.11.2", Files::Tmpfs);
}

/// All that pykeel does after the compilation, on both file systems and with all that is kept.
#[test]
fn what_follows_a_compilation_is_the_same_elsewhere() {
    if let Some((missing, reason)) = cannot() {
        skip!(missing, "{reason}");
    }
    for (flavor, files) in [("runtime", Files::Tmpfs), ("builder", Files::Disorderfs)] {
        let toy = Toy::of(&artifact(flavor), Behaviour::default());
        // The user there reads what the toy's make copies.
        fs_err::set_permissions(toy.path("real").parent().expect("a directory"), Permissions::from_mode(0o755))
            .expect("a directory");
        let recipes = toy.path("recipes");
        let recipes = recipes.to_str().expect("UTF-8");
        let mirror = toy.mirror();
        let mirror = mirror.to_str().expect("UTF-8");
        for bytecode in count(&["strip", "unchecked-hash"][..], &["unchecked-hash"]) {
            // The toy has no evaluation loop to record.
            let words = ["--flavor", flavor, "--bytecode", bytecode, "--optimize", "none"];
            let built = run(toy.build_command().args(words)).exits(0).json();
            let elsewhere = Elsewhere::new(files);
            let words = [&[RELEASE, "--recipes", recipes, "--mirror", mirror], &words[..]].concat();
            let ended = elsewhere.build(&toy.mirror(), &words);
            if ended.code == 77 {
                skip!(Missing::Fuse, "disorderfs does not mount: {}", ended.err);
            }
            assert_same(&Artifact::built(&built[0]), &elsewhere, &ended.exits(0));
        }
    }
}
