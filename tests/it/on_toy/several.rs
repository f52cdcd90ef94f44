//! Several versions in one call: what runs concurrently, and that one failure does not stop the others.

use serde_json::Value;

use crate::support::run;
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact::{artifact, pykeel};

/// Tells the other build that this one is there, and waits for it; a minute is long enough for it
/// to get there.
macro_rules! meet {
    ($mine:literal, $theirs:literal) => {
        concat!("touch ../../", $mine, "; timeout 60 sh -c 'until [ -e ../../", $theirs, " ]; do sleep 0.05; done'")
    };
}

/// A toy of two releases, of which the second fails while it compiles, and not before both were
/// under way at once: one in its compilation, the other in its configure.
fn one_good_one_bad() -> Toy {
    let toy = Toy::new(Behaviour { all: meet!("compiling", "configuring"), ..Behaviour::default() });
    toy.add_source(
        "3.13.4",
        Behaviour {
            configure: meet!("configuring", "compiling"),
            all: "echo 'a.c:1:1: error: this cannot be compiled' >&2; exit 1",
            ..Behaviour::default()
        },
    );
    toy.write_recipe(|recipe| format!("{recipe}{}", toy.row("3.13.4")));
    toy
}

#[test]
fn one_versions_configure_overlaps_anothers_compilation_and_its_failure_takes_nothing_down() {
    let toy = one_good_one_bad();
    let ended = run(toy.build_of(&["3.13.5", "3.13.4"]).args(["--jobs", "2"])).exits(1).says(&[
        "error: 1 of 2 versions failed: 3.13.4",
        "3.13.4: `make",
        "a.c:1:1: error: this cannot be compiled",
        "the whole log is",
    ]);
    let built = ended.json();
    let names: Vec<&str> = built.as_array().unwrap().iter().map(|built| built["name"].as_str().unwrap()).collect();
    assert!(matches!(names[..], [name] if name.starts_with("cpython-3.13.5-")), "{names:?}");
    toy.left_nothing();
    // What was built is kept: it is not built again.
    let again = toy.build().exits(0).json();
    assert_eq!(again[0]["cached"], true);
}

#[test]
fn each_event_says_which_version_it_is_of() {
    let toy = one_good_one_bad();
    let ended = run(toy.build_of(&["3.13.4", "3.13.5"]).args(["--jobs", "2", "--progress", "json"])).exits(1);
    let events: Vec<Value> =
        ended.err.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let compiled = |task: &str| {
        let of_task = |event: &&Value| event["stage"] == "compile" && event["task"] == task;
        events.iter().filter(of_task).map(|event| event["event"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(compiled("3.13.5"), ["started", "finished"]);
    assert_eq!(compiled("3.13.4"), ["started", "failed"]);
    assert_eq!(events.last().unwrap()["event"], "error");
    assert_eq!(events.last().unwrap()["code"], 1);
}

#[test]
fn what_is_asked_for_twice_is_built_once() {
    let toy = Toy::new(Behaviour::default());
    let built = run(&mut toy.build_of(&["3.13", "3.13.5"])).exits(0).json();
    assert_eq!(built.as_array().unwrap().len(), 1);
}

#[test]
fn an_unknown_version_stops_everything_before_it_starts() {
    let toy = Toy::new(Behaviour::default());
    run(&mut toy.build_of(&["3.13.5", "3.13.99"])).exits(2).says(&["there is no recipe for Python 3.13.99"]);
    assert!(!toy.store().join("artifacts").exists());
}

#[test]
fn two_versions_do_not_share_a_place() {
    let toy = one_good_one_bad();
    run(&mut toy.command(&["install", "3.13.4", "3.13.5", "--root", "/nonexistent"]))
        .exits(2)
        .says(&["3.13.4 and 3.13.5 would both be installed into /opt/myorg/python-3.13", "--prefix"]);
    // Nor is one inside the other.
    let nested = "3.13.4 and 3.13.5t would both be installed into /opt/py/, one of them into /opt/py/t";
    run(&mut toy.command(&["install", "3.13.4", "3.13.5t", "--prefix", "/opt/py/{variant}", "--root", "/nonexistent"]))
        .exits(2)
        .says(&[nested, "--prefix"]);
    run(&mut toy.command(&["image", "3.13.4", "3.13.5t", "--prefix", "/opt/py/{variant}"]))
        .exits(2)
        .says(&["/opt/py, one of them into /opt/py/t"]);
}

#[test]
fn what_cannot_be_installed_does_not_keep_the_rest_from_it() {
    let root = tempfile::tempdir().unwrap();
    let digest = format!("sha256:{}", artifact("runtime").digest);
    let mut command = pykeel();
    let ended = run(command.args(["install", "--no-build", "--json", "3.13.5t", &digest, "--root"]).arg(root.path()))
        .exits(1)
        .says(&["error: 1 of 2 versions failed: 3.13.5t", "no usable artifact of Python 3.13.5t"]);
    assert_eq!(ended.json().as_array().unwrap().len(), 1);
    assert!(root.path().join("opt/myorg/python-3.13/bin/python3").exists());
}
