//! Archives in a directory of the user.

use std::io::Read as _;
use std::path::Path;

use super::Attempt;
use super::landing::Landing;
use crate::error::Result;
use crate::store::SourceSlot;
use crate::sys::http::{Limits, Sink as _};
use crate::sys::interrupt;

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
