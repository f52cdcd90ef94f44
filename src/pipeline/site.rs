//! Where one build works: its directory and its log.

use super::{BuildOptions, Pipeline};
use crate::domain::plan::BuildPlan;
use crate::domain::profile::Optimisation;
use crate::error::Result;
use crate::event::Event;
use crate::recipe::ReleaseRecipe;
use crate::stages::BuildContext;
use crate::store::WorkDirectory;
use crate::sys::log::BuildLog;

/// The directory and the log of one build.
pub(super) struct Site<'a> {
    pipeline: Pipeline<'a>,
    log: BuildLog<'a>,
    work: WorkDirectory,
}

impl Pipeline<'_> {
    /// Creates the directory and the log of a build. `kind` is the beginning of the log's name.
    pub(super) fn site(&self, kind: &str, plan: &BuildPlan, options: &BuildOptions) -> Result<Site<'_>> {
        let reporter = self.reporter;
        let mut work = WorkDirectory::create(self.store, options.work_in.as_deref(), &options.work_elsewhere)?;
        if options.work_in.is_none() && !work.path().starts_with(self.store.root()) {
            reporter.report(Event::Note(format!(
                "cannot build below the store; the build directory is {}",
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
        Ok(Site { pipeline: *self, log, work })
    }
}

impl Site<'_> {
    /// Returns the context of the stages.
    pub(super) fn context<'s>(
        &'s self,
        recipe: &'s ReleaseRecipe,
        plan: &'s BuildPlan,
        optimisation: &'s Optimisation,
    ) -> BuildContext<'s> {
        let Pipeline { distro, jobs, store, .. } = self.pipeline;
        BuildContext { plan, recipe, optimisation, work: self.work.path(), log: &self.log, distro, jobs, store }
    }

    /// Closes the log, and gives up the directory.
    pub(super) fn into_work(self) -> WorkDirectory {
        self.work
    }
}
