//! Asking a registry: answers 401 are answered with a token or with credentials, once for each request.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::super::address::RegistryPlace;
use super::super::web::{failed, refused};
use super::challenge::{Challenge, check_realm};
use crate::error::{Error, RemoteError, Result};
use crate::sys::credentials::{Credential, Credentials};
use crate::sys::http::url::encoded;
use crate::sys::http::{Answer, Ask, Body, DownloadError, Head, Method, Session, Sink, url};

/// The largest answer of a token server that is read, in bytes.
const LARGEST_TOKEN: u64 = 256 << 10;

/// What a request is to be permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Pull,
    Push,
    Delete,
}

/// A registry, and what it has permitted so far.
pub(super) struct Access {
    pub(super) address: String,
    pub(super) place: RegistryPlace,
    session: Session,
    credentials: Credentials,
    /// The values of the header `Authorization` that worked.
    granted: Mutex<BTreeMap<Scope, String>>,
}

/// What a token server answers.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Access {
    pub(super) fn new(address: String, place: RegistryPlace, session: Session, credentials: Credentials) -> Self {
        Self { address, place, session, credentials, granted: Mutex::default() }
    }

    /// The URL of something in the repository: `manifests/TAG`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.place.base, self.place.repository)
    }

    /// Asks for something small.
    pub(super) fn small(&self, scope: Scope, ask: &Ask<'_>, most: u64) -> Result<Answer> {
        let exchange = |ask: &Ask<'_>| self.session.small(ask, most);
        self.permitted(scope, ask, &mut { exchange }, |answer| &answer.head)
    }

    /// Sends a file, once.
    pub(super) fn upload(&self, ask: &Ask<'_>) -> Result<Head> {
        let exchange = |ask: &Ask<'_>| self.session.upload(ask);
        self.permitted(Scope::Push, ask, &mut { exchange }, |head| head)
    }

    /// Where an answer leads from a URL.
    pub(super) fn joined(&self, from: &str, to: &str) -> Result<String, String> {
        self.session.joined(from, to)
    }

    /// Receives a file.
    pub(super) fn receive(&self, ask: &Ask<'_>, sink: &mut dyn Sink) -> Result<Head> {
        let mut exchange = |ask: &Ask<'_>| self.session.receive(ask, sink);
        self.permitted(Scope::Pull, ask, &mut exchange, |head| head)
    }

    /// Sends a request, and sends it again with what the registry asks for.
    fn permitted<T>(
        &self,
        scope: Scope,
        ask: &Ask<'_>,
        exchange: &mut dyn FnMut(&Ask<'_>) -> Result<T, DownloadError>,
        head: fn(&T) -> &Head,
    ) -> Result<T> {
        // An upload may go to another host, which is no business of the registry's credentials.
        let is_own = url::is_of_origin(ask.url, &self.place.base);
        let known = self.granted().get(&scope).cloned();
        let mut send = |authorization: Option<&str>| {
            let ask = Ask { authorization: authorization.filter(|_| is_own), ..*ask };
            exchange(&ask).map_err(|error| failed(&self.address, error))
        };
        let answer = send(known.as_deref())?;
        if head(&answer).status() != 401 || !is_own {
            return Ok(answer);
        }
        let Some(authorization) = self.authorization(scope, head(&answer))? else { return Ok(answer) };
        if known.as_ref() == Some(&authorization) {
            return Ok(answer);
        }
        let answer = send(Some(&authorization))?;
        if head(&answer).status() != 401 {
            self.granted().insert(scope, authorization);
        }
        Ok(answer)
    }

    fn granted(&self) -> std::sync::MutexGuard<'_, BTreeMap<Scope, String>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an answer 401 asks for; none if there is nothing to give.
    fn authorization(&self, scope: Scope, head: &Head) -> Result<Option<String>> {
        match Challenge::find(head.all("www-authenticate")) {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.credential()?.as_ref().and_then(Credential::basic)),
            Some(Challenge::Bearer { realm, service }) => {
                let credential = self.credential()?;
                // Who has a token for the registry itself needs none of a token server.
                if let Some(own @ Credential::Bearer(_)) = &credential {
                    return Ok(own.authorization());
                }
                check_realm(&realm, &self.place).map_err(|reason| self.denied(reason))?;
                self.token(&realm, service.as_deref(), scope, credential.as_ref()).map(Some)
            }
        }
    }

    /// The credentials for the registry.
    fn credential(&self) -> Result<Option<Credential>> {
        let host = self.place.base.split_once("://").map_or("", |(_, host)| host);
        self.credentials.find(host).map_err(|error| error.of_remote(&self.address))
    }

    /// Gets a token, which is a secret too.
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Scope,
        credential: Option<&Credential>,
    ) -> Result<String> {
        let actions = match scope {
            Scope::Pull => "pull",
            Scope::Push => "pull,push",
            Scope::Delete => "pull,push,delete",
        };
        let scope = format!("repository:{}:{actions}", self.place.repository);
        let mut query = format!("scope={}", encoded(&scope));
        if let Some(service) = service {
            query = format!("service={}&{query}", encoded(service));
        }
        let answer = if let Some(identity) = credential.and_then(Credential::identity_token) {
            // The user has logged in with a token that stands for user and password.
            let form = format!("grant_type=refresh_token&client_id=pykeel&{query}&refresh_token={}", encoded(identity));
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            let body = Body::Bytes(form.as_bytes());
            let ask = Ask { headers: &headers, body, ..Ask::new(Method::Post, realm) };
            self.session.small(&ask, LARGEST_TOKEN)
        } else {
            let separator = if realm.contains('?') { '&' } else { '?' };
            let url = format!("{realm}{separator}{query}");
            let basic = credential.and_then(Credential::basic);
            let ask = Ask { authorization: basic.as_deref(), ..Ask::new(Method::Get, &url) };
            self.session.small(&ask, LARGEST_TOKEN)
        };
        let Answer { head, body } = answer.map_err(|error| failed(&self.address, error))?;
        if head.status() != 200 {
            return Err(refused(&self.address, &head, "its token server"));
        }
        let wrong = || self.denied("its token server sent no token".into());
        // The reason could quote a secret.
        let token: Token = serde_json::from_slice(&body).map_err(|_| wrong())?;
        let token = token.token.or(token.access_token).filter(|token| !token.is_empty()).ok_or_else(wrong)?;
        Ok(format!("Bearer {token}"))
    }

    fn denied(&self, reason: String) -> Error {
        RemoteError::Denied { address: self.address.clone(), reason }.into()
    }
}
