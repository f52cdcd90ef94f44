//! Archives in directories of the user: read from one, and kept in one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::Attempt;
use super::landing::Landing;
use crate::domain::digest::Digest;
use crate::error::Result;
use crate::store::SourceSlot;
use crate::sys::directory::Directory;
use crate::sys::http::{Limits, Sink as _};
use crate::sys::{fs, interrupt};

/// Puts a copy of a verified archive into a directory that exists, unless it has the same bytes there already. Others
/// may write to the directory, too: nothing is written to what a name there leads to.
///
/// # Errors
/// [`crate::error::Error::Io`].
pub(super) fn keep(archive: &Path, directory: &Path, name: &str) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    let directory = Directory::open(directory)?;
    // What cannot be read is replaced.
    let there = open(&directory.path_of(name)).and_then(|file| Ok((file.metadata()?.is_file(), file)));
    if let Ok((true, file)) = there
        && Digest::of_reader(file).ok() == Some(Digest::of_reader(fs_err::File::open(archive)?)?)
    {
        return Ok(());
    }
    let copy = directory.new_file()?;
    io::copy(&mut fs_err::File::open(archive)?, &mut copy.file())
        .map_err(|error| fs::with_path(&directory.path_of(name), error))?;
    copy.persist(name)
}

/// Opens a file for reading, wherever a link leads, and waits for no writer of a pipe.
fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()).open(file)
}

/// Copies an archive from a directory.
pub(super) fn copy(file: &Path, slot: &SourceSlot, limits: Limits) -> Result<Attempt> {
    let unreadable = |error: std::io::Error| Ok(Attempt::Failed(format!("{}: {error}", file.display())));
    let opened = open(file).and_then(|source| Ok((source.metadata()?, source)));
    let mut source = match opened {
        Ok((metadata, _)) if !metadata.is_file() => {
            return Ok(Attempt::Failed(format!("{} is not a file", file.display())));
        }
        Ok((metadata, _)) if metadata.len() > limits.most_bytes => {
            let (size, most) = (metadata.len(), limits.most_bytes);
            let reason = format!("{} has {size} bytes; a source may have at most {most}", file.display());
            return Ok(Attempt::Failed(reason));
        }
        Ok((_, source)) => source,
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_copy_replaces_what_is_not_the_archive_and_follows_no_link() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs_err::write(path("archive"), "bytes").unwrap();
        fs_err::write(path("precious"), "text").unwrap();
        fs_err::create_dir(path("cache")).unwrap();
        let keep = || keep(&path("archive"), &path("cache"), "x.tar").unwrap();
        let kept = || fs_err::read_to_string(path("cache/x.tar")).unwrap();
        keep();
        assert_eq!(kept(), "bytes");
        fs_err::write(path("cache/x.tar"), "damaged").unwrap();
        keep();
        assert_eq!(kept(), "bytes");
        fs_err::remove_file(path("cache/x.tar")).unwrap();
        symlink(path("precious"), path("cache/x.tar")).unwrap();
        keep();
        assert_eq!((kept(), fs_err::read_to_string(path("precious")).unwrap()), ("bytes".into(), "text".into()));
        // A pipe has no end to wait for.
        fs_err::remove_file(path("cache/x.tar")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("cache/x.tar"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        keep();
        assert_eq!(kept(), "bytes");
        assert_eq!(fs_err::read_dir(path("cache")).unwrap().count(), 1);
        // A link of the user's to the same bytes stays.
        fs_err::remove_file(path("cache/x.tar")).unwrap();
        symlink(path("archive"), path("cache/x.tar")).unwrap();
        keep();
        assert!(path("cache/x.tar").is_symlink());
        super::keep(&path("archive"), &path("absent"), "x.tar").unwrap();
        assert!(!path("absent").exists());
    }
}
