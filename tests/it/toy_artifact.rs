//! Artifacts of the toy, in both flavors, built once in each run of the tests. The functions have the
//! names of those of [`support`](crate::support): a test on the toy imports these instead, and needs
//! no build of CPython.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::support::{self, Artifact, copy_entry, run};
use crate::toy::{Behaviour, Toy};

struct Built {
    toy: Toy,
    artifacts: Vec<Artifact>,
}

static BUILT: LazyLock<Built> = LazyLock::new(|| {
    let toy = Toy::new_in(directory_until_next_run("toy-artifacts-"), Behaviour::default());
    let built = run(toy.build_command().args(["--flavor", "all"])).exits(0).json();
    let artifacts = built.as_array().expect("an array").iter().map(Artifact::built).collect();
    Built { toy, artifacts }
});

/// A directory that is removed by the next run of the tests: what is static is never dropped.
pub fn directory_until_next_run(purpose: &str) -> tempfile::TempDir {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs_err::read_dir(place).expect("a directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(purpose).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Another run may be removing it at the same time.
            let _removed = fs_err::remove_dir_all(entry.path());
        }
    }
    let prefix = format!("{purpose}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(place).expect("a directory")
}

/// The program with the toy's store and recipe.
pub fn pykeel() -> Command {
    let mut command = support::pykeel();
    command
        .env("PYKEEL_STORE", BUILT.toy.store())
        .env("PYKEEL_RECIPES", BUILT.toy.path("recipes"))
        .env("PYKEEL_OPTIMIZE", "none");
    command
}

/// The toy that they are of. No test changes it.
pub fn toy() -> &'static Toy {
    &BUILT.toy
}

/// An artifact of the toy.
pub fn artifact(flavor: &str) -> Artifact {
    let wanted = format!("-{flavor}-");
    BUILT.artifacts.iter().find(|artifact| artifact.name.contains(&wanted)).expect("both flavors").clone()
}

/// A store of its own with a copy of one of the toy's artifacts, and that artifact's directory.
pub fn store_with(flavor: &str, store: &Path) -> PathBuf {
    copy_entry(&BUILT.toy.store(), &artifact(flavor).build_key, store)
}
