//! What a build may read of its host besides the source: the files of packages, and trees that are named by
//! digest. Where they lie is no part of a plan; what they are is ([`ToolchainId`](super::plan::ToolchainId)).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What of the host a build may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Where the compiler finds it, absolute.
    pub driver: PathBuf,
    /// Whether the user names it by its path: configure then starts it by that path, too.
    pub driver_by_path: bool,
    /// The programs that compile, link and rewrite, by the compiler's names for them.
    pub programs: BTreeMap<String, PathBuf>,
    /// Where headers are looked for, in this order. Directories that no package owns are left out.
    pub header_directories: Vec<PathBuf>,
    /// Where the linker looks for libraries and the compiler for its own objects, in this order.
    pub library_directories: Vec<PathBuf>,
    /// What is kept out of the search: `/usr/local/include` and the like.
    pub kept_out: Vec<PathBuf>,
    /// Directories from which the compiler and the linker take programs and plugins, wherever these are.
    pub program_directories: Vec<PathBuf>,
    /// Trees and files that the plan names by digest.
    pub trees: BTreeSet<PathBuf>,
    /// The packages of the environment by `name:architecture`.
    pub packages: BTreeMap<String, InputPackage>,
}

/// A package of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPackage {
    /// Whether compiler, assembler and linker run, load or read files of it: it is in the build key.
    pub in_key: bool,
    /// The command that installs it again.
    pub reinstall: String,
    /// Its files that a build can run or read, by their names below `/usr`, with the checksum that the package
    /// database has (`md5:…`, `sha256:…`). Links and directories have none.
    pub files: BTreeMap<PathBuf, Option<String>>,
}

impl Inputs {
    /// Whether a file lies in a tree that the plan names by digest.
    #[must_use]
    pub fn in_tree(&self, file: &Path) -> bool {
        self.trees.iter().any(|tree| file.starts_with(tree))
    }
}

/// A file that is not what the package database says, or that nothing names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFinding {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// What can be done.
    pub remedy: String,
}

impl std::fmt::Display for InputFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "  {}: {}; {}", self.path.display(), self.reason, self.remedy)
    }
}
