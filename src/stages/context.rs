//! The context that every stage of one build gets.

use std::path::{Path, PathBuf};

use crate::domain::plan::BuildPlan;
use crate::domain::profile::Optimisation;
use crate::error::Result;
use crate::event::{Reporter, staged};
use crate::recipe::ReleaseRecipe;
use crate::store::Store;
use crate::sys::distro::Distro;
use crate::sys::jobserver::JobServer;
use crate::sys::log::BuildLog;
use crate::sys::process::Runner;

/// The inputs, the directories and the tools of one build. Only the plan decides the bytes of the output.
#[derive(Clone, Copy)]
pub struct BuildContext<'a> {
    /// The plan of the artifact. The stages that several flavors share use that of the one that keeps the
    /// static library, or of the first.
    pub plan: &'a BuildPlan,
    /// The recipe that the plan was resolved from.
    pub recipe: &'a ReleaseRecipe,
    /// The profile of an optimised build. The plan has its digest.
    pub optimisation: &'a Optimisation,
    /// The work directory.
    pub work: &'a Path,
    /// The log, in which programs run.
    pub log: &'a BuildLog<'a>,
    /// The distribution of this system.
    pub distro: &'a Distro,
    /// The slots of all builds of this invocation.
    pub jobs: &'a JobServer,
    /// Where sources, profiles and intermediates are kept.
    pub store: &'a Store,
}

impl<'a> BuildContext<'a> {
    /// Runs programs that do not belong in the log.
    #[must_use]
    pub const fn runner(&self) -> &'a dyn Runner {
        self.log.runner()
    }

    /// The path of a program of the toolchain: `strip`, `objcopy`, `ar`.
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        self.plan.inputs.programs.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// Takes events.
    #[must_use]
    pub const fn reporter(&self) -> &'a dyn Reporter {
        self.log.reporter()
    }

    /// Runs a stage, and reports its start with `detail` and its end with what `summary` says of the result.
    ///
    /// # Errors
    /// The stage's error.
    pub fn stage<T>(
        &self,
        name: &'static str,
        detail: impl Into<String>,
        work: impl FnOnce() -> Result<T>,
        summary: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        staged(self.reporter(), name, detail, work, summary)
    }
}
