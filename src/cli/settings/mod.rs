//! The settings, which can be set on the command line, in the environment and in files.
//!
//! `table` lists the settings. The first layer that has a value decides, and the
//! value keeps its origin. `docs/configuration.md` describes them for people.

mod check;
mod files;
mod setting;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::path::{Path, PathBuf};

use self::files::{FILE_VARIABLE, File, search};
pub(super) use self::setting::{Entry, Origin, Setting};
pub(super) use self::table::{CliOverrides, KEYS, OfOneBuild, Settings};
pub(super) use self::value::{FlavorChoice, Mirror, RemoteList};
use crate::error::Result;

/// Reads all layers.
///
/// # Errors
/// [`Error::Usage`], [`Error::Unreadable`] and [`Error::Mistake`].
pub(super) fn load(config: Option<&Path>, overrides: CliOverrides) -> Result<Settings> {
    let named = config
        .map(Path::to_owned)
        .or_else(|| std::env::var_os(FILE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from));
    let (paths, ignored) = match named {
        Some(path) => (vec![std::path::absolute(path)?], None),
        None => search(&std::env::current_dir()?)?,
    };
    let files = paths.into_iter().map(File::read).collect::<Result<_>>()?;
    Ok(Settings { ignored, ..Settings::resolve(overrides, &|name| std::env::var_os(name), files)? })
}
