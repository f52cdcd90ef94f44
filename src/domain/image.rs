//! What a user can choose of an image.

use std::str::FromStr;

use super::named_enum;

named_enum! {
    /// How a layer of an image is compressed.
    pub enum Compression {
        /// gzip: what every registry and every engine reads.
        Gzip = "gzip",
        /// Zstandard: faster and smaller; Docker 20.10 cannot read it.
        Zstd = "zstd",
    }
}

named_enum! {
    /// Where an image without a base has its C library from.
    pub enum Libc {
        /// Copied from the packages of this system: loader, libc, and what else the Python needs.
        Bundle = "bundle",
        /// It has none.
        None = "none",
    }
}

named_enum! {
    /// What builds an image of a Dockerfile.
    pub enum Builder {
        /// `BuildKit`: mounts of caches, secrets and other stages.
        BuildKit = "buildkit",
        /// Docker's first builder, which has no mounts.
        Classic = "classic",
        /// buildah, and with it `podman build`.
        Buildah = "buildah",
    }
}

/// A label of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Letters, digits and `. _ - /`.
    pub key: String,
    /// Text without control characters.
    pub value: String,
}

impl FromStr for Label {
    type Err = String;

    /// Parses `team=payments`.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else { return Err("it has to be KEY=VALUE".into()) };
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c)) {
            Err("its key has to be of letters, digits and . _ - /".into())
        } else if value.chars().any(char::is_control) {
            Err("its value has a line break or another control character".into())
        } else {
            Ok(Self { key: key.to_owned(), value: value.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_key_and_a_value_on_one_line() {
        let label = |text: &str| text.parse::<Label>();
        let (key, value) = ("org.example/team".to_owned(), "a=b \\ $c".to_owned());
        assert_eq!(label("org.example/team=a=b \\ $c"), Ok(Label { key, value }));
        assert_eq!(label("a=").map(|label| label.value), Ok(String::new()));
        for wrong in ["x", "=x", "a b=c", "a\"=c", "a=b\nUSER root", "a=\r", "a=\u{0}", "$a=b"] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }
}
