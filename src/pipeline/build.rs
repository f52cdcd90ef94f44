//! The pipeline of building: for each version, plan it, look it up, train it if it has no profile, and run the
//! stages for what the store does not have.

use super::{BuildOptions, Pipeline, Planned, order};
use crate::domain::plan::BuildPlan;
use crate::domain::profile::{Optimisation, TrainingData};
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::{Event, staged};
use crate::planning::resolve;
use crate::recipe::ReleaseRecipe;
use crate::stages::BuildContext;
use crate::stages::train::Recorded;
use crate::store::remote::{ByKey, Wanted};
use crate::store::{CacheStatus, EntryLock, StoredArtifact};

/// An artifact that a build returned.
#[derive(Debug)]
pub struct Built {
    /// Its plan.
    pub plan: BuildPlan,
    /// Where it is.
    pub artifact: StoredArtifact,
    /// Whether it was in the store or in a remote already.
    pub cached: bool,
}

/// The result of one of several versions.
#[derive(Debug)]
pub struct VersionResult {
    /// The version, with its variant: `3.13.5t`.
    pub version: String,
    /// Its artifacts, or why there are none.
    pub built: Result<Vec<Built>>,
}

/// A plan that the store has no artifact for, and the right to publish it.
struct Miss<'a> {
    plan: &'a BuildPlan,
    lock: EntryLock,
}

impl Pipeline<'_> {
    /// Builds what is requested and the store does not have, several versions at once. One that fails does not
    /// stop the others. The results are in the order of the requests.
    ///
    /// # Errors
    /// Those of [`recipe`](Self::recipe), before anything is built. The errors of builds are in the results.
    pub fn build(&self, requests: &[VersionRequest], options: &BuildOptions) -> Result<Vec<VersionResult>> {
        let recipes = self.recipes(requests, options.allow_eol)?;
        if let [recipe] = &recipes[..] {
            let built = self.planned(recipe, options).and_then(|planned| self.build_planned(recipe, &planned, options));
            return Ok(vec![VersionResult { version: recipe.full_version(), built }]);
        }
        std::thread::scope(|scope| {
            let mut running = Vec::new();
            for recipe in &recipes {
                let version = recipe.full_version();
                let task = self.reporter.task(&version);
                // One after the other: missing packages may have to be installed, and a package manager runs
                // alone. The builds of the versions before are under way meanwhile.
                let planned = Pipeline { reporter: &*task, ..*self }.planned(recipe, options);
                let build = move || {
                    let pipeline = Pipeline { reporter: &*task, ..*self };
                    let built = planned.and_then(|planned| pipeline.build_planned(recipe, &planned, options));
                    if let Err(error) = &built
                        && !matches!(error, Error::Interrupted(_))
                    {
                        task.report(Event::Warning(format!("{error}; the other versions continue")));
                    }
                    built
                };
                running.push((version, scope.spawn(build)));
            }
            let result = |(version, build): (String, std::thread::ScopedJoinHandle<'_, _>)| VersionResult {
                version,
                built: build.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            };
            Ok(running.into_iter().map(result).collect())
        })
    }

    fn planned(&self, recipe: &ReleaseRecipe, options: &BuildOptions) -> Result<Planned> {
        staged(
            self.reporter,
            "plan",
            recipe.full_version(),
            || {
                let planned = self.resolve(recipe, options)?;
                let held = self.profiles().hold_named(&options.choices)?;
                Ok(Planned { _held: held, ..planned })
            },
            Planned::summary,
        )
    }

    fn build_planned(&self, recipe: &ReleaseRecipe, planned: &Planned, options: &BuildOptions) -> Result<Vec<Built>> {
        if let Optimisation::Instrumented(data) = planned.chosen.optimisation {
            self.report_training(recipe, data, "no profile is pinned".into());
            let trained = self.trained(recipe, &planned.plans, data, options)?;
            return self.build_chosen(recipe, &trained, options);
        }
        let built = self.build_chosen(recipe, planned, options);
        let (Some(data), Err(Error::ProfileMismatch { reason, .. })) = (planned.chosen.if_mismatched, &built) else {
            return built;
        };
        // Nothing was published. The next plan has another profile, and so another key.
        let whose = match &planned.chosen.optimisation {
            Optimisation::Profile(profile) if profile.manifest.release == recipe.version => "of other options",
            _ => "of another release",
        };
        let reason = format!("the profile {whose} does not match: {reason}");
        self.report_training(recipe, data, reason);
        let trained = self.trained(recipe, &planned.plans, data, options)?;
        self.build_chosen(recipe, &trained, options)
    }

    /// Records a profile, and resolves the plans with it.
    fn trained(
        &self,
        recipe: &ReleaseRecipe,
        plans: &[BuildPlan],
        data: TrainingData,
        options: &BuildOptions,
    ) -> Result<Planned> {
        let mut plans = plans.to_vec();
        let optimise = |plans: &mut [BuildPlan], optimisation: &Optimisation| {
            for plan in plans {
                resolve::optimise(plan, recipe, optimisation);
            }
        };
        optimise(&mut plans, &Optimisation::Instrumented(data));
        let Some(first) = plans.first() else {
            return Ok(Planned { chosen: Optimisation::None.into(), plans, _held: None });
        };
        let Recorded { profile, held } = self.record(recipe, first, data, options)?;
        // Again, now that the keys and the profile are known.
        staged(
            self.reporter,
            "plan",
            recipe.full_version(),
            || {
                let optimisation = Optimisation::Profile(Box::new(profile));
                optimise(&mut plans, &optimisation);
                Ok(Planned { chosen: optimisation.into(), plans, _held: Some(held) })
            },
            Planned::summary,
        )
    }

    fn report_training(&self, recipe: &ReleaseRecipe, data: TrainingData, reason: String) {
        let (version, compiler) = (recipe.full_version(), data.compiler.to_string());
        self.reporter.report(Event::Training { version, compiler, reason });
    }

    /// Builds what the store does not have, with a profile that is there or without one.
    fn build_chosen(&self, recipe: &ReleaseRecipe, planned: &Planned, options: &BuildOptions) -> Result<Vec<Built>> {
        let (mut built, misses) = self.look_up(&planned.plans)?;
        if !misses.is_empty() {
            built.extend(self.run(recipe, &planned.chosen.optimisation, misses, options)?);
        }
        built.sort_by_key(|built| built.plan.request.flavor);
        Ok(built)
    }

    /// Looks all plans up. Every process takes the locks in the order of their keys, or two processes could wait
    /// for each other.
    fn look_up<'p>(&self, plans: &'p [BuildPlan]) -> Result<(Vec<Built>, Vec<Miss<'p>>)> {
        let mut keyed: Vec<_> = plans.iter().map(|plan| (plan.build_key(), plan)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        let (mut hits, mut misses) = (Vec::new(), Vec::new());
        for (key, plan) in keyed {
            match self.store.lookup(key, plan.request_key(), self.reporter)? {
                CacheStatus::Hit(artifact) => {
                    self.reporter.report(Event::Note(format!("{} is in the store", artifact.record.name)));
                    hits.push(Built { plan: plan.clone(), artifact: *artifact, cached: true });
                }
                CacheStatus::Miss(lock) => {
                    let wanted = Wanted { request: &plan.request, key: plan.request_key(), glibc: None };
                    match self.remotes.by_build_key(wanted, lock, self.store, self.reporter)? {
                        ByKey::Taken(artifact) => {
                            hits.push(Built { plan: plan.clone(), artifact: *artifact, cached: true });
                        }
                        ByKey::Missing(lock) => misses.push(Miss { plan, lock }),
                    }
                }
            }
        }
        Ok((hits, misses))
    }

    /// Runs the stages: once those that all flavors share, and then for each flavor those of its artifact.
    fn run(
        &self,
        recipe: &ReleaseRecipe,
        optimisation: &Optimisation,
        misses: Vec<Miss<'_>>,
        options: &BuildOptions,
    ) -> Result<Vec<Built>> {
        // One that keeps the static library needs objects that serve the others as well.
        let with_static = misses.iter().find(|miss| miss.plan.static_library);
        let Some(first) = with_static.or(misses.first()).map(|miss| miss.plan) else { return Ok(Vec::new()) };
        let site = self.site("", first, options)?;
        let context = site.context(recipe, first, optimisation);
        for miss in &misses {
            miss.lock.set_log(context.log.path());
        }
        // Between the two a build waits for a slot: the configure of another version may run while this one
        // compiles.
        let (patches, launcher) = (self.patches(recipe, options)?, options.launcher(recipe));
        let (_source, tree) = order::configured(&context, &patches, &options.fetch, launcher)?;
        let slot = self.jobs.slot()?;
        let tree = order::compiled(&context, tree)?;
        let staged_prefix = order::installed(&context, &tree)?;
        drop(slot);

        let mut built = Vec::new();
        let mut next = Some(staged_prefix);
        let mut misses = misses.into_iter().peekable();
        while let Some(Miss { plan, lock }) = misses.next() {
            let Some(prefix) = next.take() else { break };
            if misses.peek().is_some() {
                let place = context.work.join(format!("staging-{}", built.len())).join(plan.request.prefix.name());
                next = Some(prefix.copy(&place)?);
            }
            let _slot = self.jobs.slot()?;
            let context = BuildContext { plan, ..context };
            let packed = order::packed(&context, prefix)?;
            let artifact = order::published(&context, packed, lock)?;
            built.push(Built { plan: plan.clone(), artifact, cached: false });
        }
        Ok(built)
    }
}
