//! Train: runs the training task with an instrumented interpreter, and keeps the profile.

use std::collections::BTreeMap;

use super::BuildContext;
use super::compile::CompiledTree;
use crate::domain::digest::Digest;
use crate::domain::profile::Profile;
use crate::domain::profile::TrainingData;
use crate::error::{Error, ProfileRemedy, Result};
use crate::store::HeldProfile;
use crate::store::profile::{self, Recording};

/// A profile that was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// The profile.
    pub profile: Profile,
    /// Keeps it in the store.
    pub held: HeldProfile,
}

/// Runs the training task of the recipe, and keeps the profile in the store. `scripts` are the training scripts
/// of the recipes, by file name.
///
/// # Errors
/// [`Error::Command`] if the task fails; [`Error::Profile`] if the recipe has no training, or if it recorded
/// nothing of the evaluation loop; [`Error::Io`] if a file cannot be read or written.
pub fn train(
    tree: &CompiledTree,
    data: TrainingData,
    scripts: &BTreeMap<String, Vec<u8>>,
    context: &BuildContext<'_>,
) -> Result<Recorded> {
    let BuildContext { plan, recipe, store, jobs, work, log, .. } = *context;
    let wrong = |reason: String| Error::Profile {
        what: format!("of Python {}", recipe.full_version()),
        reason,
        remedy: ProfileRemedy::Training,
    };
    let Some(pgo) = &recipe.shared.pgo else { return Err(wrong("the recipe has no [pgo]".into())) };
    // Programs that make ran recorded data as well.
    for file in profile::data_files(tree.root())? {
        fs_err::remove_file(tree.root().join(file))?;
    }
    let directory = work.join("training");
    fs_err::create_dir_all(&directory)?;
    for (name, text) in scripts {
        fs_err::write(directory.join(name), text)?;
    }
    for run in &pgo.training {
        let placed = |word: &String| {
            let word = word.replace("{jobs}", &jobs.slots().to_string());
            word.replace("{training}", &directory.display().to_string())
        };
        let mut spec = tree.spec("./python").args(run.iter().map(placed));
        if plan.request.policies.shared {
            // In the build tree libpython is beside the interpreter.
            spec = spec.variable("LD_LIBRARY_PATH", tree.root());
        }
        log.run(&spec, |_| {})?;
    }
    if !tree.root().join(&pgo.evaluation_data).is_file() {
        return Err(wrong(format!("the training recorded nothing in {}", pgo.evaluation_data.display())));
    }
    let named = |name: &str| pgo.training.iter().flatten().any(|word| word.ends_with(&format!("{{training}}/{name}")));
    let sums = scripts.iter().filter(|(name, _)| named(name)).map(|(name, text)| (name.clone(), Digest::of(text)));
    let scripts = sums.collect();
    let training = &pgo.training;
    let recording = Recording { tree: tree.root(), plan, data, training, scripts: &scripts, epoch: tree.epoch() };
    let (profile, archive) = profile::pack(recording, work)?;
    Ok(Recorded { profile, held: store.keep_profile(&archive)? })
}
