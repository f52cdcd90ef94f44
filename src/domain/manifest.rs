//! The manifest of an artifact: `<prefix>/share/pykeel/manifest.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::artifact::{ArtifactName, GlibcVersion};
use super::digest::Digest;
use super::plan::BuildPlan;

/// The path of the manifest, relative to the prefix.
pub const MANIFEST_PATH: &str = "share/pykeel/manifest.json";

/// The path of the checksums of all other files, relative to the prefix, in `sha256sum`'s format.
pub const SUMS_PATH: &str = "share/pykeel/SHA256SUMS";

/// The path of the list of packages that the runtime image has to install, relative to the prefix: one a line. Only
/// artifacts that use the system's libraries have it.
pub const RUNTIME_PACKAGES_PATH: &str = "share/pykeel/runtime-packages.txt";

/// The directory of licence texts, relative to the prefix: one subdirectory a package.
pub const LICENSES_PATH: &str = "share/licenses";

/// A library in `<prefix>/lib`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledLibrary {
    /// The file name in `<prefix>/lib`.
    pub soname: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// The size in bytes.
    pub size: u64,
    /// The binary package it was taken from.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// The source package.
    pub source_package: String,
    /// The source package's version.
    pub source_version: String,
    /// The checksum of the package database that the file was checked against: `md5:…`, `sha256:…`.
    pub package_checksum: String,
    /// How the distribution linked it. Recorded, not required.
    pub hardening: Hardening,
}

/// A file that a bundled library loads or reads by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledFile {
    /// Its path in the prefix: `lib/ossl-modules/legacy.so`.
    pub file: String,
    /// The soname of the library.
    pub loaded_by: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// The size in bytes.
    pub size: u64,
    /// The binary package it was taken from.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// The source package.
    pub source_package: String,
    /// The source package's version.
    pub source_version: String,
    /// The checksum of the package database that the file was checked against: `md5:…`, `sha256:…`.
    pub package_checksum: String,
}

/// The libraries of an artifact besides glibc's, and the packages to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libraries {
    /// The libraries that were copied into it.
    pub bundled: Vec<BundledLibrary>,
    /// The files that these load or read by name, copied too.
    pub loaded: Vec<BundledFile>,
    /// The packages that the runtime image has to install.
    pub runtime_packages: Vec<String>,
}

/// A file that was copied from a package, whether it is linked or loaded by name.
#[derive(Debug, Clone)]
pub struct CopiedFile<'m> {
    /// Its path, relative to the prefix.
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: Digest,
    /// The binary package it was taken from.
    pub package: &'m str,
    /// That package's version.
    pub version: &'m str,
    /// The checksum of the package database.
    pub package_checksum: &'m str,
}

/// Returns the files that were copied from packages.
pub fn copied<'m>(libraries: &'m [BundledLibrary], loaded: &'m [BundledFile]) -> impl Iterator<Item = CopiedFile<'m>> {
    let linked = libraries.iter().map(|library| CopiedFile {
        path: Path::new("lib").join(&library.soname),
        sha256: library.sha256,
        package: &library.package,
        version: &library.version,
        package_checksum: &library.package_checksum,
    });
    linked.chain(loaded.iter().map(|file| CopiedFile {
        path: PathBuf::from(&file.file),
        sha256: file.sha256,
        package: &file.package,
        version: &file.version,
        package_checksum: &file.package_checksum,
    }))
}

/// How an ELF file was linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five facts that are independent of each other, as a linker leaves them"
)]
pub struct Hardening {
    /// Relocations are read-only after start.
    pub relro: bool,
    /// All symbols are bound at start.
    pub bind_now: bool,
    /// The stack is executable.
    pub executable_stack: bool,
    /// A segment is writable and executable.
    pub writable_code: bool,
    /// Code is relocated at start (DT_TEXTREL).
    pub text_relocations: bool,
}

/// How large the tree is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Regular files.
    pub files: u64,
    /// Their apparent size in bytes; the manifest and the sums are not counted.
    pub bytes: u64,
    /// The same by part: `interpreter`, `stdlib`, `modules`, `libraries`, ….
    pub parts: BTreeMap<String, u64>,
}

/// The manifest of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The artifact's name.
    pub name: ArtifactName,
    /// The build key: the SHA-256 of `plan` without its provenance.
    pub build_key: Digest,
    /// The request key.
    pub request_key: Digest,
    /// The time stamp of every file, in seconds since 1970: the newest of the source archive.
    pub source_date_epoch: u64,
    /// The newest glibc symbol version that any file needs.
    pub glibc_floor: GlibcVersion,
    /// The extension modules in `lib-dynload`.
    pub modules: Vec<String>,
    /// The modules that are linked into the interpreter.
    pub builtin_modules: Vec<String>,
    /// The libraries of which CPython's source has a copy that is compiled in, by name, with their versions as the copies
    /// state them; `None` for one that states none.
    #[serde(default)]
    pub compiled_in: BTreeMap<String, Option<String>>,
    /// The bundled libraries.
    pub libraries: Vec<BundledLibrary>,
    /// The files that these load or read by name.
    pub loaded: Vec<BundledFile>,
    /// The packages that the runtime image should install.
    pub runtime_packages: Vec<String>,
    /// How large it is.
    pub sizes: Sizes,
    /// The symbolic links and what each says; `SHA256SUMS` is of files alone.
    pub links: BTreeMap<String, String>,
    /// The SHA-256 of `share/pykeel/SHA256SUMS`, and so of all files but it and the manifest.
    pub sums: Digest,
    /// The plan it was built by.
    pub plan: BuildPlan,
}

impl Manifest {
    /// Returns the files that were copied from packages.
    pub fn copied(&self) -> impl Iterator<Item = CopiedFile<'_>> {
        copied(&self.libraries, &self.loaded)
    }

    /// The manifest as it is written: indented, with a final newline.
    ///
    /// # Panics
    /// Never: the type always serialises.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a manifest is plain data");
        json.push('\n');
        json
    }
}
