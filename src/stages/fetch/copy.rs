//! Archives in directories of the user: read from one, and kept in one.

use std::io::Read as _;
use std::path::Path;

use super::Attempt;
use super::landing::Landing;
use crate::domain::digest::Digest;
use crate::error::Result;
use crate::store::SourceSlot;
use crate::sys::http::{Limits, Sink as _};
use crate::sys::{fs, interrupt};

/// Puts a copy of a verified archive into a directory that exists, unless it has the same bytes there already.
///
/// # Errors
/// [`crate::error::Error::Io`].
pub(super) fn keep(archive: &Path, directory: &Path, name: &str) -> Result<()> {
    let place = directory.join(name);
    if !directory.is_dir() || (place.is_file() && digest(&place)? == digest(archive)?) {
        return Ok(());
    }
    let copy = fs::temporary_in(directory)?;
    fs_err::copy(archive, copy.path())?;
    copy.as_file().sync_all()?;
    fs::persist(copy, &place)
}

fn digest(file: &Path) -> Result<Digest> {
    Ok(Digest::of_reader(fs_err::File::open(file)?)?)
}

/// Copies an archive from a directory.
pub(super) fn copy(file: &Path, slot: &SourceSlot, limits: Limits) -> Result<Attempt> {
    let unreadable = |error: std::io::Error| Ok(Attempt::Failed(format!("{}: {error}", file.display())));
    match std::fs::metadata(file) {
        // Opening a pipe would wait for a writer.
        Ok(metadata) if !metadata.is_file() => return Ok(Attempt::Failed(format!("{} is not a file", file.display()))),
        Ok(metadata) if metadata.len() > limits.most_bytes => {
            let (size, most) = (metadata.len(), limits.most_bytes);
            let reason = format!("{} has {size} bytes; a source may have at most {most}", file.display());
            return Ok(Attempt::Failed(reason));
        }
        Ok(_) => {}
        Err(error) => return unreadable(error),
    }
    let mut source = match std::fs::File::open(file) {
        Ok(source) => source,
        Err(error) => return unreadable(error),
    };
    let mut landing = Landing::create(slot.part())?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        interrupt::check()?;
        // A mirror that cannot be read is a reason to try the next one. A store that cannot be written to is
        // an error.
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => landing.append(&buffer[..read])?,
            Err(error) => return unreadable(error),
        }
    }
    landing.finish().map(Attempt::Got)
}
