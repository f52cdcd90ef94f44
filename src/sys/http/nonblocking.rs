//! Clients for code that does not block: where they connect to, and which certificates they accept, is as everywhere.

use reqwest::{Url, redirect};

use super::proxy::Proxies;
use super::url::{self, InTheClear};
use super::{Limits, USER_AGENT, identity, reason};

/// The names of a machine's own metadata service, which gives it credentials. Nothing of it is on the network.
const METADATA: [&str; 4] = ["metadata.google.internal", "metadata", "[fd00:ec2::254]", "[fd00:ec2::23]"];

/// Clients that use the environment's proxies and the system's CA certificates, and follow no redirect.
#[derive(Debug, Clone)]
pub struct Nonblocking {
    proxied: reqwest::Client,
    /// For the machine's own metadata service, which no proxy is to see.
    direct: reqwest::Client,
    proxies: Proxies,
    no_certificates: Option<String>,
    in_the_clear: InTheClear,
}

impl Nonblocking {
    /// Makes the clients.
    ///
    /// # Errors
    /// Why there cannot be one, in words.
    pub fn new(limits: Limits, in_the_clear: InTheClear) -> Result<Self, String> {
        let proxies = Proxies::from_env()?;
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .connect_timeout(limits.patience)
                .http1_only()
                .referer(false)
                .no_proxy()
                .redirect(redirect::Policy::none())
        };
        let list = || proxies.list().map_err(|error| reason::chain(&error));
        let identity = identity::of_user()?;
        let through_them = || {
            let builder = match &identity {
                Some(identity) => builder().identity(identity.clone()),
                None => builder(),
            };
            Ok::<_, String>(list()?.into_iter().fold(builder, reqwest::ClientBuilder::proxy))
        };
        let (inner, no_certificates) = match through_them()?.build() {
            Ok(client) => (client, None),
            Err(error) => {
                let why = reason::no_certificates(&error);
                (through_them()?.tls_certs_only([]).build().map_err(|_| why.clone())?, Some(why))
            }
        };
        let direct = builder().tls_certs_only([]).connect_timeout(std::time::Duration::from_secs(1)).build();
        let direct = direct.map_err(|error| reason::chain(&error))?;
        Ok(Self { proxied: inner, direct, proxies, no_certificates, in_the_clear })
    }

    /// The client for a URL.
    ///
    /// # Errors
    /// Why nothing is sent there: it is no URL, or in the clear to another machine without consent.
    pub fn client_for(&self, text: &str) -> Result<&reqwest::Client, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            _ if is_metadata(text) => Ok(&self.direct),
            "https" => self.no_certificates.clone().map_or(Ok(&self.proxied), Err),
            "http" if url::is_loopback(host) || self.in_the_clear == InTheClear::Anywhere => Ok(&self.proxied),
            "http" => {
                Err(format!("http sends everything in the clear to {host}, and anybody on the way could change it"))
            }
            other => Err(format!("the scheme {other} is neither http nor https")),
        }
    }

    /// Why a request to a URL got no response, without what may be secret in the URL.
    #[must_use]
    pub fn reason(&self, error: &reqwest::Error, url: &str) -> String {
        reason::of_error(error, url, &self.proxies).to_string()
    }
}

/// Whether a URL is of the machine's own metadata service: one of its names, or an address of the link.
#[must_use]
pub fn is_metadata(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    METADATA.contains(&host) || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_service_is_known_by_its_address() {
        for own in
            ["http://169.254.169.254/latest", "http://169.254.129.2:8081/msi", "http://metadata.google.internal/x"]
        {
            assert!(is_metadata(own), "{own}");
        }
        for other in ["http://169.255.0.1/", "https://metadata.example/", "http://127.0.0.1/169.254.169.254", "x"] {
            assert!(!is_metadata(other), "{other}");
        }
    }

    #[test]
    fn nothing_is_sent_in_the_clear_to_others_without_consent() {
        let clients = |in_the_clear| Nonblocking::new(Limits::default(), in_the_clear).unwrap();
        let strict = clients(InTheClear::OnThisMachine);
        for url in ["http://s3.test/", "ftp://127.0.0.1/", "x"] {
            assert!(strict.client_for(url).is_err(), "{url}");
        }
        for url in ["http://127.0.0.1:9/", "http://[::1]/", "http://169.254.169.254/"] {
            assert!(strict.client_for(url).is_ok(), "{url}");
        }
        assert!(clients(InTheClear::Anywhere).client_for("http://s3.test/").is_ok());
    }
}
