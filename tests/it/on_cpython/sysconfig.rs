//! The patch of sysconfig, under the Python that has it.

use std::path::Path;

use crate::support::{artifact, check, unpack};

/// The rewriter of sysconfig is Python, and a patch: it is fed by the Python that has it.
#[test]
fn values_of_a_moved_sysconfig() {
    let tree = tempfile::tempdir().expect("a directory");
    unpack(&artifact("runtime"), tree.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fuzz_sysconfig.py");
    let python = tree.path().join("bin/python3").display().to_string();
    let fed = check(&python, &["-I", "-B", &script.display().to_string(), "7", "100000"]);
    assert_eq!(fed.trim(), "100000");
}
