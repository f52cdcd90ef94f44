//! Why a request failed: messages that name the host, the proxy and the remedy. They never contain
//! the credentials of a URL.

use std::error::Error as StdError;
use std::io;

use reqwest::{StatusCode, Url, redirect};
use rustls::{AlertDescription, CertificateError};

use super::DownloadError;
use super::proxy::Proxies;
use super::shown::shown_url;

/// The most redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// Returns the redirect policy: at most [`MOST_REDIRECTS`], and no loop. reqwest drops credentials
/// when the host changes.
pub(super) fn redirects() -> redirect::Policy {
    redirect::Policy::custom(followed)
}

/// The same for a client that only its own server may know: what leads to another one is left to the caller.
pub(super) fn redirects_within() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let leaves = attempt.previous().first().is_some_and(|first| first.origin() != attempt.url().origin());
        if leaves { attempt.stop() } else { followed(attempt) }
    })
}

fn followed(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let next = shown_url(attempt.url());
    if attempt.previous().contains(attempt.url()) {
        attempt.error(format!("it redirects in a circle, back to {next}"))
    } else if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error(format!("it redirects more than {MOST_REDIRECTS} times, at last to {next}"))
    } else {
        attempt.follow()
    }
}

/// Returns why no CA certificates are available, and the remedy.
pub(super) fn no_certificates(error: &reqwest::Error) -> String {
    format!("{}: install the package ca-certificates, or set SSL_CERT_FILE to a file of certificates", chain(error))
}

/// Returns the error for a request that got no response.
pub(super) fn of_error(error: &reqwest::Error, url: &str, proxies: &Proxies) -> DownloadError {
    let requested = Url::parse(url).ok();
    let last = error.url().or(requested.as_ref());
    if let Some(rustls::Error::InvalidCertificate(error)) = find::<rustls::Error>(error) {
        let host = last.and_then(Url::host_str).unwrap_or_default();
        let remedy = certificate_remedy(error);
        return DownloadError::Permanent(format!("the TLS certificate of {host} is not accepted: {error}: {remedy}"));
    }
    if let Some(rustls::Error::AlertReceived(alert)) = find::<rustls::Error>(error)
        && is_about_the_client(*alert)
    {
        let host = last.and_then(Url::host_str).unwrap_or_default();
        return DownloadError::Permanent(format!(
            "{host} wants a client certificate, or another one ({alert:?}): set SSL_CLIENT_CERT to a file with the \
             certificate and its key"
        ));
    }
    let text = through_proxy(chain(error), last, proxies);
    if error.is_builder() || error.is_redirect() {
        DownloadError::Permanent(text)
    } else if error.is_connect() {
        DownloadError::Unreachable(text)
    } else {
        DownloadError::Transient(text)
    }
}

/// Returns the error for a response with a status other than success.
pub(super) fn of_status(status: StatusCode, url: &str, proxies: &Proxies) -> DownloadError {
    let requested = Url::parse(url).ok();
    let text = |by: &str| through_proxy(format!("{by} answered {status}"), requested.as_ref(), proxies);
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => DownloadError::Permanent(text("the proxy")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => DownloadError::Permanent(format!(
            "{}: a user and password can be in ~/.netrc, or in the URL, https://USER:PASSWORD@…",
            text("the server")
        )),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => DownloadError::Transient(text("the server")),
        _ if status.is_server_error() => DownloadError::Transient(text("the server")),
        _ => DownloadError::Permanent(text("the server")),
    }
}

/// Returns the causes of an error as one text. reqwest's outermost error is left out: it says little
/// and contains the URL.
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

/// Whether a server says by an alert that it does not know who asks.
const fn is_about_the_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
    )
}

/// Returns the first error of a type among an error and its causes.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // The source of an `io::Error` is not the error that it wraps, but that error's source.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => find(inner),
        None => error.source().and_then(find),
    }
}

/// Returns what the user can do about a certificate that is not accepted.
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

/// Returns the text, preceded by the proxy that the request went through and the variable that names it.
fn through_proxy(text: String, url: Option<&Url>, proxies: &Proxies) -> String {
    let Some((proxy, variable)) = url.and_then(|url| proxies.used_for(url)) else { return text };
    format!(
        "through the proxy {proxy} of {variable}: {text}: correct or unset {variable}, or name the host in NO_PROXY"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
