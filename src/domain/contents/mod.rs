//! The files of an artifact, and the part that each file belongs to.

mod part;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

pub use self::part::Part;
use super::artifact::Format;
use super::digest::Digest;
use super::manifest::{LICENSES_PATH, Manifest};

/// Returns a path as text, so that different paths have different texts. In a path that is not UTF-8,
/// invalid bytes are written as `\xFF` and backslashes are doubled.
#[must_use]
pub fn path_text(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return text.to_owned();
    }
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

fn serialize_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path_text(path))
}

/// A regular file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// The path relative to the prefix.
    #[serde(serialize_with = "serialize_path")]
    pub path: PathBuf,
    /// The part that the file belongs to.
    pub part: Part,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the content.
    pub sha256: Digest,
}

impl File {
    /// Returns the group of the file within its part: a package of the standard library, a module, a
    /// library. Returns `None` if the part has no groups.
    #[must_use]
    pub fn group(&self, stdlib: &Path) -> Option<String> {
        let below = |base: &Path| {
            let rest = self.path.strip_prefix(base).unwrap_or(&self.path);
            let mut parts = rest.iter();
            let first = parts.next().unwrap_or_default();
            (path_text(Path::new(first)), parts.next().is_some())
        };
        Some(match self.part {
            Part::Stdlib => match below(stdlib) {
                (package, true) => package,
                (_, false) => "single modules".to_owned(),
            },
            Part::SitePackages => below(&stdlib.join("site-packages")).0,
            Part::Licenses => below(Path::new(LICENSES_PATH)).0,
            Part::Modules => {
                let name = path_text(Path::new(self.path.file_name()?));
                // `_ssl.cpython-313-x86_64-linux-gnu.so` is the module `_ssl`.
                name.split('.').next().unwrap_or_default().to_owned()
            }
            Part::Libraries | Part::Interpreter => path_text(Path::new(self.path.file_name()?)),
            Part::Headers | Part::Config | Part::Metadata | Part::Bytecode | Part::Other => return None,
        })
    }
}

/// The number and the size of some files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// The number of files.
    pub files: u64,
    /// The apparent size in bytes.
    pub bytes: u64,
}

impl Size {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// The size of one part, and of its groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartSize {
    /// The part.
    pub part: Part,
    /// The number of files.
    pub files: u64,
    /// The size in bytes.
    pub bytes: u64,
    /// Its packages, modules or libraries, the largest first; empty if the part has none.
    pub groups: Vec<GroupSize>,
}

/// The size of a group of files within a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupSize {
    /// The name of the package, module or library.
    pub name: String,
    /// The number of files.
    pub files: u64,
    /// The size in bytes.
    pub bytes: u64,
}

/// The tarball that an artifact was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tarball {
    /// The compression format.
    pub format: Format,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the file. For a `.tar.zst` it is the artifact's digest.
    pub sha256: Digest,
}

/// The contents of an artifact or an installed prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The manifest.
    pub manifest: Manifest,
    /// The tarball; `None` for a prefix.
    pub tarball: Option<Tarball>,
    /// The regular files, sorted by the bytes of their paths.
    pub files: Vec<File>,
    /// The number of symbolic links.
    pub links: u64,
    /// The text of `_sysconfigdata*.py`, by path.
    pub sysconfig: BTreeMap<PathBuf, Vec<u8>>,
}

impl Contents {
    /// Returns the directory of the standard library, relative to the prefix.
    #[must_use]
    pub fn stdlib(&self) -> PathBuf {
        self.manifest.plan.stdlib().into()
    }

    /// Returns the size of all files.
    #[must_use]
    pub fn total(&self) -> Size {
        let mut total = Size::default();
        for file in &self.files {
            total.add(file.size);
        }
        total
    }

    /// Returns the sizes by part, the largest first. Parts without files are left out.
    #[must_use]
    pub fn parts(&self) -> Vec<PartSize> {
        let stdlib = self.stdlib();
        let mut parts: BTreeMap<Part, (Size, BTreeMap<String, Size>)> = BTreeMap::new();
        for file in &self.files {
            let (size, groups) = parts.entry(file.part).or_default();
            size.add(file.size);
            if let Some(group) = file.group(&stdlib) {
                groups.entry(group).or_default().add(file.size);
            }
        }
        let mut parts: Vec<PartSize> = parts
            .into_iter()
            .map(|(part, (size, groups))| PartSize {
                part,
                files: size.files,
                bytes: size.bytes,
                groups: sorted(groups),
            })
            .collect();
        parts.sort_by_key(|part| (std::cmp::Reverse(part.bytes), part.part));
        parts
    }

    /// Returns the files, the largest first.
    #[must_use]
    pub fn largest(&self) -> Vec<&File> {
        let mut files: Vec<&File> = self.files.iter().collect();
        files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
        files
    }
}

fn sorted(groups: BTreeMap<String, Size>) -> Vec<GroupSize> {
    let mut groups: Vec<GroupSize> =
        groups.into_iter().map(|(name, size)| GroupSize { name, files: size.files, bytes: size.bytes }).collect();
    groups.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    groups
}
