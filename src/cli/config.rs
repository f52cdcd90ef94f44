//! Merges arguments, environment and configuration files into what a command acts on.

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::{Path, PathBuf};

use super::args::{Args, BuildFlags, Global, ProfileName};
use super::reporter::CliReporter;
use super::settings::{self, CliOverrides, OfOneBuild, Settings};
use super::variables;
use crate::domain::plan::Flavor;
use crate::domain::prefix::PrefixTemplate;
use crate::error::{Error, FlagProblem, Result};
use crate::event::{Event, Reporter};
use crate::pipeline::{BuildOptions, Pipeline};
use crate::planning::choices::{Choices, append};
use crate::recipe::Catalog;
use crate::stages::fetch::FetchOptions;
use crate::store::Store;
use crate::store::remote::Remotes;
use crate::sys::distro::Distro;
use crate::sys::http::Limits;
use crate::sys::jobserver::JobServer;
use crate::sys::process::System;
use crate::sys::toolchain::compiler_by_name;

/// The user's variables that decide what the compiler writes.
const COMPILER_VARIABLES: [&str; 4] = ["CC", "CFLAGS", "CPPFLAGS", "LDFLAGS"];

/// What becomes of the directory and the source of a build: options that no setting has.
#[derive(Debug, Clone, Default)]
pub(super) struct BuildPlaces {
    /// Whether the build directory stays.
    pub keep_build: bool,
    /// The directory to work in, instead of the store.
    pub work_in: Option<PathBuf>,
    /// A directory that gets a copy of the source archive.
    pub source_copies: Option<PathBuf>,
}

impl From<&BuildFlags> for BuildPlaces {
    fn from(flags: &BuildFlags) -> Self {
        Self { keep_build: flags.keep_build, ..Self::default() }
    }
}

/// What a command acts on.
pub(super) struct Config {
    /// The store.
    pub store: Store,
    /// The remotes that are asked for what the store does not have.
    pub remotes: Remotes,
    /// Takes events and draws them.
    pub reporter: CliReporter,
    /// Whether the result is printed as JSON.
    pub json: bool,
    /// The settings.
    pub settings: Settings,
    /// The distribution of this system.
    pub distro: Distro,
}

impl Config {
    /// Reads the environment and the configuration files.
    ///
    /// # Errors
    /// [`Error::Usage`] and [`Error::Mistake`] for what cannot be read, and where there is no
    /// place for a store.
    pub(super) fn new(args: &Args) -> Result<Self> {
        let config = Self::with(&args.global, args.overrides()?)?;
        if let Some(text) = config.ignored_file() {
            config.reporter.report(Event::Warning(format!("{text} (read it with `--config`)")));
        }
        if let Some(note) = Some(variables::is_set).filter(|_| args.command.builds()).and_then(variables::note) {
            config.reporter.report(Event::Note(note));
        }
        Ok(config)
    }

    /// Reads the environment and the configuration files, with settings that take precedence over both.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn with(global: &Global, overrides: CliOverrides) -> Result<Self> {
        let settings = settings::load(global.config.as_deref(), overrides)?;
        let store = Store::new(std::path::absolute(&settings.store.value)?);
        let offline = settings.offline.value;
        // A directory needs no network.
        let usable = settings.remotes.value.0.iter().filter(|address| !offline || !address.is_remote());
        let remotes = Remotes::new(usable.cloned());
        let (reporter, distro) = (CliReporter::new(global), Distro::read(Path::new("/")));
        Ok(Self { store, remotes, reporter, json: global.json, settings, distro })
    }

    /// Returns a warning of a configuration file that was not read.
    pub(super) fn ignored_file(&self) -> Option<String> {
        let path = self.settings.ignored.as_ref()?.display();
        Some(format!("ignoring {path}: another user owns it, in a world-writable directory"))
    }

    /// Loads the recipes.
    ///
    /// # Errors
    /// [`Error::Mistake`] for the first mistake, [`Error::Unreadable`] for a file that cannot be read.
    pub(super) fn catalog(&self) -> Result<Catalog> {
        Catalog::load(self.settings.recipes.value.as_deref())
    }

    /// Returns the user's choices, with a prefix template.
    ///
    /// # Errors
    /// [`Error::Usage`] for a variable that is not UTF-8, [`Error::CompilerFlag`] for a flag whose
    /// meaning depends on the machine, [`Error::ConfigureArgument`] for an argument that a build cannot have,
    /// [`Error::Unreadable`] for a profile that cannot be read.
    pub(super) fn choices(
        &self,
        prefix: PrefixTemplate,
        once: OfOneBuild,
        profile: Option<&ProfileName>,
    ) -> Result<Choices> {
        let mut compiler_variables = BTreeMap::new();
        for name in COMPILER_VARIABLES {
            match std::env::var(name) {
                Ok(value) if !value.trim().is_empty() => {
                    let value = if name == "CC" { compiler_by_name(&value) } else { value };
                    compiler_variables.insert(name.to_owned(), value);
                }
                Ok(_) | Err(VarError::NotPresent) => {}
                Err(error @ VarError::NotUnicode(_)) => return Err(Error::Usage(format!("{name}: {error}"))),
            }
        }
        for (name, words) in &once.compiler_words {
            append(&mut compiler_variables, name, words);
        }
        let choices = Choices {
            prefix,
            optimize: self.settings.optimize.value,
            profile: profile.map(ProfileName::find).transpose()?,
            patches: once.patches.clone(),
            policies: self.settings.policies(once, compiler_variables),
        };
        choices.check_arguments()?;
        choices.refuse_flags(OF_THIS_MACHINE, FlagProblem::HostSpecific)?;
        Ok(choices)
    }

    /// Returns the job server, with one slot for each job.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot make a pipe.
    pub(super) fn jobs(&self) -> Result<JobServer> {
        Ok(JobServer::new(usize::from(self.settings.jobs.value.get()))?)
    }

    /// Returns the pipeline, with the resources that all builds of this invocation share.
    pub(super) const fn pipeline<'a>(
        &'a self,
        catalog: &'a Catalog,
        reporter: &'a dyn Reporter,
        jobs: &'a JobServer,
    ) -> Pipeline<'a> {
        let Self { store, remotes, distro, .. } = self;
        Pipeline { catalog, store, remotes, distro, runner: &System, reporter, jobs }
    }

    /// Returns the options of a build.
    ///
    /// # Errors
    /// [`Error::Usage`] for settings that contradict each other.
    pub(super) fn build_options(
        &self,
        places: &BuildPlaces,
        choices: Choices,
        flavors: Vec<Flavor>,
    ) -> Result<BuildOptions> {
        let Settings { offline, install_deps, .. } = &self.settings;
        if offline.value && install_deps.value {
            return Err(Error::Usage(format!(
                "`install-deps` ({}) cannot be used with `offline` ({})",
                install_deps.origin, offline.origin
            )));
        }
        Ok(BuildOptions {
            choices,
            flavors,
            fetch: FetchOptions {
                mirrors: self.settings.mirror.value.iter().map(|mirror| mirror.0.clone()).collect(),
                offline: offline.value,
                copies: places.source_copies.clone(),
                limits: Limits::default(),
            },
            launcher: self.settings.launcher.value,
            install_deps: install_deps.value,
            allow_eol: self.settings.allow_eol.value,
            keep_build: places.keep_build,
            work_in: places.work_in.clone(),
            work_elsewhere: Self::work_elsewhere(),
        })
    }

    /// Returns the directories where a build may work if make cannot work in the store.
    pub(super) fn work_elsewhere() -> Vec<PathBuf> {
        vec![std::env::temp_dir(), "/var/tmp".into(), "/tmp".into()]
    }
}

/// Options of the compiler whose meaning depends on the processor that it runs on.
const OF_THIS_MACHINE: &[&str] = &["-march=native", "-mtune=native", "-mcpu=native"];
