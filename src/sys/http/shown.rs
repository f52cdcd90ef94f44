//! URLs as messages show them: without credentials.

use reqwest::Url;

/// Returns a URL without user, password and query, which may contain a token.
#[must_use]
pub fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => shown_url(&url),
        // What cannot be parsed may contain a password anywhere.
        Err(error) => format!("{}://… ({error})", url.split("://").next().unwrap_or_default()),
    }
}

/// The same for a parsed URL.
pub(super) fn shown_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    // The placeholders of a mirror's URL stay as they were written.
    let path = url.path().replace("%7B", "{").replace("%7D", "}");
    format!("{}://{}{port}{path}{query}", url.scheme(), url.host_str().unwrap_or_default())
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
}
