//! The addresses of remotes: `file:///srv/pythons`, `https://pythons.test/store`, `oci://registry.test/team/python`,
//! `s3://bucket/pythons`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::domain::serde_by_display;
use crate::error::{Error, RemoteError, Result};
use crate::sys::http;
use crate::sys::http::url::{self, InTheClear, Parts};

/// The parameter of an address that names the host of a registry's token server.
const TOKEN_SERVER: &str = "token-server";
/// The schemes of addresses.
const SCHEMES: &str = "file, https, oci, s3, gs and az";
/// What follows a scheme by whose address the user consents to `http`.
const INSECURE: &str = "+insecure";

/// The address of a remote. It prints as it was written, and holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    text: String,
    place: Place,
}

/// Where a remote is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A directory that a web server has, by its URL, which ends in `/`.
    Web(String),
    /// A repository of an OCI registry.
    Registry(RegistryPlace),
    /// A bucket of an object store.
    Cloud(CloudPlace),
}

/// A bucket of an object store, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CloudPlace {
    pub(super) cloud: Cloud,
    /// The bucket, or the container.
    pub(super) bucket: String,
    /// What the names of its files begin with: `team/pythons`, or nothing.
    pub(super) prefix: String,
}

/// The kinds of object stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cloud {
    /// S3, and what speaks as it does.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl Cloud {
    fn of_scheme(scheme: &str) -> Option<Self> {
        [Self::S3, Self::Google, Self::Azure].into_iter().find(|cloud| cloud.scheme() == scheme)
    }

    const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }

    /// What the names of the environment variables begin with that say how to get there.
    pub(super) const fn variables(self) -> &'static str {
        match self {
            Self::S3 => "AWS_",
            Self::Google => "GOOGLE_",
            Self::Azure => "AZURE_",
        }
    }
}

/// A repository of an OCI registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RegistryPlace {
    /// `https://registry.test:5000`.
    pub(super) base: String,
    /// `team/python`.
    pub(super) repository: String,
    /// The host that may give tokens besides the registry's own.
    pub(super) token_server: Option<String>,
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// [`RemoteError::Address`] with the reason, and without the credentials that the text may hold.
    pub fn parse(text: &str) -> Result<Self> {
        let place = place(text).map_err(|reason| {
            // A text without a scheme is a path, or may hold a password where nobody expects one.
            let address = match text.contains("://") {
                true => http::shown(text),
                false if text.contains('@') => "…".into(),
                false => format!("`{}`", text.escape_debug()),
            };
            Error::from(RemoteError::Address { address, reason })
        })?;
        Ok(Self { text: text.to_owned(), place })
    }

    /// Parses an address of a lock, which somebody else may have written. It can say where something is, and consents to
    /// nothing: not to `http` between machines, and to no other host that gets credentials.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn of_lock(text: &str) -> Result<Self> {
        let wrong = |address: String, reason: &str| Err(RemoteError::Address { address, reason: reason.into() }.into());
        if let Some(other) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return wrong(
                format!("`{}`", http::shown(text).escape_debug()),
                &format!("it has the character {other:?}"),
            );
        }
        let address = Self::parse(text)?;
        if address.in_the_clear() == InTheClear::Anywhere {
            return wrong(text.into(), "a lock cannot consent to http: the configuration can");
        }
        match &address.place {
            Place::Registry(RegistryPlace { token_server: Some(_), .. }) => {
                wrong(text.into(), "a lock cannot name a token server: the configuration can")
            }
            _ => Ok(address),
        }
    }

    /// Returns the address as a lock has it, which is the same however it was written; `None` for one that is reached by
    /// `http` because the user consented.
    #[must_use]
    pub fn in_lock(&self) -> Option<String> {
        if self.in_the_clear() == InTheClear::Anywhere {
            return None;
        }
        match &self.place {
            Place::Directory(path) => url::of_file(path),
            Place::Web(base) => Some(base.trim_end_matches('/').to_owned()),
            Place::Cloud(CloudPlace { cloud, bucket, prefix }) => {
                let text = format!("{}://{bucket}/{prefix}", cloud.scheme());
                Some(text.trim_end_matches('/').to_owned())
            }
            Place::Registry(RegistryPlace { base, repository, .. }) => {
                base.split_once("://").map(|(_, host)| format!("oci://{host}/{repository}"))
            }
        }
    }

    /// Whether it is reached over the network.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        !matches!(self.place, Place::Directory(_))
    }

    /// Whether nothing can be pushed to it.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        matches!(self.place, Place::Web(_))
    }

    /// Whether the user consented to `http` on the way to other machines.
    pub(super) fn in_the_clear(&self) -> InTheClear {
        let scheme = self.text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let consents = scheme.is_some_and(|scheme| scheme.ends_with(INSECURE));
        if consents { InTheClear::Anywhere } else { InTheClear::OnThisMachine }
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

serde_by_display!(Address);

fn place(text: &str) -> Result<Place, String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    if scheme == "file" {
        return url::file_path(text).map(Place::Directory);
    }
    let parts = url::parts(text)?;
    let (kind, consent) = match parts.scheme.strip_suffix(INSECURE) {
        Some(kind) => (kind, true),
        None => (&parts.scheme[..], false),
    };
    match kind {
        "https" if consent => Err("https is not insecure: leave +insecure out, or write http+insecure".into()),
        "https" | "http" => {
            if kind == "http" && !consent && !parts.is_loopback {
                return Err("http sends everything in the clear, and anybody on the way could change the answers; \
                            write http+insecure if that is acceptable"
                    .into());
            }
            if parts.query.is_some() {
                return Err("it has a query".into());
            }
            Ok(Place::Web(format!("{kind}://{}{}/", parts.host, parts.path.trim_end_matches('/'))))
        }
        "oci" => registry(&parts, consent).map(Place::Registry),
        "" => Err(format!("it has no scheme: it is none of {SCHEMES}")),
        other => match Cloud::of_scheme(other) {
            Some(cloud) => bucket(cloud, &parts).map(Place::Cloud),
            None => Err(format!("the scheme {other} is none of {SCHEMES}")),
        },
    }
}

fn bucket(cloud: Cloud, parts: &Parts) -> Result<CloudPlace, String> {
    if parts.query.is_some() {
        return Err("it has a query".into());
    }
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
    // A name that is a number would have been changed on the way here.
    let is_name =
        |name: &str| name.len() >= 3 && name.bytes().all(plain) && name.bytes().any(|c| c.is_ascii_alphabetic());
    if !is_name(&parts.host) {
        return Err("the bucket has other characters than a-z, 0-9 and - . _, or is too short".into());
    }
    let prefix = parts.path.trim_matches('/');
    let is_part = |part: &str| !part.bytes().all(|c| c == b'.') && part.bytes().all(plain);
    if !prefix.is_empty() && !prefix.split('/').all(is_part) {
        return Err("what comes after the bucket has parts with other characters than letters, digits and - . _".into());
    }
    Ok(CloudPlace { cloud, bucket: parts.host.clone(), prefix: prefix.to_owned() })
}

fn registry(parts: &Parts, consent: bool) -> Result<RegistryPlace, String> {
    // Registries on this machine rarely have a certificate.
    let scheme = if consent || parts.is_loopback { "http" } else { "https" };
    let repository = parts.path.trim_matches('/');
    if repository.is_empty() {
        return Err("it names no repository".into());
    }
    if !is_repository(repository) {
        return Err("the repository has characters other than a-z, 0-9 and single . _ - / between them".into());
    }
    let mut token_server = None;
    for parameter in parts.query.iter().flat_map(|query| query.split('&')) {
        match parameter.split_once('=') {
            Some((TOKEN_SERVER, host)) if url::parts(&format!("https://{host}")).is_ok_and(|own| own.host == host) => {
                token_server = Some(host.to_owned());
            }
            _ => return Err(format!("its query may have {TOKEN_SERVER}=HOST alone")),
        }
    }
    Ok(RegistryPlace { base: format!("{scheme}://{}", parts.host), repository: repository.to_owned(), token_server })
}

/// Whether a text is the name of a repository, as the OCI distribution specification has it: parts of lower-case letters
/// and digits, with `.`, `_`, `__` or dashes between them.
fn is_repository(name: &str) -> bool {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let separators = part.split(plain).filter(|between| !between.is_empty());
        part.starts_with(plain)
            && part.ends_with(plain)
            && separators
                .into_iter()
                .all(|between| matches!(between, "." | "_" | "__") || between.chars().all(|c| c == '-'))
    };
    name.len() <= 255 && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Place, String> {
        text.parse::<Address>().map(|address| address.place)
    }

    fn registry(base: &str, token_server: Option<&str>) -> Place {
        Place::Registry(RegistryPlace {
            base: base.into(),
            repository: "team/python".into(),
            token_server: token_server.map(str::to_owned),
        })
    }

    fn cloud(cloud: Cloud, prefix: &str) -> Place {
        Place::Cloud(CloudPlace { cloud, bucket: "my-bucket".into(), prefix: prefix.into() })
    }

    #[test]
    fn an_address_says_where_a_remote_is_and_prints_as_it_was_written() {
        for (text, expected) in [
            ("file:///srv/my%20pythons", Place::Directory("/srv/my pythons".into())),
            ("https://pythons.test/a", Place::Web("https://pythons.test/a/".into())),
            ("https://pythons.test", Place::Web("https://pythons.test/".into())),
            ("http://127.0.0.1:8000/a/", Place::Web("http://127.0.0.1:8000/a/".into())),
            ("http+insecure://pythons.test/", Place::Web("http://pythons.test/".into())),
            ("oci://registry.test/team/python", registry("https://registry.test", None)),
            ("oci://registry.test:80/team/python", registry("https://registry.test:80", None)),
            ("oci://localhost:5000/team/python/", registry("http://localhost:5000", None)),
            ("oci+insecure://registry.test/team/python", registry("http://registry.test", None)),
            (
                "oci://registry.test/team/python?token-server=auth.test:8443",
                registry("https://registry.test", Some("auth.test:8443")),
            ),
            ("s3://my-bucket", cloud(Cloud::S3, "")),
            ("s3+insecure://my-bucket/", cloud(Cloud::S3, "")),
            ("gs://my-bucket/team/python_s/", cloud(Cloud::Google, "team/python_s")),
            ("az://my-bucket/a.b", cloud(Cloud::Azure, "a.b")),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_named_without_its_password() {
        for (text, reason) in [
            ("/srv/pythons", "no scheme"),
            ("ftp://x.test/", "the scheme ftp is none of"),
            ("http://pythons.test/", "write http+insecure"),
            ("https+insecure://pythons.test/", "leave +insecure out"),
            ("https://me:secret@pythons.test/", "a user or a password"),
            ("oci://me:secret@registry.test/x", "a user or a password"),
            ("https://pythons.test/?token=secret", "it has a query"),
            ("file://pythons.test/srv", "host has to be empty"),
            ("oci://registry.test", "names no repository"),
            ("oci://registry.test/Team", "characters other than"),
            ("oci://registry.test/a.-b", "characters other than"),
            ("s3://", "empty host"),
            ("s3://b", "too short"),
            ("s3://1.2", "the bucket has"),
            ("s3://bucket:9000/x", "the bucket has"),
            ("s3://key:secret@bucket/x", "a user or a password"),
            ("s3://bucket/x?token=secret", "it has a query"),
            ("gs://bucket/a//b", "what comes after"),
            ("az://bucket/a%2fb", "what comes after"),
            ("oci://registry.test/a?x=secret", "token-server=HOST alone"),
            ("oci://registry.test/a?token-server=x/y", "token-server=HOST alone"),
            ("", "no scheme"),
        ] {
            let error = parse(text).map_or_else(|error| error, |place| format!("{place:?}"));
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_in_a_lock_is_always_the_same_and_consents_to_nothing() {
        for (text, expected) in [
            ("file:/srv/my%20pythons", "file:///srv/my%20pythons"),
            ("file:///srv/ü/", "file:///srv/%C3%BC"),
            ("HTTPS://Pythons.test/a/", "https://pythons.test/a"),
            ("https://pythons.test", "https://pythons.test"),
            ("http://127.0.0.1:8000/a/", "http://127.0.0.1:8000/a"),
            ("oci://registry.test/team/python?token-server=auth.test", "oci://registry.test/team/python"),
            ("oci://localhost:5000/team/python/", "oci://localhost:5000/team/python"),
            ("S3://my-bucket/", "s3://my-bucket"),
            ("gs://my-bucket/team/", "gs://my-bucket/team"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.in_lock().as_deref(), Some(expected), "{text}");
            let again = Address::of_lock(expected).unwrap();
            assert_eq!(again.in_lock().as_deref(), Some(expected), "{text}");
        }
        for text in ["http+insecure://pythons.test/", "oci+insecure://localhost:5000/x", "s3+insecure://my-bucket"] {
            assert_eq!(Address::parse(text).unwrap().in_lock(), None, "{text}");
        }
        for (text, reason) in [
            ("http+insecure://pythons.test/", "a lock cannot consent to http"),
            ("oci+INSECURE://registry.test/x", "a lock cannot consent to http"),
            ("oci://registry.test/x?token-server=evil.test", "a lock cannot name a token server"),
            ("https://me:secret@pythons.test/", "a user or a password"),
            ("https://me:secret@pythons.test/\u{1b}[2J", "it has the character '\\u{1b}'"),
            ("https://pythons.test/ ", "it has the character ' '"),
            ("http://pythons.test/", "write http+insecure"),
            ("/srv", "no scheme"),
        ] {
            let error = Address::of_lock(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("secret") && !error.contains('\u{1b}'), "{text}: {error}");
        }
    }

    #[test]
    fn consent_to_http_is_in_the_scheme_alone() {
        for (text, expected) in [
            ("http+INSECURE://localhost/", InTheClear::Anywhere),
            ("oci+insecure://registry.test/x", InTheClear::Anywhere),
            ("http://localhost/x+insecure", InTheClear::OnThisMachine),
            ("oci://localhost/x", InTheClear::OnThisMachine),
            ("s3://bucket/insecure", InTheClear::OnThisMachine),
            ("s3+insecure://bucket", InTheClear::Anywhere),
            ("https://pythons.test/", InTheClear::OnThisMachine),
        ] {
            assert_eq!(Address::parse(text).unwrap().in_the_clear(), expected, "{text}");
        }
    }

    #[test]
    fn a_repository_is_made_of_plain_parts() {
        for good in ["a", "a/b", "a.b/c_d/e--f/g__h/0"] {
            assert!(is_repository(good), "{good}");
        }
        for bad in ["", "/", "a/", "-a", "a-", "a..b", "a___b", "A", "a b", "a%2fb", &"a".repeat(256)] {
            assert!(!is_repository(bad), "{bad}");
        }
    }
}
