//! Credentials for servers: from docker's `config.json` and its helpers, and from `.netrc`.
//!
//! A secret is in no message: no type here prints one, and errors of parsers, which could quote one, are not passed on.

mod netrc;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::fs::OFlags;
use serde::Deserialize;

use crate::error::{Error, RemoteError};
use crate::sys::process::{Outcome, Runner as _, SEARCH_PATH, Spec, Stream, System, of_user};

/// The largest file of credentials that is read, in bytes.
const LARGEST_CONFIG: u64 = 1 << 20;
/// How long a helper may take.
const HELPER_TIME: Duration = Duration::from_secs(20);
/// The most that a helper may print, in bytes.
const LARGEST_OUTPUT: usize = 64 << 10;
/// Where helpers are looked for besides the system's directories.
const LOCAL_PROGRAMS: &str = "/usr/local/bin";
/// The user name by which a helper says that its secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// A secret and whose it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password.
    User {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that stands for both at a token server.
    Identity(String),
    /// A token for the server itself.
    Bearer(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

impl Credential {
    fn new(user: String, secret: String) -> Self {
        if user == TOKEN_USER { Self::Identity(secret) } else { Self::User { user, password: secret } }
    }

    /// The value of the header `Authorization` for the server itself; none if only a token server knows the secret.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        match self {
            Self::User { .. } => self.basic(),
            Self::Identity(_) => None,
            Self::Bearer(token) => Some(format!("Bearer {token}")),
        }
    }

    /// User and password as a value of the header `Authorization`.
    #[must_use]
    pub fn basic(&self) -> Option<String> {
        match self {
            Self::User { user, password } => {
                Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
            }
            Self::Identity(_) | Self::Bearer(_) => None,
        }
    }

    /// The token that stands for user and password.
    #[must_use]
    pub fn identity_token(&self) -> Option<&str> {
        match self {
            Self::User { .. } | Self::Bearer(_) => None,
            Self::Identity(token) => Some(token),
        }
    }
}

/// Why credentials cannot be read. It prints without a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoCredentials(String);

impl NoCredentials {
    /// The same as an error of a remote.
    #[must_use]
    pub fn of_remote(self, address: &str) -> Error {
        RemoteError::Denied { address: address.to_owned(), reason: self.0 }.into()
    }
}

/// Where credentials come from.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// docker's `config.json`; none where no directory is known.
    config: Option<PathBuf>,
    /// The `.netrc`, which curl, git, pip and uv read too.
    netrc: Option<PathBuf>,
    /// The directories of helpers, as in a search path.
    helpers: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    /// User and password with a colon between them, in base64.
    #[serde(rename = "auth")]
    encoded: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What a helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

impl Credentials {
    /// Those of the user: in `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; then in `$NETRC`, else `~/.netrc`.
    #[must_use]
    pub fn of_user() -> Self {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let directory = variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
        let config = directory.map(|directory| directory.join("config.json"));
        let netrc = variable("NETRC").or_else(|| variable("HOME").map(|home| home.join(".netrc")));
        Self { config, netrc, helpers: format!("{SEARCH_PATH}:{LOCAL_PROGRAMS}") }
    }

    /// The credentials for a host, `registry.test:5000`.
    ///
    /// # Errors
    /// [`NoCredentials`] if a file or a helper does not do what it should.
    pub fn find(&self, host: &str) -> Result<Option<Credential>, NoCredentials> {
        match self.of_docker(host)? {
            Some(credential) => Ok(Some(credential)),
            None => self.of_netrc(host),
        }
    }

    fn of_netrc(&self, host: &str) -> Result<Option<Credential>, NoCredentials> {
        let Some(path) = &self.netrc else { return Ok(None) };
        let cannot = |reason| NoCredentials(format!("cannot read {}: {reason}", path.display()));
        let Some(bytes) = bytes_of(path).map_err(cannot)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8".into()))?;
        Ok(netrc::find(&text, host).map(|(user, password)| Credential::User { user, password }))
    }

    fn of_docker(&self, host: &str) -> Result<Option<Credential>, NoCredentials> {
        let Some(path) = &self.config else { return Ok(None) };
        let config = read(path).map_err(|reason| NoCredentials(format!("cannot read {}: {reason}", path.display())))?;
        let own = config.cred_helpers.get(host);
        if let Some(helper) = own.or(config.creds_store.as_ref()).filter(|helper| !helper.is_empty()) {
            let found = self.ask_helper(helper, host);
            match found
                .map_err(|reason| NoCredentials(format!("docker-credential-{} {reason}", helper.escape_debug())))?
            {
                Some(credential) => return Ok(Some(credential)),
                // What was there before the helper was configured may still be in the file.
                None if own.is_some() => return Ok(None),
                None => {}
            }
        }
        let of_host = || config.auths.iter().find(|(key, _)| host_of(key) == Some(host)).map(|(_, auth)| auth);
        let auth = config.auths.get(host).or_else(of_host);
        let wrong = || NoCredentials(format!("{} has no such credentials for {host} as docker writes", path.display()));
        auth.map_or(Ok(None), |auth| auth.credential().map_err(|()| wrong()))
    }

    /// Asks a helper: the protocol of `docker-credential-helpers`.
    fn ask_helper(&self, helper: &str, host: &str) -> Result<Option<Credential>, String> {
        if !helper.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err("is no name of a helper".into());
        }
        let name = format!("docker-credential-{helper}");
        let program = which::which_in(&name, Some(&self.helpers), "/")
            .map_err(|_| format!("is not in the system's directories or in {LOCAL_PROGRAMS}"))?;
        let mut environment = of_user(std::env::vars_os());
        environment.insert("PATH".into(), self.helpers.clone().into());
        let spec = Spec::new(program).arg("get").environment(environment).input(host).timeout(HELPER_TIME);
        let mut out = String::new();
        let outcome = System.run(&spec, &mut |stream, line| {
            if stream == Stream::Out && out.len() + line.len() < LARGEST_OUTPUT {
                out.push_str(line);
                out.push('\n');
            }
        });
        match outcome.map_err(|error| error.to_string())? {
            outcome if outcome.success() => {
                let found: Helped = serde_json::from_str(&out).map_err(|_| "printed no credentials".to_owned())?;
                Ok(Some(Credential::new(found.username, found.secret)))
            }
            // That is how a helper says that it has none.
            Outcome::Exited(_) if out.contains("credentials not found") => Ok(None),
            // What it printed may hold a secret.
            outcome => Err(format!("failed ({outcome})")),
        }
    }
}

impl Auth {
    fn credential(&self) -> Result<Option<Credential>, ()> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credential::Identity(token)));
        }
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credential::Bearer(token)));
        }
        if let Some(encoded) = given(&self.encoded) {
            let bytes = BASE64_STANDARD.decode(encoded.trim()).map_err(|_| ())?;
            let text = String::from_utf8(bytes).map_err(|_| ())?;
            let (user, password) = text.split_once(':').ok_or(())?;
            return Ok(Some(Credential::new(user.to_owned(), password.trim_end_matches('\0').to_owned())));
        }
        let named = given(&self.username).zip(given(&self.password));
        Ok(named.map(|(user, password)| Credential::new(user, password)))
    }
}

/// The content of a file; none if there is none.
fn bytes_of(path: &Path) -> Result<Option<Vec<u8>>, String> {
    // A secret that is mounted into a container is often behind a link.
    let mut options = std::fs::File::options();
    // A pipe would wait for a writer.
    options.read(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    let file = match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| error.to_string())?,
    };
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_CONFIG + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST_CONFIG {
        return Err(format!("it has more than {LARGEST_CONFIG} bytes"));
    }
    Ok(Some(bytes))
}

fn read(path: &Path) -> Result<DockerConfig, String> {
    let Some(bytes) = bytes_of(path)? else { return Ok(DockerConfig::default()) };
    let place = |error: serde_json::Error| {
        format!("line {}, column {}: it is not as docker writes it", error.line(), error.column())
    };
    serde_json::from_slice(&bytes).map_err(place)
}

/// The host of a key, which may have a scheme and the path of a registry's interface: `https://registry.test/v1/`. Other
/// paths are those of repositories, whose credentials are not for the others of the host: none.
fn host_of(key: &str) -> Option<&str> {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    matches!(path.trim_end_matches('/'), "" | "v1" | "v2").then_some(host)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A `config.json`, and a helper with this program text.
    fn find(config: &str, helper: &str, host: &str) -> Result<Option<Credential>, String> {
        let place = tempfile::tempdir().unwrap();
        let (path, program) = (place.path().join("config.json"), place.path().join("docker-credential-toy"));
        fs_err::write(&path, config).unwrap();
        fs_err::write(&program, format!("#!/bin/sh\n{helper}\n")).unwrap();
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let helpers = format!("{SEARCH_PATH}:{}", place.path().display());
        Credentials { config: Some(path), netrc: None, helpers }.find(host).map_err(|error| error.0)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what finds credentials")]
    fn user(user: &str, password: &str) -> Result<Option<Credential>, String> {
        Ok(Some(Credential::User { user: user.into(), password: password.into() }))
    }

    const HOST: &str = "registry.test:5000";

    #[test]
    fn credentials_are_found_as_docker_writes_them() {
        let auth = BASE64_STANDARD.encode("me:pass:word");
        for key in [HOST, "https://registry.test:5000", "https://registry.test:5000/v1/"] {
            let config = format!(r#"{{"auths": {{"{key}": {{"auth": "{auth}"}}}}, "HttpHeaders": {{}}}}"#);
            assert_eq!(find(&config, "", HOST), user("me", "pass:word"), "{key}");
            assert_eq!(find(&config, "", "registry.test"), Ok(None), "{key}");
        }
        let identity = format!(r#"{{"auths": {{"{HOST}": {{"auth": "{auth}", "identitytoken": "t"}}}}}}"#);
        assert_eq!(find(&identity, "", HOST), Ok(Some(Credential::Identity("t".into()))));
        let plain = format!(r#"{{"auths": {{"{HOST}": {{"username": "a", "password": "b"}}}}}}"#);
        assert_eq!(find(&plain, "", HOST), user("a", "b"));
        let bearer = format!(r#"{{"auths": {{"{HOST}": {{"auth": "{auth}", "registrytoken": "t"}}}}}}"#);
        let found = find(&bearer, "", HOST).unwrap().unwrap();
        assert_eq!((found.authorization(), found.basic()), (Some("Bearer t".into()), None));
        assert_eq!(find("{}", "", HOST), Ok(None));
        assert_eq!(Credentials { config: None, netrc: None, helpers: String::new() }.find(HOST), Ok(None));
        let absent = Credentials {
            config: Some("/nonexistent/config.json".into()),
            netrc: Some("/nonexistent/netrc".into()),
            helpers: String::new(),
        };
        assert_eq!(absent.find(HOST), Ok(None));
    }

    #[test]
    fn what_docker_does_not_have_may_be_in_the_netrc() {
        let place = tempfile::tempdir().unwrap();
        let (config, netrc) = (place.path().join("config.json"), place.path().join("netrc"));
        fs_err::write(&netrc, format!("machine {HOST} login me password secret\n")).unwrap();
        let credentials =
            Credentials { config: Some(config.clone()), netrc: Some(netrc.clone()), helpers: String::new() };
        assert_eq!(credentials.find(HOST).map_err(|error| error.0), user("me", "secret"));
        assert_eq!(credentials.find("other.test"), Ok(None));
        let auth = BASE64_STANDARD.encode("first:one");
        fs_err::write(&config, format!(r#"{{"auths": {{"{HOST}": {{"auth": "{auth}"}}}}}}"#)).unwrap();
        assert_eq!(credentials.find(HOST).map_err(|error| error.0), user("first", "one"));
        fs_err::write(&netrc, b"machine \xff login secret").unwrap();
        let error = credentials.find("other.test").unwrap_err().0;
        assert!(error.contains("it is not UTF-8") && !error.contains("secret"), "{error}");
        assert!(!format!("{credentials:?}").contains("secret"));
    }

    #[test]
    fn credentials_of_a_repository_are_not_those_of_its_host() {
        let (team, host) = (BASE64_STANDARD.encode("team:a"), BASE64_STANDARD.encode("host:b"));
        for key in [format!("{HOST}/team-a"), format!("https://{HOST}/team-a/"), format!("{HOST}/v1/team-a")] {
            let config = format!(r#"{{"auths": {{"{key}": {{"auth": "{team}"}}}}}}"#);
            assert_eq!(find(&config, "", HOST), Ok(None), "{key}");
            // The host's own come first, wherever they are in the file.
            for own in [HOST, "https://registry.test:5000/v2/"] {
                let config =
                    format!(r#"{{"auths": {{"{key}": {{"auth": "{team}"}}, "{own}": {{"auth": "{host}"}}}}}}"#);
                assert_eq!(find(&config, "", HOST), user("host", "b"), "{key} {own}");
            }
        }
        let both =
            format!(r#"{{"auths": {{"http://{HOST}/v1/": {{"auth": "{team}"}}, "{HOST}": {{"auth": "{host}"}}}}}}"#);
        assert_eq!(find(&both, "", HOST), user("host", "b"));
    }

    #[test]
    fn a_configuration_that_is_no_file_is_an_error_and_no_wait() {
        let place = tempfile::tempdir().unwrap();
        let pipe = place.path().join("config.json");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for path in [pipe, place.path().to_owned()] {
            let error = Credentials { config: Some(path.clone()), netrc: None, helpers: String::new() }
                .find(HOST)
                .unwrap_err()
                .0;
            assert!(error.contains("it is not a regular file"), "{error}");
            let error =
                Credentials { config: None, netrc: Some(path), helpers: String::new() }.find(HOST).unwrap_err().0;
            assert!(error.contains("it is not a regular file"), "{error}");
        }
    }

    #[test]
    fn a_helper_is_asked_for_the_host_alone() {
        let helper =
            r#"test "$1" = get && read -r host; printf '{"ServerURL":"x","Username":"me","Secret":"%s"}' "$host""#;
        let of_host = format!(r#"{{"credHelpers": {{"{HOST}": "toy"}}}}"#);
        assert_eq!(find(&of_host, helper, HOST), user("me", HOST));
        assert_eq!(find(&of_host, helper, "other.test"), Ok(None));
        assert_eq!(find(r#"{"credsStore": "toy"}"#, helper, "other.test"), user("me", "other.test"));
        let token = r#"printf '{"Username":"<token>","Secret":"t"}'"#;
        assert_eq!(find(&of_host, token, HOST), Ok(Some(Credential::Identity("t".into()))));
        let without = "echo credentials not found in native keychain; exit 1";
        assert_eq!(find(&of_host, without, HOST), Ok(None));
        // What the file has counts where the helper of all hosts has nothing.
        let auth = BASE64_STANDARD.encode("me:old");
        let both = format!(r#"{{"credsStore": "toy", "auths": {{"{HOST}": {{"auth": "{auth}"}}}}}}"#);
        assert_eq!(find(&both, without, HOST), user("me", "old"));
    }

    #[test]
    fn no_message_has_a_secret() {
        let of_host = format!(r#"{{"credHelpers": {{"{HOST}": "toy"}}}}"#);
        let bad = BASE64_STANDARD.encode("secret-without-colon");
        for (config, helper, reason) in [
            (of_host.as_str(), "echo secret; echo secret >&2; exit 3", "docker-credential-toy failed (exit status 3)"),
            (&of_host, "echo secret", "printed no credentials"),
            (&of_host, "printf '{\"Username\": 1, \"Secret\": \"secret\"}'", "printed no credentials"),
            (&format!(r#"{{"credHelpers": {{"{HOST}": "absent"}}}}"#), "", "is not in the system's directories"),
            (&format!(r#"{{"credHelpers": {{"{HOST}": "../toy"}}}}"#), "", "is no name of a helper"),
            (&format!(r#"{{"auths": {{"{HOST}": {{"auth": "{bad}"}}}}}}"#), "", "no such credentials"),
            (&format!(r#"{{"auths": {{"{HOST}": {{"auth": "secret!"}}}}}}"#), "", "no such credentials"),
            (r#"{"auths": "secret"}"#, "", "line 1, column"),
            ("secret", "", "line 1, column"),
        ] {
            let error = find(config, helper, HOST).unwrap_err();
            assert!(error.contains(reason) && !error.contains("secret"), "{config}: {error}");
        }
        assert_eq!(format!("{:?}", user("me", "secret")), "Ok(Some(Credential))");
    }
}
