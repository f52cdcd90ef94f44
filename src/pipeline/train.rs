//! The pipeline of training: the stages of a build up to the compiled tree, and then the recording of a profile.

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
    /// Records the profile of a release.
    ///
    /// # Errors
    /// Those of [`recipe`](Self::recipe), `preflight::check`, [`profile::data`] and [`resolve::resolve`], and the
    /// error of the stage that fails.
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
        // Nothing is published under this key. Its lock keeps two trainings from writing one log.
        let _turn = self.store.lookup(plan.build_key(), plan.request_key(), self.reporter)?;
        let optimisation = Optimisation::Instrumented(data);
        let site = self.site("", plan, options)?;
        let context = &site.context(recipe, plan, &optimisation);
        let (patches, launcher) = (self.patches(recipe, options)?, options.launcher(recipe));
        let (_source, tree) = order::configured(context, &patches, &options.fetch, launcher)?;
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
