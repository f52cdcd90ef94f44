//! Exchanges with a server that keeps things for others: every method, bounded answers, bounded time.
//!
//! A redirect is followed without the credentials if it leads to another host, and never from `https` to `http`.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderName, LOCATION, RANGE};
use reqwest::{StatusCode, Url, redirect};

use super::proxy::Proxies;
use super::url::{self, InTheClear};
use super::wire::{Head, Heard, Watch, listen, next};
use super::{DownloadError, Limits, Sink, client, identity, secret};
use crate::error::Result as OwnResult;
use crate::sys::interrupt;

/// How long a small exchange may take, with its repetitions.
const SMALL_EXCHANGE: Duration = Duration::from_secs(25);
/// The longest pause that a server may ask for before a download goes on.
const LONGEST_PAUSE: Duration = Duration::from_secs(25);
/// How long a server may be silent after a file was sent to it: it may have to move it.
const PATIENCE_AFTER_UPLOAD: Duration = Duration::from_mins(1);
/// The most redirects that are followed.
const MOST_REDIRECTS: usize = 5;
/// The longest text of an error that is read, in bytes.
const LONGEST_ERROR: u64 = 64 << 10;

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// What a request sends.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Nothing.
    Empty,
    /// Some bytes.
    Bytes(&'a [u8]),
    /// A file, streamed.
    File(&'a Path),
}

/// A request.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: &'a str,
    /// Headers: names in lower case, and values.
    pub headers: &'a [(&'static str, &'a str)],
    /// The value of the header `Authorization`. It is not sent to another host.
    pub authorization: Option<&'a str>,
    /// What is sent.
    pub body: Body<'a>,
}

impl<'a> Ask<'a> {
    /// A request without headers and body.
    #[must_use]
    pub const fn new(method: Method, url: &'a str) -> Self {
        Self { method, url, headers: &[], authorization: None, body: Body::Empty }
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// Its body; of an answer that is an error at most the beginning.
    pub body: Vec<u8>,
}

/// A client whose exchanges end in bounded time.
#[derive(Clone)]
pub struct Session {
    inner: reqwest::blocking::Client,
    /// The client for other hosts that a server redirects to, if the first one has a certificate of the user.
    elsewhere: Option<reqwest::blocking::Client>,
    limits: Limits,
    proxies: Proxies,
    no_certificates: Option<String>,
    in_the_clear: InTheClear,
}

/// Takes the pieces of a body, the first of which is empty, and says whether to go on. A body that nobody wants may have
/// no end.
type Take<'t> = dyn FnMut(&Head, &[u8]) -> Result<ControlFlow<()>, DownloadError> + 't;

/// Read on.
const ON: ControlFlow<()> = ControlFlow::Continue(());
/// Nothing more of the body is wanted.
const ENOUGH: ControlFlow<()> = ControlFlow::Break(());

impl Session {
    /// Makes a client that uses the environment's proxies, the system's CA certificates and the user's own certificate.
    ///
    /// # Errors
    /// Why there cannot be one, in words.
    pub fn new() -> Result<Self, String> {
        let limits = Limits { attempts: 3, patience: Duration::from_secs(10), slowest: 8 << 10, ..Limits::default() };
        let (proxies, identity) = (Proxies::from_env()?, identity::of_user()?);
        let elsewhere =
            identity.as_ref().map(|_| client(limits, &proxies, None, redirect::Policy::none)).transpose()?;
        let (inner, no_certificates) = client(limits, &proxies, identity.as_ref(), redirect::Policy::none)?;
        let (elsewhere, in_the_clear) = (elsewhere.map(|(elsewhere, _)| elsewhere), InTheClear::OnThisMachine);
        Ok(Self { inner, elsewhere, limits, proxies, no_certificates, in_the_clear })
    }

    /// The same where the user consented, or not, to `http` on the way to other machines.
    #[must_use]
    pub fn with(self, in_the_clear: InTheClear) -> Self {
        Self { in_the_clear, ..self }
    }

    /// Returns where a text of an answer leads from a URL.
    ///
    /// # Errors
    /// Why nobody should go there, as [`url::joined`].
    pub fn joined(&self, from: &str, to: &str) -> Result<String, String> {
        url::joined(from, to, self.in_the_clear)
    }

    /// Asks for something small: an answer of at most so many bytes. An answer that says that the server is busy is
    /// waited for, as long as the server says, if that is not too long. Any status is an answer.
    ///
    /// # Errors
    /// [`DownloadError`] if there is none, or if it is too large.
    pub fn small(&self, ask: &Ask<'_>, most: u64) -> Result<Answer, DownloadError> {
        let deadline = Instant::now() + SMALL_EXCHANGE;
        let mut pause = self.limits.pause;
        for attempt in 1.. {
            let mut body = Vec::new();
            let asked = self.follow(ask, None, Some(deadline), &mut |head, piece| {
                let is_error = head.status.is_client_error() || head.status.is_server_error();
                let most = if is_error { LONGEST_ERROR } else { most };
                if (body.len() + piece.len()) as u64 <= most {
                    body.extend_from_slice(piece);
                    return Ok(ON);
                }
                let reason = format!("the server sends more than {most} bytes");
                if is_error { Ok(ENOUGH) } else { Err(DownloadError::Permanent(reason)) }
            });
            let wait = match &asked {
                Ok(head) if is_busy(head.status) => retry_after(head).unwrap_or(pause),
                Err(DownloadError::Transient(_)) => pause,
                // A second attempt helps when name resolution failed for a moment.
                Err(DownloadError::Unreachable(_)) if attempt < 2 => pause,
                _ => Duration::MAX,
            };
            let is_last =
                attempt >= self.limits.attempts || Instant::now().checked_add(wait).is_none_or(|end| end > deadline);
            if is_last {
                return asked.map(|head| Answer { head, body });
            }
            sleep(wait)?;
            pause *= 2;
        }
        Err(DownloadError::Transient("no attempt is left".into()))
    }

    /// Sends a file, once. Any status is an answer, and its body is not read.
    ///
    /// # Errors
    /// [`DownloadError`] if there is none.
    pub fn upload(&self, ask: &Ask<'_>) -> Result<Head, DownloadError> {
        let patient = Self { limits: Limits { patience: PATIENCE_AFTER_UPLOAD, ..self.limits }, ..self.clone() };
        patient.follow(ask, None, None, &mut |_, _| Ok(ENOUGH))
    }

    /// Receives a file, and continues where a connection broke. Any status other than success is an answer whose body is
    /// not read.
    ///
    /// # Errors
    /// The [`DownloadError`] of the last attempt, and the errors of the sink.
    pub fn receive(&self, ask: &Ask<'_>, sink: &mut dyn Sink) -> Result<Head, DownloadError> {
        let mut pause = self.limits.pause;
        for attempt in 1.. {
            let have = sink.position();
            let mut is_new = true;
            let asked = self.follow(ask, (have > 0).then_some(have), None, &mut |head, piece| match head.status {
                StatusCode::OK => {
                    if is_new && have > 0 {
                        sink.restart()?;
                    }
                    is_new = false;
                    sink.append(piece)?;
                    Ok(ON)
                }
                StatusCode::PARTIAL_CONTENT if starts_at(head, have) => {
                    sink.append(piece)?;
                    Ok(ON)
                }
                StatusCode::PARTIAL_CONTENT => {
                    sink.restart()?;
                    Err(DownloadError::Transient("the server sent another part of the file".into()))
                }
                _ => Ok(ENOUGH),
            });
            let wait = match &asked {
                Ok(head) if is_busy(head.status) => retry_after(head).unwrap_or(pause),
                Ok(head) if head.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                    sink.restart()?;
                    pause
                }
                Err(DownloadError::Transient(_) | DownloadError::Unreachable(_)) => pause,
                _ => Duration::MAX,
            };
            if attempt >= self.limits.attempts || wait > LONGEST_PAUSE {
                return asked;
            }
            sleep(wait)?;
            pause *= 2;
        }
        Err(DownloadError::Transient("no attempt is left".into()))
    }

    /// Sends a request and follows redirects. The pieces of the last answer's body are passed on.
    fn follow(
        &self,
        ask: &Ask<'_>,
        from: Option<u64>,
        deadline: Option<Instant>,
        take: &mut Take<'_>,
    ) -> Result<Head, DownloadError> {
        let mut url = Url::parse(ask.url).map_err(|error| DownloadError::Permanent(error.to_string()))?;
        let first = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let is_own = url.origin() == first.origin();
            let ask = Ask { authorization: ask.authorization.filter(|_| is_own), ..*ask };
            let mut watch = Watch::new(self.limits).until(deadline);
            let inner = if is_own { &self.inner } else { self.elsewhere.as_ref().unwrap_or(&self.inner) };
            let request = self.request(inner, &ask, (&url, from), &watch)?;
            match self.once(request, &url, &mut watch, take)? {
                Next::Done(head) => return Ok(head),
                Next::Redirect(to) if matches!(ask.method, Method::Get | Method::Head) => {
                    url = self.redirected(&url, &to)?;
                }
                Next::Redirect(to) => {
                    return Err(DownloadError::Permanent(format!("it redirects to {}", super::shown(&to))));
                }
            }
        }
        Err(DownloadError::Permanent(format!("it redirects more than {MOST_REDIRECTS} times")))
    }

    /// Returns where a redirect leads.
    fn redirected(&self, from: &Url, to: &str) -> Result<Url, DownloadError> {
        let next = self.joined(from.as_str(), to).map_err(DownloadError::Permanent)?;
        Url::parse(&next).map_err(|error| DownloadError::Permanent(error.to_string()))
    }

    fn request(
        &self,
        inner: &reqwest::blocking::Client,
        ask: &Ask<'_>,
        (url, from): (&Url, Option<u64>),
        watch: &Watch,
    ) -> Result<reqwest::blocking::RequestBuilder, DownloadError> {
        if let Some(why) = self.no_certificates.as_ref().filter(|_| url.scheme() == "https") {
            return Err(DownloadError::Permanent(why.clone()));
        }
        let method = match ask.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = inner.request(method, url.clone());
        for (name, value) in ask.headers {
            request = request.header(HeaderName::from_static(name), *value);
        }
        if let Some(value) = ask.authorization {
            request = request.header(AUTHORIZATION, secret(value)?);
        }
        if let Some(from) = from {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        Ok(match ask.body {
            Body::Empty if ask.method == Method::Post => request.body(Vec::new()),
            Body::Empty => request,
            Body::Bytes(bytes) => request.body(bytes.to_vec()),
            Body::File(path) => {
                let opened = fs_err::File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
                let (size, file) = opened.map_err(crate::error::Error::Io)?;
                request.body(reqwest::blocking::Body::sized(watch.counting(file), size))
            }
        })
    }

    /// One exchange.
    fn once(
        &self,
        request: reqwest::blocking::RequestBuilder,
        url: &Url,
        watch: &mut Watch,
        take: &mut Take<'_>,
    ) -> Result<Next, DownloadError> {
        let broke = || DownloadError::Transient("the connection broke".into());
        let (sender, messages) = sync_channel(4);
        let (place, proxies) = (url.to_string(), self.proxies.clone());
        // As for downloads: a thread talks, and this one watches.
        std::thread::spawn(move || listen(request, &place, &proxies, &sender));
        let head = match next(&messages, watch)? {
            Heard::Head(head) => head,
            Heard::Failed(error) => return Err(error),
            Heard::Piece(_) | Heard::End => return Err(broke()),
        };
        if let Some(to) = head.header(LOCATION.as_str()).filter(|_| head.status.is_redirection()) {
            return Ok(Next::Redirect(to.to_owned()));
        }
        // The thread ends when it finds nobody to take what it reads.
        let mut flow = take(&head, &[])?;
        loop {
            if flow.is_break() {
                return Ok(Next::Done(head));
            }
            match next(&messages, watch)? {
                Heard::Piece(piece) => {
                    watch.count(piece.len());
                    flow = take(&head, &piece)?;
                }
                Heard::End => return Ok(Next::Done(head)),
                Heard::Failed(error) => return Err(error),
                Heard::Head(_) => return Err(broke()),
            }
        }
    }
}

/// What comes after an exchange.
enum Next {
    Done(Head),
    Redirect(String),
}

/// Whether a server says that the same request may succeed later.
fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// How long a server asks to wait.
fn retry_after(head: &Head) -> Option<Duration> {
    let text = head.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // `Sat, 28 Nov 2026 09:00:00 GMT`
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or_default())
}

/// Whether a part of a file is the one from a position on.
fn starts_at(head: &Head, position: u64) -> bool {
    let range = head.header("content-range").and_then(|value| value.strip_prefix("bytes ")?.split('-').next());
    range.and_then(|start| start.parse().ok()) == Some(position)
}

/// Sleeps, and ends at a signal.
fn sleep(time: Duration) -> OwnResult<()> {
    let end = Instant::now() + time;
    loop {
        interrupt::check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_server_is_asked_again() {
        for (status, expected) in
            [(429, true), (503, true), (500, true), (408, true), (501, false), (404, false), (401, false), (200, false)]
        {
            assert_eq!(is_busy(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
    }
}
