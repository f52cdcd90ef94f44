//! How an image describes itself: its variables, its user, its labels.

use serde_json::{Map, Value};

use super::base::CA_BUNDLES;
use super::config::Facts;
use super::root::{APP_USER, USERS};
use super::{Options, Python};
use crate::domain::digest::Digest;
use crate::domain::target::Target;
use crate::error::{ImageError, Result};
use crate::sys::oci::document::Annotations;

/// The base of an image.
pub(super) struct Base {
    pub(super) name: Option<String>,
    pub(super) digest: Option<Digest>,
    pub(super) config: Map<String, Value>,
}

/// What an image is described by.
pub(super) struct Description<'a> {
    pub(super) pythons: &'a [Python],
    pub(super) options: &'a Options,
    /// The time of everything in it, in seconds since 1970.
    pub(super) epoch: u64,
    pub(super) target: Target,
    pub(super) base: Option<&'a Base>,
    /// The users of the base.
    pub(super) users: Vec<String>,
}

impl Description<'_> {
    /// Returns what decides the configuration.
    ///
    /// # Errors
    /// [`ImageError::UnknownUser`].
    pub(super) fn facts(&self) -> Result<Facts> {
        let seconds = i64::try_from(self.epoch).unwrap_or_default();
        let created = jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string();
        let mut path = Vec::new();
        let programs = self.options.apps.iter().filter(|app| app.tree.join("bin").is_dir());
        path.extend(programs.map(|app| app.at.join("bin").display().to_string()));
        // `python3 -m` finds code in the working directory; an environment finds its own.
        let code = self.options.apps.iter().find(|app| !app.is_environment());
        let bin = |python: &Python| format!("{}/bin", python.manifest.plan.request.prefix);
        let default = self.pythons.get(self.options.default);
        path.extend(default.map(bin));
        let others = self.pythons.iter().enumerate().filter(|(number, _)| *number != self.options.default);
        path.extend(others.map(|(_, python)| bin(python)));
        let mut environment = vec![("LANG".to_owned(), "C.UTF-8".to_owned())];
        if self.base.is_none() {
            // For libraries other than Python's own, each of which has a default of its own.
            environment.push(("SSL_CERT_FILE".to_owned(), format!("/{}", CA_BUNDLES[0])));
        }
        Ok(Facts {
            target: self.target,
            labels: self.labels(&created),
            created,
            path,
            environment,
            directory: code.map(|app| app.at.display().to_string()),
            user: self.user()?,
            command: vec!["python3".to_owned()],
        })
    }

    fn labels(&self, created: &str) -> Annotations {
        let versions: Vec<String> = self.pythons.iter().map(full_version).collect();
        let artifacts = self
            .pythons
            .iter()
            .map(|python| format!("{} sha256:{}", python.manifest.name, python.artifact.record.digest));
        let name = |name: &str| format!("org.opencontainers.image.{name}");
        let mut labels = Annotations::from([
            (name("created"), created.to_owned()),
            (name("title"), format!("Python {}", versions.join(", "))),
            (name("version"), versions.join("-")),
            ("pykeel.artifacts".to_owned(), artifacts.collect::<Vec<_>>().join(", ")),
        ]);
        if let Some(base) = self.base {
            labels.extend(base.name.clone().map(|base| (name("base.name"), base)));
            labels.extend(base.digest.map(|base| (name("base.digest"), format!("sha256:{base}"))));
        }
        labels.extend(self.options.labels.clone());
        labels
    }

    /// Returns the user that the image runs as, or `None` for that of the base.
    fn user(&self) -> Result<Option<String>> {
        let has_base = self.base.is_some();
        let Some(wanted) = &self.options.user else {
            return Ok((!has_base).then(|| format!("{0}:{0}", APP_USER.1)));
        };
        let name = wanted.split(':').next().unwrap_or_default();
        if name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() {
            return Ok(Some(wanted.clone()));
        }
        let known: Vec<String> = if has_base {
            self.users.clone()
        } else {
            // With its number, by which Kubernetes sees that it is not root.
            if let Some((_, id, _)) = USERS.iter().find(|(known, _, _)| known == wanted) {
                return Ok(Some(format!("{id}:{id}")));
            }
            USERS.map(|(name, _, _)| name.to_owned()).into()
        };
        if has_base && known.iter().any(|known| known == name) {
            return Ok(Some(wanted.clone()));
        }
        Err(ImageError::UnknownUser { user: wanted.clone(), known }.into())
    }
}

/// Returns the release and the variant of a Python: `3.13.5t`.
fn full_version(python: &Python) -> String {
    let request = &python.manifest.plan.request;
    format!("{}{}", request.release, request.variant)
}
