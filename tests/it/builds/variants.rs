//! Free-threaded and debug builds: from the same source as the default one, each in its own prefix.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::newest::NEWEST;
use crate::missing::Missing;
use crate::skip;
use crate::support::{Artifact, Ended, RELEASE, artifact, pykeel, run, unpack};

/// Both flavors of 3.13.5t and 3.13.5d, `runtime` first. The first test that asks builds them, unless the shared store
/// has them, and all others wait. If that fails, it is not tried again.
static VARIANTS: LazyLock<[Vec<Artifact>; 2]> = LazyLock::new(|| {
    // Then its source is in the store.
    artifact("runtime");
    ["t", "d"].map(|variant| {
        let version = format!("{RELEASE}{variant}");
        flavors_of(run(pykeel().args(["build", &version, "--flavor", "all", "--offline", "--json"])))
    })
});

/// The artifacts of a build of both flavors, `runtime` first.
fn flavors_of(ended: Ended) -> Vec<Artifact> {
    let built = ended.exits(0).json();
    let artifacts: Vec<Artifact> = built.as_array().expect("an array").iter().map(Artifact::built).collect();
    let names: Vec<&str> = artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    assert!(names.len() == 2 && names[0].contains("-runtime-") && names[1].contains("-builder-"), "{names:?}");
    artifacts
}

/// What a Python answers to a program, run from a tree by one of its names.
fn answer(tree: &Path, name: &str, code: &str) -> String {
    let mut command = Command::new(tree.join("bin").join(name));
    run(command.args(["-I", "-B", "-c", code]).env_clear()).exits(0).out.trim().to_owned()
}

/// What tells the three builds apart.
const SELF: &str = "
import sys, sysconfig
print(sys.abiflags or '-', getattr(sys, '_is_gil_enabled')(), hasattr(sys, 'gettotalrefcount'),
      sysconfig.get_config_var('Py_GIL_DISABLED'), sysconfig.get_config_var('Py_DEBUG'),
      sys.base_prefix, sysconfig.get_path('stdlib'))";

/// The same for a tree of a series: with the lock unless `t`, with counted references only if `d`.
fn expected(tree: &Path, series: &str, variant: &str) -> String {
    let (abiflags, has_lock, is_debug, no_gil, debug) = match variant {
        "t" => ("t", "False", "False", 1, 0),
        "d" => ("d", "True", "True", 0, 1),
        _ => ("-", "True", "False", 0, 0),
    };
    let tree = tree.display();
    let more = if variant == "t" { "t" } else { "" };
    format!("{abiflags} {has_lock} {is_debug} {no_gil} {debug} {tree} {tree}/lib/python{series}{more}")
}

/// Checks an artifact of a variant: its name, its prefix, its verification, and what it says itself in another place.
fn is_what_it_says(artifact: &Artifact, release: &str, variant: &str) {
    let (series, _) = release.rsplit_once('.').expect("a release");
    assert!(artifact.name.starts_with(&format!("cpython-{release}{variant}-")), "{}", artifact.name);
    assert_eq!(artifact.manifest["plan"]["request"]["prefix"], format!("/opt/myorg/python-{series}{variant}"));
    run(pykeel().arg("verify").arg(&artifact.tarball)).exits(0);
    let place = tempfile::tempdir().expect("a directory");
    let tree = place.path().canonicalize().expect("a directory").join("moved");
    unpack(artifact, &tree);
    for name in ["python", "python3", &format!("python{series}"), &format!("python{series}{variant}")] {
        assert_eq!(answer(&tree, name, SELF), expected(&tree, series, variant), "{name}");
    }
}

#[test]
#[ignore = "scripts/test --full: builds 3.13.5t and 3.13.5d"]
fn variants_are_what_they_say_and_pass_verification() {
    for (artifacts, variant) in VARIANTS.iter().zip(["t", "d"]) {
        for artifact in artifacts {
            is_what_it_says(artifact, RELEASE, variant);
        }
    }
}

#[test]
#[ignore = "scripts/test --full: builds 3.14.6t and 3.14.6d"]
fn the_variants_of_the_newest_series_are_what_they_say() {
    for variant in ["t", "d"] {
        // 3.13.5t is the one that is optimised: it takes a training.
        let version = format!("{NEWEST}{variant}");
        let ended = run(pykeel().args(["build", &version, "--flavor", "all", "--optimize", "none", "--json"]));
        if ended.code == 3 {
            skip!(Missing::Source(NEWEST), "no mirror has the source of Python {NEWEST}: {}", ended.err.trim());
        }
        for artifact in flavors_of(ended) {
            is_what_it_says(&artifact, NEWEST, variant);
        }
    }
}

#[test]
#[ignore = "scripts/test --full: builds 3.13.5t and 3.13.5d"]
fn threads_of_the_free_threaded_build_run_with_all_its_modules() {
    let free_threaded = &VARIANTS[0][0];
    let place = tempfile::tempdir().expect("a directory");
    unpack(free_threaded, place.path());
    // A module that does not say that it can do without the lock turns it on for the process.
    let code = "
import importlib, sys, threading
for name in sys.argv[1:]:
    importlib.import_module(name)
totals = [0] * 4
def count(slot):
    for _ in range(10_000):
        totals[slot] += 1
threads = [threading.Thread(target=count, args=(slot,)) for slot in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(totals, sys._is_gil_enabled())";
    let modules = free_threaded.manifest["modules"].as_array().expect("a list");
    let names = modules.iter().map(|name| name.as_str().expect("a name"));
    let mut command = Command::new(place.path().join("bin/python3.13t"));
    let ended = run(command.args(["-I", "-B", "-c", code]).args(names).env_clear()).exits(0);
    assert_eq!(ended.out.trim(), "[10000, 10000, 10000, 10000] False", "{}", ended.err);
}

#[test]
#[ignore = "scripts/test --full: builds 3.13.5t and 3.13.5d"]
fn all_three_live_side_by_side() {
    let _built = &*VARIANTS;
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path().canonicalize().expect("a directory");
    let prefix = |variant: &str| -> PathBuf { root.join(format!("opt/myorg/python-3.13{variant}")) };
    for variant in ["", "t", "d"] {
        let version = format!("{RELEASE}{variant}");
        run(pykeel().args(["install", &version, "--no-build", "--no-sync", "--root"]).arg(&root)).exits(0);
    }
    for variant in ["", "t", "d"] {
        let tree = prefix(variant);
        assert_eq!(answer(&tree, "python", SELF), expected(&tree, "3.13", variant));
    }
}

#[test]
fn what_is_built_here_is_marked() {
    let versions = run(pykeel().args(["list", "--all", "--json"])).exits(0).json();
    let versions = versions.as_array().expect("an array");
    let row = |release: &str| versions.iter().find(|version| version["version"] == release).expect("a row").clone();
    assert_eq!(row(RELEASE)["built"], true);
    for release in [RELEASE, NEWEST] {
        assert_eq!(row(release)["built_variants"], serde_json::json!(["t", "d"]));
    }
    for row in versions.iter().filter(|row| row["version"] != RELEASE && row["version"] != NEWEST) {
        assert_eq!(row["built_variants"], serde_json::json!([]), "{row}");
    }
    let text = run(pykeel().args(["list", "--all"])).exits(0).out;
    let line = text.lines().find(|line| line.starts_with("3.13.5 ")).expect("a line");
    assert!(line.contains("built by this project: 3.13.5, 3.13.5t, 3.13.5d"), "{line}");
    let line = text.lines().find(|line| line.starts_with("3.15.0b4 ")).expect("a line");
    assert!(line.contains("pre-release") && !line.contains("built"), "{line}");

    let shown = |version: &str| run(pykeel().args(["recipe", "show", version])).exits(0).out;
    assert!(shown("3.13.5t").contains("built        by this project"), "{}", shown("3.13.5t"));
    assert!(shown("3.14.5t").contains("built        not by this project"), "{}", shown("3.14.5t"));
    assert!(shown("3.15.0b4").starts_with("Python 3.15.0b4, a pre-release ("), "{}", shown("3.15.0b4"));
    // A series means its newest release that is none.
    assert!(shown("3.15").starts_with("Python 3.15.2 ("), "{}", shown("3.15"));
    let json = run(pykeel().args(["recipe", "show", "3.15.0b4d", "--json"])).exits(0).json();
    assert_eq!((&json["pre_release"], &json["built"]), (&true.into(), &false.into()));
}
