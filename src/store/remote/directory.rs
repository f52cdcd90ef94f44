//! A remote in a directory of this machine, or of a file system that several machines share.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::files::{
    Files, INDEX, LARGEST_INDEX, LARGEST_OFFERS, Offers, absent, of_artifact, of_blob, of_request, too_large,
};
use super::{Blob, Offer, Pushed, files_of};
use crate::domain::digest::{Digest, HashingWriter};
use crate::error::{Error, RemoteError, Result};
use crate::event::{Event, Reporter, Unit};
use crate::store::StoredArtifact;
use crate::sys::directory::Directory;
use crate::sys::fs::with_path;
use crate::sys::http::Sink;
use crate::sys::interrupt;
use crate::sys::lock::Lock;

/// The directories of a remote.
const DIRECTORIES: [&str; 3] = ["requests", "artifacts", "blobs"];
/// The lock that a push holds. What is read needs none: files are replaced as a whole.
const LOCK: &str = "push.lock";
/// The name of a file that is being written. Only one push writes at a time.
const UNFINISHED: &str = ".unfinished";

/// A remote in a directory.
#[derive(Debug)]
pub(super) struct DirectoryRemote {
    address: String,
    path: PathBuf,
}

impl DirectoryRemote {
    pub(super) const fn new(address: String, path: PathBuf) -> Self {
        Self { address, path }
    }

    /// The directory; an error of the remote if it cannot be opened.
    fn open(&self) -> Result<Directory> {
        Directory::open(&self.path).map_err(|error| {
            let (address, reason) = (self.address.clone(), error.to_string());
            RemoteError::Unavailable { address, reason }.into()
        })
    }

    /// Opens a file of the remote; `None` if there is none. No link leads out of the directory.
    fn file(&self, file: &str) -> Result<Option<std::fs::File>> {
        match self.open()?.open_file(Path::new(file)) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unavailable(file, &error)),
        }
    }

    fn unavailable(&self, file: &str, error: &io::Error) -> Error {
        let reason = format!("{}: {error}", self.path.join(file).display());
        RemoteError::Unavailable { address: self.address.clone(), reason }.into()
    }

    /// Opens the directory for one push at a time, and makes what is missing in it.
    fn locked(&self, reporter: &dyn Reporter) -> Result<(Directory, Lock)> {
        fs_err::create_dir_all(&self.path)?;
        let top = Directory::open(&self.path)?;
        let lock =
            Lock::acquire_among_others(&self.path.join(LOCK), &format!("the remote {}", self.address), reporter)?;
        for name in DIRECTORIES {
            if top.facts(name)?.is_none() {
                top.make(name)?;
            }
        }
        Ok((top, lock))
    }

    /// Adds an offer to the files that name it, and returns whether one of them did not. The caller holds the lock.
    fn add(&self, top: &Directory, offer: &Offer) -> Result<bool> {
        // What is looked up comes last: then the files that it names are there, and it is in the list.
        let mut is_new = false;
        for (file, most) in [
            (INDEX.to_owned(), LARGEST_INDEX),
            (of_artifact(offer.digest), LARGEST_OFFERS),
            (of_request(offer.request_key), LARGEST_OFFERS),
        ] {
            let mut offers = Offers::parse(self.read(&file, most)?.as_deref(), &self.address, &file)?;
            if offers.add(offer) {
                is_new = true;
                replace(top, &file, &offers.to_json()?)?;
            }
        }
        Ok(is_new)
    }

    /// Adds an offer without its files.
    #[cfg(test)]
    pub(super) fn record(&self, offer: &Offer, reporter: &dyn Reporter) -> Result<bool> {
        let (top, _lock) = self.locked(reporter)?;
        self.add(&top, offer)
    }
}

impl Files for DirectoryRemote {
    fn address(&self) -> &str {
        &self.address
    }

    fn read(&self, file: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(opened) = self.file(file)? else { return Ok(None) };
        let mut bytes = Vec::new();
        // One byte more is enough to see that it is too large.
        opened.take(most + 1).read_to_end(&mut bytes).map_err(|error| self.unavailable(file, &error))?;
        if bytes.len() as u64 > most { Err(too_large(&self.address, file, most)) } else { Ok(Some(bytes)) }
    }

    fn receive(&self, blob: Blob, sink: &mut dyn Sink) -> Result<()> {
        let file = of_blob(blob);
        let mut opened = self.file(&file)?.ok_or_else(|| absent(&self.address, blob))?;
        let mut piece = vec![0; 256 << 10];
        loop {
            match opened.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => sink.append(&piece[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unavailable(&file, &error)),
            }
        }
    }

    fn give(&self, artifact: &StoredArtifact, offer: Offer, reporter: &dyn Reporter) -> Result<Pushed> {
        let (top, _lock) = self.locked(reporter)?;
        let mut sent = 0;
        let blobs = top.child("blobs")?;
        for (blob, from) in files_of(artifact, &offer) {
            sent += copy_blob(&blobs, blob, &from, reporter)?;
        }
        let is_new = self.add(&top, &offer)?;
        Ok(if is_new || sent > 0 { Pushed::New { sent } } else { Pushed::AlreadyThere })
    }

    fn take_away(&self, gone: &[Offer], reporter: &dyn Reporter) -> Result<()> {
        self.require()?;
        let (top, _lock) = self.locked(reporter)?;
        let mut index = Offers::parse(self.read(INDEX, LARGEST_INDEX)?.as_deref(), &self.address, INDEX)?;
        // In the order in which they are looked up: what is not offered any more is removed last.
        for offer in gone {
            interrupt::check()?;
            let file = of_request(offer.request_key);
            let mut offers = Offers::parse(self.read(&file, LARGEST_OFFERS)?.as_deref(), &self.address, &file)?;
            if offers.remove(offer.digest).is_some() {
                replace(&top, &file, &offers.to_json()?)?;
            }
            top.child("artifacts")?.remove_file(&format!("{}.json", offer.digest))?;
        }
        for offer in gone {
            index.remove(offer.digest);
        }
        replace(&top, INDEX, &index.to_json()?)?;
        let blobs = top.child("blobs")?;
        for blob in index.unnamed(gone) {
            blobs.remove_file(&blob.digest.to_string())?;
        }
        blobs.sync()
    }

    fn require(&self) -> Result<()> {
        // A directory that does not exist is no empty remote.
        self.open().map(|_| ())
    }
}

/// Copies a file to its name among the blobs, unless it is there, and returns the number of bytes copied.
fn copy_blob(blobs: &Directory, blob: Blob, from: &Path, reporter: &dyn Reporter) -> Result<u64> {
    let name = blob.digest.to_string();
    if blobs.facts(&name)?.is_some() && is_there(blobs, &name, blob)? {
        return Ok(0);
    }
    blobs.remove_file(UNFINISHED)?;
    let named = |error| with_path(&blobs.path_of(&name), error);
    let mut writer = HashingWriter::new(blobs.make_file(Path::new(UNFINISHED), 0o644).map_err(named)?);
    let mut file = fs_err::File::open(from)?;
    let (mut piece, mut done) = (vec![0; 256 << 10], 0);
    loop {
        interrupt::check()?;
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        writer.write_all(&piece[..read]).map_err(named)?;
        done += read as u64;
        reporter.report(Event::Progress { done, total: Some(blob.size), unit: Unit::Bytes });
    }
    let (file, found, size) = writer.finish();
    if found != blob.digest {
        blobs.remove_file(UNFINISHED)?;
        return Err(Error::DigestMismatch { what: from.display().to_string(), found, expected: blob.digest });
    }
    file.sync_all().map_err(named)?;
    blobs.rename(UNFINISHED, &name).map_err(named)?;
    blobs.sync()?;
    Ok(size)
}

/// Whether a blob is there with its content. One that is not is written anew.
fn is_there(blobs: &Directory, name: &str, blob: Blob) -> Result<bool> {
    let named = |error: io::Error| with_path(&blobs.path_of(name), error);
    let file = blobs.open_file(Path::new(name)).map_err(named)?;
    if file.metadata().map_err(named)?.len() != blob.size {
        return Ok(false);
    }
    Ok(Digest::of_reader(file).map_err(named)? == blob.digest)
}

/// Replaces a file below a directory as a whole.
fn replace(top: &Directory, file: &str, bytes: &[u8]) -> Result<()> {
    let (directory, name) = match file.split_once('/') {
        Some((directory, name)) => (top.child(directory)?, name),
        None => (top.child(".")?, file),
    };
    directory.remove_file(UNFINISHED)?;
    directory.write_new(UNFINISHED, bytes)?;
    directory.rename(UNFINISHED, name).map_err(|error| with_path(&directory.path_of(name), error))?;
    directory.sync()
}
