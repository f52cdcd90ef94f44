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
    /// A URL with `{file}`, and perhaps `{version}` and `{base}`.
    Url(String),
}

impl Mirror {
    /// Parses a mirror: text with a scheme is a URL, other text a directory.
    ///
    /// # Errors
    /// [`Error::Mirror`], without the credentials that a URL may hold.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let url = text.to_str().and_then(|text| Some((text, text.split_once("://")?.0)));
        let wrong = |reason: &str| {
            let mirror = text.to_str().map(http::shown).unwrap_or_default();
            Err(Error::Mirror { mirror, reason: reason.to_owned() })
        };
        match url {
            Some((url, "http" | "https")) if url.contains("{file}") => Ok(Self::Url(url.to_owned())),
            Some((_, "http" | "https")) => wrong("it has no {file}, which stands for the archive's name"),
            Some((_, scheme)) => {
                wrong(&format!("the scheme {scheme} is neither http nor https; name a directory by its path"))
            }
            None if text.is_empty() => Err(Error::Mirror { mirror: "``".into(), reason: "it is empty".into() }),
            None => Ok(Self::Directory(text.into())),
        }
    }
}
