//! A file that is written under a temporary name and takes its own when it is whole.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;

use super::Directory;
use crate::error::Result;

/// How many names are tried, if others are always faster.
const MOST_NAMES: u32 = 100;

/// A new file. Whoever may write to its directory can rename it and put another one there, and still what is written goes
/// into this one alone. Dropping it removes it, unless it was persisted.
#[derive(Debug)]
pub struct NewFile<'a> {
    directory: &'a Directory,
    name: String,
    file: File,
}

impl Directory {
    /// Makes a file under a temporary name, with mode 644. No link is followed.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn new_file(&self) -> Result<NewFile<'_>> {
        let mut left = MOST_NAMES;
        loop {
            // The keys of each state are random.
            let name = format!(".pykeel-{:016x}", RandomState::new().hash_one(left));
            left = left.saturating_sub(1);
            match self.make_file(Path::new(&name), 0o644) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && left > 0 => {}
                made => return Ok(NewFile { directory: self, file: self.named(&name, made)?, name }),
            }
        }
    }
}

impl NewFile<'_> {
    /// The file, for writing.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, durably. It replaces another file, and a link itself.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn persist(self, name: &str) -> Result<()> {
        self.directory.named(name, self.file.sync_all())?;
        self.directory.named(name, self.directory.rename(&self.name, name))?;
        self.directory.sync()
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        // After it was persisted there is none of this name.
        let _left = self.directory.remove_file(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_written_goes_into_the_new_file_whatever_others_put_in_its_place() {
        let place = tempfile::tempdir().unwrap();
        let precious = place.path().join("precious");
        fs_err::write(&precious, "text").unwrap();
        let inside = place.path().join("inside");
        fs_err::create_dir(&inside).unwrap();
        let directory = Directory::open(&inside).unwrap();
        let new = directory.new_file().unwrap();
        // Between the making and the writing another user puts a link there.
        fs_err::rename(inside.join(&new.name), inside.join("aside")).unwrap();
        symlink(&precious, inside.join(&new.name)).unwrap();
        new.file().write_all(b"new").unwrap();
        new.persist("file").unwrap();
        assert_eq!(fs_err::read_to_string(&precious).unwrap(), "text");
        assert_eq!(fs_err::read_to_string(inside.join("aside")).unwrap(), "new");

        symlink(&precious, inside.join("link")).unwrap();
        let new = directory.new_file().unwrap();
        new.file().write_all(b"new").unwrap();
        new.persist("link").unwrap();
        assert_eq!(fs_err::read_to_string(&precious).unwrap(), "text");
        assert_eq!(fs_err::read_to_string(inside.join("link")).unwrap(), "new");
        drop(directory.new_file().unwrap());
        let left = fs_err::read_dir(&inside).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(".pykeel")
        });
        assert_eq!(left.count(), 0);
    }
}
