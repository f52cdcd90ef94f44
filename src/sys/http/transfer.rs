//! One download, over several attempts.

use std::sync::mpsc::sync_channel;

use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE};

use super::wire::{Head, Heard, Watch, listen, next};
use super::{Client, DownloadError, Downloaded, Sink, reason};

/// What the head of a response says of a file.
struct Answer {
    status: StatusCode,
    /// The length of the body, if the server sends it.
    length: Option<u64>,
    /// The start of a partial response, and the size of the file: `Content-Range: bytes 100-199/200`.
    range: Option<(u64, Option<u64>)>,
    validator: Option<HeaderValue>,
    /// Where a redirect leads that was not followed.
    location: Option<String>,
}

/// What comes after the head of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// The file.
    Body,
    /// Another request: with credentials, or to another host.
    Again,
}

impl Answer {
    fn of(head: &Head) -> Self {
        let header = |name| head.raw(name);
        let range = header(CONTENT_RANGE).and_then(|value| {
            let (place, size) = value.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
            Some((place.split('-').next()?.parse().ok()?, size.parse().ok()))
        });
        // A weak ETag does not identify the exact bytes.
        let strong = header(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
        let validator = strong.or_else(|| header(LAST_MODIFIED)).cloned();
        let location = head.header(LOCATION.as_str()).map(str::to_owned);
        Self { status: head.status, length: head.length, range, validator, location }
    }
}

/// The download of one file, over several attempts.
pub(super) struct Transfer<'a> {
    client: &'a Client,
    url: &'a str,
    pub(super) sink: &'a mut dyn Sink,
    progress: &'a dyn Fn(u64, Option<u64>),
    /// The `ETag` or modification time that identifies the file: `If-Range`.
    validator: Option<HeaderValue>,
    size: Option<u64>,
    pub(super) how: Downloaded,
    /// The credentials that the server asked for.
    authorization: Option<HeaderValue>,
    /// The URL at another host that the server redirects to. That host gets neither credentials nor a certificate.
    elsewhere: Option<String>,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        client: &'a Client,
        url: &'a str,
        sink: &'a mut dyn Sink,
        progress: &'a dyn Fn(u64, Option<u64>),
    ) -> Self {
        Self {
            client,
            url,
            sink,
            progress,
            validator: None,
            size: None,
            how: Downloaded::AtOnce,
            authorization: None,
            elsewhere: None,
        }
    }

    /// Requests the file, or the rest of it, and receives it.
    pub(super) fn attempt(&mut self) -> Result<(), DownloadError> {
        // Each reason to ask again is one only once.
        while self.exchange()? == Begun::Again {}
        match self.size {
            Some(size) if size != self.sink.position() => Err(DownloadError::Transient(format!(
                "the connection ended after {} of {size} bytes",
                self.sink.position()
            ))),
            _ => Ok(()),
        }
    }

    fn exchange(&mut self) -> Result<Begun, DownloadError> {
        let (sender, messages) = sync_channel(4);
        let (client, url) = match &self.elsewhere {
            Some(url) => (self.client.elsewhere.as_ref().unwrap_or(&self.client.inner), url.as_str()),
            None => (&self.client.inner, self.url),
        };
        let mut request = client.get(url);
        if let Some(value) = self.authorization.as_ref().filter(|_| self.elsewhere.is_none()) {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let have = self.sink.position();
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = &self.validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        // Requests and reads block, so a thread does them; this one watches the clock and the signals.
        // The thread is not joined when the server is silent: it ends with the connection or the program.
        let url = url.to_owned();
        let proxies = self.client.proxies.clone();
        std::thread::spawn(move || listen(request, &url, &proxies, &sender));
        let mut watch = Watch::new(self.client.limits);
        match next(&messages, &mut watch)? {
            Heard::Head(head) => {
                if self.begin(Answer::of(&head))? == Begun::Again {
                    return Ok(Begun::Again);
                }
            }
            Heard::Failed(error) => return Err(error),
            Heard::Piece(_) | Heard::End => return Err(DownloadError::Transient("the connection broke".into())),
        }
        loop {
            match next(&messages, &mut watch)? {
                Heard::Piece(piece) => self.take(&piece, &mut watch)?,
                Heard::End => return Ok(Begun::Body),
                Heard::Failed(error) => return Err(error),
                Heard::Head(_) => {}
            }
        }
    }

    /// Handles the head of a response.
    fn begin(&mut self, answer: Answer) -> Result<Begun, DownloadError> {
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
            _ if self.asks_again(&answer)? => return Ok(Begun::Again),
            _ => return Err(reason::of_status(status, self.url, &self.client.proxies)),
        }
        match self.size {
            Some(size) if size > self.client.limits.most_bytes => Err(self.too_large(&format!("{size} bytes"))),
            _ => Ok(Begun::Body),
        }
    }

    /// Whether another request may succeed, with credentials or at another host.
    fn asks_again(&mut self, answer: &Answer) -> Result<bool, DownloadError> {
        if self.elsewhere.is_some() {
            return Ok(false);
        }
        if answer.status == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            self.authorization = self.client.authorization(self.url)?;
            return Ok(self.authorization.is_some());
        }
        let Some(to) = answer.location.as_ref().filter(|_| answer.status.is_redirection()) else { return Ok(false) };
        let unusable = |error: String| DownloadError::Permanent(format!("it redirects to no URL: {error}"));
        let next = Url::parse(self.url).and_then(|from| from.join(to)).map_err(|error| unusable(error.to_string()))?;
        self.elsewhere = Some(next.into());
        Ok(true)
    }

    /// Handles a piece of the body.
    fn take(&mut self, piece: &[u8], watch: &mut Watch) -> Result<(), DownloadError> {
        watch.count(piece.len());
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
