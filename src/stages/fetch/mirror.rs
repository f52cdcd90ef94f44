//! The places that the user names for archives.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::sys::http;

/// A place that the user named for archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// A directory that holds them.
    Directory(PathBuf),
    /// A URL with some of `PLACEHOLDERS`.
    Url(String),
}

/// What is replaced in a URL: the archive's name, the release, the release without the part of a pre-release, and the
/// SHA-256 of the archive in lower-case hexadecimal.
pub const PLACEHOLDERS: [&str; 4] = ["{file}", "{version}", "{base}", "{sha256}"];

impl Mirror {
    /// Parses a mirror: text with a scheme is a URL, other text a directory.
    ///
    /// # Errors
    /// [`Error::Mirror`], without the credentials that a URL may hold.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let wrong = |reason: &str| {
            let mirror = text.to_str().map(http::shown).unwrap_or_default();
            Err(Error::Mirror { mirror, reason: reason.to_owned() })
        };
        if text.is_empty() {
            return Err(Error::Mirror { mirror: "``".into(), reason: "it is empty".into() });
        }
        let Some((url, scheme)) = text.to_str().and_then(|text| Some((text, scheme(text)?))) else {
            return Ok(Self::Directory(text.into()));
        };
        let rest = PLACEHOLDERS.iter().fold(url.to_owned(), |rest, word| rest.replace(word, ""));
        let names_archive = url.contains("{file}") || url.contains("{sha256}");
        match scheme.as_str() {
            "http" | "https" | "file" if rest.contains(['{', '}']) => {
                wrong("it has braces around something other than file, version, base and sha256")
            }
            "http" | "https" if !names_archive => wrong("it has neither {file} nor {sha256}, which name the archive"),
            "http" | "https" => Ok(Self::Url(url.to_owned())),
            "file" => match http::url::file_path(url) {
                Err(reason) => wrong(&reason),
                // The path is decoded for each archive.
                Ok(_) if rest != url => {
                    if names_archive {
                        Ok(Self::Url(url.to_owned()))
                    } else {
                        wrong("it has neither {file} nor {sha256}, which name the archive")
                    }
                }
                Ok(directory) => Ok(Self::Directory(directory)),
            },
            scheme => wrong(&format!("the scheme {scheme} is none of http, https and file")),
        }
    }
}

/// Returns the scheme of a URL in lower case, or `None` for a path. `file:/srv` is a URL too.
fn scheme(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let is_name = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let scheme = scheme.to_ascii_lowercase();
    (is_name && (rest.starts_with("//") || (scheme == "file" && rest.starts_with('/')))).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn parse(text: &str) -> Result<Mirror, String> {
        Mirror::parse(OsStr::new(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_url_is_a_directory_of_this_machine() {
        for (url, path) in [
            ("file:///srv/sources", "/srv/sources"),
            ("file://localhost/srv", "/srv"),
            ("FILE:///srv/my%20sources/100%25", "/srv/my sources/100%"),
            ("file:/srv", "/srv"),
            ("file:///", "/"),
        ] {
            assert_eq!(parse(url), Ok(Mirror::Directory(path.into())), "{url}");
        }
        let bytes = OsString::from_vec(b"/\xff".to_vec());
        assert_eq!(parse("file:///%ff"), Ok(Mirror::Directory(bytes.into())));
        for (url, reason) in [
            ("file://mirror.test/srv", "its host has to be empty or localhost"),
            ("file://srv", "its host has to be empty"),
            ("file://", "no absolute path"),
            ("file:///srv?x", "a query or a fragment"),
            ("file:///srv/%zz", "%"),
            ("file:///srv/%0", "%"),
            ("file:///srv/%00", "%"),
            ("file:///srv/{version}", "neither {file} nor {sha256}"),
            ("ftp://mirror.test/{file}", "none of http, https and file"),
        ] {
            assert!(parse(url).unwrap_err().contains(reason), "{url}: {:?}", parse(url));
        }
        for path in ["srv", "./file:/x", "/srv/{file}", "a:b", "file:x"] {
            assert_eq!(parse(path), Ok(Mirror::Directory(path.into())), "{path}");
        }
    }

    #[test]
    fn a_url_names_the_archive() {
        for url in [
            "https://m.test/{file}",
            "https://m.test/{sha256}",
            "http://m.test/{version}/{sha256}/{file}",
            "file:///srv/{version}/{file}",
        ] {
            assert_eq!(parse(url), Ok(Mirror::Url(url.into())), "{url}");
        }
        assert!(parse("https://m.test/x").unwrap_err().contains("neither {file} nor {sha256}"));
        assert!(parse("https://m.test/{file}/{series}").unwrap_err().contains("braces"));
    }
}
