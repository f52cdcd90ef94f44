//! The newest series whose source mirrors keep.

use crate::missing::Missing;
use crate::skip;
use crate::support::{Artifact, pykeel, run};

/// Its newest release that mirrors keep.
pub(super) const NEWEST: &str = "3.14.6";

#[test]
fn the_newest_series_builds_and_passes_verification() {
    let mut command = pykeel();
    command.args(["build", NEWEST, "--flavor", "all", "--json"]);
    let ended = run(&mut command);
    if ended.code == 3 {
        skip!(Missing::Source(NEWEST), "no mirror has the source of Python {NEWEST}: {}", ended.err.trim());
    }
    let built = ended.exits(0).json();
    let artifacts: Vec<Artifact> = built.as_array().expect("an array").iter().map(Artifact::built).collect();
    assert_eq!(artifacts.len(), 2);
    for artifact in artifacts {
        assert!(artifact.name.starts_with(&format!("cpython-{NEWEST}-")), "{}", artifact.name);
        run(pykeel().arg("verify").arg(&artifact.tarball)).exits(0);
        let modules = artifact.manifest["modules"].as_array().expect("a list");
        let has = |name: &str| modules.iter().any(|module| module == name);
        assert!(has("_ssl") && has("_ctypes") && has("_sqlite3") && has("_zstd") && has("readline"), "{modules:?}");
    }
}
