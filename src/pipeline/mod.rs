//! The pipelines: building, training, and rebuilding one artifact. Each resolves a plan and runs the stages
//! in `order` that it needs.

mod build;
mod order;
mod rebuild;
mod site;
mod train;

use std::path::PathBuf;

pub use self::build::{Built, VersionResult};
pub use self::rebuild::{Again, Rebuilt, Replanned};
use crate::domain::launcher::Launcher;
use crate::domain::plan::{BuildPlan, Flavor, Hardening};
use crate::domain::profile::Optimisation;
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::event::Reporter;
use crate::planning::choices::Choices;
use crate::planning::preflight::{self, Host, Wanted};
use crate::planning::profile::{Chosen, Profiles};
use crate::planning::resolve;
use crate::recipe::{Catalog, PatchText, Recipe, ReleaseRecipe};
use crate::stages::fetch::FetchOptions;
use crate::store::remote::Remotes;
use crate::store::{HeldProfile, Store};
use crate::sys::distro::Distro;
use crate::sys::jobserver::JobServer;
use crate::sys::process::Runner;

/// The resources that all builds of one invocation share.
#[derive(Clone, Copy)]
pub struct Pipeline<'a> {
    /// The recipes.
    pub catalog: &'a Catalog,
    /// Where sources and artifacts are kept.
    pub store: &'a Store,
    /// Where artifacts are looked for that the store does not have.
    pub remotes: &'a Remotes,
    /// The distribution of this system, whose package manager installs what is missing and confirms what is read.
    pub distro: &'a Distro,
    /// Runs programs.
    pub runner: &'a dyn Runner,
    /// Takes events.
    pub reporter: &'a dyn Reporter,
    /// The slots that all builds share. Their number has no effect on the output.
    pub jobs: &'a JobServer,
}

/// The options of a build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The user's choices.
    pub choices: Choices,
    /// The flavors: one artifact for each.
    pub flavors: Vec<Flavor>,
    /// Where sources may come from.
    pub fetch: FetchOptions,
    /// The launcher that compilers are started through; none takes the recipe's.
    pub launcher: Option<Launcher>,
    /// Whether missing packages are installed.
    pub install_deps: bool,
    /// Whether a series past its end of life is built.
    pub allow_eol: bool,
    /// Whether the build directory stays.
    pub keep_build: bool,
    /// The directory that a build is to work in, instead of the store.
    pub work_in: Option<PathBuf>,
    /// Where a build may work if it cannot work in the store.
    pub work_elsewhere: Vec<PathBuf>,
}

impl BuildOptions {
    fn launcher(&self, recipe: &ReleaseRecipe) -> Launcher {
        self.launcher.unwrap_or(recipe.shared.make.launcher)
    }
}

/// The plans of a release, and what they are optimised with.
struct Planned {
    chosen: Chosen,
    plans: Vec<BuildPlan>,
    /// Keeps a profile in the store until the artifact that names it is published.
    _held: Option<HeldProfile>,
}

impl Planned {
    /// The build keys, and how the build is optimised and hardened, for people. The keys of a release that is trained
    /// first are not known yet.
    fn summary(&self) -> String {
        let keys = match self.chosen.optimisation {
            Optimisation::Instrumented(_) => "keys after training".to_owned(),
            _ => self.plans.iter().map(|plan| plan.build_key().short()).collect::<Vec<_>>().join(", "),
        };
        let hardening = match self.plans.first().map(|plan| plan.request.policies.hardening) {
            Some(Hardening::Full) => ", hardened",
            Some(Hardening::None) => ", not hardened",
            None => "",
        };
        format!("{keys} ({}{hardening})", self.chosen.optimisation.in_words())
    }
}

impl Pipeline<'_> {
    /// The recipe of a request; see [`recipe()`].
    ///
    /// # Errors
    /// Those of [`recipe()`].
    pub fn recipe(&self, request: VersionRequest, allow_eol: bool) -> Result<ReleaseRecipe> {
        recipe(self.catalog, request, allow_eol)
    }

    /// The patches of a build: the recipe's, then the user's.
    ///
    /// # Errors
    /// [`Error::Patch`] if one of the recipe is missing or has another digest.
    fn patches(&self, recipe: &ReleaseRecipe, options: &BuildOptions) -> Result<Vec<PatchText>> {
        let mut patches = self.catalog.patches(recipe)?;
        patches.extend(options.choices.patches.iter().cloned());
        Ok(patches)
    }

    /// The recipes of some requests. A release that is requested twice is there once.
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

    /// Resolves the plans of requests, one for each flavor, and builds nothing. If a profile has to be recorded
    /// first, the plans are those of the instrumented build.
    ///
    /// # Errors
    /// Those of [`recipe`](Self::recipe), and of [`preflight::check`], [`Profiles::choose`] and
    /// [`resolve::resolve`].
    pub fn plan(&self, requests: &[VersionRequest], options: &BuildOptions) -> Result<Vec<BuildPlan>> {
        let recipes = self.recipes(requests, options.allow_eol)?;
        let mut plans = Vec::new();
        for recipe in &recipes {
            plans.extend(self.resolve(recipe, options)?.plans);
        }
        Ok(plans)
    }

    fn preflight(&self, recipe: &ReleaseRecipe, options: &BuildOptions) -> Result<Host<'_>> {
        let wanted = Wanted { recipe, choices: &options.choices, launcher: options.launcher(recipe) };
        preflight::check(self.distro, wanted, options.install_deps, self.runner, self.reporter)
    }

    /// Where profiles are.
    const fn profiles(&self) -> Profiles<'_> {
        Profiles { catalog: self.catalog, store: self.store, reporter: self.reporter }
    }

    fn resolve(&self, recipe: &ReleaseRecipe, options: &BuildOptions) -> Result<Planned> {
        let (choices, host) = (&options.choices, self.preflight(recipe, options)?);
        let chosen = self.profiles().choose(recipe, choices, &host)?;
        let plan = |flavor: &Flavor| resolve::resolve(recipe, *flavor, choices, &chosen.optimisation, &host);
        let plans = options.flavors.iter().map(plan).collect::<Result<_>>()?;
        Ok(Planned { chosen, plans, _held: None })
    }
}

/// The recipe of a request.
///
/// # Errors
/// [`Error::UnknownVersion`], [`Error::NoVariant`], and [`Error::EndOfLife`] unless `allow_eol` is set.
pub fn recipe(catalog: &Catalog, request: VersionRequest, allow_eol: bool) -> Result<ReleaseRecipe> {
    let (series, recipe) = catalog.find(request)?;
    match &series.end_of_life {
        Some(day) if !allow_eol && is_past(series) => Err(Error::EndOfLife { series: series.series, day: day.clone() }),
        _ => Ok(recipe),
    }
}

/// Whether a series is past its end of life. A date without a day is that month's last day.
#[must_use]
pub fn is_past(recipe: &Recipe) -> bool {
    let today = jiff::Timestamp::now().to_string();
    recipe.end_of_life.as_ref().is_some_and(|day| today[..day.len().min(today.len())] > day[..])
}
