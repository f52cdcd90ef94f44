//! Which profile an optimised build uses, and whether the compiler can read it.

use super::choices::{Choices, NamedProfile};
use super::preflight::Host;
use crate::domain::digest::Digest;
use crate::domain::plan::{Hardening, Optimize, Policies};
use crate::domain::profile::{CompilerFamily, Optimisation, TrainingData};
use crate::error::{Error, FlagProblem, ProfileRemedy, Result};
use crate::event::{Event, Reporter};
use crate::recipe::{Catalog, ReleaseRecipe};
use crate::store::profile::open;
use crate::store::{HeldProfile, Store};

/// Where profiles are: among the recipes, and in the store.
#[derive(Clone, Copy)]
pub struct Profiles<'a> {
    /// The recipes, which pin profiles.
    pub catalog: &'a Catalog,
    /// The profiles that were recorded or used here.
    pub store: &'a Store,
    /// Takes events.
    pub reporter: &'a dyn Reporter,
}

/// How a release is optimised.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// What it is optimised with.
    pub optimisation: Optimisation,
    /// If the profile was recorded with another release or with other options: what to record if it does not match.
    pub if_mismatched: Option<TrainingData>,
}

impl From<Optimisation> for Chosen {
    fn from(optimisation: Optimisation) -> Self {
        Self { optimisation, if_mismatched: None }
    }
}

impl Profiles<'_> {
    /// Chooses how a release is optimised: the profile that the user named, the one that the recipe
    /// pins for the release and the compiler, the one that it pins for another release, or training.
    ///
    /// # Errors
    /// [`Error::Profile`] if the compiler supports no profiles or cannot read this one;
    /// [`Error::ProfileWithoutOptimization`]; [`Error::CompilerFlag`]; and the errors of reading the profile.
    pub fn choose(&self, recipe: &ReleaseRecipe, choices: &Choices, host: &Host<'_>) -> Result<Chosen> {
        if choices.optimize(recipe) == Optimize::None {
            return match &choices.profile {
                None => Ok(Optimisation::None.into()),
                Some(_) => Err(Error::ProfileWithoutOptimization),
            };
        }
        choices.refuse_flags(&["-w"], FlagProblem::HidesWarnings)?;
        let data = data(recipe, host)?;
        let compiler = data.compiler;
        // Pinned profiles are of hardened builds. Without FORTIFY the code is another: gcc 12 crashes over the profile.
        let is_hardened = choices.policies.hardening == Hardening::Full;
        let pinned = recipe.pinned_profile(host.toolchain.target, compiler).filter(|_| is_hardened);
        let mut may_mismatch = false;
        let profile = if let Some(named) = &choices.profile {
            let bytes = self.named_bytes(named)?;
            open(&named.digest.to_string(), &bytes)?
        } else if let Some(pinned) = pinned {
            may_mismatch = pinned.release != recipe.version || !is_usual(&choices.policies);
            open(&pinned.file, &self.catalog.profile(pinned)?)?
        } else {
            return Ok(Optimisation::Instrumented(data).into());
        };
        let manifest = &profile.manifest;
        let mismatch = |reason: String| Error::profile(profile.digest, reason);
        if manifest.data_version != data.version {
            return Err(mismatch(format!(
                "its data is of {} (version {}), but {compiler} reads version {} only",
                manifest.compiler, manifest.data_version, data.version
            )));
        }
        if (manifest.target, manifest.variant) != (host.toolchain.target, recipe.variant) {
            return Err(mismatch(format!(
                "it was recorded with Python {}{} on {}",
                manifest.release, manifest.variant, manifest.target
            )));
        }
        if manifest.release.series() != recipe.version.series() {
            return Err(mismatch(format!("it was recorded with Python {}", manifest.release)));
        }
        if manifest.release != recipe.version {
            self.reporter.report(Event::Note(format!(
                "using the profile of Python {} for {}: functions that changed since have no profile",
                manifest.release,
                recipe.full_version()
            )));
        }
        let optimisation = Optimisation::Profile(Box::new(profile));
        Ok(Chosen { optimisation, if_mismatched: may_mismatch.then_some(data) })
    }

    /// Whether the store has a profile. A profile that the recipe pins, for any compiler, is copied into it first.
    ///
    /// # Errors
    /// [`Error::Profile`] if the file of a pinned profile is missing or has another digest; [`Error::Io`] if the store
    /// cannot be read or written.
    pub fn at_hand(&self, digest: Digest, recipe: &ReleaseRecipe) -> Result<bool> {
        if let Some(pinned) = recipe.profiles.iter().find(|pinned| pinned.sha256 == digest) {
            self.store.keep_profile(&self.catalog.profile(pinned)?)?;
            return Ok(true);
        }
        Ok(self.store.profile(digest, self.reporter)?.is_some())
    }

    /// Copies the profile that a user named by its file into the store, and holds it there against pruning: a later
    /// rebuild of the artifact looks for it in the store.
    ///
    /// # Errors
    /// [`Error::Profile`] if the store does not have the named profile; [`Error::DigestMismatch`] if the file has
    /// changed; [`Error::Io`] if it cannot be read or kept.
    pub fn hold_named(&self, choices: &Choices) -> Result<Option<HeldProfile>> {
        match &choices.profile {
            None => Ok(None),
            Some(named) if named.file.is_some() => Ok(Some(self.store.keep_profile(&self.named_bytes(named)?)?)),
            Some(named) => {
                let held = self.store.hold_profile(named.digest, self.reporter)?;
                held.map(Some).ok_or_else(|| Error::profile(named.digest, NOT_STORED))
            }
        }
    }

    /// The bytes of the profile that a user named.
    fn named_bytes(&self, named: &NamedProfile) -> Result<Vec<u8>> {
        let Some(path) = &named.file else {
            return self
                .store
                .profile(named.digest, self.reporter)?
                .ok_or_else(|| Error::profile(named.digest, NOT_STORED));
        };
        let bytes = fs_err::read(path)?;
        let found = Digest::of(&bytes);
        if found == named.digest {
            return Ok(bytes);
        }
        Err(Error::DigestMismatch { what: path.display().to_string(), found, expected: named.digest })
    }
}

/// Whether a build has the options that the pinned profiles were recorded with. Others can change what is compiled.
fn is_usual(policies: &Policies) -> bool {
    let Policies { shared, configure_arguments, compiler_variables, .. } = policies;
    let has_flags = compiler_variables.keys().any(|name| name != "CC");
    !shared && configure_arguments.is_empty() && !has_flags
}

/// Returns the kind of training data that the compiler of a host writes and reads.
///
/// # Errors
/// [`Error::Profile`] if the compiler is not GCC, or the recipe has no `[pgo]`; [`Error::Command`] if the compiler
/// fails.
pub fn data(recipe: &ReleaseRecipe, host: &Host<'_>) -> Result<TrainingData> {
    let unusable = |reason: String, remedy| Error::Profile {
        what: format!("for Python {}", recipe.full_version()),
        reason,
        remedy,
    };
    if recipe.shared.pgo.is_none() {
        return Err(unusable("the recipe has no [pgo] table".into(), ProfileRemedy::WritePgo));
    }
    let compiler = host.toolchain.compiler.compiler_version()?;
    match host.toolchain.compiler.data_version()? {
        Some(version) if compiler.family == CompilerFamily::Gcc => Ok(TrainingData { compiler, version }),
        _ => Err(unusable(
            format!("the compiler is {compiler}, but pykeel supports profiles of gcc only"),
            ProfileRemedy::Gcc,
        )),
    }
}

/// What is wrong with a profile that a store does not have.
const NOT_STORED: &str = "it is not in the store";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::version::Variant;

    #[test]
    fn the_own_profiles_are_what_their_recipes_say() {
        let catalog = Catalog::load(None).unwrap();
        let mut seen = 0;
        for recipe in catalog.recipes() {
            for row in &recipe.releases {
                for variant in std::iter::once(Variant::Default).chain(recipe.variants.keys().copied()) {
                    let release = recipe.release(row, variant).unwrap();
                    for pinned in release.profiles.iter().filter(|pinned| pinned.release == release.version) {
                        let profile = open(&pinned.file, &catalog.profile(pinned).unwrap()).unwrap();
                        let manifest = &profile.manifest;
                        assert_eq!(profile.digest, pinned.sha256);
                        assert_eq!((manifest.target, manifest.compiler), (pinned.target, pinned.compiler));
                        assert_eq!((manifest.variant, manifest.release.series()), (variant, recipe.series));
                        assert!(manifest.release <= release.version, "of an earlier release, or of the same");
                        let pgo = release.shared.pgo.as_ref().unwrap();
                        assert!(profile.data.contains_key(&pgo.evaluation_data), "{}", pinned.file);
                        // The script that it was trained with is the one that is here.
                        for (name, sum) in &manifest.scripts {
                            assert_eq!(Digest::of(&catalog.training_scripts().unwrap()[name]), *sum, "{}", pinned.file);
                        }
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen >= 1);
    }
}
