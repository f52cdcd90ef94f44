//! What a registry asks for: the header `WWW-Authenticate` of an answer 401.

use super::super::address::RegistryPlace;
use crate::sys::http::url;

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With user and password.
    Basic,
    /// With a token from the server at a URL, for a service.
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// The first challenge of a kind that is known, tokens first.
    pub(super) fn find<'h>(headers: impl Iterator<Item = &'h str>) -> Option<Self> {
        let found: Vec<Self> = headers.filter_map(Self::parse).collect();
        let bearer = found.iter().find(|challenge| matches!(challenge, Self::Bearer { .. }));
        bearer.or_else(|| found.first()).cloned()
    }

    /// Reads `Bearer realm="https://…",service="…"`.
    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Some(Self::Bearer { realm: value("realm")?, service: value("service") })
    }
}

/// The parameters of a challenge; names in lower case.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((name, value.to_owned()));
        rest = next;
    }
    found
}

/// Checks that a token server may be asked, and be given credentials: it has to be on the registry's own host, or on the
/// one that the address names.
///
/// # Errors
/// Why not, in words.
pub(super) fn check_realm(realm: &str, place: &RegistryPlace) -> Result<(), String> {
    let server = url::parts(realm).map_err(|reason| format!("the URL of its token server is none: {reason}"))?;
    let own = url::parts(&place.base)?;
    let host_of = |host: &str| {
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host).to_owned()
    };
    let is_own = host_of(&server.host) == host_of(&own.host);
    let is_named = place.token_server.as_ref() == Some(&server.host);
    if !is_own && !is_named {
        return Err(format!(
            "it wants the credentials to be sent to {}, which is another host: if that is right, add \
             ?token-server={} to the address",
            server.host, server.host
        ));
    }
    match server.scheme.as_str() {
        "https" => Ok(()),
        "http" if own.scheme == "http" && is_own => Ok(()),
        scheme => Err(format!("its token server is reached by {scheme}, not by https")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read() {
        let find = |headers: &[&str]| Challenge::find(headers.iter().copied());
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) })
        };
        assert_eq!(find(&["Basic realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(find(&["Basic"]), Some(Challenge::Basic));
        let header = "bearer Realm=\"https://a.test/token?x=1,2\", service=\"a, b\",scope=\"repository:x:pull\"";
        assert_eq!(find(&["Basic realm=x", header]), bearer("https://a.test/token?x=1,2", Some("a, b")));
        assert_eq!(find(&["Bearer realm=https://a.test/"]), bearer("https://a.test/", None));
        for none in ["", "Bearer", "Bearer service=\"x\"", "Negotiate abc", "Bearer ===\"", "Bearer realm"] {
            assert_eq!(find(&[none]), None, "{none}");
        }
    }

    #[test]
    fn a_token_server_of_another_host_gets_nothing_unless_it_is_named() {
        let check = |base: &str, token_server: Option<&str>, realm: &str| {
            let token_server = token_server.map(str::to_owned);
            check_realm(realm, &RegistryPlace { base: base.into(), repository: "x".into(), token_server })
        };
        let registry = "https://registry.test:5000";
        assert_eq!(check(registry, None, "https://registry.test/token"), Ok(()));
        assert_eq!(check(registry, None, "https://registry.test:5001/token?a"), Ok(()));
        assert_eq!(check(registry, Some("auth.test"), "https://auth.test/token"), Ok(()));
        assert_eq!(check("http://localhost:5000", None, "http://localhost:5001/auth"), Ok(()));
        for (base, named, realm, reason) in [
            (registry, None, "https://auth.test/token", "add ?token-server=auth.test to the address"),
            (registry, Some("auth.test"), "https://auth.test:8443/", "another host"),
            (registry, None, "https://registry.test.evil.test/", "another host"),
            (registry, None, "https://registry.test@evil.test/", "a user or a password"),
            (registry, None, "http://registry.test/token", "not by https"),
            ("http://localhost:5000", Some("auth.test"), "http://auth.test/", "not by https"),
            (registry, None, "registry.test/token", "no scheme"),
        ] {
            let error = check(base, named, realm).unwrap_err();
            assert!(error.contains(reason), "{realm}: {error}");
        }
    }
}
