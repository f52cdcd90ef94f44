//! `verify` of what somebody else may have changed: nothing of it is run.

use std::path::{Path, PathBuf};

use crate::support::{Ended, run};
use crate::toy_artifact::pykeel;

/// An installed prefix.
fn installed(root: &Path) -> PathBuf {
    let mut command = pykeel();
    command.args(["install", "3.13.5", "--no-build", "--no-sync", "--root"]).arg(root);
    run(&mut command).exits(0);
    root.join("opt/myorg/python-3.13")
}

fn verify(prefix: &Path, more: &[&str]) -> Ended {
    run(pykeel().args(["verify", "--json"]).args(more).arg(prefix))
}

/// The checks that ran the Python, by their names.
fn of_python(ended: &Ended) -> usize {
    let report = ended.json();
    let checks = report["checks"].as_array().expect("a list");
    checks.iter().filter(|check| check["name"].as_str().is_some_and(|name| name.starts_with("moved: "))).count()
}

#[test]
fn nothing_of_a_tree_with_a_changed_file_is_run() {
    let place = tempfile::tempdir().expect("a directory");
    let prefix = installed(&place.path().join("root"));
    assert!(of_python(&verify(&prefix, &[]).exits(0)) > 0);

    // What the toy runs as its Python.
    let script = prefix.join("lib/python3.13/toy.sh");
    let text = fs_err::read_to_string(&script).expect("the script");
    let proof = place.path().join("run");
    fs_err::write(&script, format!("touch {}\n{text}", proof.display())).expect("the script");
    let ended = verify(&prefix, &[]).exits(4).says(&["toy.sh was changed"]);
    assert_eq!(of_python(&ended), 0);
    assert!(ended.out.contains("nothing of a tree that fails these checks is run"), "{}", ended.out);
    assert!(!proof.exists());
}

#[test]
fn a_static_verification_runs_nothing_at_all() {
    let place = tempfile::tempdir().expect("a directory");
    let prefix = installed(&place.path().join("root"));
    let ended = verify(&prefix, &["--static"]).exits(0);
    assert_eq!(of_python(&ended), 0);
    assert!(ended.out.contains("only the files were to be checked"), "{}", ended.out);
    run(pykeel().args(["verify", "--static", "--rebuild"]).arg(&prefix)).exits(2).says(&["--rebuild"]);
}
