//! Why a request failed, in words that name the host, the proxy and what can be done. Credentials
//! of a URL are in none of them.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{StatusCode, Url, redirect};
use rustls::CertificateError;

use super::DownloadError;

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 10;

/// A URL as it may be shown: without a user, a password and a query, which may hold a token.
#[must_use]
pub fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => shown_url(&url),
        // What cannot be told apart is not shown.
        Err(error) => format!("{}://… ({error})", url.split("://").next().unwrap_or_default()),
    }
}

fn shown_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    // The places of a mirror, as they were written.
    let path = url.path().replace("%7B", "{").replace("%7D", "}");
    format!("{}://{}{port}{path}{query}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Which redirects are followed: some, and none twice. reqwest leaves credentials out for any other
/// host.
pub(super) fn redirects() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let next = shown_url(attempt.url());
        if attempt.previous().contains(attempt.url()) {
            attempt.error(format!("it redirects in a circle, back to {next}"))
        } else if attempt.previous().len() > MOST_REDIRECTS {
            attempt.error(format!("it redirects more than {MOST_REDIRECTS} times, at last to {next}"))
        } else {
            attempt.follow()
        }
    })
}

/// Why there are no certificates to check a server's by.
pub(super) fn no_certificates(error: &reqwest::Error) -> String {
    format!("{}: install the package ca-certificates, or set SSL_CERT_FILE to a file of certificates", chain(error))
}

/// Why there was no answer.
pub(super) fn of_error(error: &reqwest::Error, url: &str) -> DownloadError {
    let asked = Url::parse(url).ok();
    let last = error.url().or(asked.as_ref());
    if let Some(rustls::Error::InvalidCertificate(error)) = find::<rustls::Error>(error) {
        let host = last.and_then(Url::host_str).unwrap_or_default();
        let remedy = certificate_remedy(error);
        return DownloadError::Permanent(format!("the TLS certificate of {host} is not accepted: {error}: {remedy}"));
    }
    let text = through_proxy(chain(error), last);
    if error.is_builder() || error.is_redirect() {
        DownloadError::Permanent(text)
    } else if error.is_connect() {
        DownloadError::Unreachable(text)
    } else {
        DownloadError::Transient(text)
    }
}

/// Why an answer is of no use.
pub(super) fn of_status(status: StatusCode, url: &str) -> DownloadError {
    let asked = Url::parse(url).ok();
    let text = |by: &str| through_proxy(format!("{by} answered {status}"), asked.as_ref());
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => DownloadError::Permanent(text("the proxy")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => DownloadError::Permanent(format!(
            "{}: a user and password can be in the URL, https://USER:PASSWORD@…",
            text("the server")
        )),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => DownloadError::Transient(text("the server")),
        _ if status.is_server_error() => DownloadError::Transient(text("the server")),
        _ => DownloadError::Permanent(text("the server")),
    }
}

/// An error with all its causes; reqwest says the least in the first, and names the URL there.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let this = error.to_string();
        // A wrapper often says what it wraps.
        if text.last().is_none_or(|last| !last.ends_with(&this)) {
            text.push(this);
        }
        cause = error.source();
    }
    if text.is_empty() { error.to_string() } else { text.join(": ") }
}

/// The first error of a type among an error and its causes.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // Its source is not what it wraps, but what that has as its source.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => find(inner),
        None => error.source().and_then(find),
    }
}

fn certificate_remedy(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            format!("check the system clock: it says {}", jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M"))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "ask the server by a name that is in its certificate".into()
        }
        _ => "if a CA of your own signed it, set SSL_CERT_FILE to a file with the certificates to trust".into(),
    }
}

/// The text with the proxy that the request went through, and the variable that names it.
fn through_proxy(text: String, url: Option<&Url>) -> String {
    let Some((proxy, variable)) = url.and_then(proxy_of) else { return text };
    format!(
        "through the proxy {proxy} of {variable}: {text}: correct or unset {variable}, or name the host in NO_PROXY"
    )
}

/// The proxy that the environment names for a URL, and the variable it is in.
fn proxy_of(url: &Url) -> Option<(String, &'static str)> {
    let proxy = Matcher::from_env().intercept(&url.as_str().parse().ok()?)?;
    let own = if url.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let is_set = |name: &&str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let variable = own.into_iter().chain(["ALL_PROXY", "all_proxy"]).find(is_set).unwrap_or("the environment");
    let uri = proxy.uri();
    let host = uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    Some((format!("{}://{}", uri.scheme_str().unwrap_or("http"), host.unwrap_or_default()), variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(shown("https://user:secret@mirror.test/a.tgz"), "https://mirror.test/a.tgz");
        assert_eq!(shown("https://mirror.test:8443/a.tgz?token=secret"), "https://mirror.test:8443/a.tgz?…");
        for url in ["https://user:sec/ret@mirror.test/a", "https://user:secret@", "http://[user:secret@x"] {
            assert!(!shown(url).contains("sec"), "{}", shown(url));
        }
    }

    #[test]
    fn a_cause_deep_within_is_found() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = io::Error::other(io::Error::other(inner));
        let outer = Outer(error);
        assert!(matches!(find::<rustls::Error>(&outer), Some(rustls::Error::InvalidCertificate(_))));
    }

    #[derive(Debug)]
    struct Outer(io::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }
}
