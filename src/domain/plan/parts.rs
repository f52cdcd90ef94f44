//! The parts of a plan: the source, the patches, the toolchain, the libraries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::digest::Digest;

/// The SHA-256 of a release's source archives. At least one is set.
#[cfg_attr(test, derive(Default))]
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

/// The identity of the toolchain: by content, not by place.
#[cfg_attr(test, derive(Default))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolchainId {
    /// The first line of `cc --version`.
    pub compiler: String,
    /// The version of the glibc that is linked: `2.36`.
    pub glibc: String,
    /// The programs that compile, assemble, link and rewrite, each by the SHA-256 of its file.
    pub programs: BTreeMap<String, Digest>,
    /// The packages whose files these programs run, load or read, each as `name:architecture`.
    pub packages: BTreeMap<String, PlannedPackage>,
    /// The trees and files that no package owns, by their paths, each with the SHA-256 of names and contents: the tree
    /// of a compiler under `/opt`, and directories and files that the user's flags name.
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
    /// The sonames that it needs, without glibc's.
    pub needs: Vec<String>,
    /// Its path on this host. It is not serialised: hosts differ in it.
    #[serde(skip)]
    pub path: PathBuf,
}

/// A file of the build host that a library loads or reads by its name: no DT_NEEDED entry shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFile {
    /// Its path in the prefix: `lib/ossl-modules/legacy.so`.
    pub file: String,
    /// The soname of the library: `libcrypto.so.3`.
    pub loaded_by: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// The binary package that the file belongs to: `openssl-provider-legacy`.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// The source package: `openssl`.
    pub source_package: String,
    /// The source package's version.
    pub source_version: String,
    /// Its path on this host. It is not serialised: hosts differ in it.
    #[serde(skip)]
    pub path: PathBuf,
}

/// A package whose files the compiler, the assembler or the linker run, load or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPackage {
    /// Its version.
    pub version: String,
    /// The SHA-256 of the checksums that the package database has of its files, and of its links: a package that was
    /// rebuilt under the same version has another one.
    pub files: Digest,
}

/// How the frozen modules of the standard library are made, apart from the optimised build: C that programs of the
/// same build make of Python, and that depends on the source alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFreeze {
    /// The make targets.
    pub targets: Vec<String>,
    /// Globs of the files that they write.
    pub writes: Vec<String>,
    /// The programs that write these files.
    pub helpers: Vec<String>,
}
