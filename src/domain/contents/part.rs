//! The parts of an artifact, and which one a file belongs to.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::domain::manifest::LICENSES_PATH;
use crate::domain::named_enum;

named_enum! {
    /// A part of an artifact.
    pub enum Part {
        /// The interpreter and the scripts in `bin`, and a shared libpython.
        Interpreter = "interpreter",
        /// The standard library as source.
        Stdlib = "stdlib",
        /// Extension modules.
        Modules = "modules",
        /// Bundled libraries, and what they load or read by name.
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
        } else if path.starts_with("bin") || is_libpython(path) {
            Self::Interpreter
        } else if path.starts_with("include") {
            Self::Headers
        } else if path.starts_with(LICENSES_PATH) {
            Self::Licenses
        } else if path.starts_with("share/pykeel") || path.starts_with("share/sbom") {
            Self::Metadata
        } else if path.starts_with("lib") || path.starts_with("share/terminfo") {
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

/// Whether a file is the shared library that the interpreter is linked to: `lib/libpython3.13.so.1.0`.
fn is_libpython(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    path.parent() == Some(Path::new("lib")) && name.starts_with(b"libpython")
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("lib/libpython3.13.so.1.0", Part::Interpreter, "interpreter"),
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
}
