//! The types of settings, and how they are read from the environment and from files.

use std::ffi::OsStr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::Named;
use crate::domain::plan::Flavor;
use crate::domain::prefix::{ParsePrefixError, PrefixTemplate};
use crate::error::Result;
use crate::stages::fetch;
use crate::store::remote::Address;
use crate::sys::http;

/// The type of a setting: a value that can be read from the environment and from files.
pub(super) trait Value: DeserializeOwned + Serialize {
    /// Reads the text of an environment variable.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Returns the value as meant in a file of a directory: paths in it are relative to the directory.
    fn said_in(self, _directory: &Path) -> Self {
        self
    }
}

impl<T: Named + DeserializeOwned + Serialize> Value for T {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Value for PrefixTemplate {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: ParsePrefixError| error.to_string())
    }
}

impl Value for NonZeroU16 {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: std::num::ParseIntError| error.to_string())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum FlavorChoice {
    /// The interpreter and its library, for production
    Runtime,
    /// Also headers, python-config and pip
    Builder,
    /// Both, from one compilation
    All,
}

impl FlavorChoice {
    pub(in crate::cli) fn flavors(self) -> Vec<Flavor> {
        match self {
            Self::Runtime => vec![Flavor::Runtime],
            Self::Builder => vec![Flavor::Builder],
            Self::All => Flavor::ALL.to_vec(),
        }
    }

    /// Returns the flavor that is installed: a prefix holds one only.
    pub(in crate::cli) fn installed(self) -> Flavor {
        match self {
            Self::Runtime | Self::All => Flavor::Runtime,
            Self::Builder => Flavor::Builder,
        }
    }
}

impl From<Flavor> for FlavorChoice {
    fn from(flavor: Flavor) -> Self {
        match flavor {
            Flavor::Runtime => Self::Runtime,
            Flavor::Builder => Self::Builder,
        }
    }
}

impl Value for FlavorChoice {
    fn from_text(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false).map_err(|_| format!("`{text}` is not one of runtime, builder, all"))
    }
}

impl Value for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }
}

impl Value for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn said_in(self, directory: &Path) -> Self {
        directory.join(self)
    }
}

impl<T: Value> Value for Option<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        T::from_text(text).map(Some)
    }

    fn said_in(self, directory: &Path) -> Self {
        self.map(|value| value.said_in(directory))
    }
}

/// The remotes, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct RemoteList(pub Vec<Address>);

impl RemoteList {
    /// Parses addresses. The word `none` alone is no address, and an empty list.
    ///
    /// # Errors
    /// [`crate::error::RemoteError::Address`].
    pub(in crate::cli) fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let texts: Vec<&str> = texts.into_iter().collect();
        if texts == ["none"] {
            return Ok(Self::default());
        }
        texts.into_iter().map(Address::parse).collect::<Result<_>>().map(Self)
    }
}

impl Value for RemoteList {
    /// One a line, as for mirrors.
    fn from_text(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Self::parse(lines).map_err(|error| error.to_string())
    }
}

/// A mirror of source archives, as a setting.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::cli) struct Mirror(pub fetch::Mirror);

impl TryFrom<String> for Mirror {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for Mirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        fetch::Mirror::parse(OsStr::new(text)).map(Self).map_err(|error| error.to_string())
    }
}

impl Serialize for Mirror {
    /// For display: without the password that a URL may contain.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            fetch::Mirror::Directory(path) => serializer.collect_str(&path.display()),
            fetch::Mirror::Url(url) => serializer.serialize_str(&http::shown(url)),
        }
    }
}

impl Value for Vec<Mirror> {
    /// One a line: directories may have spaces in their names.
    fn from_text(text: &str) -> Result<Self, String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::parse).collect()
    }

    fn said_in(self, directory: &Path) -> Self {
        let place = |Mirror(mirror): Mirror| match mirror {
            fetch::Mirror::Directory(path) => Mirror(fetch::Mirror::Directory(directory.join(path))),
            url @ fetch::Mirror::Url(_) => Mirror(url),
        };
        self.into_iter().map(place).collect()
    }
}
