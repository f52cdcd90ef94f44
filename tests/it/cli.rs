//! The command line: help, errors, streams, exit codes.

use crate::support::{pykeel, run};

#[test]
fn help_has_examples_and_exit_codes() {
    let ended = run(pykeel().arg("--help")).exits(0);
    assert!(ended.out.contains("Examples:") && ended.out.contains("Exit codes: 0 done"), "{}", ended.out);
    assert!(ended.err.is_empty());
    for command in ["build", "install"] {
        let ended = run(pykeel().args([command, "--help"])).exits(0);
        assert!(ended.out.contains("Examples:"), "{}", ended.out);
    }
}
