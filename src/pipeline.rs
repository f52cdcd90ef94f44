//! The order of the stages.

use std::path::PathBuf;

use crate::domain::comparison::{Change, plan_changes};
use crate::domain::launcher::Launcher;
use crate::domain::plan::{BuildPlan, FORMAT, Flavor};
use crate::domain::profile::Profile;
use crate::domain::version::{Selector, VersionRequest};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter, staged};
use crate::recipe::{Catalog, Recipe, ReleaseRecipe};
use crate::stages::compile::{self, CompiledTree};
use crate::stages::configure;
use crate::stages::fetch::{self, FetchOptions, VerifiedSource};
use crate::stages::launch::LaunchedTree;
use crate::stages::package::{self, PackedArtifact};
use crate::stages::preflight::{self, Host};
use crate::stages::profile::{self, Data, NamedProfile, Optimisation};
use crate::stages::resolve::{self, Choices};
use crate::stages::staging::{self, StagedPrefix};
use crate::stages::{Workshop, bundle, launch, patch, pip, prepare, publish, relocate, strip, train, unpack, verify};
use crate::store::{CacheStatus, EntryLock, LocalStore, Store, StoredArtifact, WorkDirectory};
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
        self.launcher.unwrap_or(recipe.launcher)
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

/// The plan of an artifact, resolved again.
#[derive(Debug)]
pub enum Replanned {
    /// The same plan, with what it takes to build by it.
    Same(Box<Again>),
    /// Another one: what differs, the artifact's value first.
    Other(Vec<Change<serde_json::Value>>),
}

/// What it takes to build an artifact again.
#[derive(Debug)]
pub struct Again {
    recipe: ReleaseRecipe,
    optimisation: Optimisation,
    plan: BuildPlan,
}

/// An artifact that was built again. It lies in the work directory, and goes with it.
#[derive(Debug)]
pub struct Rebuilt {
    /// The artifact.
    pub packed: PackedArtifact,
    /// Where it was built.
    pub work: WorkDirectory,
}

/// The plans of a release, and what they are optimised with.
struct Planned {
    optimisation: Optimisation,
    plans: Vec<BuildPlan>,
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
        Ok(Planned { optimisation, plans })
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
                profile::keep_named(&options.choices, self.store, self.reporter)?;
                Ok(planned)
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
                let profile = self.record(recipe, plan, *data, options)?;
                let mut plans = planned.plans.clone();
                let optimisation = Optimisation::Profile(Box::new(profile));
                for plan in &mut plans {
                    resolve::optimise(plan, recipe, &optimisation);
                }
                trained = Planned { optimisation, plans };
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

    /// Records the profile of a release: the pipeline of training.
    ///
    /// # Errors
    /// What preflight and the stages answer.
    pub fn train(&self, request: VersionRequest, options: &BuildOptions) -> Result<(ReleaseRecipe, Profile)> {
        let recipe = self.recipe(request, options.allow_eol)?;
        let (plan, data) = staged(
            self.reporter,
            "plan",
            recipe.full_version(),
            || {
                let host = self.preflight(&recipe, options)?;
                let data = profile::data(&recipe, &host)?;
                let optimisation = Optimisation::Instrumented(data);
                let plan =
                    resolve::resolve(&recipe, Flavor::Runtime, &options.choices, &optimisation, &host, self.runner)?;
                Ok::<_, Error>((plan, data))
            },
            |(plan, _)| plan.build_key().short(),
        )?;
        let profile = self.record(&recipe, &plan, data, options)?;
        Ok((recipe, profile))
    }

    fn record(&self, recipe: &ReleaseRecipe, plan: &BuildPlan, data: Data, options: &BuildOptions) -> Result<Profile> {
        let scripts = self.catalog.training_scripts()?;
        let (work, mut log) = self.work("", plan, options)?;
        let (_source, tree) = self.configured(recipe, plan, options, &work, &mut log)?;
        let _slot = self.jobs.slot()?;
        let tree = self.compiled(tree, recipe, plan, &Optimisation::Instrumented(data), &work, &mut log)?;
        prepare::keep_frozen(&tree, plan, recipe, self.store)?;
        staged(
            self.reporter,
            "train",
            "",
            || train::train(&tree, plan, recipe, data, &scripts, self.workshop(&work), &mut log),
            |profile| format!("profile {} ({} objects)", profile.digest.short(), profile.data.len()),
        )
    }

    fn workshop<'w>(&'w self, work: &'w WorkDirectory) -> Workshop<'w> {
        Workshop { store: self.store, jobs: self.jobs, work: work.path() }
    }

    /// Resolves the plan of an artifact again, with the recipes and on the system that are here.
    ///
    /// # Errors
    /// What preflight and resolving answer.
    pub fn replan(&self, wanted: &BuildPlan, options: &BuildOptions) -> Result<Replanned> {
        let other = |name: &str, before: serde_json::Value, after| {
            Ok(Replanned::Other(vec![Change { name: name.into(), before: Some(before), after }]))
        };
        if wanted.format != FORMAT {
            return other("format", wanted.format.into(), Some(FORMAT.into()));
        }
        let request = VersionRequest { selector: Selector::Release(wanted.release), variant: wanted.variant };
        // It is built to be compared: nobody is going to run it.
        let recipe = match self.recipe(request, true) {
            Err(Error::UnknownVersion { .. } | Error::NoVariant { .. }) => {
                return other("recipe", wanted.recipe.to_string().into(), None);
            }
            recipe => recipe?,
        };
        let named = wanted.named_profile.map(|digest| NamedProfile { digest, file: None });
        let choices = Choices { optimize: Some(wanted.optimize), profile: named, ..options.choices.clone() };
        let host = self.preflight(&recipe, options)?;
        let mut plan = resolve::resolve(&recipe, wanted.flavor, &choices, &Optimisation::None, &host, self.runner)?;
        // First without the optimisation: of another compiler there is more to say than that it
        // cannot read the profile.
        let unoptimised = BuildPlan { profile: plan.profile, make: plan.make.clone(), ..wanted.clone() };
        let changes = plan_changes(&unoptimised, &plan);
        if !changes.is_empty() {
            return Ok(Replanned::Other(changes));
        }
        let profile = match (wanted.profile, &options.choices.profile) {
            (Some(wanted), Some(named)) if named.digest != wanted => {
                return other("profile", wanted.to_string().into(), Some(named.digest.to_string().into()));
            }
            (Some(wanted), None) if !profile::at_hand(wanted, &recipe, self.catalog, self.store, self.reporter)? => {
                return other("profile", wanted.to_string().into(), None);
            }
            (None, Some(named)) => return other("profile", "none".into(), Some(named.digest.to_string().into())),
            (wanted, named) => named.clone().or(wanted.map(|digest| NamedProfile { digest, file: None })),
        };
        let optimisation =
            profile::choose(&recipe, &Choices { profile, ..choices }, &host, self.catalog, self.store, self.reporter)?;
        resolve::optimise(&mut plan, &recipe, &optimisation);
        let changes = plan_changes(wanted, &plan);
        if changes.is_empty() {
            Ok(Replanned::Same(Box::new(Again { recipe, optimisation, plan })))
        } else {
            Ok(Replanned::Other(changes))
        }
    }

    /// Builds an artifact again: all of it, whatever the store has of it. It is not published, and
    /// not verified: what matters is whether it is the same.
    ///
    /// # Errors
    /// What the stages answer.
    pub fn rebuild(&self, again: &Again, options: &BuildOptions) -> Result<Rebuilt> {
        let Again { recipe, optimisation, plan } = again;
        let store = self.store.without_intermediates();
        let pipeline = Pipeline { store: &store, ..*self };
        let (work, mut log) = pipeline.work("rebuild-", plan, options)?;
        let (_source, tree) = pipeline.configured(recipe, plan, options, &work, &mut log)?;
        let _slot = self.jobs.slot()?;
        let tree = pipeline.compiled(tree, recipe, plan, optimisation, &work, &mut log)?;
        let prefix = pipeline.staged(&tree, recipe, plan, &work, &mut log)?;
        let packed = pipeline.packed(prefix, plan, &work, &mut log)?;
        drop(log);
        Ok(Rebuilt { packed, work })
    }

    /// The directory and the log of a build.
    fn work(&self, kind: &str, plan: &BuildPlan, options: &BuildOptions) -> Result<(WorkDirectory, BuildLog<'_>)> {
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
        let log_name = format!("{kind}cpython-{}{}-{}", plan.release, plan.variant, plan.build_key().short());
        let log = BuildLog::create(self.store.log(&log_name)?, self.runner, reporter)?;
        Ok((work, log))
    }

    /// The stages from the source to a tree that make can build. The source is held as long as the
    /// caller keeps it, so that nobody prunes it under a build.
    fn configured(
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
            || configure::configure(&tree, plan, self.workshop(work), log),
            |_| String::new(),
        )?;
        let tree = launch::launch(tree, plan, options.launcher(recipe), work.path(), self.runner, reporter)?;
        Ok((source, tree))
    }

    /// The stages from there to one in which everything is compiled.
    fn compiled(
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
            "prepare",
            optimisation.to_string(),
            || prepare::prepare(tree, plan, recipe, optimisation, self.workshop(work), log),
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

    fn staged(
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

    /// The stages from what was installed to a tarball.
    fn packed(
        &self,
        prefix: StagedPrefix,
        plan: &BuildPlan,
        work: &WorkDirectory,
        log: &mut BuildLog<'_>,
    ) -> Result<PackedArtifact> {
        let (reporter, flavor) = (self.reporter, plan.flavor.name());
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

/// Whether the day of a series' end of life is over. A month ends with its last day.
#[must_use]
pub fn is_past(recipe: &Recipe) -> bool {
    let today = jiff::Timestamp::now().to_string();
    recipe.end_of_life.as_ref().is_some_and(|day| today[..day.len().min(today.len())] > day[..])
}
