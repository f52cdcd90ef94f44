//! Where a Python is installed, and is compiled to be installed.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::serde_by_display;
use super::version::{Series, Variant};

/// A compiled-in prefix, such as `/opt/myorg/python-3.13`: absolute, normal, and of characters
/// that make, the shell and a `#!` line take unquoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

/// Why a path cannot be compiled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be a prefix: {reason}")]
pub struct ParsePrefixError {
    path: String,
    reason: &'static str,
}

impl Prefix {
    /// The default: `/opt/myorg/python-3.13`, and `/opt/myorg/python-3.13t` for a variant.
    #[must_use]
    pub fn default_for(series: Series, variant: Variant) -> Self {
        Self(format!("/opt/myorg/python-{series}{variant}"))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The last part, `python-3.13`: the one directory at the top of the tarball.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The same path below another root, as DESTDIR has it.
    #[must_use]
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(self.0.trim_start_matches('/'))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason| ParsePrefixError { path: text.to_owned(), reason };
        let path = Path::new(text);
        if !path.is_absolute() {
            return Err(error("it is not absolute"));
        }
        if path.components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(error("it has a `..`"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
        if !text.chars().all(allowed) {
            return Err(error(
                "a compiled-in prefix has letters, digits and . _ + - alone (`install --prefix` takes any path)",
            ));
        }
        let normal: PathBuf = path.components().collect();
        if normal.file_name().is_none() {
            return Err(error("it is the root directory"));
        }
        // A kernel reads 127 bytes of a `#!` line at the least, and `/bin/python3.13` goes behind it.
        if text.len() > 100 {
            return Err(error("it is longer than 100 bytes"));
        }
        Ok(Self(normal.to_string_lossy().into_owned()))
    }
}

serde_by_display!(Prefix);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_normalised() {
        let prefix: Prefix = "/opt//myorg/./python-3.13/".parse().unwrap();
        assert_eq!(prefix.as_str(), "/opt/myorg/python-3.13");
        assert_eq!(prefix.name(), "python-3.13");
        assert_eq!(prefix.below(Path::new("/out")), Path::new("/out/opt/myorg/python-3.13"));
    }

    #[test]
    fn what_make_would_trip_over_is_refused() {
        for text in [
            "",
            "opt/python",
            "/",
            "/opt/../python",
            "/opt/my org/python",
            "/opt/pythön",
            "/opt/$HOME",
            "/opt/a'b",
            "/opt/a:b",
            "/opt/a\nb",
        ] {
            assert!(text.parse::<Prefix>().is_err(), "{text:?} was taken");
        }
        assert!(format!("/{}", "a".repeat(100)).parse::<Prefix>().is_err());
    }

    proptest! {
        #[test]
        fn a_prefix_survives_printing(text in "(/[a-z0-9.+_-]{0,9}){1,9}") {
            if let Ok(prefix) = text.parse::<Prefix>() {
                prop_assert_eq!(prefix.to_string().parse::<Prefix>().unwrap(), prefix);
            }
        }
    }
}
