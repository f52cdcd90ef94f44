//! The pipeline of training: as a build goes, up to the compiled tree, and it ends in a profile.

use super::{BuildOptions, Pipeline, order};
use crate::domain::plan::{BuildPlan, Flavor};
use crate::domain::profile::{Optimisation, TrainingData};
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::staged;
use crate::planning::{profile, resolve};
use crate::recipe::ReleaseRecipe;
use crate::stages::freeze;
use crate::stages::train::{self, Recorded};

impl Pipeline<'_> {
    /// Records the profile of a release: the pipeline of training.
    ///
    /// # Errors
    /// What preflight and the stages answer.
    pub fn train(&self, request: VersionRequest, options: &BuildOptions) -> Result<(ReleaseRecipe, Recorded)> {
        let recipe = self.recipe(request, options.allow_eol)?;
        let (plan, data) = staged(
            self.reporter,
            "plan",
            recipe.full_version(),
            || {
                let host = self.preflight(&recipe, options)?;
                let data = profile::data(&recipe, &host)?;
                let optimisation = Optimisation::Instrumented(data);
                let plan = resolve::resolve(&recipe, Flavor::Runtime, &options.choices, &optimisation, &host)?;
                Ok::<_, Error>((plan, data))
            },
            |(plan, _)| plan.build_key().short(),
        )?;
        let recorded = self.record(&recipe, &plan, data, options)?;
        Ok((recipe, recorded))
    }

    pub(super) fn record(
        &self,
        recipe: &ReleaseRecipe,
        plan: &BuildPlan,
        data: TrainingData,
        options: &BuildOptions,
    ) -> Result<Recorded> {
        let scripts = self.catalog.training_scripts()?;
        // Nothing is ever published by that key: it is for one training at a time, and one log.
        let _turn = self.store.lookup(plan.build_key(), self.reporter)?;
        let optimisation = Optimisation::Instrumented(data);
        let site = self.site("", plan, options)?;
        let context = &site.context(recipe, plan, &optimisation);
        let (_source, tree) = order::configured(context, &self.catalog.patches(recipe)?, options)?;
        let _slot = self.jobs.slot()?;
        let tree = order::compiled(context, tree)?;
        freeze::keep_frozen(tree.root(), context)?;
        context.stage(
            "train",
            "",
            || train::train(&tree, data, &scripts, context),
            |Recorded { profile, .. }| format!("profile {} ({} objects)", profile.digest.short(), profile.data.len()),
        )
    }
}
