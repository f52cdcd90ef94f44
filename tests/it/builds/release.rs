//! What `scripts/release` makes: the same twice, and each part installed and run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::missing::Missing;
use crate::skip;
use crate::support::{artifact, check, is_root, run, unpack};
use crate::toy_artifact::directory_until_next_run;

const UV: &str = "uv==0.13.9";

/// Makes a release of a copy of the checkout in a directory of its own.
fn released(place: &Path) -> PathBuf {
    let (top, out) = (Path::new(env!("CARGO_MANIFEST_DIR")), place.join("out"));
    run(Command::new("git").args(["clone", "--quiet"]).arg(top).arg(place.join("checkout"))).exits(0);
    let mut release = Command::new(place.join("checkout/scripts/release"));
    // Cargo's own variables, and another directory for what it compiles, would be those of this test.
    release.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS").arg(&out);
    run(&mut release).exits(0);
    // What was compiled takes a gigabyte.
    fs_err::remove_dir_all(place.join("checkout")).expect("the checkout");
    out
}

/// A release, which both tests look at.
static RELEASE: LazyLock<PathBuf> = LazyLock::new(|| released(&directory_until_next_run("release-").keep()));

/// The file in a directory with an ending.
fn ending(directory: &Path, ending: &str) -> PathBuf {
    let entries = fs_err::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut found = entries.filter(|path| path.to_string_lossy().ends_with(ending));
    found.next().unwrap_or_else(|| panic!("nothing that ends in {ending}"))
}

fn version() -> String {
    format!("pykeel {}\n", env!("CARGO_PKG_VERSION"))
}

#[test]
#[ignore = "scripts/test --full: compiles two releases"]
fn a_release_is_the_same_elsewhere() {
    let place = tempfile::tempdir().expect("a directory");
    let deeper = place.path().join("another/place");
    fs_err::create_dir_all(&deeper).expect("a directory");
    let sums = |out: &Path| fs_err::read_to_string(out.join("SHA256SUMS")).expect("the sums");
    let (first, second) = (sums(&RELEASE), sums(&released(&deeper)));
    assert!(first.lines().count() >= 4, "{first}");
    assert_eq!(first, second);
}

#[test]
#[ignore = "scripts/test --full: compiles a release"]
fn each_part_of_a_release_installs_and_runs() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    let out = &*RELEASE;
    let arch = std::env::consts::ARCH;

    // The archive has what `cargo binstall` looks for, and the binary needs nothing of a system.
    let name = format!("pykeel-{}-{arch}-unknown-linux-musl", env!("CARGO_PKG_VERSION"));
    let archive = out.join(format!("{name}.tar.gz"));
    check("tar", &["-xzf".as_ref(), archive.as_os_str(), "-C".as_ref(), place.path().as_os_str()]);
    let binary = path(&name).join("pykeel");
    assert!(path(&name).join("share/man/man1/pykeel-build.1").is_file());
    let root = path("root");
    fs_err::create_dir(&root).expect("a directory");
    fs_err::copy(&binary, root.join("pykeel")).expect("a copy");
    if is_root() {
        let mut chroot = Command::new("/usr/sbin/chroot");
        chroot.env_clear().arg(&root).args(["/pykeel", "--version"]);
        assert_eq!(run(&mut chroot).exits(0).out, version());
    } else {
        crate::missing::skipped(Some(Missing::Root), "the binary was not run in an empty root");
    }
    assert_eq!(run(Command::new(&binary).arg("--version")).exits(0).out, version());

    // The image has the binary alone.
    let mut judge = Command::new(&binary);
    judge.args(["check", "--json", "--fail-on", "never"]).arg(ending(out, ".oci.tar"));
    let sizes = run(&mut judge).exits(0).json()["sizes"].clone();
    let size = fs_err::metadata(&binary).expect("the binary").len();
    assert_eq!((&sizes["files"], &sizes["bytes"]), (&1.into(), &size.into()), "{sizes}");

    // The wheel, by pip.
    unpack(&artifact("builder"), &path("python"));
    let python = path("python/bin/python3");
    let wheel = ending(out, ".whl");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-index"]).arg(&wheel);
    run(&mut pip).exits(0);
    assert_eq!(run(Command::new(path("python/bin/pykeel")).arg("--version")).exits(0).out, version());
    assert!(path("python/share/man/man1/pykeel-build.1").is_file());

    // The package, by dpkg, in a root of its own.
    if is_root() {
        let debian = path("debian");
        fs_err::create_dir_all(debian.join("var/lib/dpkg/info")).expect("a directory");
        fs_err::create_dir_all(debian.join("var/lib/dpkg/updates")).expect("a directory");
        fs_err::write(debian.join("var/lib/dpkg/status"), "").expect("a file");
        let mut dpkg = Command::new("dpkg");
        dpkg.arg("--root").arg(&debian).arg("--install").arg(ending(out, ".deb"));
        run(&mut dpkg).exits(0);
        assert_eq!(run(Command::new(debian.join("usr/bin/pykeel")).arg("--version")).exits(0).out, version());
        assert!(debian.join("usr/share/man/man1/pykeel-build.1.gz").is_file());
    }

    // The wheel, by uv.
    let fetched = run(Command::new(&python).args(["-m", "pip", "install", "--quiet", UV]));
    if fetched.code != 0 {
        skip!(Missing::PackageIndex, "{UV} cannot be fetched: {}", fetched.err);
    }
    let mut uvx = Command::new(path("python/bin/uvx"));
    uvx.env("UV_CACHE_DIR", path("cache")).arg("--no-config").arg("--python").arg(&python).arg("--from").arg(&wheel);
    assert_eq!(run(uvx.args(["pykeel", "--version"])).exits(0).out, version());
}
