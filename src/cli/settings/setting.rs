//! A value with its origin, and the layers that it can come from.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::value::Value;
use crate::error::{Error, Result};

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub(in crate::cli) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment { variable: String },
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

/// A setting as `--help` and `pykeel config` name it.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Key {
    pub(super) field: &'static str,
    /// The default, as text for people.
    pub default: &'static str,
    /// Another value, as in a file.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests set every key to it"))]
    pub example: &'static str,
}

impl Key {
    /// The key in a file, and the long option: `install-deps`.
    pub(in crate::cli) fn name(self) -> String {
        self.field.replace('_', "-")
    }

    /// The environment variable: `PYKEEL_INSTALL_DEPS`.
    pub(in crate::cli) fn variable(self) -> String {
        format!("PYKEEL_{}", self.field.to_uppercase())
    }
}

/// A setting for people and programs.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Entry<'a> {
    pub key: String,
    pub value: serde_json::Value,
    pub origin: &'a Origin,
}

/// The value of the first layer that has one.
pub(super) fn first<T: Value>(
    overriding: Option<T>,
    name: &str,
    variable: &dyn Fn(&str) -> Option<OsString>,
    mut said: impl Iterator<Item = Option<Setting<T>>>,
    default: impl FnOnce() -> Result<T>,
) -> Result<Setting<T>> {
    if let Some(value) = overriding {
        return Ok(Setting { value, origin: Origin::CommandLine });
    }
    if let Some(text) = variable(name).filter(|text| !text.is_empty()) {
        let text = text.to_str().ok_or_else(|| Error::Usage(format!("{name} is not UTF-8")))?;
        let value = T::from_text(text).map_err(|reason| Error::Usage(format!("{name}: {reason}")))?;
        return Ok(Setting { value, origin: Origin::Environment { variable: name.to_owned() } });
    }
    match said.find_map(|setting| setting) {
        Some(setting) => Ok(setting),
        None => Ok(Setting { value: default()?, origin: Origin::Default }),
    }
}
