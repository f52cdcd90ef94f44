//! The pipeline of `verify --rebuild`: resolve the plan of an artifact again, and build by it without publishing.

use super::{BuildOptions, Pipeline, order};
use crate::domain::comparison::{Change, plan_changes};
use crate::domain::plan::{BuildPlan, FORMAT};
use crate::domain::profile::Optimisation;
use crate::domain::version::{Selector, VersionRequest};
use crate::error::{Error, Result};
use crate::planning::choices::{Choices, NamedProfile};
use crate::planning::profile::Chosen;
use crate::planning::resolve;
use crate::recipe::ReleaseRecipe;
use crate::stages::package::PackedArtifact;
use crate::store::WorkDirectory;

/// The plan of an artifact, resolved again.
#[derive(Debug)]
pub enum Replanned {
    /// The same plan, ready to be built.
    Same(Box<Again>),
    /// Another plan: the differences, the artifact's value first.
    Other(Vec<Change<serde_json::Value>>),
}

/// An artifact's plan, and the inputs to build by it again.
#[derive(Debug)]
pub struct Again {
    recipe: ReleaseRecipe,
    optimisation: Optimisation,
    plan: BuildPlan,
}

/// An artifact that was built again. It is in the work directory, and is removed with it.
#[derive(Debug)]
pub struct Rebuilt {
    /// The artifact.
    pub packed: PackedArtifact,
    /// Where it was built.
    pub work: WorkDirectory,
}

impl Pipeline<'_> {
    /// Resolves the plan of an artifact again, with these recipes and on this system.
    ///
    /// # Errors
    /// Those of [`recipe`](Self::recipe) for another reason than an unknown version, and of `preflight::check`,
    /// `Profiles::choose` and [`resolve::resolve`].
    pub fn replan(&self, wanted: &BuildPlan, options: &BuildOptions) -> Result<Replanned> {
        let other = |name: &str, before: serde_json::Value, after| {
            Ok(Replanned::Other(vec![Change { name: name.into(), before: Some(before), after }]))
        };
        if wanted.request.format != FORMAT {
            return other("format", wanted.request.format.into(), Some(FORMAT.into()));
        }
        let request =
            VersionRequest { selector: Selector::Release(wanted.request.release), variant: wanted.request.variant };
        // The end of life does not matter: the rebuild is compared, not used.
        let recipe = match self.recipe(request, true) {
            Err(Error::UnknownVersion { .. } | Error::NoVariant { .. }) => {
                return other("recipe", wanted.provenance.recipe.map(|digest| digest.to_string()).into(), None);
            }
            recipe => recipe?,
        };
        let named = wanted.request.named_profile.map(|digest| NamedProfile { digest, file: None });
        let choices = Choices { optimize: Some(wanted.request.optimize), profile: named, ..options.choices.clone() };
        let host = self.preflight(&recipe, options)?;
        let mut plan = resolve::resolve(&recipe, wanted.request.flavor, &choices, &Optimisation::None, &host)?;
        // First without the optimisation: with another compiler, the list of differences explains more than an
        // error that it cannot read the profile.
        let (make, freeze) = (plan.make.clone(), plan.freeze.clone());
        let unoptimised = BuildPlan { profile: plan.profile, make, freeze, ..wanted.clone() };
        let changes = plan_changes(&unoptimised, &plan);
        if !changes.is_empty() {
            return Ok(Replanned::Other(changes));
        }
        let profile = match (wanted.profile, &options.choices.profile) {
            (Some(wanted), Some(named)) if named.digest != wanted => {
                return other("profile", wanted.to_string().into(), Some(named.digest.to_string().into()));
            }
            (Some(wanted), None) if !self.profiles().at_hand(wanted, &recipe)? => {
                return other("profile", wanted.to_string().into(), None);
            }
            (None, Some(named)) => return other("profile", "none".into(), Some(named.digest.to_string().into())),
            (wanted, named) => named.clone().or(wanted.map(|digest| NamedProfile { digest, file: None })),
        };
        let Chosen { optimisation, .. } = self.profiles().choose(&recipe, &Choices { profile, ..choices }, &host)?;
        resolve::optimise(&mut plan, &recipe, &optimisation);
        let changes = plan_changes(wanted, &plan);
        if changes.is_empty() {
            Ok(Replanned::Same(Box::new(Again { recipe, optimisation, plan })))
        } else {
            Ok(Replanned::Other(changes))
        }
    }

    /// Builds an artifact again from the start, without intermediates of the store. It is neither verified nor
    /// published: the caller compares it.
    ///
    /// # Errors
    /// The error of the stage that fails.
    pub fn rebuild(&self, again: &Again, options: &BuildOptions) -> Result<Rebuilt> {
        let Again { recipe, optimisation, plan } = again;
        let store = self.store.without_intermediates();
        let pipeline = Pipeline { store: &store, ..*self };
        let site = pipeline.site("rebuild-", plan, options)?;
        let context = &site.context(recipe, plan, optimisation);
        let (patches, launcher) = (self.patches(recipe, options)?, options.launcher(recipe));
        let (_source, tree) = order::configured(context, &patches, &options.fetch, launcher)?;
        let _slot = self.jobs.slot()?;
        let tree = order::compiled(context, tree)?;
        let prefix = order::installed(context, &tree)?;
        let packed = order::packed(context, prefix)?;
        Ok(Rebuilt { packed, work: site.into_work() })
    }
}
