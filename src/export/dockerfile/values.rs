//! What a user names in a Dockerfile: each value is checked when it is read, so that none has a meaning to the parser of
//! Dockerfiles or to a shell.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::domain::lock::LockForm;
use crate::domain::reference::{ImageReference, ParseReferenceError};

/// A path in the build context, relative and without anything to quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextPath(String);

/// A package of Debian: its name, or its name and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianPackage(String);

/// Packages of an application: those that it is built with, and those that it runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppPackage {
    /// It is built with this one.
    Build(DebianPackage),
    /// It runs with this one.
    Run(DebianPackage),
}

/// Where a program in the builder comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramSource {
    /// A file of the build context.
    File(ContextPath),
    /// An image.
    Image(ImageReference),
}

/// What a Python runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// An image of a distribution.
    Image(ImageReference),
    /// Nothing but the files of a system that it needs.
    Scratch,
}

impl FromStr for ContextPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
        let mut parts = plain.split('/');
        if text.starts_with('/') {
            Err("it has to be relative to the build context".into())
        } else if plain.is_empty() || plain == "." {
            Err("name something in the build context, and not all of it".into())
        } else if !plain.chars().all(|c| c.is_ascii_alphanumeric() || "._-+@/".contains(c)) {
            Err("it has characters other than letters, digits and . _ - + @ /".into())
        } else if parts.clone().any(|part| part.is_empty() || part == "." || part == "..") {
            Err("it has a part that is empty, . or ..".into())
        } else if parts.any(|part| part.starts_with('-')) {
            Err("a part that begins with - is taken for an option".into())
        } else {
            Ok(Self(plain.to_owned()))
        }
    }
}

impl ContextPath {
    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the form of the lock that a file of this name is, if it is one.
    #[must_use]
    pub fn form(&self) -> Option<LockForm> {
        LockForm::of(Path::new(&self.0))
    }

    /// Returns the path of something beside it.
    #[must_use]
    pub fn beside(&self, name: &str) -> String {
        Path::new(&self.0).with_file_name(name).to_string_lossy().into_owned()
    }
}

impl fmt::Display for ContextPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for DebianPackage {
    type Err = String;

    /// <https://www.debian.org/doc/debian-policy/ch-controlfields.html#source>
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = text.split_once('=').map_or((text, None), |(name, version)| (name, Some(version)));
        let is_small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_name =
            name.len() > 1 && name.starts_with(is_small) && name.chars().all(|c| is_small(c) || "+.-".contains(c));
        let is_version = |version: &str| {
            version.starts_with(|c: char| c.is_ascii_digit())
                && version.chars().all(|c| c.is_ascii_alphanumeric() || ".+-:~".contains(c))
        };
        if is_name && version.is_none_or(is_version) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not the name of a package of Debian, such as libpq5", text.escape_debug()))
        }
    }
}

impl DebianPackage {
    /// Returns the name, without a version.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split('=').next().unwrap_or_default()
    }
}

impl fmt::Display for DebianPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for AppPackage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("build", name)) => name.parse().map(Self::Build),
            Some(("run", name)) => name.parse().map(Self::Run),
            _ => Err("it has to be build:PACKAGE or run:PACKAGE, such as build:libpq-dev,run:libpq5".into()),
        }
    }
}

impl fmt::Display for AppPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(package) => write!(f, "build:{package}"),
            Self::Run(package) => write!(f, "run:{package}"),
        }
    }
}

impl fmt::Display for ProgramSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Image(image) => image.fmt(f),
        }
    }
}

impl FromStr for ProgramSource {
    type Err = String;

    /// An image has a tag or a digest, and a path of the build context has no colon.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains([':', '@']) && !text.starts_with('/') {
            text.parse().map(Self::Image).map_err(|error: ParseReferenceError| error.to_string())
        } else {
            text.parse().map(Self::File)
        }
    }
}

impl FromStr for Runtime {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "scratch" | "distroless" => Ok(Self::Scratch),
            _ => text.parse().map(Self::Image),
        }
    }
}

impl Runtime {
    /// Returns the image, if there is one.
    #[must_use]
    pub const fn image(&self) -> Option<&ImageReference> {
        match self {
            Self::Image(image) => Some(image),
            Self::Scratch => None,
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => image.fmt(f),
            Self::Scratch => f.write_str("scratch"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_the_build_context() {
        for (text, expected) in
            [("./app/", "app"), ("a/b.txt", "a/b.txt"), ("pykeel", "pykeel"), ("a@b+c_d", "a@b+c_d")]
        {
            assert_eq!(text.parse::<ContextPath>().unwrap().as_str(), expected);
        }
        for wrong in [
            "",
            ".",
            "./",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a b",
            "a\nRUN x",
            "$HOME",
            "a\"b",
            "a'b",
            "-x",
            "a/--from=x",
            "a*",
            "a[1]",
            "a\\",
            "#x",
            "!x",
            "\u{e4}",
            "~/x",
            "a;b",
        ] {
            assert!(wrong.parse::<ContextPath>().is_err(), "{wrong}");
        }
        assert_eq!("srv/uv.lock".parse::<ContextPath>().unwrap().beside("pyproject.toml"), "srv/pyproject.toml");
    }

    #[test]
    fn a_package_has_a_name_of_debians_and_says_when_it_is_needed() {
        let package = |text: &str| text.parse::<AppPackage>();
        assert_eq!(package("build:libpq-dev"), Ok(AppPackage::Build(DebianPackage("libpq-dev".into()))));
        assert_eq!(package("run:g++=4:12.2.0-3"), Ok(AppPackage::Run(DebianPackage("g++=4:12.2.0-3".into()))));
        for wrong in
            ["libpq5", "run:", "run:x", "run:a b", "run:-y", "run:a;b", "run:$(x)", "test:libpq5", "run:aa=", "run:AA"]
        {
            assert!(package(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_program_is_in_the_context_or_in_an_image() {
        assert!(matches!("bin/pykeel".parse(), Ok(ProgramSource::File(_))));
        assert!(matches!("team/pykeel:0.1".parse(), Ok(ProgramSource::Image(_))));
        for wrong in ["/usr/bin/pykeel", "a:b c", "x y", "../pykeel"] {
            assert!(wrong.parse::<ProgramSource>().is_err(), "{wrong}");
        }
        assert_eq!("distroless".parse::<Runtime>().unwrap(), Runtime::Scratch);
        assert_eq!("debian:13".parse::<Runtime>().unwrap().to_string(), "debian:13");
    }
}
