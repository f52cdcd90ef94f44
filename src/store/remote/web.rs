//! A remote in a directory that a web server has: what [`super::directory`] writes, read over HTTP.

use std::sync::OnceLock;

use super::files::{Files, INDEX, absent, of_blob};
use super::{Blob, Offer, Pushed};
use crate::error::{Error, RemoteError, Result};
use crate::event::Reporter;
use crate::store::StoredArtifact;
use crate::sys::credentials::{Credential, Credentials};
use crate::sys::http::{Answer, Ask, DownloadError, Head, Method, Session, Sink};

/// A remote behind a web server.
pub(super) struct WebRemote {
    address: String,
    /// The URL of the directory, which ends in `/`.
    base: String,
    session: Session,
    credentials: Credentials,
    /// The value of the header `Authorization`, once the server has asked for it.
    authorization: OnceLock<String>,
}

impl WebRemote {
    pub(super) const fn new(address: String, base: String, session: Session, credentials: Credentials) -> Self {
        Self { address, base, session, credentials, authorization: OnceLock::new() }
    }

    /// Asks for a file, and once more with credentials if the server wants some and there are any.
    fn ask<T>(
        &self,
        file: &str,
        method: Method,
        head: fn(&T) -> &Head,
        exchange: &mut dyn FnMut(&Ask<'_>) -> Result<T, DownloadError>,
    ) -> Result<T> {
        let url = format!("{}{file}", self.base);
        let mut send = |authorization: Option<&String>| {
            let authorization = authorization.map(String::as_str);
            exchange(&Ask { authorization, ..Ask::new(method, &url) }).map_err(|error| failed(&self.address, error))
        };
        let answer = send(self.authorization.get())?;
        if head(&answer).status() != 401 || self.authorization.get().is_some() {
            return Ok(answer);
        }
        let host = self.base.split('/').nth(2).unwrap_or_default();
        let found = self.credentials.find(host).map_err(|error| error.of_remote(&self.address))?;
        match found.as_ref().and_then(Credential::authorization) {
            Some(own) => send(Some(self.authorization.get_or_init(|| own))),
            None => Ok(answer),
        }
    }

    fn small(&self, file: &str, method: Method, most: u64) -> Result<Answer> {
        self.ask(file, method, |answer: &Answer| &answer.head, &mut |ask| self.session.small(ask, most))
    }

    /// Whether an answer is the file; false if there is none.
    fn is_file(&self, head: &Head) -> Result<bool> {
        match head.status() {
            200 | 206 => Ok(true),
            404 | 410 => Ok(false),
            _ => Err(refused(&self.address, head, "the server")),
        }
    }

    /// Distinguishes a remote that has nothing of a kind from a place that is no remote.
    fn require_index(&self) -> Result<()> {
        let Answer { head, .. } = self.small(INDEX, Method::Head, 0)?;
        if self.is_file(&head)? {
            return Ok(());
        }
        let reason = format!("it has no {INDEX}, so there is no remote of pykeel");
        Err(RemoteError::Unavailable { address: self.address.clone(), reason }.into())
    }
}

/// The error for an exchange without an answer.
pub(super) fn failed(address: &str, error: DownloadError) -> Error {
    match error {
        DownloadError::Local(error) => error,
        other => RemoteError::Unavailable { address: address.to_owned(), reason: other.to_string() }.into(),
    }
}

/// The error for an answer that is an error.
pub(super) fn refused(address: &str, head: &Head, who: &str) -> Error {
    let address = address.to_owned();
    match head.status() {
        401 => RemoteError::Denied { address, reason: format!("{who} wants credentials, or others (401)") },
        403 => RemoteError::Denied { address, reason: format!("{who} does not permit it (403)") },
        status => RemoteError::Unavailable { address, reason: format!("{who} answered {status}") },
    }
    .into()
}

impl Files for WebRemote {
    fn address(&self) -> &str {
        &self.address
    }

    fn read(&self, file: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Answer { head, body } = self.small(file, Method::Get, most)?;
        if self.is_file(&head)? {
            return Ok(Some(body));
        }
        if file != INDEX {
            self.require_index()?;
        }
        Ok(None)
    }

    fn receive(&self, blob: Blob, sink: &mut dyn Sink) -> Result<()> {
        let head = self.ask(&of_blob(blob), Method::Get, |head| head, &mut |ask| self.session.receive(ask, sink))?;
        if self.is_file(&head)? { Ok(()) } else { Err(absent(&self.address, blob)) }
    }

    fn give(&self, _: &StoredArtifact, _: Offer, _: &dyn Reporter) -> Result<Pushed> {
        Err(RemoteError::ReadOnly { address: self.address.clone() }.into())
    }

    fn take_away(&self, _: &[Offer], _: &dyn Reporter) -> Result<()> {
        Err(RemoteError::ReadOnly { address: self.address.clone() }.into())
    }

    fn require(&self) -> Result<()> {
        self.require_index()
    }
}
