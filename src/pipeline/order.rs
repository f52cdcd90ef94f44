//! The stages in order, in the parts that pipelines are made of.

use super::{BuildOptions, Pipeline};
use crate::domain::plan::BuildPlan;
use crate::domain::profile::Optimisation;
use crate::error::Result;
use crate::event::{Event, staged};
use crate::recipe::ReleaseRecipe;
use crate::stages::compile::{self, CompiledTree};
use crate::stages::fetch::{self, VerifiedSource};
use crate::stages::launch::{self, LaunchedTree};
use crate::stages::package::{self, PackedArtifact};
use crate::stages::staging::{self, StagedPrefix};
use crate::stages::{BuildContext, bundle, configure, freeze, patch, pip, relocate, strip, unpack};
use crate::store::{Store as _, WorkDirectory};
use crate::sys::log::BuildLog;

impl Pipeline<'_> {
    pub(super) fn context<'w>(&'w self, work: &'w WorkDirectory) -> BuildContext<'w> {
        BuildContext { store: self.store, jobs: self.jobs, work: work.path() }
    }

    /// The directory and the log of a build.
    pub(super) fn work(
        &self,
        kind: &str,
        plan: &BuildPlan,
        options: &BuildOptions,
    ) -> Result<(WorkDirectory, BuildLog<'_>)> {
        let reporter = self.reporter;
        let mut work = WorkDirectory::create(self.store, &options.work_elsewhere)?;
        if !work.path().starts_with(self.store.root()) {
            reporter.report(Event::Note(format!(
                "a build cannot work below the store: it is in {}",
                work.path().display()
            )));
        }
        if options.keep_build {
            work.keep()?;
            reporter.report(Event::Note(format!("the build stays in {}", work.path().display())));
        }
        let log_name =
            format!("{kind}cpython-{}{}-{}", plan.request.release, plan.request.variant, plan.build_key().short());
        let log = BuildLog::create(self.store.log(&log_name)?, self.runner, reporter)?;
        Ok((work, log))
    }

    /// The stages from the source to a tree that make can build. The source is held as long as the
    /// caller keeps it, so that nobody prunes it under a build.
    pub(super) fn configured(
        &self,
        recipe: &ReleaseRecipe,
        plan: &BuildPlan,
        options: &BuildOptions,
        work: &WorkDirectory,
        log: &mut BuildLog<'_>,
    ) -> Result<(VerifiedSource, LaunchedTree)> {
        let reporter = self.reporter;
        let patches = self.catalog.patches(recipe)?;
        let source = staged(
            reporter,
            "fetch",
            format!("the source of Python {}", recipe.version),
            || fetch::fetch(recipe, &options.fetch, self.store, self.runner, reporter),
            |source| source.name().to_owned(),
        )?;
        let _slot = self.jobs.slot()?;
        let tree =
            staged(reporter, "unpack", source.name(), || unpack::unpack(&source, work.path()), |_| String::new())?;
        let tree =
            staged(reporter, "patch", "", || patch::apply(tree, &patches), |_| format!("{} patches", patches.len()))?;
        let tree = staged(
            reporter,
            "configure",
            "",
            || configure::configure(&tree, plan, self.context(work), log),
            |_| String::new(),
        )?;
        let tree = launch::launch(tree, plan, options.launcher(recipe), work.path(), self.runner, reporter)?;
        Ok((source, tree))
    }

    /// The stages from there to one in which everything is compiled.
    pub(super) fn compiled(
        &self,
        tree: LaunchedTree,
        recipe: &ReleaseRecipe,
        plan: &BuildPlan,
        optimisation: &Optimisation,
        work: &WorkDirectory,
        log: &mut BuildLog<'_>,
    ) -> Result<CompiledTree> {
        let reporter = self.reporter;
        let tree = staged(
            reporter,
            "freeze",
            optimisation.to_string(),
            || freeze::freeze(tree, plan, recipe, optimisation, self.context(work), log),
            |_| String::new(),
        )?;
        staged(
            reporter,
            "compile",
            format!("with {} jobs", self.jobs.slots()),
            || compile::compile(tree, plan, recipe, self.jobs, log),
            |tree| tree.launcher_results().to_owned(),
        )
    }

    pub(super) fn staged(
        &self,
        tree: &CompiledTree,
        recipe: &ReleaseRecipe,
        plan: &BuildPlan,
        work: &WorkDirectory,
        log: &mut BuildLog<'_>,
    ) -> Result<StagedPrefix> {
        staged(
            self.reporter,
            "stage",
            "",
            || staging::stage(tree, plan, recipe, work.path(), log),
            |_| format!("{} extension modules", plan.modules.len()),
        )
    }

    /// The stages from what was installed to a tarball.
    pub(super) fn packed(
        &self,
        prefix: StagedPrefix,
        plan: &BuildPlan,
        work: &WorkDirectory,
        log: &mut BuildLog<'_>,
    ) -> Result<PackedArtifact> {
        let (reporter, flavor) = (self.reporter, plan.request.flavor.name());
        let prefix = if plan.pip {
            staged(reporter, "pip", flavor, || pip::install(prefix, plan, log), |_| String::new())?
        } else {
            prefix
        };
        let prefix = staged(
            reporter,
            "bundle",
            flavor,
            || bundle::bundle(prefix, plan, self.runner),
            |bundled| format!("{} libraries", bundled.libraries().len()),
        )?;
        let prefix = staged(reporter, "relocate", flavor, || relocate::relocate(prefix, plan), |_| String::new())?;
        let prefix = staged(reporter, "strip", flavor, || strip::strip(prefix, plan, log), |_| String::new())?;
        staged(
            reporter,
            "package",
            flavor,
            || package::package(&prefix, plan, work.path()),
            |packed| packed.manifest().name.to_string(),
        )
    }
}
