//! `pykeel.lock` of a real Python: what it says of the libraries is what the installed Python says of them.

use std::process::Command;

use crate::on_cpython::install::Site;
use crate::support::{artifact, run};

/// Prints the versions that the libraries state themselves.
const VERSIONS: &str = "import ssl, sqlite3, pyexpat, sys; print(*sys.version_info[:3], sep='.'); \
                        print(ssl.OPENSSL_VERSION.split()[1]); print(sqlite3.sqlite_version); \
                        print(*pyexpat.version_info, sep='.')";

#[test]
fn what_is_locked_is_what_is_installed_and_what_runs() {
    let site = Site::new();
    let lock = site.path("pykeel.lock");
    let locked = |words: &[&str]| {
        let mut command = site.command(words);
        command.arg("--lock").arg(&lock);
        command
    };
    let entries = run(&mut locked(&["lock", "3.13.5", "--flavor", "all", "--json"])).exits(0).json()["entries"].clone();
    let [runtime, builder] = [&entries[0], &entries[1]];
    assert_eq!(runtime["digest"], artifact("runtime").digest.as_str());
    assert_eq!(builder["digest"], artifact("builder").digest.as_str());
    let text = fs_err::read_to_string(&lock).expect("the lock");

    let root = site.path("root");
    fs_err::create_dir(&root).expect("a directory");
    let installed =
        run(locked(&["install", "--locked", "--no-build", "--json"]).arg("--root").arg(&root)).exits(0).json();
    assert_eq!(installed[0]["digest"], runtime["digest"]);
    let python = root.join("opt/myorg/python-3.13/bin/python3");
    let said = run(Command::new(python).args(["-I", "-c", VERSIONS])).exits(0).out;
    let said: Vec<&str> = said.lines().collect();
    let package = |name: &str| runtime["libraries"][name].as_str().expect(name).to_owned();
    assert_eq!(said[0], runtime["release"]);
    for (version, package) in [(said[1], package("openssl")), (said[2], package("sqlite3"))] {
        // The package's version has a revision, and SQLite's leaves a zero at the end out.
        let upstream = package.split('-').next().expect("a version");
        assert!(version.starts_with(upstream), "{version} {package}");
    }
    assert_eq!(said[3], runtime["compiled_in"]["expat"].as_str().expect("expat"));

    // The plan of this machine is that of the lock, so it could be built again.
    let plans = run(&mut locked(&["build", "--locked", "--dry-run", "--json"])).exits(0).json();
    assert_eq!(plans.as_array().map(Vec::len), Some(2));
    let built = run(&mut locked(&["build", "--locked", "--json"])).exits(0).json();
    assert_eq!((&built[1]["digest"], &built[1]["cached"]), (&builder["digest"], &true.into()));
    // And with other flags it is another.
    let mut other = locked(&["build", "--locked", "--dry-run"]);
    // Both flavors are: that is the exit code of several.
    run(other.env("LDFLAGS", "-Wl,-z,now")).exits(1).says(&["LDFLAGS is -Wl,-z,now, locked: none"]);
    assert_eq!(fs_err::read_to_string(&lock).expect("the lock"), text);
}
