//! `--shared`: a Python whose libpython is a shared library.

use std::path::Path;
use std::process::Command;

use crate::on_cpython::embedding::embeds_in_a_moved_tree;
use crate::on_cpython::packages::embeds_in_rust;
use crate::support::{Artifact, RELEASE, artifact, check, pykeel, run, unpack};

/// What `/proc/self/maps` says of libpython, and where modules of the standard library come from.
const LOADED: &str = "
import math, os, sys
with open('/proc/self/maps') as maps:
    print(*sorted({line.split()[-1] for line in maps if 'libpython' in line}), os.path.dirname(os.__file__))";

fn loaded(python: &Path) -> String {
    run(Command::new(python).args(["-I", "-B", "-c", LOADED]).env_clear()).exits(0).out.trim().to_owned()
}

#[test]
#[ignore = "scripts/test --full: builds 3.13.5 with a shared libpython"]
fn a_shared_libpython_is_found_wherever_the_tree_is() {
    // Then its source is in the store.
    artifact("runtime");
    let words = ["build", RELEASE, "--shared", "--flavor", "all", "--optimize", "none", "--offline", "--json"];
    let built = run(pykeel().args(words)).exits(0).json();
    for artifact in built.as_array().expect("an array").iter().map(Artifact::built) {
        assert!(artifact.name.contains("-shared-"), "{}", artifact.name);
        assert_eq!(artifact.manifest["plan"]["static_library"], false);
        run(pykeel().arg("verify").arg(&artifact.tarball)).exits(0);
        let place = tempfile::tempdir().expect("a directory");
        let place = place.path().canonicalize().expect("a directory");
        let tree = place.join("moved");
        unpack(&artifact, &tree);
        let (library, stdlib) = ("lib/libpython3.13.so.1.0", tree.join("lib/python3.13"));
        let told = |owner: &Path| format!("{} {}", owner.join(library).display(), stdlib.display());
        assert_eq!(loaded(&tree.join("bin/python3")), told(&tree));
        for (option, owner) in [("--symlinks", tree.clone()), ("--copies", place.join("venv--copies"))] {
            let venv = place.join(format!("venv{option}"));
            let python = tree.join("bin/python3").display().to_string();
            check(&python, &["-m", "venv", "--without-pip", option, &venv.display().to_string()]);
            assert_eq!(loaded(&venv.join("bin/python")), told(&owner), "{option}");
        }
        if artifact.name.contains("-builder-") {
            embeds_in_a_moved_tree(&artifact);
            embeds_in_rust(&tree, true);
        }
    }
    // It is found by the option alone, and lies where another would.
    let root = tempfile::tempdir().expect("a directory");
    let install = |option: &[&str]| {
        let mut command = pykeel();
        command.args(["install", RELEASE, "--no-build", "--optimize", "none", "--no-sync", "--root"]).arg(root.path());
        run(command.args(option))
    };
    install(&["--shared"]).exits(0);
    assert!(root.path().join("opt/myorg/python-3.13/lib/libpython3.13.so").is_file());
    let listed = run(pykeel().arg("list")).exits(0).out;
    assert!(listed.contains("shared"), "{listed}");
}
