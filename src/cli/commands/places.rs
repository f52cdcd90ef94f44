//! Where the Pythons are that a command is about: by version and template, or in a directory that was named.

use std::path::{Path, PathBuf};

use super::super::config::Config;
use crate::domain::artifact::ArtifactName;
use crate::domain::prefix::PrefixTemplate;
use crate::domain::version::{Release, Selector, VersionRequest};
use crate::error::{Error, PrefixError, Result};
use crate::prefix::site::Destination;
use crate::prefix::uninstall::{self, Installed};

/// Where Pythons are installed.
pub(super) struct Places<'a> {
    root: Option<&'a Path>,
    /// The directory that was named; otherwise the template decides.
    fixed: Option<PathBuf>,
    template: PrefixTemplate,
}

impl<'a> Places<'a> {
    /// Those of a root, by the template of the settings or by a directory or another template that was named.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is no template.
    pub(super) fn new(root: Option<&'a Path>, prefix: Option<&Path>, config: &Config) -> Result<Self> {
        let mut places = Self { root, fixed: None, template: config.settings.prefix.value.clone() };
        match prefix {
            Some(prefix) if prefix.to_string_lossy().contains('{') => {
                places.template =
                    prefix.to_string_lossy().parse().map_err(|error| Error::Usage(format!("--prefix: {error}")))?;
            }
            Some(prefix) if root.is_some() => places.fixed = Some(prefix.to_owned()),
            Some(prefix) => places.fixed = Some(std::path::absolute(prefix)?),
            None => {}
        }
        Ok(places)
    }

    fn at(&self, prefix: PathBuf) -> Destination {
        Destination { root: self.root.map(Path::to_owned), prefix }
    }

    /// Returns the directory that was named.
    ///
    /// # Errors
    /// [`Error::Usage`] if none was.
    pub(super) fn named(&self) -> Result<Destination> {
        let fixed =
            self.fixed.clone().ok_or_else(|| Error::Usage("`--prefix` with placeholders needs a VERSION".into()))?;
        Ok(self.at(fixed))
    }

    /// Returns the prefix of a version.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is not one, [`PrefixError::NotInstalled`] if only what is installed could say.
    pub(super) fn version(&self, request: VersionRequest) -> Result<Destination> {
        let release: Option<Release> = match request.selector {
            Selector::Latest => {
                let reason = "`latest` changes with the recipes: name the version";
                return Err(Error::Usage(reason.into()));
            }
            Selector::Release(release) => Some(release),
            // All releases of the series have the same prefix, so any of them gives it.
            Selector::Series(series) if !self.template.is_of_release() => format!("{series}.0").parse().ok(),
            Selector::Series(_) => None,
        };
        if let Some(fixed) = &self.fixed {
            return Ok(self.at(fixed.clone()));
        }
        if let Some(release) = release {
            let prefix = self.template.prefix(release, request.variant);
            return Ok(self.at(prefix.as_path().to_owned()));
        }
        let mut found = self.installed()?;
        found.retain(|installed| is(request, &installed.name));
        match &found[..] {
            [] => Err(self.not_installed(Some(request), None)?),
            [one] => Ok(self.at(one.prefix.clone())),
            several => {
                let prefixes: Vec<_> = several.iter().map(shown).collect();
                Err(Error::Usage(format!("Python {request} is ambiguous: {}; name the release", prefixes.join(", "))))
            }
        }
    }

    fn installed(&self) -> Result<Vec<Installed>> {
        uninstall::installed(&self.template, self.root.unwrap_or(Path::new("/")))
    }

    /// The error for a version that is not installed, with what is.
    ///
    /// # Errors
    /// What keeps the places from being read.
    pub(super) fn not_installed(&self, request: Option<VersionRequest>, place: Option<&Destination>) -> Result<Error> {
        let mut there = self.installed()?;
        if let Some(destination) = place
            && let Some(directory) = destination.open()?
            && let Ok(identity) = crate::prefix::site::Identity::read(&directory)
            && !there.iter().any(|installed| installed.prefix == destination.prefix)
        {
            there.push(Installed { prefix: destination.prefix.clone(), name: identity.name });
        }
        Ok(PrefixError::NotInstalled {
            request: request.map(|request| request.to_string()).unwrap_or_default(),
            place: place.map(|destination| destination.path().display().to_string()),
            there: there.iter().map(shown).collect(),
        }
        .into())
    }
}

fn shown(installed: &Installed) -> String {
    let Installed { prefix, name } = installed;
    format!("{}{} at {}", name.release(), name.variant(), prefix.display())
}

/// Whether an artifact is of the version that a request names.
pub(super) fn is(request: VersionRequest, name: &ArtifactName) -> bool {
    let release = match request.selector {
        Selector::Latest => false,
        Selector::Series(series) => name.release().series() == series,
        Selector::Release(release) => name.release() == release,
    };
    release && name.variant() == request.variant
}
