//! The pipeline of training: as a build goes, up to the compiled tree, and it ends in a profile.

use super::{BuildOptions, Pipeline};
use crate::domain::plan::{BuildPlan, Flavor};
use crate::domain::profile::{Optimisation, TrainingData};
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::staged;
use crate::planning::{profile, resolve};
use crate::recipe::ReleaseRecipe;
use crate::stages::freeze;
use crate::stages::train::{self, Recorded};
use crate::store::Store as _;

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
        let (work, mut log) = self.work("", plan, options)?;
        let (_source, tree) = self.configured(recipe, plan, options, &work, &mut log)?;
        let _slot = self.jobs.slot()?;
        let tree = self.compiled(tree, recipe, plan, &Optimisation::Instrumented(data), &work, &mut log)?;
        freeze::keep_frozen(tree.root(), plan, recipe, self.context(&work))?;
        staged(
            self.reporter,
            "train",
            "",
            || train::train(&tree, plan, recipe, data, &scripts, self.context(&work), &mut log),
            |Recorded { profile, .. }| format!("profile {} ({} objects)", profile.digest.short(), profile.data.len()),
        )
    }
}
