//! The layer of an application: its tree at its place, normalised.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::needed::{Need, Needed};
use super::python::{OPAQUE, Place};
use crate::error::{Error, ImageError, Result};
use crate::event::{Event, Reporter};
use crate::sys::fs::{self, Kind};
use crate::sys::interrupt;
use crate::sys::oci::LayerWriter;

/// A tree that goes into an image, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The directory.
    pub tree: PathBuf,
    /// The absolute path in the image.
    pub at: PathBuf,
}

impl App {
    /// Whether it is a virtual environment, and not code. <https://docs.python.org/3/library/venv.html>
    pub(super) fn is_environment(&self) -> bool {
        self.tree.join("pyvenv.cfg").is_file()
    }
}

/// Writes a tree into a layer: entries of root's, modes 755 and 644.
///
/// # Errors
/// [`ImageError::Tree`] for what is neither file, directory nor link; [`Error::Io`].
pub(super) fn write(
    tree: &Path,
    place: &Place,
    needed: &mut Needed,
    layer: &mut LayerWriter<'_>,
    reporter: &dyn Reporter,
) -> Result<()> {
    place.begin(layer)?;
    let mut dated = 0;
    for entry in fs::walk(tree)? {
        interrupt::check()?;
        let (source, target) = (tree.join(&entry.path), place.path.join(&entry.path));
        let unfit =
            |reason: &str| Error::from(ImageError::Tree { path: source.display().to_string(), reason: reason.into() });
        let is_mark = entry.path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".wh."));
        if is_mark || entry.path.ends_with(OPAQUE) {
            return Err(unfit("a name that begins with .wh. hides other files in an image"));
        }
        match entry.kind {
            Kind::Directory => layer.directory(&target, 0o755)?,
            Kind::Symlink(content) => layer.link(&target, &content)?,
            Kind::File { size, executable } => {
                let begin = needed.note_file(&source, &target, Need::Optional)?;
                let mut file = fs::open_plain(&source).map_err(|error| fs::with_path(&source, error))?;
                file.seek(SeekFrom::Start(begin.len() as u64))?;
                dated += u64::from(is_dated(&source, &begin));
                layer.file(&target, if executable { 0o755 } else { 0o644 }, size, (&begin[..]).chain(file))?;
            }
            Kind::Other => return Err(unfit("it is neither file, directory nor link")),
        }
    }
    if dated > 0 {
        reporter.report(Event::Warning(format!(
            "{} has {dated} .pyc files that are compared with the time of their source, which changes in an image: Python \
             compiles these modules at every start; compile them again in the mode unchecked-hash of compileall",
            tree.display()
        )));
    }
    Ok(())
}

/// Whether a file is bytecode that Python compares with the time stamp of its source: bit 0 of its flags is not set.
/// <https://peps.python.org/pep-0552/>
fn is_dated(path: &Path, begin: &[u8]) -> bool {
    path.extension().is_some_and(|extension| extension == "pyc") && begin.get(4).is_some_and(|flags| flags & 1 == 0)
}
