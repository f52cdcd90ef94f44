//! The directory where a Python is installed, and the one that is compiled in.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::serde_by_display;
use super::version::{Release, Variant};

/// A compiled-in prefix, such as `/opt/myorg/python-3.13`. It is absolute and normalised, and needs no
/// quotes in make, the shell and a `#!` line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

/// The error for a path that cannot be compiled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be a prefix: {reason}")]
pub struct ParsePrefixError {
    path: String,
    reason: &'static str,
}

impl Prefix {
    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// Returns the last part, `python-3.13`: the name of the top directory of the tarball.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the path below another root, with the meaning of DESTDIR.
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
            return Err(error("it has characters other than letters, digits and / . _ + -"));
        }
        let normal: PathBuf = path.components().collect();
        if normal.file_name().is_none() {
            return Err(error("it is the root directory"));
        }
        // Every kernel reads at least 127 bytes of a `#!` line, and `/bin/python3.13` follows the prefix.
        if text.len() > 100 {
            return Err(error("it is longer than 100 bytes"));
        }
        Ok(Self(normal.to_string_lossy().into_owned()))
    }
}

serde_by_display!(Prefix);

/// A prefix with placeholders for the version, such as `/opt/acme/python-{series}{variant}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixTemplate(String);

/// Returns the placeholders of a template with their values for a release.
fn places(release: Release, variant: Variant) -> [(&'static str, String); 3] {
    let (series, version) = (release.series().to_string(), release.to_string());
    [("{series}", series), ("{version}", version), ("{variant}", variant.to_string())]
}

/// Replaces the placeholders in a path.
#[must_use]
pub fn fill(template: &str, release: Release, variant: Variant) -> String {
    places(release, variant).iter().fold(template.to_owned(), |text, (place, value)| text.replace(place, value))
}

impl PrefixTemplate {
    /// The default template.
    pub const DEFAULT: &str = "/opt/myorg/python-{series}{variant}";

    /// Returns the prefix of a release.
    ///
    /// # Panics
    /// Never: parsing the template checked it with the longest possible release.
    #[must_use]
    pub fn prefix(&self, release: Release, variant: Variant) -> Prefix {
        fill(&self.0, release, variant).parse().expect("a template gives prefixes, which was tried when it was read")
    }

    /// Whether each release, and not only each series, has a prefix of its own.
    #[must_use]
    pub fn is_of_release(&self) -> bool {
        self.0.contains("{version}")
    }

    /// Returns a glob that matches the prefixes of all releases.
    #[must_use]
    pub fn glob(&self) -> String {
        let places = ["{series}", "{version}", "{variant}"];
        let glob = places.iter().fold(self.0.clone(), |text, place| text.replace(place, "*"));
        // In a glob, `**` also matches across directories.
        glob.replace("***", "*").replace("**", "*")
    }
}

impl fmt::Display for PrefixTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for PrefixTemplate {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let longest: Release = "255.255.255rc255".parse().expect("it is a release");
        for variant in Variant::ALL {
            let filled = fill(text, longest, *variant);
            if filled.contains(['{', '}']) {
                let reason = "it has a placeholder other than {series}, {version} and {variant}";
                return Err(ParsePrefixError { path: text.to_owned(), reason });
            }
            let tried: Result<Prefix, _> = filled.parse();
            tried.map_err(|error| ParsePrefixError { path: text.to_owned(), ..error })?;
        }
        Ok(Self(text.to_owned()))
    }
}

serde_by_display!(PrefixTemplate);

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

    #[test]
    fn a_template_is_filled_with_the_release() {
        let template = |text: &str| text.parse::<PrefixTemplate>().unwrap();
        let prefix =
            |text: &str, variant| template(text).prefix("3.13.5".parse().unwrap(), variant).as_str().to_owned();
        assert_eq!(prefix(PrefixTemplate::DEFAULT, Variant::Default), "/opt/myorg/python-3.13");
        assert_eq!(prefix(PrefixTemplate::DEFAULT, Variant::FreeThreaded), "/opt/myorg/python-3.13t");
        assert_eq!(prefix("/opt/{variant}/{version}", Variant::Default), "/opt/3.13.5");
        assert_eq!(template("/opt/py-{version}{variant}").glob(), "/opt/py-*");
        assert!(template("/opt/{version}").is_of_release() && !template("/opt/py").is_of_release());
    }

    #[test]
    fn a_template_that_could_give_what_is_no_prefix_is_refused() {
        let reason = |text: &str| text.parse::<PrefixTemplate>().unwrap_err().to_string();
        assert!(reason("/opt/python-{minor}").contains("{series}, {version} and {variant}"));
        assert!(reason("opt/{series}").contains("not absolute"));
        // Without a variant it is `..`.
        assert!(reason("/opt/a/.{variant}.").contains("`..`"));
        assert!(reason(&format!("/{}{{version}}", "a".repeat(85))).contains("100 bytes"));
    }

    proptest! {
        #[test]
        fn what_a_template_takes_it_can_fill(text in "/([a-z./-]|\\{series\\}|\\{version\\}|\\{variant\\}){0,9}", micro: u8) {
            if let Ok(template) = text.parse::<PrefixTemplate>() {
                for variant in Variant::ALL {
                    let release = format!("3.9.{micro}").parse().unwrap();
                    prop_assert!(template.prefix(release, *variant).as_path().is_absolute());
                }
            }
        }

        #[test]
        fn a_prefix_survives_printing(text in "(/[a-z0-9.+_-]{0,9}){1,9}") {
            if let Ok(prefix) = text.parse::<Prefix>() {
                prop_assert_eq!(prefix.to_string().parse::<Prefix>().unwrap(), prefix);
            }
        }
    }
}
