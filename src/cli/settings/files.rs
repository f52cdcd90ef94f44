//! Configuration files: where they are, and reading them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;

use super::setting::{Origin, Setting};
use super::value::Value;
use crate::error::{Error, Mistake, Result};

/// The name of a configuration file.
pub(super) const FILE_NAME: &str = "pykeel.toml";
/// The configuration of all users of a system.
const SYSTEM_FILE: &str = "/etc/pykeel/pykeel.toml";
/// Names the one file that is read.
pub(super) const FILE_VARIABLE: &str = "PYKEEL_CONFIG";

/// A configuration file that was read. `D` has its keys.
#[derive(Debug)]
pub(super) struct File<D> {
    pub path: PathBuf,
    text: String,
    document: D,
}

impl<D: DeserializeOwned> File<D> {
    pub(super) fn read(path: PathBuf) -> Result<Self> {
        // A file that exists and cannot be read is an error: it may have an important setting.
        let text = fs_err::read_to_string(&path).map_err(Error::Unreadable)?;
        let document = toml::from_str(&text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            Mistake::at(&path.display().to_string(), &text, offset, error.message().trim())
        })?;
        Ok(Self { path, text, document })
    }

    /// Takes a section that has no origin.
    pub(super) fn section<T: Default>(&mut self, field: impl FnOnce(&mut D) -> &mut T) -> T {
        std::mem::take(field(&mut self.document))
    }

    /// The value of a key, with the place where it is set.
    pub(super) fn take<T: Value>(&mut self, field: impl FnOnce(&mut D) -> Option<Spanned<T>>) -> Option<Setting<T>> {
        let spanned = field(&mut self.document)?;
        let line = self.text[..spanned.span().start].matches('\n').count() + 1;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let value = spanned.into_inner().said_in(directory);
        Some(Setting { value, origin: Origin::File { path: self.path.clone(), line } })
    }
}

/// Returns the existing files (the project's, the user's, the system's) and the project's one that is ignored.
pub(super) fn search(from: &Path) -> Result<(Vec<PathBuf>, Option<PathBuf>)> {
    let (mut files, mut ignored) = (Vec::new(), None);
    let project = from.ancestors().map(|directory| directory.join(FILE_NAME)).find(|path| path.is_file());
    if let Some(path) = project {
        if anybody_could_have_put(&path)? {
            ignored = Some(path);
        } else {
            files.push(path);
        }
    }
    let user = base_directory("XDG_CONFIG_HOME", ".config").map(|config| config.join("pykeel").join(FILE_NAME));
    for path in user.into_iter().chain([PathBuf::from(SYSTEM_FILE)]) {
        if path.is_file() && !files.contains(&path) {
            files.push(path);
        }
    }
    Ok((files, ignored))
}

/// Whether another user may have put a file into a directory that all can write to, such as `/tmp`: a configuration
/// decides what is built.
pub(super) fn anybody_could_have_put(path: &Path) -> Result<bool> {
    let owner = fs_err::metadata(path)?.uid();
    let own = owner == 0 || owner == rustix::process::geteuid().as_raw();
    let open = match path.parent() {
        Some(directory) => fs_err::metadata(directory)?.mode() & 0o002 != 0,
        None => false,
    };
    Ok(open && !own)
}

/// Returns a directory by the XDG base directory specification: a relative path counts as unset.
pub(super) fn base_directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    directory(variable).or_else(|| directory("HOME").map(|home| home.join(below_home)))
}
