//! The places that the user names for archives.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
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
            "file" => match file_path(url) {
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

/// Returns the path that a `file` URL names.
///
/// # Errors
/// Why it names no path of this machine.
pub(super) fn file_path(url: &str) -> Result<PathBuf, String> {
    let rest = url.split_once(':').map_or(url, |(_, rest)| rest);
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                return Err("a file URL names a path of this machine; its host has to be empty or localhost".into());
            }
            path
        }
    };
    if !path.starts_with('/') {
        return Err("it names no absolute path".into());
    }
    if path.contains(['?', '#']) {
        return Err("it has a query or a fragment; write %3F for ? and %23 for #".into());
    }
    let decoded = decoded(path).ok_or("it has a % that two hexadecimal digits other than 00 do not follow")?;
    Ok(OsString::from_vec(decoded).into())
}

/// Decodes `%20` and the like; `None` for an escape that is none, or stands for a NUL byte.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = u8::try_from(digit()? * 16 + digit()?).ok().filter(|value| *value != 0)?;
        decoded.push(value);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
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
