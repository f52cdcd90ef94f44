//! Threads for unpacking: one reads ahead and two write behind, so that decompressing and creating files
//! overlap. The kernel needs longer to create a small file than to write it.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::SystemTime;

use super::super::directory::Directory;
use super::super::fs;
use crate::cost;
use crate::error::{Error, Result};

/// A reader that reads a few pieces ahead on a thread of its own.
pub struct ReadAhead {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    position: usize,
}

impl ReadAhead {
    /// The size of a piece in bytes, and how many pieces are read ahead: at most 2 MB.
    const PIECE: usize = 256 << 10;
    const AHEAD: usize = 8;

    /// Starts a thread that calls `open` and reads from the reader that it returns.
    pub fn new<'a, R: Read>(
        scope: &'a std::thread::Scope<'a, '_>,
        open: impl FnOnce() -> io::Result<R> + Send + 'a,
    ) -> Self {
        let (sender, pieces) = sync_channel(Self::AHEAD);
        let helper = cost::helper();
        scope.spawn(move || {
            helper.run(|| match open() {
                Ok(reader) => send_pieces(reader, &sender),
                Err(error) => drop(sender.send(Err(error))),
            });
        });
        Self { pieces, piece: Vec::new(), position: 0 }
    }
}

fn send_pieces(mut reader: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = Vec::with_capacity(ReadAhead::PIECE);
        let result = reader.by_ref().take(ReadAhead::PIECE as u64).read_to_end(&mut piece);
        let end = !matches!(result, Ok(read) if read > 0);
        // The receiver is gone when the reader gave up, so no one needs the error.
        if sender.send(result.map(|_| piece)).is_err() || end {
            return;
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.position == self.piece.len() {
            self.piece = self.pieces.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            self.position = 0;
        }
        let read = (&self.piece[self.position..]).read(buf)?;
        self.position += read;
        Ok(read)
    }
}

/// A file of an archive that is to be created.
pub(super) struct NewFile {
    /// The path in the archive, and below the directory that it is unpacked into.
    pub path: PathBuf,
    /// Whether the file is executable.
    pub executable: bool,
    /// The time stamp of the file.
    pub mtime: SystemTime,
}

impl NewFile {
    /// Creates the file below a directory. `archive` is the archive's name for errors.
    ///
    /// # Errors
    /// [`Error::HostileArchive`] if the archive had an entry of this path before, [`Error::Io`].
    pub(super) fn create(&self, archive: &str, into: &Directory) -> Result<std::fs::File> {
        let mode = if self.executable { 0o755 } else { 0o644 };
        into.make_file(&self.path, mode).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::HostileArchive {
                archive: archive.to_owned(),
                reason: format!("{} occurs twice", self.path.display()),
            },
            _ => fs::with_path(&into.path_of(&self.path), error).into(),
        })
    }

    /// Sets the time stamp of the file. Call it after the content is written.
    pub(super) fn close(&self, file: &std::fs::File, into: &Directory) -> Result<()> {
        Ok(file.set_modified(self.mtime).map_err(|error| fs::with_path(&into.path_of(&self.path), error))?)
    }
}

/// A pool of threads that writes small files.
pub(super) struct WriteBehind<'scope> {
    sender: Option<SyncSender<(NewFile, Vec<u8>)>>,
    threads: Vec<ScopedJoinHandle<'scope, Result<()>>>,
}

impl<'scope> WriteBehind<'scope> {
    /// Only files smaller than this size in bytes are queued; the queue holds at most 8 MB.
    pub(super) const SMALL: usize = 128 << 10;
    const QUEUE: usize = 64;
    const THREADS: usize = 2;

    pub(super) fn new(scope: &'scope Scope<'scope, '_>, archive: &str, into: &'scope Directory) -> Self {
        let (sender, receiver) = sync_channel(Self::QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let thread = |_| {
            let (receiver, archive, helper) = (Arc::clone(&receiver), archive.to_owned(), cost::helper());
            scope.spawn(move || helper.run(|| write_files(&receiver, &archive, into)))
        };
        Self { sender: Some(sender), threads: (0..Self::THREADS).map(thread).collect() }
    }

    /// Queues a file to be written.
    ///
    /// # Errors
    /// The error of a writer that stopped.
    pub(super) fn write(&mut self, file: NewFile, content: Vec<u8>) -> Result<()> {
        match &self.sender {
            Some(sender) if sender.send((file, content)).is_ok() => Ok(()),
            // The queue is closed only after every writer stopped with an error.
            _ => self.finish(),
        }
    }

    /// Waits until all files are written, and returns the first error of a writer.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.sender = None;
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(())
    }
}

fn write_files(files: &Mutex<Receiver<(NewFile, Vec<u8>)>>, archive: &str, into: &Directory) -> Result<()> {
    loop {
        let next = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((file, content)) = next else { return Ok(()) };
        let mut open = file.create(archive, into)?;
        open.write_all(&content).map_err(|error| fs::with_path(&into.path_of(&file.path), error))?;
        file.close(&open, into)?;
    }
}
