//! The parts of a plan: the source, the patches, the toolchain, the libraries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::digest::Digest;

/// The SHA-256 sums of a release's source archives; at least one is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSums {
    /// Of `Python-X.Y.Z.tar.xz`.
    pub xz: Option<Digest>,
    /// Of `Python-X.Y.Z.tgz`.
    pub tgz: Option<Digest>,
}

/// A patch of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPatch {
    /// `3.13/name.patch`.
    pub name: String,
    /// The SHA-256 of the diff.
    pub sha256: Digest,
}

/// The programs that decide bytes, by what they are and not by where they lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolchainId {
    /// The first line of `cc --version`.
    pub compiler: String,
    /// The C library that is linked: `2.36`.
    pub glibc: String,
    /// The programs that compile, assemble, link and rewrite, each by the SHA-256 of its file.
    pub programs: BTreeMap<String, Digest>,
    /// The packages whose files these programs run, load or read, each as `name:architecture`.
    pub packages: BTreeMap<String, PlannedPackage>,
    /// What no package owns: the tree of a compiler under `/opt`, directories that the user's flags
    /// name, and single files. By where it is, with the SHA-256 of names and contents.
    pub trees: BTreeMap<String, Digest>,
}

/// A shared library of the build host that extension modules need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedLibrary {
    /// The name that DT_NEEDED entries have: `libssl.so.3`.
    pub soname: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// The binary package that the file belongs to: `libssl3`.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// The source package: `openssl`.
    pub source_package: String,
    /// The source package's version.
    pub source_version: String,
    /// The sonames it needs itself, glibc's left out.
    pub needs: Vec<String>,
    /// Where it lies on this host. Not a part of the plan: hosts differ in it.
    #[serde(skip)]
    pub path: PathBuf,
}

/// A package whose files the compiler, the assembler or the linker run, load or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPackage {
    /// Its version.
    pub version: String,
    /// The SHA-256 of the checksums that the package database has of its files: a package that was
    /// built again under the same version is another one.
    pub files: Digest,
}

/// Makes the modules of the standard library in frozen form, beside an optimised build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFreeze {
    /// The targets of make.
    pub targets: Vec<String>,
    /// Globs of the files that they write.
    pub writes: Vec<String>,
    /// The programs that write them.
    pub helpers: Vec<String>,
}
