//! Downloads over HTTP: resumed, retried, bounded.

mod proxy;
mod reason;

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};

use super::interrupt;
use crate::error::{Error, Result};
use proxy::Proxies;

pub use reason::shown;

/// Limits of a download: attempts, time and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most attempts for one URL.
    pub attempts: u32,
    /// The pause after the first failed attempt; it doubles after each further one.
    pub pause: Duration,
    /// The longest time that a server may be silent, or slower than `slowest`.
    pub patience: Duration,
    /// The slowest acceptable rate, in bytes per second.
    pub slowest: u64,
    /// The largest acceptable size, in bytes.
    pub most_bytes: u64,
}

impl Default for Limits {
    /// Four attempts, 30 s of silence, 1 kB/s, 128 MB. The largest source archive of CPython has 30 MB,
    /// which takes eight hours at the slowest rate.
    fn default() -> Self {
        Self {
            attempts: 4,
            pause: Duration::from_millis(500),
            patience: Duration::from_secs(30),
            slowest: 1 << 10,
            most_bytes: 128 << 20,
        }
    }
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// A failure that may not happen again: a broken connection, a server error.
    #[error("{0}")]
    Transient(String),
    /// The server cannot be connected to.
    #[error("{0}")]
    Unreachable(String),
    /// A failure that would happen again: not found, not authorised.
    #[error("{0}")]
    Permanent(String),
    /// A local failure: the disk, a signal.
    #[error(transparent)]
    Local(#[from] Error),
}

/// How the content of a file arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downloaded {
    /// In one response.
    AtOnce,
    /// In several responses, which may be of different files.
    InPieces,
}

/// What to do after a broken connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Continue where it broke.
    Allowed,
    /// Start again.
    Forbidden,
}

/// The target of a download.
pub trait Sink {
    /// Returns the number of bytes received so far.
    fn position(&self) -> u64;

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be written.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Discards everything received so far.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be truncated.
    fn restart(&mut self) -> Result<()>;
}

/// A client that uses the environment's proxies and the system's CA certificates.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::blocking::Client,
    limits: Limits,
    proxies: Proxies,
    /// Why no CA certificates are available, if so: `https:` URLs fail with this.
    no_certificates: Option<String>,
}

impl Client {
    /// Makes a client. On a system without any CA certificate it can still fetch `http:` URLs.
    ///
    /// # Errors
    /// Why there cannot be one: a variable that names no usable proxy, or no TLS, in words.
    pub fn new(limits: Limits) -> Result<Self, String> {
        let proxies = Proxies::from_env()?;
        let builder = || {
            let builder = reqwest::blocking::Client::builder()
                .user_agent(concat!("pykeel/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(limits.patience)
                .timeout(None)
                .referer(false)
                .redirect(reason::redirects());
            proxies.apply_to(builder).map_err(|error| reason::chain(&error))
        };
        let (inner, no_certificates) = match builder()?.build() {
            Ok(inner) => (inner, None),
            Err(error) => {
                let why = reason::no_certificates(&error);
                (builder()?.tls_certs_only([]).build().map_err(|_| why.clone())?, Some(why))
            }
        };
        Ok(Self { inner, limits, proxies, no_certificates })
    }

    /// Downloads a file into an empty sink. Calls `progress` with the bytes received and the size, if
    /// known.
    ///
    /// # Errors
    /// The [`DownloadError`] of the last attempt.
    pub fn download(
        &self,
        url: &str,
        resume: Resume,
        sink: &mut dyn Sink,
        progress: &dyn Fn(u64, Option<u64>),
    ) -> Result<Downloaded, DownloadError> {
        if let Some(why) = self.no_certificates.as_ref().filter(|_| url.starts_with("https:")) {
            return Err(DownloadError::Permanent(why.clone()));
        }
        let mut transfer =
            Transfer { client: self, url, sink, progress, validator: None, size: None, how: Downloaded::AtOnce };
        let mut pause = self.limits.pause;
        for attempt in 1.. {
            if resume == Resume::Forbidden {
                transfer.sink.restart()?;
            }
            match transfer.attempt() {
                Err(DownloadError::Transient(reason)) if attempt >= self.limits.attempts => {
                    return Err(DownloadError::Transient(format!("{reason} ({attempt} attempts)")));
                }
                // A second attempt helps when name resolution failed for a moment; a third one hardly ever.
                Err(DownloadError::Unreachable(reason)) if attempt >= 2 => {
                    return Err(DownloadError::Unreachable(reason));
                }
                Err(DownloadError::Transient(_) | DownloadError::Unreachable(_)) => {
                    interrupt::check()?;
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(transfer.how)
    }
}

/// A message of the thread that reads from the server.
enum Heard {
    Answer(Answer),
    Piece(Vec<u8>),
    End,
    Failed(DownloadError),
}

/// The head of a response.
struct Answer {
    status: StatusCode,
    /// The length of the body, if the server sends it.
    length: Option<u64>,
    /// The start of a partial response, and the size of the file: `Content-Range: bytes 100-199/200`.
    range: Option<(u64, Option<u64>)>,
    validator: Option<HeaderValue>,
}

impl Answer {
    fn of(response: &Response) -> Self {
        let header = |name| response.headers().get(name);
        let range = header(CONTENT_RANGE).and_then(|value| {
            let (place, size) = value.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
            Some((place.split('-').next()?.parse().ok()?, size.parse().ok()))
        });
        // A weak ETag does not identify the exact bytes.
        let strong = header(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
        let validator = strong.or_else(|| header(LAST_MODIFIED)).cloned();
        Self { status: response.status(), length: response.content_length(), range, validator }
    }
}

/// The download of one file, over several attempts.
struct Transfer<'a> {
    client: &'a Client,
    url: &'a str,
    sink: &'a mut dyn Sink,
    progress: &'a dyn Fn(u64, Option<u64>),
    /// The `ETag` or modification time that identifies the file: `If-Range`.
    validator: Option<HeaderValue>,
    size: Option<u64>,
    how: Downloaded,
}

impl Transfer<'_> {
    /// Requests the file, or the rest of it, and receives it.
    fn attempt(&mut self) -> Result<(), DownloadError> {
        let (sender, heard) = sync_channel(4);
        let mut request = self.client.inner.get(self.url);
        let have = self.sink.position();
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = &self.validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        // Requests and reads block, so a thread does them; this one watches the clock and the signals.
        // The thread is not joined when the server is silent: it ends with the connection or the program.
        let url = self.url.to_owned();
        let proxies = self.client.proxies.clone();
        std::thread::spawn(move || listen(request, &url, &proxies, &sender));
        let mut watch = Watch::new(self.client.limits);
        match next(&heard, &mut watch)? {
            Heard::Answer(answer) => self.begin(answer)?,
            Heard::Failed(error) => return Err(error),
            Heard::Piece(_) | Heard::End => return Err(DownloadError::Transient("the connection broke".into())),
        }
        loop {
            match next(&heard, &mut watch)? {
                Heard::Piece(piece) => self.take(&piece, &mut watch)?,
                Heard::End => break,
                Heard::Failed(error) => return Err(error),
                Heard::Answer(_) => {}
            }
        }
        match self.size {
            Some(size) if size != self.sink.position() => Err(DownloadError::Transient(format!(
                "the connection ended after {} of {size} bytes",
                self.sink.position()
            ))),
            _ => Ok(()),
        }
    }

    /// Handles the head of a response.
    fn begin(&mut self, answer: Answer) -> Result<(), DownloadError> {
        let status = answer.status;
        let have = self.sink.position();
        match status {
            StatusCode::OK => {
                // The whole file again: the server does not support ranges, or the file has changed.
                self.sink.restart()?;
                self.size = answer.length;
                self.validator = answer.validator;
                self.how = Downloaded::AtOnce;
            }
            StatusCode::PARTIAL_CONTENT
                if answer.range.is_some_and(|(start, size)| {
                    start == have && (size.is_none() || self.size.is_none() || size == self.size)
                }) =>
            {
                self.size = self.size.or(answer.length.map(|rest| have + rest));
                self.how = Downloaded::InPieces;
            }
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
                self.sink.restart()?;
                self.size = None;
                return Err(DownloadError::Transient(format!("the server answered {status} to the rest of the file")));
            }
            _ => return Err(reason::of_status(status, self.url, &self.client.proxies)),
        }
        match self.size {
            Some(size) if size > self.client.limits.most_bytes => Err(self.too_large(&format!("{size} bytes"))),
            _ => Ok(()),
        }
    }

    /// Handles a piece of the body.
    fn take(&mut self, piece: &[u8], watch: &mut Watch) -> Result<(), DownloadError> {
        watch.received += piece.len() as u64;
        if self.sink.position() + piece.len() as u64 > self.client.limits.most_bytes {
            return Err(self.too_large("without an end"));
        }
        self.sink.append(piece)?;
        (self.progress)(self.sink.position(), self.size);
        Ok(())
    }

    fn too_large(&self, what: &str) -> DownloadError {
        let most = self.client.limits.most_bytes;
        DownloadError::Permanent(format!("the server sends {what}, and a source has at most {most}"))
    }
}

/// Measures how fast a server sends.
struct Watch {
    limits: Limits,
    since: Instant,
    received: u64,
}

impl Watch {
    fn new(limits: Limits) -> Self {
        Self { limits, since: Instant::now(), received: 0 }
    }

    /// Checks the rate once per `patience`. Fails if the server was silent or too slow.
    fn check(&mut self) -> Result<(), DownloadError> {
        let Limits { patience, slowest, .. } = self.limits;
        if self.since.elapsed() < patience {
            return Ok(());
        }
        let seconds = patience.as_secs_f32();
        if self.received == 0 {
            return Err(DownloadError::Transient(format!("the server was silent for {seconds} s")));
        }
        if u128::from(self.received) * 1000 < u128::from(slowest) * patience.as_millis() {
            return Err(DownloadError::Transient(format!(
                "the server sent no more than {} bytes in {seconds} s",
                self.received
            )));
        }
        (self.since, self.received) = (Instant::now(), 0);
        Ok(())
    }
}

/// Returns the next message of the thread that reads from the server.
fn next(heard: &Receiver<Heard>, watch: &mut Watch) -> Result<Heard, DownloadError> {
    let tick = Duration::from_millis(200).min(watch.limits.patience / 4);
    loop {
        interrupt::check()?;
        watch.check()?;
        match heard.recv_timeout(tick) {
            Ok(heard) => return Ok(heard),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(DownloadError::Transient("the connection broke".into()));
            }
        }
    }
}

/// Sends a request, and passes the response on piece by piece.
fn listen(request: reqwest::blocking::RequestBuilder, url: &str, proxies: &Proxies, sender: &SyncSender<Heard>) {
    let mut response = match request.send() {
        Ok(response) => response,
        // The receiver is gone if the download was given up.
        Err(error) => return drop(sender.send(Heard::Failed(reason::of_error(&error, url, proxies)))),
    };
    if sender.send(Heard::Answer(Answer::of(&response))).is_err() {
        return;
    }
    loop {
        let mut piece = vec![0; 64 << 10];
        let heard = match response.read(&mut piece) {
            Ok(0) => Heard::End,
            Ok(read) => {
                piece.truncate(read);
                Heard::Piece(piece)
            }
            Err(error) => {
                Heard::Failed(DownloadError::Transient(format!("the connection broke: {}", reason::chain(&error))))
            }
        };
        let end = !matches!(heard, Heard::Piece(_));
        if sender.send(heard).is_err() || end {
            return;
        }
    }
}
