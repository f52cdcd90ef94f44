//! Finds the artifacts that a command installs or makes an image of: in the store, in a remote, in a tarball, or by
//! building them.

use std::cell::Cell;
use std::path::Path;

use super::super::args::{ProfileName, Wanted};
use super::super::config::{BuildPlaces, Config};
use super::super::settings::OfOneBuild;
use super::warn_of_unreadable;
use crate::audit::tarball::TarballArtifact;
use crate::domain::artifact::{ArtifactName, GlibcVersion};
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::{ArtifactRequest, Flavor, LibraryPolicy};
use crate::domain::prefix::PrefixTemplate;
use crate::domain::target::Target;
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter, staged};
use crate::pipeline::{Built, Pipeline, VersionResult};
use crate::prefix::install;
use crate::recipe::ReleaseRecipe;
use crate::store::{StoredArtifact, remote};
use crate::sys::distro::Distro;

/// What the user asks for.
pub(super) enum What {
    /// An artifact of the store, by its digest.
    Pinned(Box<StoredArtifact>),
    /// The same, by a lock.
    Locked(Box<StoredArtifact>),
    /// A tarball that was built elsewhere.
    Tarball(Box<TarballArtifact>),
    /// A version, with its recipe.
    Version(VersionRequest, Box<ReleaseRecipe>),
}

/// What to do about a version that the store does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Build it.
    Build,
    /// It is an error.
    Refuse,
}

/// How artifacts are looked for.
#[derive(Clone)]
pub(super) struct Search<'a> {
    pub(super) config: &'a Config,
    pub(super) pipeline: Pipeline<'a>,
    /// The options that decide bytes and are no settings.
    pub(super) once: OfOneBuild,
    pub(super) profile: Option<&'a ProfileName>,
    pub(super) places: BuildPlaces,
    /// The prefix that is looked for before that of the settings, and compiled in if it is built.
    pub(super) prefix: Option<PrefixTemplate>,
    /// The root whose glibc has to fit, besides that of this system.
    pub(super) root: Option<&'a Path>,
    pub(super) missing: Missing,
}

impl<'a> Search<'a> {
    /// The same search with another reporter.
    pub(super) fn reporting_to<'b>(&'b self, reporter: &'b dyn Reporter) -> Search<'b>
    where
        'a: 'b,
    {
        Search { pipeline: Pipeline { reporter, ..self.pipeline }, ..self.clone() }
    }

    /// Returns what an argument means, with a name for people.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`], [`Error::NoSuchArtifact`], and those of a tarball that cannot be used here.
    pub(super) fn find(&self, wanted: &Wanted) -> Result<(String, What)> {
        Ok(match wanted {
            Wanted::Artifact(digest) => {
                warn_of_unreadable(self.config, self.pipeline.reporter)?;
                let artifact = pinned(*digest, None, self.config, self.pipeline.reporter)?;
                let artifact = artifact.ok_or(Error::NoSuchArtifact { digest: *digest })?;
                (artifact.record.name.to_string(), What::Pinned(Box::new(artifact)))
            }
            Wanted::Tarball(path) => {
                let tarball = self.tarball(path)?;
                (tarball.artifact().record.name.to_string(), What::Tarball(Box::new(tarball)))
            }
            Wanted::Version(request) => {
                let recipe = self.pipeline.recipe(*request, self.config.settings.allow_eol.value)?;
                (recipe.full_version(), What::Version(*request, Box::new(recipe)))
            }
        })
    }

    /// Returns the request that an artifact was or will be built for.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::DigestMismatch`] if its manifest is damaged; those of the user's choices.
    pub(super) fn request(&self, what: &What) -> Result<ArtifactRequest> {
        match what {
            What::Pinned(artifact) | What::Locked(artifact) => Ok(artifact.read_manifest()?.plan.request),
            What::Tarball(tarball) => Ok(tarball.artifact().read_manifest()?.plan.request),
            What::Version(_, recipe) => self.request_of(recipe, &self.config.settings.prefix.value),
        }
    }

    /// Returns the artifacts of all that is wanted, each with its name: from the store, or built now.
    ///
    /// # Errors
    /// [`Error::Io`] if the store cannot be read. The error of an artifact is in its place.
    pub(super) fn artifacts(&self, wanted: &[(&str, &What)]) -> Result<Vec<Result<StoredArtifact>>> {
        self.built(wanted, self.found(wanted)?)
    }

    /// Looks up all that is wanted; none for what has to be built.
    ///
    /// # Errors
    /// As those of [`Self::artifacts`].
    pub(super) fn found(&self, wanted: &[(&str, &What)]) -> Result<Vec<Result<Option<StoredArtifact>>>> {
        let found: Vec<_> = wanted.iter().map(|(_, what)| self.in_store(what)).collect();
        if found.iter().any(|found| !matches!(found, Ok(Some(_)))) {
            warn_of_unreadable(self.config, self.pipeline.reporter)?;
        }
        Ok(found)
    }

    /// Builds what was not found.
    ///
    /// # Errors
    /// As those of [`Self::artifacts`].
    pub(super) fn built(
        &self,
        wanted: &[(&str, &What)],
        found: Vec<Result<Option<StoredArtifact>>>,
    ) -> Result<Vec<Result<StoredArtifact>>> {
        let missing: Vec<VersionRequest> = wanted
            .iter()
            .zip(&found)
            .filter_map(|((_, what), found)| match (what, found) {
                (What::Version(request, _), Ok(None)) => Some(*request),
                _ => None,
            })
            .collect();
        let mut built = self.build(&missing)?.into_iter();
        let artifact = |((name, _), found): (&(&str, &What), Result<Option<StoredArtifact>>)| match found {
            Ok(Some(artifact)) => Ok(artifact),
            Ok(None) => built.next().unwrap_or_else(|| Err(not_in_store(name, None))),
            Err(error) => Err(error),
        };
        Ok(wanted.iter().zip(found).map(artifact).collect())
    }

    /// Builds versions that are not in the store; the results are in their order.
    ///
    /// # Errors
    /// Those that concern all versions.
    pub(super) fn build(&self, versions: &[VersionRequest]) -> Result<Vec<Result<StoredArtifact>>> {
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let choices = self.config.choices(self.prefix_to_build().clone(), self.once.clone(), self.profile)?;
        let options = self.config.build_options(&self.places, choices, vec![self.flavor()])?;
        let results = self.pipeline.build(versions, &options)?.into_iter();
        let artifact = |VersionResult { version, built }| {
            built?.into_iter().next().map(|built: Built| built.artifact).ok_or_else(|| not_in_store(&version, None))
        };
        Ok(results.map(artifact).collect())
    }

    /// Returns the artifact in the store or in a remote, or `None` if it has to be built.
    ///
    /// # Errors
    /// [`Error::NotInStore`] if nothing is built, [`Error::Io`].
    pub(super) fn in_store(&self, what: &What) -> Result<Option<StoredArtifact>> {
        let recipe = match what {
            What::Pinned(artifact) | What::Locked(artifact) => return Ok(Some(StoredArtifact::clone(artifact))),
            What::Tarball(tarball) => return Ok(Some(tarball.artifact().clone())),
            What::Version(_, recipe) => recipe,
        };
        let mut why = None;
        for prefix in self.prefix.iter().chain([&self.config.settings.prefix.value]) {
            match self.newest(&self.request_of(recipe, prefix)?, recipe.digest())? {
                InStore::Usable(artifact) => return Ok(Some(*artifact)),
                InStore::Unfit(reason) => why = why.or(Some(reason)),
                InStore::Nothing => {}
            }
        }
        if let Some(artifact) = self.take_from_remote(recipe, &mut why)? {
            return Ok(Some(artifact));
        }
        if self.missing == Missing::Refuse {
            return Err(not_in_store(&recipe.full_version(), why.or(others_of_series(recipe, self.config)?)));
        }
        if let Some(why) = why {
            self.pipeline.reporter.report(Event::Note(format!("building it: {why}")));
        }
        Ok(None)
    }

    /// Takes the newest artifact of a request that runs here from a remote into the store.
    fn take_from_remote(&self, recipe: &ReleaseRecipe, why: &mut Option<String>) -> Result<Option<StoredArtifact>> {
        let Config { store, remotes, .. } = self.config;
        if remotes.is_empty() {
            return Ok(None);
        }
        for prefix in self.prefix.iter().chain([&self.config.settings.prefix.value]) {
            let request = self.request_of(recipe, prefix)?;
            let glibc = glibc_here(self.root);
            let wanted = remote::Wanted { request: &request, key: request.key(recipe.digest()), glibc };
            let reason = Cell::new(None);
            let fits = |manifest: &Manifest| {
                let unfit = unfit(&manifest.name, Some(manifest), self.root, self.config);
                let fits = unfit.is_none();
                reason.set(unfit.or(reason.take()));
                fits
            };
            if let Some(artifact) = remotes.find(wanted, &fits, store, self.pipeline.reporter)? {
                return Ok(Some(artifact));
            }
            *why = why.take().or(reason.take());
        }
        Ok(None)
    }

    /// See [`from_store`].
    fn newest(&self, wanted: &ArtifactRequest, recipe: Digest) -> Result<InStore> {
        from_store(wanted, recipe, self.root, self.config, self.pipeline.reporter)
    }

    /// Reads a tarball, and checks that it runs on the system that it is for.
    fn tarball(&self, path: &Path) -> Result<TarballArtifact> {
        let tarball = staged(
            self.pipeline.reporter,
            "check",
            path.display().to_string(),
            || TarballArtifact::read(path),
            |tarball| format!("{} is whole", tarball.artifact().record.name),
        )?;
        let artifact = tarball.artifact();
        let (here, target) = (Target::OF_THIS_PROGRAM, artifact.read_manifest()?.plan.request.target);
        let reason = if here == target {
            too_new(&artifact.record.name, self.root)
        } else {
            Some(format!("{} is for {target}; this is {here}", path.display()))
        };
        reason.map_or(Ok(tarball), |reason| Err(Error::UnsupportedTarget { reason }))
    }

    /// Returns the request that a release would be built for.
    ///
    /// # Errors
    /// Those of the user's choices.
    pub(super) fn request_to_build(&self, recipe: &ReleaseRecipe) -> Result<ArtifactRequest> {
        self.request_of(recipe, self.prefix_to_build())
    }

    fn prefix_to_build(&self) -> &PrefixTemplate {
        self.prefix.as_ref().unwrap_or(&self.config.settings.prefix.value)
    }

    fn flavor(&self) -> Flavor {
        self.config.settings.flavor.value.installed()
    }

    fn request_of(&self, recipe: &ReleaseRecipe, prefix: &PrefixTemplate) -> Result<ArtifactRequest> {
        let choices = self.config.choices(prefix.clone(), self.once.clone(), self.profile)?;
        Ok(choices.request(recipe, self.flavor(), Target::OF_THIS_PROGRAM))
    }
}

/// The error for a request that no artifact of the store answers.
fn not_in_store(request: &str, why: Option<String>) -> Error {
    Error::NotInStore { request: request.to_owned(), why }
}

/// Describes what else of a series the store has.
pub(super) fn others_of_series(recipe: &ReleaseRecipe, config: &Config) -> Result<Option<String>> {
    let series = format!("cpython-{}.", recipe.version.series());
    let names = config.store.list()?.into_iter().map(|artifact| artifact.record.name.to_string());
    let names: Vec<String> = names.filter(|name| name.starts_with(&series)).collect();
    Ok((!names.is_empty()).then(|| format!("it has {}", names.join(", "))))
}

/// Returns the artifact with a digest, of the store or of a remote, and holds it. `key` is the build key that it should
/// have: another entry may only say that it has this digest.
///
/// # Errors
/// [`Error::Io`], and those of [`Remotes::pinned`](crate::store::remote::Remotes::pinned).
pub(super) fn pinned(
    digest: Digest,
    key: Option<Digest>,
    config: &Config,
    reporter: &dyn Reporter,
) -> Result<Option<StoredArtifact>> {
    let mut found = config.store.list()?;
    found.retain(|artifact| artifact.record.digest == digest);
    found.sort_by_key(|artifact| key.is_some_and(|key| artifact.record.build_key != key));
    for artifact in found {
        // It may have been pruned or replaced since the store was listed.
        let held = config.store.hold(&artifact, reporter)?;
        if let Some(held) = held.filter(|held| held.record.digest == digest) {
            return Ok(Some(held));
        }
    }
    config.remotes.pinned(digest, &config.store, reporter)
}

/// Whether an error says that an artifact of the store is not what it has to be.
pub(super) const fn is_damage(error: &Error) -> bool {
    matches!(error, Error::DigestMismatch { .. } | Error::Damaged { .. } | Error::HostileArchive { .. })
}

/// Sets a damaged artifact aside, and says so.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn set_aside(
    artifact: &StoredArtifact,
    damage: &Error,
    config: &Config,
    reporter: &dyn Reporter,
) -> Result<()> {
    let aside = config.store.set_aside(artifact)?;
    reporter.report(Event::Warning(format!("{damage}; it is now in {}", aside.display())));
    Ok(())
}

/// Returns why an artifact is of no use on the system of a root, or on this one if the root does not say what it is. An
/// artifact whose manifest cannot be read is an error of whoever uses it.
pub(super) fn unfit(
    name: &ArtifactName,
    manifest: Option<&Manifest>,
    root: Option<&Path>,
    config: &Config,
) -> Option<String> {
    too_new(name, root).or_else(|| manifest.and_then(|manifest| of_other_release(manifest, root, config)))
}

/// Returns the glibc of a root, or of this system if the root has none.
fn glibc_here(root: Option<&Path>) -> Option<GlibcVersion> {
    let glibc_of = |root| install::glibc_of(root, Target::OF_THIS_PROGRAM);
    root.and_then(glibc_of).or_else(|| glibc_of(Path::new("/")))
}

/// Returns why an artifact does not run with the glibc of a root, or of this system if the root has none.
fn too_new(name: &ArtifactName, root: Option<&Path>) -> Option<String> {
    let (glibc, floor) = (glibc_here(root)?, name.floor());
    (floor > glibc).then(|| format!("{name} needs glibc {floor}, and this system has {glibc}"))
}

/// The result of looking a request up in the store.
pub(super) enum InStore {
    /// The newest artifact that runs on this system.
    Usable(Box<StoredArtifact>),
    /// All need a newer glibc, or have the libraries of another release; the reason.
    Unfit(String),
    /// None.
    Nothing,
}

/// Returns why an artifact does not fit the libraries of a root, or of this system if the root does not say what it is:
/// it uses those of a system, whose packages have other names in another release of the distribution.
fn of_other_release(manifest: &Manifest, root: Option<&Path>, config: &Config) -> Option<String> {
    if manifest.plan.request.policies.library_policy != LibraryPolicy::System {
        return None;
    }
    let there = root.and_then(|root| Distro::read(root).release).or_else(|| config.distro.release.clone())?;
    let built_on = manifest.plan.built_on()?;
    (built_on != there)
        .then(|| format!("{} uses the libraries of {built_on}, and this system is {there}", manifest.name))
}

/// Returns the newest artifact of a request that runs on this system's glibc, with this system's libraries.
pub(super) fn from_store(
    wanted: &ArtifactRequest,
    recipe: Digest,
    root: Option<&Path>,
    config: &Config,
    reporter: &dyn Reporter,
) -> Result<InStore> {
    let artifacts = config.store.find(wanted.key(recipe))?;
    let mut why = None;
    for artifact in artifacts {
        // Whoever uses an artifact with a damaged manifest gets the error.
        let manifest = artifact.read_manifest().ok();
        // The store says that the request leads to it; its plan says what it was built for.
        if manifest.as_ref().is_some_and(|manifest| manifest.plan.request != *wanted) {
            continue;
        }
        match unfit(&artifact.record.name, manifest.as_ref(), root, config) {
            Some(reason) => why = Some(reason),
            // It may have been pruned since the store was listed.
            None => {
                if let Some(artifact) = config.store.hold(&artifact, reporter)? {
                    return Ok(InStore::Usable(Box::new(artifact)));
                }
            }
        }
    }
    Ok(why.map_or(InStore::Nothing, InStore::Unfit))
}
