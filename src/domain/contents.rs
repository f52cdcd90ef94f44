//! The files of an artifact, and the part that each file belongs to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::artifact::Format;
use super::digest::Digest;
use super::manifest::{LICENSES_PATH, Manifest};
use super::named_enum;

named_enum! {
    /// A part of an artifact.
    pub enum Part {
        /// The interpreter and the scripts in `bin`.
        Interpreter = "interpreter",
        /// The standard library as source.
        Stdlib = "stdlib",
        /// Extension modules.
        Modules = "modules",
        /// Bundled libraries.
        Libraries = "libraries",
        /// Installed packages: pip.
        SitePackages = "site-packages",
        /// Bytecode caches in any directory.
        Bytecode = "bytecode",
        /// Headers.
        Headers = "headers",
        /// Files for building against this Python: `config-*`, pkg-config files.
        Config = "config",
        /// Licence texts of bundled libraries.
        Licenses = "licenses",
        /// Metadata of the artifact: the manifest, the sums, an SBOM.
        Metadata = "metadata",
        /// Everything else.
        Other = "other",
    }
}

impl Part {
    /// Returns the part of a file. `path` and `stdlib`, the directory of the standard library, are relative
    /// to the prefix.
    #[must_use]
    pub fn of(path: &Path, stdlib: &Path) -> Self {
        let in_stdlib = path.strip_prefix(stdlib).ok();
        let first = in_stdlib.and_then(|rest| rest.iter().next()).unwrap_or_default().as_bytes();
        if path.extension().is_some_and(|extension| extension == "pyc") {
            Self::Bytecode
        } else if first == b"lib-dynload" {
            Self::Modules
        } else if first == b"site-packages" {
            Self::SitePackages
        } else if first.starts_with(b"config-") || path.starts_with("lib/pkgconfig") {
            Self::Config
        } else if in_stdlib.is_some() {
            Self::Stdlib
        } else if path.starts_with("bin") {
            Self::Interpreter
        } else if path.starts_with("include") {
            Self::Headers
        } else if path.starts_with(LICENSES_PATH) {
            Self::Licenses
        } else if path.starts_with("share/pykeel") || path.starts_with("share/sbom") {
            Self::Metadata
        } else if path.starts_with("lib") {
            Self::Libraries
        } else {
            Self::Other
        }
    }

    /// Returns the name of the part in the manifest's `sizes`. The manifest has fewer parts, because a new
    /// name would change the bytes of every artifact.
    #[must_use]
    pub fn in_manifest(self, path: &Path) -> &'static str {
        match self {
            Self::Config if path.starts_with("lib/pkgconfig") => Self::Libraries.name(),
            Self::Config => Self::Stdlib.name(),
            Self::Metadata => Self::Other.name(),
            part => part.name(),
        }
    }

    /// Returns the name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Interpreter => "interpreter",
            Self::Stdlib => "standard library",
            Self::Modules => "extension modules",
            Self::Libraries => "bundled libraries",
            Self::SitePackages => "site-packages",
            Self::Bytecode => "bytecode",
            Self::Headers => "headers",
            Self::Config => "build configuration",
            Self::Licenses => "licence texts",
            Self::Metadata => "artifact metadata",
            Self::Other => "other",
        }
    }
}

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

#[cfg(test)]
pub(crate) mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::domain::artifact::ArtifactName;
    use crate::domain::manifest::{BundledLibrary, Hardening, Sizes};
    use crate::domain::plan::tests::plan;

    /// Returns contents with these files and sizes.
    pub(crate) fn contents(files: &[(&str, u64)]) -> Contents {
        let files: Vec<(PathBuf, u64)> = files.iter().map(|(path, size)| (path.into(), *size)).collect();
        contents_of(&files)
    }

    /// [`contents`] for paths that need not be UTF-8.
    pub(crate) fn contents_of(files: &[(PathBuf, u64)]) -> Contents {
        let plan = plan();
        let floor = "2.35".parse().unwrap();
        let manifest = Manifest {
            name: ArtifactName::new(&plan, floor),
            build_key: plan.build_key(),
            request_key: plan.request_key(),
            source_date_epoch: 1_700_000_000,
            glibc_floor: floor,
            modules: vec!["_ssl".into()],
            builtin_modules: vec!["_abc".into()],
            libraries: vec![BundledLibrary {
                soname: "libssl.so.3".into(),
                sha256: Digest::of("libssl"),
                size: 700_000,
                package: "libssl3".into(),
                version: "3.0.1".into(),
                source_package: "openssl".into(),
                source_version: "3.0.1".into(),
                package_checksum: "md5:00".into(),
                hardening: Hardening {
                    relro: true,
                    bind_now: true,
                    executable_stack: false,
                    writable_code: false,
                    text_relocations: false,
                },
            }],
            runtime_packages: vec!["ca-certificates".into(), "tzdata".into()],
            sizes: Sizes { files: 0, bytes: 0, parts: BTreeMap::new() },
            links: BTreeMap::new(),
            sums: Digest::of("sums"),
            plan,
        };
        let stdlib = PathBuf::from(manifest.plan.stdlib());
        let mut files: Vec<File> = files
            .iter()
            .map(|(path, size)| File {
                path: path.clone(),
                part: Part::of(path, &stdlib),
                size: *size,
                sha256: Digest::of(size.to_string()),
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Contents { manifest, tarball: None, files, links: 0, sysconfig: BTreeMap::new() }
    }

    #[test]
    fn every_file_has_its_part() {
        let cases = [
            ("bin/python3.13", Part::Interpreter, "interpreter"),
            ("bin/pip3.13", Part::Interpreter, "interpreter"),
            ("lib/python3.13/ssl.py", Part::Stdlib, "stdlib"),
            ("lib/python3.13/LICENSE.txt", Part::Stdlib, "stdlib"),
            ("lib/python3.13/__pycache__/ssl.cpython-313.pyc", Part::Bytecode, "bytecode"),
            ("lib/python3.13/site-packages/pip/__pycache__/a.pyc", Part::Bytecode, "bytecode"),
            ("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", Part::Modules, "modules"),
            ("lib/python3.13/lib-dynloader.py", Part::Stdlib, "stdlib"),
            ("lib/python3.13/site-packages/pip/main.py", Part::SitePackages, "site-packages"),
            ("lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile", Part::Config, "stdlib"),
            ("lib/pkgconfig/python-3.13.pc", Part::Config, "libraries"),
            ("lib/libssl.so.3", Part::Libraries, "libraries"),
            ("lib/python3.12/ssl.py", Part::Libraries, "libraries"),
            ("include/python3.13/Python.h", Part::Headers, "headers"),
            ("share/licenses/libssl3/copyright", Part::Licenses, "licenses"),
            ("share/pykeel/manifest.json", Part::Metadata, "other"),
            ("share/man/man1/python3.1", Part::Other, "other"),
            ("library", Part::Other, "other"),
        ];
        for (path, part, recorded) in cases {
            let path = Path::new(path);
            assert_eq!(Part::of(path, Path::new("lib/python3.13")), part, "{}", path.display());
            assert_eq!(part.in_manifest(path), recorded, "{}", path.display());
        }
    }

    #[test]
    fn sizes_are_sorted_and_add_up() {
        let contents = contents(&[
            ("bin/python3.13", 500),
            ("lib/python3.13/ssl.py", 10),
            ("lib/python3.13/abc.py", 5),
            ("lib/python3.13/asyncio/base.py", 30),
            ("lib/python3.13/json/a.py", 15),
            ("lib/python3.13/json/deep/b.py", 15),
            ("lib/libssl.so.3", 75),
        ]);
        let parts = contents.parts();
        let sizes: Vec<_> = parts.iter().map(|part| (part.part, part.files, part.bytes)).collect();
        // Equal sizes are in the order of the parts.
        assert_eq!(sizes, [(Part::Interpreter, 1, 500), (Part::Stdlib, 5, 75), (Part::Libraries, 1, 75)]);
        let groups: Vec<_> =
            parts[1].groups.iter().map(|group| (group.name.as_str(), group.files, group.bytes)).collect();
        assert_eq!(groups, [("asyncio", 1, 30), ("json", 2, 30), ("single modules", 2, 15)]);
        assert_eq!(contents.total(), Size { files: 7, bytes: 650 });
        assert_eq!(contents.largest()[1].path, Path::new("lib/libssl.so.3"));
    }

    #[test]
    fn paths_that_differ_are_told_apart() {
        let text = |bytes: &[u8]| path_text(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(text(b"lib/\xc3\xbc\\x.py"), "lib/\u{fc}\\x.py");
        assert_eq!(text(b"a\xff\\xFE\xfe"), "a\\xFF\\\\xFE\\xFE");
        assert_ne!(text(b"a\xff"), text(b"a\xfe"));
    }

    proptest::proptest! {
        #[test]
        fn parts_lose_no_byte(sizes in proptest::collection::vec(("[a-z]{1,9}(/[a-z]{1,4}){0,2}([.]so|[.]pyc)?", 0u64..1 << 40), 0..40)) {
            let files: Vec<(PathBuf, u64)> =
                sizes.iter().map(|(path, size)| (PathBuf::from(format!("lib/{path}")), *size)).collect();
            let contents = contents_of(&files);
            let parts = contents.parts();
            proptest::prop_assert_eq!(parts.iter().map(|part| part.bytes).sum::<u64>(), contents.total().bytes);
            for part in parts.iter().filter(|part| !part.groups.is_empty()) {
                proptest::prop_assert_eq!(part.groups.iter().map(|group| group.bytes).sum::<u64>(), part.bytes);
            }
        }
    }
}
