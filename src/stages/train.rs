//! Train: from an instrumented interpreter to the profile of what it does most.

use super::compile::CompiledTree;
use super::profile::{self, Data};
use crate::domain::plan::BuildPlan;
use crate::domain::profile::Profile;
use crate::error::{Error, Result};
use crate::recipe::ReleaseRecipe;
use crate::store::Store;
use crate::sys::jobserver::JobServer;
use crate::sys::log::BuildLog;

/// Runs the training task of the recipe and keeps the profile in the store.
///
/// # Errors
/// What the task answers; [`Error::Profile`] where it recorded nothing of the evaluation loop.
pub fn train(
    tree: &CompiledTree,
    plan: &BuildPlan,
    recipe: &ReleaseRecipe,
    data: Data,
    jobs: &JobServer,
    store: &dyn Store,
    log: &mut BuildLog<'_>,
) -> Result<Profile> {
    let wrong = |reason: String| Error::Profile { what: format!("of Python {}", recipe.full_version()), reason };
    let Some(pgo) = &recipe.pgo else { return Err(wrong("the recipe has no [pgo]".into())) };
    // The programs of the build itself ran with the same objects.
    for file in profile::data_files(tree.root())? {
        fs_err::remove_file(tree.root().join(file))?;
    }
    let arguments = pgo.training.iter().map(|word| word.replace("{jobs}", &jobs.slots().to_string()));
    log.run(&tree.spec("./python").args(arguments), |_| {})?;
    if !tree.root().join(&pgo.evaluation_data).is_file() {
        return Err(wrong(format!("the training recorded nothing in {}", pgo.evaluation_data.display())));
    }
    let bytes = profile::pack(tree.root(), plan, data, &pgo.training, tree.epoch())?;
    let digest = store.keep_profile(&bytes)?;
    profile::open(&digest.to_string(), &bytes)
}
