//! The settings, which can be set on the command line, in the environment and in files.
//!
//! `table` lists the settings. The first layer that has a value decides, and the
//! value keeps its origin. `docs/configuration.md` describes them for people.

mod files;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::files::{FILE_VARIABLE, File, search};
pub(super) use self::table::{CliOverrides, KEYS, OfOneBuild, Settings};
use self::value::Value;
pub(super) use self::value::{FlavorChoice, Mirror};
use crate::error::{Error, Result};
use crate::event::Reporter;

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub(super) enum Origin {
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
pub(super) struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

/// A setting as `--help` and `pykeel config` name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    field: &'static str,
    /// The default, as text for people.
    pub default: &'static str,
    /// Another value, as in a file.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests set every key to it"))]
    pub example: &'static str,
}

impl Key {
    /// The key in a file, and the long option: `install-deps`.
    pub(super) fn name(self) -> String {
        self.field.replace('_', "-")
    }

    /// The environment variable: `PYKEEL_INSTALL_DEPS`.
    pub(super) fn variable(self) -> String {
        format!("PYKEEL_{}", self.field.to_uppercase())
    }
}

/// A setting for people and programs.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    pub key: String,
    pub value: serde_json::Value,
    pub origin: &'a Origin,
}

/// Reads all layers.
///
/// # Errors
/// [`Error::Usage`], [`Error::Unreadable`] and [`Error::Mistake`].
pub(super) fn load(config: Option<&Path>, overrides: CliOverrides, reporter: &dyn Reporter) -> Result<Settings> {
    let named = config
        .map(Path::to_owned)
        .or_else(|| std::env::var_os(FILE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from));
    let paths = match named {
        Some(path) => vec![std::path::absolute(path)?],
        None => search(&std::env::current_dir()?, reporter)?,
    };
    let files = paths.into_iter().map(File::read).collect::<Result<_>>()?;
    Settings::resolve(overrides, &|name| std::env::var_os(name), files)
}

/// The value of the first layer that has one.
fn first<T: Value>(
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
