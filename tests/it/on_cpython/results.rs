//! What commands print of real artifacts.

use crate::support::{artifact, pykeel, run};

#[test]
fn results_go_to_standard_output_and_all_else_to_standard_error() {
    let runtime = artifact("runtime");
    let ended = run(pykeel().args(["build", "3.13.5"])).exits(0).says(&["is in the store"]);
    assert_eq!(ended.out.trim(), runtime.tarball.display().to_string());
    let ended = run(pykeel().args(["build", "3.13.5", "--quiet"])).exits(0);
    assert_eq!((ended.out.trim(), ended.err.as_str()), (runtime.tarball.display().to_string().as_str(), ""));
    let ended = run(pykeel().args(["build", "3.13.5", "--progress", "json"])).exits(0);
    for line in ended.err.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(event["event"].is_string(), "{line}");
    }
    // Nothing is coloured where nobody looks.
    assert!(!ended.err.contains('\u{1b}'));
}

#[test]
fn a_plan_is_printed_and_nothing_is_made() {
    let store = tempfile::tempdir().expect("a directory");
    let ended =
        run(pykeel().args(["build", "3.13.5", "--dry-run", "--json"]).env("PYKEEL_STORE", store.path().join("new")))
            .exits(0);
    let plan = &ended.json()[0];
    assert_eq!(plan["request"]["release"], "3.13.5");
    assert_eq!(plan["request"]["prefix"], "/opt/myorg/python-3.13");
    assert!(!store.path().join("new").exists());
    // What only the toolchain can say is said.
    assert!(plan["toolchain"]["glibc"].as_str().is_some_and(|glibc| glibc.starts_with("2.")), "{plan}");
    assert_eq!(plan["toolchain"]["programs"].as_object().map(serde_json::Map::len), Some(12), "{plan}");
    // It is the plan that the build acts on.
    assert_eq!(artifact("runtime").manifest["plan"], *plan);
}

#[test]
fn what_is_there_is_listed_and_inspected() {
    let runtime = artifact("runtime");
    let listed = run(pykeel().args(["list", "--json"])).exits(0).json();
    assert!(listed.as_array().expect("an array").iter().any(|record| record["digest"] == runtime.digest.as_str()));
    let ended = run(pykeel().arg("inspect").arg(&runtime.tarball)).exits(0);
    assert!(ended.out.contains("libssl.so.3") && ended.out.contains("glibc floor"), "{}", ended.out);
    let inspected = run(pykeel().args(["inspect", "--json"]).arg(&runtime.tarball)).exits(0).json();
    assert_eq!(inspected["manifest"], runtime.manifest);
    let versions = run(pykeel().args(["list", "--all", "--json"])).exits(0).json();
    let built =
        versions.as_array().expect("an array").iter().find(|version| version["version"] == "3.13.5").expect("3.13.5");
    assert_eq!(built["built"], true);
}
