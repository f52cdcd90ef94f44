//! The files of the host that a build may read: those of packages, and trees that the plan names by digest. Their
//! identity is part of the plan ([`ToolchainId`](super::plan::ToolchainId)), their places are not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The files of the host that a build may read, and the directories that it searches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The absolute path of the compiler.
    pub driver: PathBuf,
    /// Whether the user named the compiler by its path. Configure then starts it by that path, without the script.
    pub driver_by_path: bool,
    /// The programs that compile, assemble, link and rewrite, by the compiler's names for them.
    pub programs: BTreeMap<String, PathBuf>,
    /// The directories that are searched for headers, in order, without those that are kept out.
    pub header_directories: Vec<PathBuf>,
    /// The directories that are searched for libraries and the compiler's own objects, in order.
    pub library_directories: Vec<PathBuf>,
    /// The directories that are kept out of the search, such as `/usr/local/include`.
    pub kept_out: Vec<PathBuf>,
    /// The directories from which compiler and linker take programs and plugins. They need not exist.
    pub program_directories: Vec<PathBuf>,
    /// The trees and files that the plan names by digest.
    pub trees: BTreeSet<PathBuf>,
    /// The packages of the environment by `name:architecture`.
    pub packages: BTreeMap<String, InputPackage>,
}

/// A package of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPackage {
    /// Whether it is in the build key: compiler, assembler or linker run, load or read its files.
    pub in_key: bool,
    /// The command that installs it again.
    pub reinstall: String,
    /// Its files that a build can run or read, by their names below `/usr`, with their recorded checksums (`md5:…`,
    /// `sha256:…`). Links and directories have none.
    pub files: BTreeMap<PathBuf, Option<String>>,
}

impl Inputs {
    /// Whether a file is in a tree that the plan names by digest.
    #[must_use]
    pub fn in_tree(&self, file: &Path) -> bool {
        self.trees.iter().any(|tree| file.starts_with(tree))
    }
}

/// A file that the build must not read: it differs from the package database, or the plan does not cover it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFinding {
    /// The file.
    pub path: PathBuf,
    /// Why, as a clause: `it was changed: …`.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl std::fmt::Display for InputFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "  {}: {}; {}", self.path.display(), self.reason, self.remedy)
    }
}
