//! Downloads over HTTP: resumed, retried, bounded.

use std::io::Read;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_RANGE, RANGE};

use super::interrupt;
use crate::error::{Error, Result};

/// How often one URL is asked, and how long the first pause between two attempts is.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that a download may be, in bytes. The largest source of CPython has 30 MB.
const MOST_BYTES: u64 = 512 << 20;

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
///
/// # Errors
/// That no certificates can be read.
pub fn client() -> Result<Client, String> {
    Client::builder()
        .user_agent(concat!("pykeel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(PATIENCE)
        .timeout(None)
        .build()
        .map_err(|error| described(&error))
}

/// Downloads into an empty sink, going on where a broken connection left off.
///
/// # Errors
/// The last of the attempts' errors.
pub fn download(
    client: &Client,
    url: &str,
    sink: &mut dyn Sink,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), DownloadError> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        match fetch_rest(client, url, sink, progress) {
            Err(DownloadError::Transient(reason)) if attempt == ATTEMPTS => {
                return Err(DownloadError::Transient(format!("{reason} ({ATTEMPTS} attempts)")));
            }
            // A name that is not found once may be found a moment later, and hardly later still.
            Err(DownloadError::Unreachable(reason)) if attempt == 2 => return Err(DownloadError::Unreachable(reason)),
            Err(DownloadError::Transient(_) | DownloadError::Unreachable(_)) => {
                interrupt::check().map_err(DownloadError::Local)?;
                std::thread::sleep(pause);
                pause *= 2;
            }
            other => return other,
        }
    }
    Ok(())
}

fn fetch_rest(
    client: &Client,
    url: &str,
    sink: &mut dyn Sink,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), DownloadError> {
    let have = sink.position();
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let response = request.send().map_err(|error| {
        let reason = described(&error);
        if error.is_connect() {
            DownloadError::Unreachable(reason)
        } else if error.is_builder() || error.is_redirect() {
            DownloadError::Permanent(reason)
        } else {
            DownloadError::Transient(reason)
        }
    })?;
    let status = response.status();
    match status {
        StatusCode::OK => {
            // The whole file again: this server knows no ranges.
            sink.restart()?;
        }
        StatusCode::PARTIAL_CONTENT if starts_at(&response, have) => {}
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
            sink.restart()?;
            return Err(DownloadError::Transient(format!("the server answered {status} to the rest of the file")));
        }
        _ if status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT =>
        {
            return Err(DownloadError::Transient(format!("the server answered {status}")));
        }
        _ => return Err(DownloadError::Permanent(format!("the server answered {status}"))),
    }
    let total = response.content_length().map(|rest| sink.position() + rest);
    receive(response, sink, total, progress)
}

/// Whether a partial answer goes on where the file ends: `Content-Range: bytes 100-199/200`.
fn starts_at(response: &Response, offset: u64) -> bool {
    response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok()?.strip_prefix("bytes ")?.split('-').next()?.parse().ok())
        == Some(offset)
}

fn receive(
    response: Response,
    sink: &mut dyn Sink,
    total: Option<u64>,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), DownloadError> {
    // Reading blocks, so a thread does it: this one minds the clock and the signals. It is not
    // joined when the server is silent, and ends with the connection or the program.
    let (sender, pieces) = std::sync::mpsc::sync_channel(4);
    let mut response = response;
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; 64 << 10];
            let read = response.read(&mut piece).map(|read| {
                piece.truncate(read);
                piece
            });
            let end = !matches!(&read, Ok(piece) if !piece.is_empty());
            if sender.send(read).is_err() || end {
                return;
            }
        }
    });
    let mut silent = Duration::ZERO;
    let tick = Duration::from_millis(200);
    loop {
        interrupt::check().map_err(DownloadError::Local)?;
        match pieces.recv_timeout(tick) {
            Ok(Ok(piece)) if piece.is_empty() => break,
            Ok(Ok(piece)) => {
                silent = Duration::ZERO;
                sink.append(&piece)?;
                if sink.position() > MOST_BYTES {
                    return Err(DownloadError::Permanent(format!("the server sends more than {MOST_BYTES} bytes")));
                }
                progress(sink.position(), total);
            }
            Ok(Err(error)) => {
                return Err(DownloadError::Transient(format!(
                    "the connection broke after {} bytes: {error}",
                    sink.position()
                )));
            }
            Err(RecvTimeoutError::Timeout) => {
                silent += tick;
                if silent > PATIENCE {
                    return Err(DownloadError::Transient(format!(
                        "the server was silent for {} s",
                        PATIENCE.as_secs()
                    )));
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(DownloadError::Transient(format!("the connection broke after {} bytes", sink.position())));
            }
        }
    }
    match total {
        Some(total) if total != sink.position() => {
            Err(DownloadError::Transient(format!("the connection ended after {} of {total} bytes", sink.position())))
        }
        _ => Ok(()),
    }
}

/// An error with all its causes; reqwest says the least in the first. Credentials of a URL are
/// left out.
fn described(error: &reqwest::Error) -> String {
    let mut text = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push(error.to_string());
        cause = error.source();
    }
    if text.is_empty() { error.to_string() } else { text.join(": ") }
}
