//! The name of an image in a registry: `debian:13-slim`, `registry.example:5000/team/python:3.13@sha256:…`.

use std::fmt;
use std::str::FromStr;

use super::digest::Digest;
use super::release::DistroRelease;

/// The name of an image, with its tag, its digest, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not the name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; it has to be a name such as debian:13-slim or registry.example:5000/team/python:3.13")]
pub struct ParseReferenceError {
    reason: &'static str,
}

impl ImageReference {
    /// Returns the last part of the path: `debian`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the parts of the path, the registry first if it is named.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.path.split('/')
    }

    /// Returns the words of the name and the tag: `python`, `3.13` and `alpine` of `team/python:3.13-alpine`.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name()).chain(self.tag.iter().flat_map(|tag| tag.split('-')))
    }

    /// Whether it says which image of its name it is, by a digest or a tag other than `latest`.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.digest.is_some() || self.tag.as_deref().is_some_and(|tag| tag != "latest")
    }

    /// Returns the same name with a tag, `latest` if it has none; `None` for one with a digest.
    #[must_use]
    pub fn tagged(self) -> Option<Self> {
        let tag = self.tag.unwrap_or_else(|| "latest".to_owned());
        self.digest.is_none().then_some(Self { tag: Some(tag), ..self })
    }

    /// Returns the release of a distribution that an image of its name and tag has, if that is known.
    #[must_use]
    pub fn release(&self) -> Option<DistroRelease> {
        let tag = self.tag.as_deref()?;
        // `13.2-slim`, `trixie-20261103-slim`.
        DistroRelease::of_image(self.name(), tag.split('-').next().unwrap_or_default())
    }

    /// Returns the image of the same release without documentation and locales, if the distribution has one.
    #[must_use]
    pub fn slim(&self) -> Option<Self> {
        let tag = self.tag.as_deref()?;
        let has_one = self.digest.is_none() && self.release().is_some_and(|release| release.distro == "debian");
        let slim = |tag: &str| Self { tag: Some(format!("{tag}-slim")), ..self.clone() };
        (has_one && !tag.ends_with("-slim")).then(|| slim(tag))
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@sha256:{digest}"))
    }
}

impl FromStr for ImageReference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason| Err(ParseReferenceError { reason });
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        let digest = match digest.map(|digest| digest.strip_prefix("sha256:").unwrap_or_default().parse()) {
            Some(Err(_)) => return error("the digest of an image is sha256: and 64 digits"),
            Some(Ok(digest)) => Some(digest),
            None => None,
        };
        // A colon before the last slash is that of a port.
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_tag = |tag: &str| {
            tag.starts_with(is_word) && tag.len() <= 128 && tag.chars().all(|c| is_word(c) || ".-".contains(c))
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return error("a tag has letters, digits and _ . - only");
        }
        let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let is_part = |part: &str| {
            is_end(part.chars().next())
                && is_end(part.chars().next_back())
                && part.chars().all(|c| is_end(Some(c)) || "._-".contains(c))
        };
        // A registry may have a port, and capital letters.
        let is_host = |host: &str| {
            host.starts_with(|c: char| c.is_ascii_alphanumeric())
                && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c))
        };
        let mut parts = path.split('/');
        let first = parts.next().unwrap_or_default();
        let is_path = if path.contains('/') { is_host(first) && parts.all(is_part) } else { is_part(first) };
        if !is_path || path.len() > 255 {
            return error("the name of an image has small letters, digits and . _ - / only");
        }
        Ok(Self { path: path.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> ImageReference {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_name_parses_and_prints_itself() {
        let digest = "a".repeat(64);
        for text in
            ["debian", "debian:13-slim", "Registry.test:5000/a/b_c:X.1", "a/b", &format!("a/b:1@sha256:{digest}")]
        {
            assert_eq!(parsed(text).to_string(), text);
        }
        assert_eq!(parsed("r.test:5000/team/debian:13").name(), "debian");
        assert_eq!(parsed("team/python").tagged().unwrap().to_string(), "team/python:latest");
        assert_eq!(parsed(&format!("a/b@sha256:{digest}")).tagged(), None);
    }

    #[test]
    fn what_a_shell_or_a_dockerfile_reads_otherwise_is_no_name() {
        for wrong in [
            "",
            "a b",
            "a\nRUN x",
            "a:$X",
            "a;b",
            "a`b`",
            "$(x)",
            "a:",
            ":3",
            "a//b",
            "../a",
            "a/../b",
            "-a",
            "a@b",
            "a@sha256:12",
            "Debian",
            "a:b:c",
            "a AS b",
            "--platform=x",
            "a/",
            "/a",
            "a:\u{e4}",
        ] {
            assert!(wrong.parse::<ImageReference>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_release_of_an_image_is_known_by_name_and_tag() {
        let release = |text: &str| parsed(text).release().map(|release| release.to_string());
        for (text, expected) in [
            ("debian:13", Some("Debian 13")),
            ("registry.test/mirror/debian:trixie-20261103-slim", Some("Debian 13")),
            ("debian:12.11-slim", Some("Debian 12")),
            ("ubuntu:24.04", Some("Ubuntu 24.04")),
            ("ubuntu:noble", Some("Ubuntu 24.04")),
            ("debian", None),
            ("debian:latest", None),
            ("debian:130", None),
            ("team/base:13", None),
            ("ubuntu:13", None),
        ] {
            assert_eq!(release(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_slim_image_is_of_the_same_release() {
        assert_eq!(parsed("x/debian:13").slim().unwrap().to_string(), "x/debian:13-slim");
        for none in ["debian:13-slim", "ubuntu:24.04", "team/base:1", "debian"] {
            assert_eq!(parsed(none).slim(), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_name_has_a_character_with_a_meaning(text in ".{0,40}") {
            if let Ok(name) = text.parse::<ImageReference>() {
                prop_assert_eq!(name.to_string(), text.clone());
                prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c)));
            }
        }
    }
}
