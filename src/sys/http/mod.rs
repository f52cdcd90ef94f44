//! Downloads over HTTP: resumed, retried, bounded.

mod reason;

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};

use super::interrupt;
use crate::error::{Error, Result};

pub use reason::shown;

/// What a server may take of time, patience and disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How often one URL is asked.
    pub attempts: u32,
    /// How long the first pause between two attempts is; the next is twice as long.
    pub pause: Duration,
    /// How long a server may be silent, or slower than `slowest`.
    pub patience: Duration,
    /// The fewest bytes a second.
    pub slowest: u64,
    /// The most bytes.
    pub most_bytes: u64,
}

impl Default for Limits {
    /// The largest source of CPython has 30 MB, which takes eight hours at the slowest.
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
    /// The server or the network answered; another attempt may go better.
    #[error("{0}")]
    Transient(String),
    /// Nobody is there.
    #[error("{0}")]
    Unreachable(String),
    /// It will answer the same again.
    #[error("{0}")]
    Permanent(String),
    /// Not the download's fault: the disk, a signal.
    #[error(transparent)]
    Local(#[from] Error),
}

/// How a download came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downloaded {
    /// In one answer.
    AtOnce,
    /// In several, which the server may have taken from different files.
    InPieces,
}

/// Whether a broken connection is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// From where it broke.
    Allowed,
    /// From the start.
    Forbidden,
}

/// Where a download goes.
pub trait Sink {
    /// How many bytes it has.
    fn position(&self) -> u64;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// What the system answers.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Forgets what it has.
    ///
    /// # Errors
    /// What the system answers.
    fn restart(&mut self) -> Result<()>;
}

/// A client that honours the proxies of the environment and the certificates of the system.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::blocking::Client,
    limits: Limits,
    /// Why there are no certificates, and so no TLS.
    no_certificates: Option<String>,
}

impl Client {
    /// Makes a client. Without any certificate in the system it can still ask what needs none.
    ///
    /// # Errors
    /// Why there cannot be one.
    pub fn new(limits: Limits) -> Result<Self, String> {
        let builder = || {
            reqwest::blocking::Client::builder()
                .user_agent(concat!("pykeel/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(limits.patience)
                .timeout(None)
                .referer(false)
                .redirect(reason::redirects())
        };
        match builder().build() {
            Ok(inner) => Ok(Self { inner, limits, no_certificates: None }),
            Err(error) => {
                let why = reason::no_certificates(&error);
                let inner = builder().tls_certs_only([]).build().map_err(|_| why.clone())?;
                Ok(Self { inner, limits, no_certificates: Some(why) })
            }
        }
    }

    /// Downloads into an empty sink.
    ///
    /// # Errors
    /// The last of the attempts' errors.
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
                // A name that is not found once may be found a moment later, and hardly later still.
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

/// What the thread that waits for the server says.
enum Heard {
    Answer(Answer),
    Piece(Vec<u8>),
    End,
    Failed(DownloadError),
}

/// The head of an answer.
struct Answer {
    status: StatusCode,
    /// The bytes to come, if the server says.
    length: Option<u64>,
    /// Where a partial answer begins, and the size of the whole: `Content-Range: bytes 100-199/200`.
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
        // A weak tag is of a file that may differ in its bytes.
        let strong = header(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
        let validator = strong.or_else(|| header(LAST_MODIFIED)).cloned();
        Self { status: response.status(), length: response.content_length(), range, validator }
    }
}

/// One file on its way, over several attempts.
struct Transfer<'a> {
    client: &'a Client,
    url: &'a str,
    sink: &'a mut dyn Sink,
    progress: &'a dyn Fn(u64, Option<u64>),
    /// What tells this file from another that is at the URL later.
    validator: Option<HeaderValue>,
    size: Option<u64>,
    how: Downloaded,
}

impl Transfer<'_> {
    /// Asks for the file, or for the rest of it.
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
        // Asking and reading block, so a thread does it: this one minds the clock and the signals.
        // It is not joined when the server is silent, and ends with the connection or the program.
        let url = self.url.to_owned();
        std::thread::spawn(move || listen(request, &url, &sender));
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

    fn begin(&mut self, answer: Answer) -> Result<(), DownloadError> {
        let status = answer.status;
        let have = self.sink.position();
        match status {
            StatusCode::OK => {
                // The whole file again: this server knows no ranges, or has another file now.
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
            _ => return Err(reason::of_status(status, self.url)),
        }
        match self.size {
            Some(size) if size > self.client.limits.most_bytes => Err(self.too_large(&format!("{size} bytes"))),
            _ => Ok(()),
        }
    }

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
        DownloadError::Permanent(format!("the server sends {what}; a source may have at most {most}"))
    }
}

/// How long a server has been slow.
struct Watch {
    limits: Limits,
    since: Instant,
    received: u64,
}

impl Watch {
    fn new(limits: Limits) -> Self {
        Self { limits, since: Instant::now(), received: 0 }
    }

    /// Looks at the clock, once each time that patience is over.
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

/// The next that is heard from the server.
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

/// Sends a request and tells what comes of it.
fn listen(request: reqwest::blocking::RequestBuilder, url: &str, sender: &SyncSender<Heard>) {
    let mut response = match request.send() {
        Ok(response) => response,
        // Nobody listening means that the download was given up.
        Err(error) => return drop(sender.send(Heard::Failed(reason::of_error(&error, url)))),
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
