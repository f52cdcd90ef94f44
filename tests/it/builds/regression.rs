//! CPython's own regression tests: the installed, stripped Python passes, skips and fails what an
//! untouched build of the same source does. `scripts/regression-tests` does the work, and can be run
//! by hand; `tests/data/regression` says which tests are run and which differences are explained.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{self, run};

/// The parts of CPython that must be covered, as the beginnings of names of test modules.
const COVERED: &[&str] = &[
    "test_ssl",
    "test_sqlite3",
    "test_ctypes",
    "test_hashlib",
    "test_zlib",
    "test_bz2",
    "test_lzma",
    "test_curses",
    "test_readline",
    "test_venv",
    "test_sysconfig",
    "test_subprocess",
    "test_multiprocessing_fork.",
    "test_multiprocessing_forkserver.",
    "test_multiprocessing_spawn.",
    "test_asyncio.",
];

#[test]
#[ignore = "scripts/test --full: builds an untouched 3.13.5, and runs CPython's tests in both"]
fn cpythons_own_tests_run_as_in_an_untouched_build() {
    let runtime = support::artifact("runtime");
    let builder = support::artifact("builder");
    let source = runtime.manifest["plan"]["source"]["xz"].as_str().expect("a sum");
    let store = support::shared_store();
    let place = tempfile::tempdir().expect("a directory");
    let output = place.path().join("report.json");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/regression-tests");
    let ended = run(Command::new("python3")
        .arg(script)
        .arg(store.join("sources").join(source))
        .arg(env!("CARGO_BIN_EXE_pykeel"))
        // What takes long to build outlives the test where the artifacts do.
        .arg(store.join("regression"))
        .arg(&output)
        .arg("--artifact")
        .arg(&runtime.tarball)
        .arg("--artifact")
        .arg(&builder.tarball))
    .exits(0);
    eprintln!("{}", ended.err);

    let report: Value = serde_json::from_slice(&fs_err::read(output).expect("a report")).expect("JSON");
    for artifact in [&runtime, &builder] {
        let flavor = artifact.manifest["plan"]["request"]["flavor"].as_str().expect("a flavor");
        assert_eq!(report["artifacts"][flavor]["digest"], artifact.digest);
        assert_eq!(report["artifacts"][flavor]["build_key"], artifact.build_key);
    }

    let runs = report["runs"].as_object().expect("runs");
    for (name, of_run) in runs {
        for list in ["unexplained", "unneeded"] {
            assert_eq!(of_run[list].as_array().map(Vec::len), Some(0), "{name}: {list}: {}", of_run[list]);
        }
    }
    assert!(runs["runtime"]["here"]["run"].as_u64() > Some(10_000), "{}", runs["runtime"]["here"]);
    for module in COVERED {
        let mut of_runtime = runs.values().filter(|of_run| of_run["flavor"] == "runtime");
        assert!(of_runtime.any(|of_run| has_run(of_run, module)), "{module} has run no test");
    }
}

/// Whether test modules whose names begin so have run tests on either side.
fn has_run(of_run: &Value, beginning: &str) -> bool {
    of_run["modules"].as_object().expect("modules").iter().any(|(name, counts)| {
        name.starts_with(beginning) && ["here", "untouched"].iter().all(|side| counts[side]["run"].as_u64() > Some(0))
    })
}
