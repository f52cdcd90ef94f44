//! The proxies that the environment names, and which requests go through one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{NoProxy, Proxy, Url};

use super::shown::shown_url;

/// The variables that name the proxy for `http:` URLs, the first one first.
const HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The variables that name the proxy for `https:` URLs, the first one first.
const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The proxies of one client.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    http: Option<Named>,
    https: Option<Named>,
    /// The origins that reqwest connects to without a proxy, as `NO_PROXY` says.
    direct: Arc<Mutex<BTreeSet<String>>>,
}

/// A proxy and the variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    variable: &'static str,
    proxy: Url,
}

impl Proxies {
    /// Reads the environment.
    ///
    /// # Errors
    /// A variable whose value is not a URL, in words.
    pub(super) fn from_env() -> Result<Self, String> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let first = |names: [&'static str; 4]| {
            let set = names.into_iter().find_map(|name| Some((name, variable(name).filter(|text| !text.is_empty())?)));
            set.map(|(name, text)| Named::parse(name, &text)).transpose()
        };
        Ok(Self { http: first(HTTP)?, https: first(HTTPS)?, direct: Arc::default() })
    }

    /// The proxies for a client, the first one first, which is to use no others.
    ///
    /// # Errors
    /// reqwest's, for a proxy that it cannot use.
    pub(super) fn list(&self) -> reqwest::Result<Vec<Proxy>> {
        let mut list = Vec::new();
        if let Some(named) = &self.http {
            list.push(Proxy::http(named.proxy.clone())?.no_proxy(NoProxy::from_env()));
        }
        if let Some(named) = &self.https {
            list.push(Proxy::https(named.proxy.clone())?.no_proxy(NoProxy::from_env()));
        }
        // reqwest asks its proxies in order and takes the first that accepts a URL. So this one, which
        // accepts none, sees exactly those that go to the server directly.
        let direct = Arc::clone(&self.direct);
        list.push(Proxy::custom(move |url| {
            direct.lock().unwrap_or_else(PoisonError::into_inner).insert(origin(url));
            None::<Url>
        }));
        Ok(list)
    }

    /// Returns the proxy that requests for a URL went through, without credentials, and the variable
    /// that names it.
    pub(super) fn used_for(&self, url: &Url) -> Option<(String, &'static str)> {
        let named = match url.scheme() {
            "http" => self.http.as_ref()?,
            "https" => self.https.as_ref()?,
            _ => return None,
        };
        let direct = self.direct.lock().unwrap_or_else(PoisonError::into_inner).contains(&origin(url));
        (!direct).then(|| (shown_url(&named.proxy).trim_end_matches('/').to_owned(), named.variable))
    }
}

impl Named {
    /// Parses a value such as `http://proxy.example:3128`; without a scheme it is an HTTP proxy.
    fn parse(variable: &'static str, text: &str) -> Result<Self, String> {
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        // The value may contain a password, so it is not part of the message.
        let proxy = Url::parse(&url).map_err(|error| format!("the value of {variable} is not a URL: {error}"))?;
        Ok(Self { variable, proxy })
    }
}

/// Returns the scheme, host and port of a URL.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Proxies, String> {
        Proxies::read(|name| set.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned()))
    }

    fn used_for(proxies: &Proxies, url: &str) -> Option<(String, &'static str)> {
        proxies.used_for(&url.parse().unwrap())
    }

    #[test]
    fn the_variable_of_the_scheme_counts_before_that_of_all() {
        let set = [("HTTPS_PROXY", ""), ("https_proxy", "https://me:secret@a.test:1"), ("ALL_PROXY", "b.test:2")];
        let proxies = read(&set).unwrap();
        assert_eq!(used_for(&proxies, "https://x.test/y"), Some(("https://a.test:1".to_owned(), "https_proxy")));
        assert_eq!(used_for(&proxies, "http://x.test/y"), Some(("http://b.test:2".to_owned(), "ALL_PROXY")));
        assert_eq!(used_for(&proxies, "file:///y"), None);
        assert_eq!(used_for(&read(&[]).unwrap(), "http://x.test/y"), None);
    }

    #[test]
    fn a_value_that_is_not_a_url_is_named_without_its_password() {
        let error = read(&[("HTTP_PROXY", "http://me:secret@:port")]).unwrap_err();
        assert!(error.contains("HTTP_PROXY") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_host_in_no_proxy_is_not_said_to_go_through_the_proxy() {
        let proxies = read(&[("HTTP_PROXY", "http://127.0.0.1:9")]).unwrap();
        let url: Url = "http://x.test:80/y".parse().unwrap();
        proxies.direct.lock().unwrap().insert(origin(&url));
        assert_eq!(proxies.used_for(&url), None);
        assert!(used_for(&proxies, "http://x.test:81/y").is_some());
    }
}
