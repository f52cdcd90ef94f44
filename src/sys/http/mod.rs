//! Downloads over HTTP: resumed, retried, bounded.

mod identity;
mod nonblocking;
mod proxy;
mod reason;
mod session;
mod shown;
mod transfer;
pub mod url;
mod wire;

use std::time::Duration;

use proxy::Proxies;
use reqwest::header::HeaderValue;
use reqwest::{Identity, redirect};
use transfer::Transfer;

use super::credentials::Credentials;
use super::interrupt;
use crate::error::{Error, Result};

pub use nonblocking::{Nonblocking, is_metadata};
pub use session::{Answer, Ask, Body, Method, Session};
pub use shown::shown;
pub use wire::Head;

/// What servers are told of the program.
const USER_AGENT: &str = concat!("pykeel/", env!("CARGO_PKG_VERSION"));

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

/// A client that uses the environment's proxies, the system's CA certificates and the user's credentials.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::blocking::Client,
    /// The client for other hosts that a server redirects to, if the first one has a certificate of the user.
    elsewhere: Option<reqwest::blocking::Client>,
    credentials: Credentials,
    limits: Limits,
    proxies: Proxies,
    /// Why no CA certificates are available, if so: `https:` URLs fail with this.
    no_certificates: Option<String>,
}

impl Client {
    /// Makes a client. On a system without any CA certificate it can still fetch `http:` URLs.
    ///
    /// # Errors
    /// Why there cannot be one: a variable that names no usable proxy or certificate, or no TLS, in words.
    pub fn new(limits: Limits) -> Result<Self, String> {
        let (proxies, identity) = (Proxies::from_env()?, identity::of_user()?);
        let redirects = if identity.is_some() { reason::redirects_within } else { reason::redirects };
        let elsewhere = identity.as_ref().map(|_| client(limits, &proxies, None, reason::redirects)).transpose()?;
        let (inner, no_certificates) = client(limits, &proxies, identity.as_ref(), redirects)?;
        let elsewhere = elsewhere.map(|(elsewhere, _)| elsewhere);
        Ok(Self { inner, elsewhere, credentials: Credentials::of_user(), limits, proxies, no_certificates })
    }

    /// The value of the header `Authorization` for a URL that has no credentials in it. They are sent over TLS, and
    /// within this machine.
    fn authorization(&self, url: &str) -> Result<Option<HeaderValue>, DownloadError> {
        let Some(parts) = url::parts(url).ok().filter(|parts| parts.scheme == "https" || parts.is_loopback) else {
            return Ok(None);
        };
        let found = self.credentials.find(&parts.host).map_err(|why| DownloadError::Permanent(why.to_string()))?;
        found.and_then(|credential| credential.authorization()).map(|value| secret(&value)).transpose()
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
        let mut transfer = Transfer::new(self, url, sink, progress);
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

/// A header with a secret, which nothing prints.
fn secret(value: &str) -> Result<HeaderValue, DownloadError> {
    let unusable = |_| DownloadError::Permanent("the credentials have characters that no header can have".into());
    let mut value = HeaderValue::from_str(value).map_err(unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Makes a client of reqwest. Without any CA certificate it can fetch `http:` URLs only, and the second value says why.
fn client(
    limits: Limits,
    proxies: &Proxies,
    identity: Option<&Identity>,
    redirects: fn() -> redirect::Policy,
) -> Result<(reqwest::blocking::Client, Option<String>), String> {
    let builder = || {
        let builder = reqwest::blocking::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(limits.patience)
            .timeout(None)
            .http1_only()
            .referer(false)
            .no_proxy()
            .redirect(redirects());
        let builder = match identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        };
        let proxies = proxies.list().map_err(|error| reason::chain(&error))?;
        Ok::<_, String>(proxies.into_iter().fold(builder, reqwest::blocking::ClientBuilder::proxy))
    };
    match builder()?.build() {
        Ok(inner) => Ok((inner, None)),
        Err(error) => {
            let why = reason::no_certificates(&error);
            Ok((builder()?.tls_certs_only([]).build().map_err(|_| why.clone())?, Some(why)))
        }
    }
}
