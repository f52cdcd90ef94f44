//! A bucket, asked by code that blocks: every question ends in bounded time, and at a signal.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path as FilePath;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion,
};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::super::Blob;
use super::super::files::{absent, too_large};
use super::service::{LastFailure, NO_CREDENTIALS, code_in};
use crate::domain::digest::{Digest, HashingWriter};
use crate::error::{Error, RemoteError, Result};
use crate::event::{Event, Reporter, Unit};
use crate::sys::http::Sink;
use crate::sys::interrupt;

/// How long a question may take, with its repetitions.
const LONGEST_QUESTION: Duration = Duration::from_secs(28);
/// How long a list may take: each thousand names are a question of their own.
const LONGEST_LIST: Duration = Duration::from_mins(2);
/// How often signals are looked for.
const TICK: Duration = Duration::from_millis(100);
/// How long a server may be silent within a file, and the slowest acceptable rate of one, in bytes per second.
const PATIENCE: Duration = Duration::from_secs(10);
const SLOWEST: u64 = 8 << 10;
/// How often a download goes on where it broke.
const ATTEMPTS: usize = 4;
/// The size of the parts in which a file is sent, in bytes: the smallest that S3 takes. One at a time is in memory.
const PART: usize = 5 << 20;
/// The most names of a list that are kept.
const MOST_NAMES: usize = 100_000;
/// The codes of errors that say that there is no bucket.
const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "NoSuchContainer"];

/// A bucket and the part of it that is the remote.
pub(super) struct Bucket {
    pub(super) address: String,
    pub(super) prefix: String,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) runtime: Runtime,
    pub(super) failure: LastFailure,
}

/// A small file and what it was when it was read.
pub(super) struct Found {
    pub(super) bytes: Vec<u8>,
    pub(super) version: UpdateVersion,
}

impl Bucket {
    fn path(&self, file: &str) -> Result<Path> {
        let path = if self.prefix.is_empty() { file.to_owned() } else { format!("{}/{file}", self.prefix) };
        Path::parse(path).map_err(|error| self.unavailable(error.to_string()))
    }

    pub(super) fn unavailable(&self, reason: String) -> Error {
        RemoteError::Unavailable { address: self.address.clone(), reason }.into()
    }

    /// Does something that may take so long.
    fn within<T>(&self, most: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(async {
            let (began, mut work) = (Instant::now(), pin!(work));
            loop {
                if let Ok(done) = timeout(TICK, &mut work).await {
                    return done;
                }
                interrupt::check()?;
                if began.elapsed() > most {
                    return Err(self.unavailable(format!("it was not done after {} s", most.as_secs())));
                }
            }
        })
    }

    /// The error for a request that failed. The crate's own text may hold what is secret in a URL.
    fn failed(&self, error: &object_store::Error) -> Error {
        let address = self.address.clone();
        let failure = self.failure.get();
        let reason =
            failure.map_or_else(|| "the server's answer cannot be understood".to_owned(), |failure| failure.reason);
        match error {
            object_store::Error::PermissionDenied { .. } => {
                RemoteError::Denied { address, reason: format!("{reason}: it does not permit it") }.into()
            }
            object_store::Error::Unauthenticated { .. } => {
                RemoteError::Denied { address, reason: format!("{reason}: it wants credentials, or others") }.into()
            }
            _ if reason.starts_with(NO_CREDENTIALS) => RemoteError::Denied { address, reason }.into(),
            _ => RemoteError::Unavailable { address, reason }.into(),
        }
    }

    /// Nothing where there is no such file; an error where there is no bucket.
    fn or_none<T>(&self, asked: object_store::Result<T>) -> Result<Option<T>> {
        match asked {
            Ok(found) => Ok(Some(found)),
            Err(error @ object_store::Error::NotFound { .. }) => match code_in(&error.to_string()) {
                Some(code) if NO_BUCKET.contains(&code) => {
                    Err(self.unavailable(format!("there is no such bucket ({code})")))
                }
                _ => Ok(None),
            },
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Reads a file of at most so many bytes.
    pub(super) fn read(&self, file: &str, most: u64) -> Result<Option<Found>> {
        let path = self.path(file)?;
        self.within(LONGEST_QUESTION, async {
            let Some(got) = self.or_none(self.store.get(&path).await)? else { return Ok(None) };
            let version = UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
            let (mut pieces, mut bytes) = (got.into_stream(), Vec::new());
            while let Some(piece) = pieces.try_next().await.map_err(|error| self.failed(&error))? {
                if (bytes.len() + piece.len()) as u64 > most {
                    return Err(too_large(&self.address, file, most));
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(Some(Found { bytes, version }))
        })
    }

    /// The size of a file, if it is there.
    pub(super) fn size(&self, file: &str) -> Result<Option<u64>> {
        let path = self.path(file)?;
        let size = async { Ok(self.or_none(self.store.head(&path).await)?.map(|meta| meta.size)) };
        self.within(LONGEST_QUESTION, size)
    }

    /// Writes a small file, if it still is what it was when it was read: `None` for one that was not there. Returns
    /// whether it did. A server that cannot tell writes it in any case.
    pub(super) fn write(&self, file: &str, bytes: &[u8], was: Option<UpdateVersion>) -> Result<bool> {
        let path = self.path(file)?;
        let mode = match was {
            None => PutMode::Create,
            Some(version) if version.e_tag.is_some() => PutMode::Update(version),
            Some(_) => PutMode::Overwrite,
        };
        let payload = PutPayload::from(bytes.to_vec());
        self.within(LONGEST_QUESTION, async {
            match self.store.put_opts(&path, payload.clone(), mode.into()).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
                Err(error) if self.knows_no_conditions(&error) => match self.store.put(&path, payload).await {
                    Ok(_) => Ok(true),
                    Err(error) => Err(self.failed(&error)),
                },
                Err(error) => Err(self.failed(&error)),
            }
        })
    }

    fn knows_no_conditions(&self, error: &object_store::Error) -> bool {
        let is_status = || self.failure.get().is_some_and(|failure| failure.status == Some(501));
        matches!(error, object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. })
            || is_status()
    }

    /// Sends a file unless one of its size is there, and returns the number of bytes sent.
    pub(super) fn send(&self, file: &str, blob: Blob, from: &FilePath, reporter: &dyn Reporter) -> Result<u64> {
        if self.size(file)? == Some(blob.size) {
            return Ok(0);
        }
        let path = self.path(file)?;
        let mut source = Source::open(from, blob, reporter)?;
        let first = source.part()?;
        if source.is_whole() {
            source.check()?;
            let put = async { self.store.put(&path, first.into()).await.map_err(|error| self.failed(&error)) };
            self.within(LONGEST_QUESTION, put)?;
            return Ok(blob.size);
        }
        let begin = async { self.store.put_multipart(&path).await.map_err(|error| self.failed(&error)) };
        let mut upload = self.within(LONGEST_QUESTION, begin)?;
        let sent = self.send_parts(&mut *upload, first, &mut source);
        if sent.is_err() {
            // Whether that works or not, the first error counts; the store's rules remove what is left.
            let _left = self.runtime.block_on(async { timeout(Duration::from_secs(5), upload.abort()).await });
        }
        sent.map(|()| blob.size)
    }

    fn send_parts(&self, upload: &mut dyn MultipartUpload, first: Vec<u8>, source: &mut Source<'_>) -> Result<()> {
        let mut part = first;
        while !part.is_empty() {
            let sending = upload.put_part(part.into());
            self.within(LONGEST_QUESTION, async { sending.await.map_err(|error| self.failed(&error)) })?;
            part = source.part()?;
        }
        // Nobody sees anything of it before this.
        source.check()?;
        self.within(LONGEST_QUESTION, async { upload.complete().await.map_err(|error| self.failed(&error)) })?;
        Ok(())
    }

    /// Streams a file into a sink, and goes on where a connection broke.
    pub(super) fn receive(&self, file: &str, blob: Blob, sink: &mut dyn Sink) -> Result<()> {
        let path = self.path(file)?;
        let mut attempt = 1;
        loop {
            let from = sink.position();
            match self.within(Duration::MAX, self.receive_from(&path, blob, sink)) {
                // Where something came, the next one may bring the rest.
                Err(Error::Remote(RemoteError::Unavailable { .. })) if sink.position() > from && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn receive_from(&self, path: &Path, blob: Blob, sink: &mut dyn Sink) -> Result<()> {
        let position = sink.position();
        let range = (position > 0).then_some(GetRange::Offset(position));
        let asked = timeout(LONGEST_QUESTION, self.store.get_opts(path, GetOptions { range, ..GetOptions::default() }));
        let silent = || self.unavailable(format!("the server was silent for {} s", PATIENCE.as_secs()));
        let got = self.or_none(asked.await.map_err(|_| silent())?)?.ok_or_else(|| absent(&self.address, blob))?;
        let mut pieces = got.into_stream();
        let (mut since, mut received) = (Instant::now(), 0);
        while let Some(piece) = timeout(PATIENCE, pieces.next()).await.map_err(|_| silent())? {
            let piece = piece.map_err(|_| self.unavailable("the connection broke".into()))?;
            sink.append(&piece)?;
            received += piece.len() as u64;
            if since.elapsed() > PATIENCE {
                if received < SLOWEST * since.elapsed().as_secs() {
                    return Err(self.unavailable(format!("the server sent no more than {received} bytes in 10 s")));
                }
                (since, received) = (Instant::now(), 0);
            }
        }
        Ok(())
    }

    /// The names of the files in a directory.
    pub(super) fn names(&self, directory: &str) -> Result<BTreeSet<String>> {
        let path = self.path(directory)?;
        self.within(LONGEST_LIST, async {
            let (mut found, mut names) = (self.store.list(Some(&path)), BTreeSet::new());
            while let Some(meta) = timeout(LONGEST_QUESTION, found.next())
                .await
                .map_err(|_| self.unavailable(format!("it was not done after {} s", LONGEST_QUESTION.as_secs())))?
            {
                // None where there is no bucket, but every cloud says that by an error.
                let Some(meta) = self.or_none(meta)? else { break };
                names.extend(meta.location.filename().map(str::to_owned));
                if names.len() > MOST_NAMES {
                    let reason = format!("it has more than {MOST_NAMES} files");
                    let what = format!("its directory {directory}");
                    return Err(RemoteError::Wrong { address: self.address.clone(), what, reason }.into());
                }
            }
            Ok(names)
        })
    }

    /// Removes a file. That it is not there is no error.
    pub(super) fn remove(&self, file: &str) -> Result<()> {
        let path = self.path(file)?;
        self.within(LONGEST_QUESTION, async { self.or_none(self.store.delete(&path).await).map(|_| ()) })
    }
}

/// A file that is sent, hashed on the way.
struct Source<'a> {
    file: fs_err::File,
    blob: Blob,
    reporter: &'a dyn Reporter,
    hash: HashingWriter<std::io::Sink>,
    read: u64,
}

impl<'a> Source<'a> {
    fn open(path: &FilePath, blob: Blob, reporter: &'a dyn Reporter) -> Result<Self> {
        let hash = HashingWriter::new(std::io::sink());
        Ok(Self { file: fs_err::File::open(path)?, blob, reporter, hash, read: 0 })
    }

    /// The next part; none at the end.
    fn part(&mut self) -> Result<Vec<u8>> {
        let mut part = Vec::new();
        (&mut self.file).take(PART as u64).read_to_end(&mut part)?;
        std::io::Write::write_all(&mut self.hash, &part)?;
        self.read += part.len() as u64;
        self.reporter.report(Event::Progress { done: self.read, total: Some(self.blob.size), unit: Unit::Bytes });
        Ok(part)
    }

    fn is_whole(&self) -> bool {
        self.read >= self.blob.size
    }

    /// Compares what was read with what it should be.
    fn check(&mut self) -> Result<()> {
        let hash = std::mem::replace(&mut self.hash, HashingWriter::new(std::io::sink()));
        let (_, found, _) = hash.finish();
        let expected: Digest = self.blob.digest;
        if found == expected {
            return Ok(());
        }
        Err(Error::DigestMismatch { what: self.file.path().display().to_string(), found, expected })
    }
}
