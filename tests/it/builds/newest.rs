//! The newest releases whose sources mirrors keep.

use pykeel::recipe::Catalog;

use crate::missing::Missing;
use crate::skip;
use crate::support::{Artifact, RELEASE, pykeel, run};

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

/// A later release of the series that most tests look at. No recipe has a profile of its own for it.
const LATER: &str = "3.13.15";

#[test]
#[ignore = "scripts/test --full: builds 3.13.15"]
fn a_release_without_a_profile_borrows_that_of_another_of_its_series() {
    let ended = run(pykeel().args(["build", LATER, "--flavor", "all", "--json"]));
    if ended.code == 3 {
        skip!(Missing::Source(LATER), "no mirror has the source of Python {LATER}: {}", ended.err.trim());
    }
    let built = ended.exits(0).json();
    let catalog = Catalog::load(None).expect("the recipes");
    let (_, recipe) = catalog.find(RELEASE.parse().expect("a release")).expect("a recipe");
    for artifact in built.as_array().expect("an array").iter().map(Artifact::built) {
        assert!(artifact.name.starts_with(&format!("cpython-{LATER}-")), "{}", artifact.name);
        let profile = artifact.manifest["plan"]["profile"].as_str().expect("a profile");
        assert!(recipe.profiles.iter().any(|pinned| pinned.sha256.to_string() == profile), "{profile}");
        run(pykeel().arg("verify").arg(&artifact.tarball)).exits(0);
    }
}
