//! Every definition of python-build that is a CPython of 3.9 or later, and whose source can be had.

use std::process::Command;

use crate::builds::other_pool::{self, mirror_with};
use crate::missing::{Missing, skipped};
use crate::support::{RELEASE, pykeel, run};

/// Releases of Debian 11 to 13 and of what comes after them.
const OF_DEBIAN: [&str; 5] = ["3.9.2", "3.11.2", RELEASE, "3.13.15", "3.14.6"];

/// Prints what a user of python-build would miss.
const PROBE: &str = "import ctypes, lzma, readline, sqlite3, ssl, sys, sysconfig, zlib
assert sysconfig.get_config_var('Py_ENABLE_SHARED') == 1
print('.'.join(map(str, sys.version_info[:3])), sys.prefix)";

#[test]
#[ignore = "scripts/test --full: builds nine releases"]
fn each_definition_whose_source_can_be_had_installs() {
    let place = tempfile::tempdir().expect("a directory");
    for release in OF_DEBIAN.into_iter().chain(other_pool::RELEASES) {
        let prefix = place.path().join(release);
        let mut command = pykeel();
        command.args(["python-build", release]).arg(&prefix).env("PYKEEL_OPTIMIZE", "none");
        if other_pool::RELEASES.contains(&release) {
            let Some(cache) = mirror_with(release) else {
                skipped(Some(Missing::Source(release)), &format!("no pool has the source of Python {release}"));
                continue;
            };
            command.env("PYTHON_BUILD_CACHE_PATH", cache);
        }
        let ended = run(&mut command);
        // The source comes first, and so a failure before the build is that of a source.
        if ended.code != 0
            && release != RELEASE
            && ended.err.contains("Downloading")
            && !ended.err.contains("Installing")
        {
            skipped(Some(Missing::Source(release)), &format!("no mirror has the source of Python {release}"));
            continue;
        }
        let ended = ended.exits(0);
        let said = format!("Installed Python-{release} to {}\n", prefix.display());
        assert!(ended.err.ends_with(&said), "{}", ended.err);
        let python = prefix.join("bin/python");
        let printed = run(Command::new(&python).args(["-c", PROBE]).env_clear()).exits(0).out;
        assert_eq!(printed.trim(), format!("{release} {}", prefix.display()));
        run(Command::new(prefix.join("bin/pip")).arg("--version").env_clear()).exits(0);
    }
}
