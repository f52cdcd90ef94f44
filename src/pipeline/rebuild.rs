//! An artifact once more: its plan resolved anew, and a build by it beside the store.

use super::{BuildOptions, Pipeline, order};
use crate::domain::comparison::{Change, plan_changes};
use crate::domain::plan::{BuildPlan, FORMAT};
use crate::domain::profile::Optimisation;
use crate::domain::version::{Selector, VersionRequest};
use crate::error::{Error, Result};
use crate::planning::choices::{Choices, NamedProfile};
use crate::planning::profile;
use crate::planning::resolve;
use crate::recipe::ReleaseRecipe;
use crate::stages::package::PackedArtifact;
use crate::store::WorkDirectory;

/// The plan of an artifact, resolved again.
#[derive(Debug)]
pub enum Replanned {
    /// The same plan, with what it takes to build by it.
    Same(Box<Again>),
    /// Another one: what differs, the artifact's value first.
    Other(Vec<Change<serde_json::Value>>),
}

/// What it takes to build an artifact again.
#[derive(Debug)]
pub struct Again {
    recipe: ReleaseRecipe,
    optimisation: Optimisation,
    plan: BuildPlan,
}

/// An artifact that was built again. It lies in the work directory, and goes with it.
#[derive(Debug)]
pub struct Rebuilt {
    /// The artifact.
    pub packed: PackedArtifact,
    /// Where it was built.
    pub work: WorkDirectory,
}

impl Pipeline<'_> {
    /// Resolves the plan of an artifact again, with the recipes and on the system that are here.
    ///
    /// # Errors
    /// What preflight and resolving answer.
    pub fn replan(&self, wanted: &BuildPlan, options: &BuildOptions) -> Result<Replanned> {
        let other = |name: &str, before: serde_json::Value, after| {
            Ok(Replanned::Other(vec![Change { name: name.into(), before: Some(before), after }]))
        };
        if wanted.request.format != FORMAT {
            return other("format", wanted.request.format.into(), Some(FORMAT.into()));
        }
        let request =
            VersionRequest { selector: Selector::Release(wanted.request.release), variant: wanted.request.variant };
        // It is built to be compared: nobody is going to run it.
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
        // First without the optimisation: of another compiler there is more to say than that it
        // cannot read the profile.
        let unoptimised = BuildPlan { profile: plan.profile, make: plan.make.clone(), ..wanted.clone() };
        let changes = plan_changes(&unoptimised, &plan);
        if !changes.is_empty() {
            return Ok(Replanned::Other(changes));
        }
        let profile = match (wanted.profile, &options.choices.profile) {
            (Some(wanted), Some(named)) if named.digest != wanted => {
                return other("profile", wanted.to_string().into(), Some(named.digest.to_string().into()));
            }
            (Some(wanted), None) if !profile::at_hand(wanted, &recipe, self.catalog, self.store, self.reporter)? => {
                return other("profile", wanted.to_string().into(), None);
            }
            (None, Some(named)) => return other("profile", "none".into(), Some(named.digest.to_string().into())),
            (wanted, named) => named.clone().or(wanted.map(|digest| NamedProfile { digest, file: None })),
        };
        let optimisation =
            profile::choose(&recipe, &Choices { profile, ..choices }, &host, self.catalog, self.store, self.reporter)?;
        resolve::optimise(&mut plan, &recipe, &optimisation);
        let changes = plan_changes(wanted, &plan);
        if changes.is_empty() {
            Ok(Replanned::Same(Box::new(Again { recipe, optimisation, plan })))
        } else {
            Ok(Replanned::Other(changes))
        }
    }

    /// Builds an artifact again: all of it, whatever the store has of it. It is not published, and
    /// not verified: what matters is whether it is the same.
    ///
    /// # Errors
    /// What the stages answer.
    pub fn rebuild(&self, again: &Again, options: &BuildOptions) -> Result<Rebuilt> {
        let Again { recipe, optimisation, plan } = again;
        let store = self.store.without_intermediates();
        let pipeline = Pipeline { store: &store, ..*self };
        let site = pipeline.site("rebuild-", plan, options)?;
        let context = &site.context(recipe, plan, optimisation);
        let (_source, tree) = order::configured(context, &self.catalog.patches(recipe)?, options)?;
        let _slot = self.jobs.slot()?;
        let tree = order::compiled(context, tree)?;
        let prefix = order::installed(context, &tree)?;
        let packed = order::packed(context, prefix)?;
        Ok(Rebuilt { packed, work: site.into_work() })
    }
}
