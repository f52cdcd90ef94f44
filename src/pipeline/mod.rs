//! What a build goes through: the plan, the store, and the stages in order (`order`). Training and
//! building again go the same way for a part of it.

mod order;
mod rebuild;
mod train;

use std::path::PathBuf;

pub use self::rebuild::{Again, Rebuilt, Replanned};
use crate::domain::launcher::Launcher;
use crate::domain::plan::{BuildPlan, Flavor};
use crate::domain::profile::Optimisation;
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter, staged};
use crate::planning::choices::Choices;
use crate::planning::preflight::{self, Host};
use crate::planning::profile;
use crate::planning::resolve;
use crate::recipe::{Catalog, Recipe, ReleaseRecipe};
use crate::stages::fetch::FetchOptions;
use crate::stages::staging::StagedPrefix;
use crate::stages::train::Recorded;
use crate::stages::{publish, verify};
use crate::store::{CacheStatus, EntryLock, HeldProfile, LocalStore, Store, StoredArtifact, WorkDirectory};
use crate::sys::jobserver::JobServer;
use crate::sys::log::BuildLog;
use crate::sys::process::Runner;

/// What all builds of one invocation share.
#[derive(Clone, Copy)]
pub struct Pipeline<'a> {
    /// The recipes.
    pub catalog: &'a Catalog,
    /// Where sources and artifacts are kept.
    pub store: &'a LocalStore,
    /// Runs programs.
    pub runner: &'a dyn Runner,
    /// Takes events.
    pub reporter: &'a dyn Reporter,
    /// The processors. How many there are changes nothing in the output.
    pub jobs: &'a JobServer,
}

/// What builds are to be.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// What the user chose.
    pub choices: Choices,
    /// What is kept: one artifact each.
    pub flavors: Vec<Flavor>,
    /// Where sources may come from.
    pub fetch: FetchOptions,
    /// What compilers are started through; none is what the recipe says.
    pub launcher: Option<Launcher>,
    /// Whether missing packages are installed.
    pub install_deps: bool,
    /// Whether a series past its end of life is built.
    pub allow_eol: bool,
    /// Whether the build directory stays.
    pub keep_build: bool,
    /// Where a build may work when the store's path is not fit for make.
    pub work_elsewhere: Vec<PathBuf>,
}

impl BuildOptions {
    fn launcher(&self, recipe: &ReleaseRecipe) -> Launcher {
        self.launcher.unwrap_or(recipe.shared.make.launcher)
    }
}

/// An artifact that a build gave.
#[derive(Debug)]
pub struct Built {
    /// Its plan.
    pub plan: BuildPlan,
    /// Where it is.
    pub artifact: StoredArtifact,
    /// Whether it was in the store already.
    pub cached: bool,
}

/// What one of several versions came to.
#[derive(Debug)]
pub struct VersionResult {
    /// The version, with its variant: `3.13.5t`.
    pub version: String,
    /// Its artifacts, or why there are none.
    pub built: Result<Vec<Built>>,
}

/// A plan and what has to be made for it.
struct Miss<'a> {
    plan: &'a BuildPlan,
    lock: EntryLock,
}

/// The plans of a release, and what they are optimised with.
struct Planned {
    optimisation: Optimisation,
    plans: Vec<BuildPlan>,
    /// What keeps a profile of the store there until the artifact that names it is published.
    _held: Option<HeldProfile>,
}

impl Planned {
    /// The build keys; those of a release that is trained first are not known yet.
    fn summary(&self) -> String {
        if matches!(self.optimisation, Optimisation::Instrumented(_)) {
            return "no profile yet".into();
        }
        self.plans.iter().map(|plan| plan.build_key().short()).collect::<Vec<_>>().join(", ")
    }
}

impl Pipeline<'_> {
    /// The recipe of a request, unless the series is past its end of life.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`], [`Error::EndOfLife`].
    pub fn recipe(&self, request: VersionRequest, allow_eol: bool) -> Result<ReleaseRecipe> {
        let (series, recipe) = self.catalog.find(request)?;
        match &series.end_of_life {
            Some(day) if !allow_eol && is_past(series) => {
                Err(Error::EndOfLife { series: series.series, day: day.clone() })
            }
            _ => Ok(recipe),
        }
    }

    /// The recipes of some requests; one that is asked for twice, by whatever name, is there once.
    fn recipes(&self, requests: &[VersionRequest], allow_eol: bool) -> Result<Vec<ReleaseRecipe>> {
        let mut recipes: Vec<ReleaseRecipe> = Vec::new();
        for request in requests {
            let recipe = self.recipe(*request, allow_eol)?;
            if !recipes.iter().any(|other| (other.version, other.variant) == (recipe.version, recipe.variant)) {
                recipes.push(recipe);
            }
        }
        Ok(recipes)
    }

    /// Resolves the plans of requests, one for each flavor. Nothing is built. Where a profile would
    /// have to be recorded first the plans are those of the instrumented build.
    ///
    /// # Errors
    /// What preflight and resolving answer.
    pub fn plan(&self, requests: &[VersionRequest], options: &BuildOptions) -> Result<Vec<BuildPlan>> {
        let recipes = self.recipes(requests, options.allow_eol)?;
        let mut plans = Vec::new();
        for recipe in &recipes {
            plans.extend(self.resolve(recipe, options)?.plans);
        }
        Ok(plans)
    }

    fn preflight(&self, recipe: &ReleaseRecipe, options: &BuildOptions) -> Result<Host<'_>> {
        let cc = options.choices.cc();
        preflight::check(recipe, cc, options.launcher(recipe), options.install_deps, self.runner, self.reporter)
    }

    fn resolve(&self, recipe: &ReleaseRecipe, options: &BuildOptions) -> Result<Planned> {
        let (choices, host) = (&options.choices, self.preflight(recipe, options)?);
        let optimisation = profile::choose(recipe, choices, &host, self.catalog, self.store, self.reporter)?;
        let plan = |flavor: &Flavor| resolve::resolve(recipe, *flavor, choices, &optimisation, &host, self.runner);
        let plans = options.flavors.iter().map(plan).collect::<Result<_>>()?;
        Ok(Planned { optimisation, plans, _held: None })
    }

    /// Builds what requests ask for and the store does not have: several at once, and none fails
    /// because another does. The results are in the order of the requests.
    ///
    /// # Errors
    /// A version that is unknown or past its end of life, before anything is built.
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
                // One after the other: what is missing may have to be installed, and a package
                // manager runs alone. The builds of those before are under way meanwhile.
                let planned = Pipeline { reporter: &*task, ..*self }.planned(recipe, options);
                let build = move || {
                    let pipeline = Pipeline { reporter: &*task, ..*self };
                    let built = planned.and_then(|planned| pipeline.build_planned(recipe, &planned, options));
                    if let Err(error) = &built
                        && !matches!(error, Error::Interrupted(_))
                    {
                        task.report(Event::Warning(format!("{error}; the other versions go on")));
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
                let held = profile::hold_named(&options.choices, self.store, self.reporter)?;
                Ok(Planned { _held: held, ..planned })
            },
            Planned::summary,
        )
    }

    fn build_planned(&self, recipe: &ReleaseRecipe, planned: &Planned, options: &BuildOptions) -> Result<Vec<Built>> {
        let trained;
        let planned = match (&planned.optimisation, planned.plans.first()) {
            (Optimisation::Instrumented(data), Some(plan)) => {
                self.reporter.report(Event::Note(format!(
                    "no profile is pinned for Python {} and this compiler: it is trained first",
                    recipe.full_version()
                )));
                let Recorded { profile, held } = self.record(recipe, plan, *data, options)?;
                let mut plans = planned.plans.clone();
                let optimisation = Optimisation::Profile(Box::new(profile));
                for plan in &mut plans {
                    resolve::optimise(plan, recipe, &optimisation);
                }
                trained = Planned { optimisation, plans, _held: Some(held) };
                &trained
            }
            _ => planned,
        };
        let (mut built, misses) = self.look_up(&planned.plans)?;
        if !misses.is_empty() {
            built.extend(self.run(recipe, &planned.optimisation, misses, options)?);
        }
        built.sort_by_key(|built| built.plan.flavor);
        Ok(built)
    }

    /// Looks all plans up. Locks are taken in the order of their keys, as every process takes
    /// them, so that none waits for another that waits for it.
    fn look_up<'p>(&self, plans: &'p [BuildPlan]) -> Result<(Vec<Built>, Vec<Miss<'p>>)> {
        let mut keyed: Vec<_> = plans.iter().map(|plan| (plan.build_key(), plan)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        let (mut hits, mut misses) = (Vec::new(), Vec::new());
        for (key, plan) in keyed {
            match self.store.lookup(key, self.reporter)? {
                CacheStatus::Hit(artifact) => {
                    self.reporter.report(Event::Note(format!("{} is in the store", artifact.record.name)));
                    hits.push(Built { plan: plan.clone(), artifact: *artifact, cached: true });
                }
                CacheStatus::Miss(lock) => misses.push(Miss { plan, lock }),
            }
        }
        Ok((hits, misses))
    }

    /// The stages that all flavors share, and for each flavor those that make its artifact.
    fn run(
        &self,
        recipe: &ReleaseRecipe,
        optimisation: &Optimisation,
        misses: Vec<Miss<'_>>,
        options: &BuildOptions,
    ) -> Result<Vec<Built>> {
        let Some(plan) = misses.first().map(|miss| miss.plan) else { return Ok(Vec::new()) };
        let (work, mut log) = self.work("", plan, options)?;
        // Whoever waits for a slot comes between: the configure of another version, say, while this
        // one compiles.
        let (_source, tree) = self.configured(recipe, plan, options, &work, &mut log)?;
        let slot = self.jobs.slot()?;
        let tree = self.compiled(tree, recipe, plan, optimisation, &work, &mut log)?;
        let staged_prefix = self.staged(&tree, recipe, plan, &work, &mut log)?;
        drop(slot);

        let mut built = Vec::new();
        let mut next = Some(staged_prefix);
        let mut misses = misses.into_iter().peekable();
        while let Some(Miss { plan, lock }) = misses.next() {
            let Some(prefix) = next.take() else { break };
            if misses.peek().is_some() {
                let place = work.path().join(format!("staging-{}", built.len())).join(plan.prefix.name());
                next = Some(prefix.copy(&place)?);
            }
            let _slot = self.jobs.slot()?;
            built.push(self.artifact(prefix, plan, lock, &work, &mut log)?);
        }
        Ok(built)
    }

    /// The stages of one flavor.
    fn artifact(
        &self,
        prefix: StagedPrefix,
        plan: &BuildPlan,
        lock: EntryLock,
        work: &WorkDirectory,
        log: &mut BuildLog<'_>,
    ) -> Result<Built> {
        let (reporter, flavor) = (self.reporter, plan.flavor.name());
        let packed = self.packed(prefix, plan, work, log)?;
        let verified = staged(
            reporter,
            "verify",
            flavor,
            || verify::verify(packed, self.runner, reporter),
            |verified| verified.report().summary(),
        )?;
        let artifact =
            staged(reporter, "publish", flavor, || publish::publish(&verified, lock, self.store), |_| String::new())?;
        Ok(Built { plan: plan.clone(), artifact, cached: false })
    }
}

/// Whether the day of a series' end of life is over. A month ends with its last day.
#[must_use]
pub fn is_past(recipe: &Recipe) -> bool {
    let today = jiff::Timestamp::now().to_string();
    recipe.end_of_life.as_ref().is_some_and(|day| today[..day.len().min(today.len())] > day[..])
}
