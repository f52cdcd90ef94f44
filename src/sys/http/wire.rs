//! One exchange with a server: the thread that talks to it, and the watch over it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{HeaderMap, HeaderName};

use super::proxy::Proxies;
use super::{DownloadError, Limits, reason};
use crate::sys::interrupt;

/// A message of the thread that talks to the server.
pub(super) enum Heard {
    Head(Head),
    Piece(Vec<u8>),
    End,
    Failed(DownloadError),
}

/// The head of a response.
#[derive(Debug, Clone)]
pub struct Head {
    pub(super) status: StatusCode,
    /// The length of the body, if the server sends it.
    pub(super) length: Option<u64>,
    headers: HeaderMap,
}

impl Head {
    fn of(response: &Response) -> Self {
        Self { status: response.status(), length: response.content_length(), headers: response.headers().clone() }
    }

    /// The number of the status: 404.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header whose value is plain text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All values of a header that are plain text.
    pub fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// A header as it is.
    pub(super) fn raw(&self, name: HeaderName) -> Option<&reqwest::header::HeaderValue> {
        self.headers.get(name)
    }
}

/// Measures how fast a server sends and takes.
pub(super) struct Watch {
    limits: Limits,
    since: Instant,
    /// When all has to be over.
    deadline: Option<Instant>,
    received: u64,
    /// The bytes that were sent so far, and at the last look.
    sent: (Arc<AtomicU64>, u64),
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, since: Instant::now(), deadline: None, received: 0, sent: (Arc::default(), 0) }
    }

    /// The same with a time when all has to be over.
    pub(super) fn until(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// Counts bytes that were received.
    pub(super) fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// A reader whose bytes count as sent.
    pub(super) fn counting<R: Read>(&self, reader: R) -> Counted<R> {
        Counted { reader, sent: Arc::clone(&self.sent.0) }
    }

    /// Checks the rate once per `patience`. Fails if the server was silent or too slow.
    fn check(&mut self) -> Result<(), DownloadError> {
        let Limits { patience, slowest, .. } = self.limits;
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(DownloadError::Transient("the server took too long".into()));
        }
        if self.since.elapsed() < patience {
            return Ok(());
        }
        let sent = self.sent.0.load(Ordering::Relaxed);
        let moved = self.received + (sent - self.sent.1);
        let seconds = patience.as_secs_f32();
        if moved == 0 {
            return Err(DownloadError::Transient(format!("the server was silent for {seconds} s")));
        }
        if u128::from(moved) * 1000 < u128::from(slowest) * patience.as_millis() {
            return Err(DownloadError::Transient(format!("the server sent no more than {moved} bytes in {seconds} s")));
        }
        (self.since, self.received, self.sent.1) = (Instant::now(), 0, sent);
        Ok(())
    }
}

/// A reader that counts.
pub(super) struct Counted<R> {
    reader: R,
    sent: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.sent.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Returns the next message of the thread that reads from the server.
pub(super) fn next(heard: &Receiver<Heard>, watch: &mut Watch) -> Result<Heard, DownloadError> {
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
pub(super) fn listen(request: RequestBuilder, url: &str, proxies: &Proxies, sender: &SyncSender<Heard>) {
    let mut response = match request.send() {
        Ok(response) => response,
        // The receiver is gone if the download was given up.
        Err(error) => return drop(sender.send(Heard::Failed(reason::of_error(&error, url, proxies)))),
    };
    if sender.send(Heard::Head(Head::of(&response))).is_err() {
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
