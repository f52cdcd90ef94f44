//! URLs: of files, and in parts.

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use reqwest::Url;

/// Returns the scheme of a URL, in lower case.
///
/// # Errors
/// Why the text is not a URL.
pub fn scheme(text: &str) -> Result<String, String> {
    Url::parse(text).map(|url| url.scheme().to_owned()).map_err(|error| error.to_string())
}

/// Returns the URL of a file on this machine, or `None` for a relative path.
#[must_use]
pub fn of_file(path: &Path) -> Option<String> {
    Url::from_file_path(path).ok().map(Into::into)
}

/// The parts of an address `scheme://host[:port]/path[?query]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// In lower case.
    pub scheme: String,
    /// The host, with the port where one is given: `registry.test:5000`.
    pub host: String,
    /// The path, which begins with `/`.
    pub path: String,
    /// The query, without `?`.
    pub query: Option<String>,
    /// Whether it leads to this machine alone.
    pub is_loopback: bool,
}

/// Takes an address apart.
///
/// # Errors
/// Why it cannot be: it is no URL, has no host, or has credentials or a fragment.
pub fn parts(text: &str) -> Result<Parts, String> {
    let (scheme, rest) = text.split_once("://").ok_or("it has no scheme such as https://")?;
    if rest.starts_with(['/', '?']) {
        return Err("it has no host".into());
    }
    // Of a scheme that it does not know, a URL's host and port are not checked.
    let url = Url::parse(&format!("http://{rest}")).map_err(|error| error.to_string())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user or a password in it".into());
    }
    if url.fragment().is_some() {
        return Err("it has a fragment".into());
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it has no host")?;
    // The port of `http` is left out of a URL that has it, and an address of another scheme may mean it.
    let named = rest.split(['/', '?']).next().unwrap_or_default();
    let port = named.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
    Ok(Parts {
        scheme: scheme.to_ascii_lowercase(),
        host: port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
        path: url.path().to_owned(),
        query: url.query().map(str::to_owned),
        is_loopback: is_loopback(host),
    })
}

/// Whether a URL has the scheme, host and port of another.
#[must_use]
pub fn is_of_origin(url: &str, of: &str) -> bool {
    let origin = |text: &str| Url::parse(text).map(|url| url.origin());
    origin(url).is_ok_and(|own| origin(of).is_ok_and(|of| own == of))
}

/// Where `http` is acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InTheClear {
    /// Between programs of this machine.
    OnThisMachine,
    /// Anywhere: the user consented to it.
    Anywhere,
}

/// Returns where a text leads from a URL: it may be a path of the same host.
///
/// # Errors
/// Why nobody should go there: it is no URL, leads from `https` to `http` or another scheme, or from this machine in the
/// clear to another one without consent.
pub fn joined(from: &str, to: &str, in_the_clear: InTheClear) -> Result<String, String> {
    let from = Url::parse(from).map_err(|error| error.to_string())?;
    let wrong = |reason: &str| format!("it leads to {}: {reason}", super::shown(to));
    let next = from.join(to).map_err(|error| wrong(&error.to_string()))?;
    match next.scheme() {
        "https" => Ok(next.into()),
        // In the clear, credentials or not, only where everything is.
        "http" if from.scheme() == "http" => {
            let leaves = !next.host_str().is_some_and(is_loopback);
            match in_the_clear {
                InTheClear::OnThisMachine if leaves => Err(wrong("another machine, in the clear")),
                InTheClear::OnThisMachine | InTheClear::Anywhere => Ok(next.into()),
            }
        }
        "http" => Err(wrong("from https to http")),
        other => Err(wrong(&format!("the scheme {other} is neither http nor https"))),
    }
}

/// Returns a text as a value in the query of a URL.
#[must_use]
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Whether a host is this machine, by its name or number.
pub(super) fn is_loopback(host: &str) -> bool {
    let number = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    number.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// Returns the path that a `file` URL names.
///
/// # Errors
/// Why it names no path of this machine.
pub fn file_path(url: &str) -> Result<PathBuf, String> {
    let rest = url.split_once(':').map_or(url, |(_, rest)| rest);
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                return Err("a file URL names a path of this machine; its host has to be empty or localhost".into());
            }
            path
        }
    };
    if !path.starts_with('/') {
        return Err("it names no absolute path".into());
    }
    if path.contains(['?', '#']) {
        return Err("it has a query or a fragment; write %3F for ? and %23 for #".into());
    }
    let decoded = decoded(path).ok_or("it has a % that two hexadecimal digits other than 00 do not follow")?;
    Ok(OsString::from_vec(decoded).into())
}

/// Decodes `%20` and the like; `None` for an escape that is none, or stands for a NUL byte.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = u8::try_from(digit()? * 16 + digit()?).ok().filter(|value| *value != 0)?;
        decoded.push(value);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_escaped() {
        assert_eq!(of_file(Path::new("/srv/my files/a%b#.tar.gz")).unwrap(), "file:///srv/my%20files/a%25b%23.tar.gz");
        assert_eq!(of_file(Path::new("srv/a")), None);
    }

    #[test]
    fn a_scheme_is_read_or_the_reason_why_not() {
        assert_eq!(scheme("HTTPS://a.test/x").unwrap(), "https");
        assert_eq!(scheme("/srv/x").unwrap_err(), "relative URL without a base");
    }

    #[test]
    fn an_address_is_taken_apart() {
        let of = |text| parts(text).unwrap();
        let whole = of("OCI://Registry.test:5000/team/python?a=b");
        assert_eq!(
            (&whole.scheme[..], &whole.host[..], &whole.path[..]),
            ("oci", "registry.test:5000", "/team/python")
        );
        assert_eq!((whole.query.as_deref(), whole.is_loopback), (Some("a=b"), false));
        assert_eq!(of("oci://registry.test:80/x").host, "registry.test:80");
        assert_eq!(of("oci://registry.test/x:1").host, "registry.test");
        for (text, host) in
            [("http://127.0.0.1:1/", "127.0.0.1:1"), ("https://[::1]:2/x", "[::1]:2"), ("x://localhost", "localhost")]
        {
            assert_eq!((of(text).host, of(text).is_loopback), (host.to_owned(), true), "{text}");
        }
        assert!(!of("http://localhost.test/").is_loopback && !of("http://128.0.0.1/").is_loopback);
        for (text, reason) in [
            ("/srv/x", "no scheme"),
            ("https://me:secret@x.test/", "a user or a password"),
            ("https://me@x.test/", "a user or a password"),
            ("https://x.test/#a", "a fragment"),
            ("https:///x", "no host"),
            ("https://x.test:70000/", "invalid port"),
        ] {
            let error = parts(text).unwrap_err();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_leads_from_https_to_http_or_to_another_scheme() {
        let joined = |from, to| super::joined(from, to, InTheClear::Anywhere);
        assert_eq!(joined("https://a.test/x/y", "../z"), Ok("https://a.test/z".into()));
        assert_eq!(joined("https://a.test/x", "https://b.test/"), Ok("https://b.test/".into()));
        assert_eq!(joined("http://a.test/x", "http://b.test/"), Ok("http://b.test/".into()));
        let error = joined("https://a.test/x", "http://a.test/?token=secret").unwrap_err();
        assert!(error.contains("from https to http") && !error.contains("secret"), "{error}");
        assert!(joined("http://a.test/x", "file:///etc/passwd").unwrap_err().contains("the scheme file"));
        assert!(
            is_of_origin("https://a.test:443/x", "https://a.test")
                && !is_of_origin("https://a.test:1/", "https://a.test")
        );
        assert!(!is_of_origin("http://a.test/", "https://a.test/") && !is_of_origin("x", "x"));
    }

    #[test]
    fn nothing_leads_from_this_machine_to_another_in_the_clear_without_consent() {
        for (to, is_here) in [
            ("http://b.test/", false),
            ("http://128.0.0.1/", false),
            ("http://localhost.test/", false),
            ("//b.test/x", false),
            ("https://b.test/", true),
            ("http://[::1]:5/x", true),
            ("/y", true),
        ] {
            let joined = |consent| joined("http://127.0.0.1:8080/x", to, consent);
            let found = joined(InTheClear::OnThisMachine);
            assert_eq!(found.is_ok(), is_here, "{to}: {found:?}");
            assert!(found.err().is_none_or(|error| error.contains("another machine, in the clear")), "{to}");
            assert!(joined(InTheClear::Anywhere).is_ok(), "{to}");
        }
    }

    #[test]
    fn a_value_of_a_query_is_escaped() {
        assert_eq!(encoded("repository:a/b_c:pull,push \u{e9}"), "repository%3Aa%2Fb_c%3Apull%2Cpush%20%C3%A9");
    }
}
