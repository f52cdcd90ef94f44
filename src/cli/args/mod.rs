//! The arguments, as clap reads them.

mod application;
mod artifacts;
mod build;
mod check;
mod dockerfile;
mod flags;
mod image;
mod lock;
mod matrix;
mod policies;
mod python_build;
mod remotes;
mod tools;
mod values;
mod wanted;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub(super) use self::application::VenvArgs;
pub(super) use self::artifacts::{IndexArgs, InspectArgs, ListArgs, UninstallArgs, VerifyArgs};
pub(super) use self::build::{BuildArgs, InstallArgs, TrainArgs};
pub(super) use self::check::CheckArgs;
pub(super) use self::dockerfile::{DEFAULT_BASE, DEFAULT_PYKEEL, DockerfileArgs};
use self::flags::BUILD_OPTIONS;
pub(super) use self::flags::BuildFlags;
pub(super) use self::image::ImageArgs;
pub(super) use self::lock::LockArgs;
pub(super) use self::matrix::{MatrixArgs, MatrixForm};
pub(super) use self::policies::PolicyArgs;
pub(super) use self::python_build::PythonBuildArgs;
pub(super) use self::remotes::{PruneRemoteArgs, PullArgs, PushArgs};
pub(super) use self::tools::{CacheCommand, CompletionsArgs, ManArgs, PruneArgs, RecipeCommand, Shell};
pub(super) use self::values::{ProfileName, TimingsForm, Wanted};
pub(super) use self::wanted::{BuiltArtifacts, WantedArtifacts};
use super::help::{
    BUILD_HELP, CHECK_HELP, COMPLETIONS_HELP, DOCKERFILE_HELP, IMAGE_HELP, INDEX_HELP, INSPECT_HELP, INSTALL_HELP,
    LIST_HELP, LOCK_HELP, MATRIX_HELP, PRUNE_REMOTE_HELP, PULL_HELP, PUSH_HELP, PYTHON_BUILD_HELP, TOP_HELP,
    TRAIN_HELP, UNINSTALL_HELP, VENV_HELP, VERIFY_HELP,
};
use super::settings::{CliOverrides, KEYS};
use crate::error::Result;

/// Builds CPython for containers: relocatable, verified, bit for bit reproducible.
#[derive(Debug, Parser)]
#[command(name = "pykeel", version, max_term_width = 100, after_help = TOP_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Directory of artifacts, sources and profiles
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,

    /// Directory of recipes that replace or extend the built-in ones
    #[arg(long, global = true, value_name = "DIR")]
    pub recipes: Option<PathBuf>,

    #[arg(long, global = true, value_name = "FILE")]
    #[arg(help = "The only configuration file to read [default: each pykeel.toml that is found] [env: PYKEEL_CONFIG]")]
    pub config: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// Print only the result and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more, such as the commands that run
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// How to show progress
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    pub progress: Progress,

    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Progress {
    /// Bars on a terminal, otherwise lines
    Auto,
    /// One line per stage
    Plain,
    /// One line of JSON per event
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build CPython from source and keep the artifact in the store
    #[command(after_help = BUILD_HELP)]
    Build(BuildArgs),
    /// Record the profile that an optimised build needs
    #[command(after_help = TRAIN_HELP)]
    Train(TrainArgs),
    /// Install CPython from the store, building it first if needed
    #[command(after_help = INSTALL_HELP)]
    Install(InstallArgs),
    /// Record which artifact each version means, for `--locked`
    #[command(after_help = LOCK_HELP)]
    Lock(Box<LockArgs>),
    /// Write a Dockerfile with a builder stage and a runtime stage
    #[command(after_help = DOCKERFILE_HELP)]
    Dockerfile(Box<DockerfileArgs>),
    /// Make a container image with CPython, without a daemon
    #[command(after_help = IMAGE_HELP)]
    Image(Box<ImageArgs>),
    /// Remove an installed CPython
    #[command(after_help = UNINSTALL_HELP)]
    Uninstall(UninstallArgs),
    /// List the artifacts in the store or in a remote, or every version that can be built
    #[command(after_help = LIST_HELP)]
    List(ListArgs),
    /// Give artifacts of the store to a remote
    #[command(after_help = PUSH_HELP)]
    Push(PushArgs),
    /// Take artifacts from the remotes into the store
    #[command(after_help = PULL_HELP)]
    Pull(Box<PullArgs>),
    /// Remove artifacts from a remote
    #[command(after_help = PRUNE_REMOTE_HELP)]
    Prune(PruneRemoteArgs),
    /// Say what a remote lacks, as a matrix of builds for CI
    #[command(after_help = MATRIX_HELP)]
    Matrix(Box<MatrixArgs>),
    /// Write an index of artifacts, by which uv installs them
    #[command(after_help = INDEX_HELP)]
    Index(IndexArgs),
    /// Show what an artifact or an installed prefix contains, or compare two
    #[command(after_help = INSPECT_HELP)]
    Inspect(InspectArgs),
    /// Check an artifact or an installed prefix, or rebuild an artifact and compare
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Make the environment of an application from a lock
    #[command(after_help = VENV_HELP)]
    Venv(VenvArgs),
    /// Judge a container image by what makes a good container for Python
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Build and install as pyenv's python-build does; it is also the program's other name
    #[command(name = python_build::NAME, after_help = PYTHON_BUILD_HELP)]
    #[command(override_usage = "pykeel [GLOBAL OPTIONS] python-build [-kvpg] DEFINITION PREFIX")]
    PythonBuild(PythonBuildArgs),
    /// Show or check recipes
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// List what the store contains, or remove what is not needed
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Show every setting with its value and origin
    Config,
    /// Print a shell completion script
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
    /// Print the man page, or write one page per command
    Man(ManArgs),
}

impl Command {
    /// Whether it builds, or may build.
    pub(super) const fn builds(&self) -> bool {
        match self {
            Self::Build(_) | Self::Train(_) | Self::Install(_) | Self::Image(_) => true,
            Self::Verify(args) => args.rebuild,
            Self::Lock(args) => args.build,
            _ => false,
        }
    }
}

impl Args {
    /// Returns the settings that the command line gives.
    ///
    /// # Errors
    /// [`crate::error::Error::Mirror`].
    pub(super) fn overrides(&self) -> Result<CliOverrides> {
        let recipes = self.global.recipes.clone().map(Some);
        let mut overrides = CliOverrides { store: self.global.store.clone(), recipes, ..CliOverrides::default() };
        match &self.command {
            Command::Build(args) => {
                overrides.format = args.format;
                overrides.out = args.out.clone().map(Some);
                args.artifacts.apply_to(&mut overrides)?;
            }
            Command::Train(args) => {
                overrides.shared = args.shared.then_some(true);
                args.flags.apply_to(&mut overrides)?;
            }
            Command::Verify(args) => args.flags.apply_to(&mut overrides)?,
            Command::Install(args) => args.artifacts.apply_to(&mut overrides)?,
            Command::Lock(args) => args.artifacts.apply_to(&mut overrides)?,
            Command::Matrix(args) => args.apply_to(&mut overrides)?,
            Command::Pull(args) => args.apply_to(&mut overrides)?,
            Command::Image(args) => {
                overrides.prefix.clone_from(&args.prefix);
                args.artifacts.apply_to(&mut overrides)?;
            }
            Command::Dockerfile(args) => {
                overrides.prefix.clone_from(&args.prefix);
                overrides.libraries = args.libraries;
                overrides.bytecode = args.bytecode;
                overrides.allow_eol = args.allow_eol.then_some(true);
            }
            _ => {}
        }
        Ok(overrides)
    }
}

/// Reads a command line.
///
/// # Errors
/// What clap prints: a mistake, help, or the version.
pub(super) fn parse(words: Vec<OsString>) -> std::result::Result<Args, clap::Error> {
    let (own, of_python_build) = python_build::split(words);
    let mut args = command().try_get_matches_from(own).and_then(|matches| Args::from_arg_matches(&matches))?;
    if let (Command::PythonBuild(python_build), Some(words)) = (&mut args.command, of_python_build) {
        python_build.words = words;
    }
    Ok(args)
}

/// Returns the clap command. The help of a setting names its default and its variable.
pub(super) fn command() -> clap::Command {
    let command = with_settings(Args::command()).mut_subcommand("verify", |verify| {
        // Without `--rebuild`, verify builds nothing.
        verify.mut_args(|arg| if arg.get_help_heading() == Some(BUILD_OPTIONS) { arg.requires("rebuild") } else { arg })
    });
    let command = command.mut_subcommand("install", |install| {
        install.mut_arg("what", |what| what.required(false).required_unless_present("locked"))
    });
    command.mut_subcommand("image", |image| {
        // `--rootfs` takes trees, and no artifacts: what decides these would do nothing.
        const OF_ROOT: [&str; 5] = ["rootfs", "trees", "packages", "ca", "libc"];
        let image = image.mut_args(|arg| {
            let means_nothing = !OF_ROOT.contains(&arg.get_id().as_str());
            if means_nothing { arg.conflicts_with("rootfs") } else { arg }
        });
        image.mut_arg("what", |what| what.required(false).required_unless_present("rootfs"))
    })
}

/// The commands whose option of this name chooses something else than the setting.
const OTHER_FLAVORS: [&str; 3] = ["dockerfile", "index", "inspect"];

fn with_settings(command: clap::Command) -> clap::Command {
    let is_other = OTHER_FLAVORS.contains(&command.get_name());
    let is_meant = |name: &str| name != "flavor" || !is_other;
    let command = command.mut_args(|arg| {
        let key = arg.get_long().filter(|long| is_meant(long));
        let key = key.and_then(|long| KEYS.iter().find(|key| key.name() == long));
        match (key, arg.get_help().cloned()) {
            (Some(key), Some(help)) => {
                // The default prefix of an installation depends on what is installed.
                let default = if help.to_string().contains("[default: ") {
                    String::new()
                } else {
                    format!(" [default: {}]", key.default)
                };
                arg.help(format!("{help}{default} [env: {}]", key.variable()))
            }
            _ => arg,
        }
    });
    command.mut_subcommands(with_settings)
}

#[cfg(test)]
mod tests {
    use super::super::settings::KEYS;
    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        command().debug_assert();
    }

    #[test]
    fn timings_are_a_table_or_a_page() {
        let timings = |argument: &str| {
            let matches = command().try_get_matches_from(["pykeel", "build", argument, "3.13"])?;
            let Command::Build(args) = <Args as clap::FromArgMatches>::from_arg_matches(&matches)?.command else {
                panic!("another command");
            };
            Ok::<_, clap::Error>(args.artifacts.flags.timings)
        };
        assert_eq!(timings("--offline").unwrap(), None);
        assert_eq!(timings("--timings").unwrap(), Some(TimingsForm::Table));
        assert_eq!(timings("--timings=a/b.html").unwrap(), Some(TimingsForm::Page("a/b.html".into())));
        for wrong in ["--timings=a.txt", "--timings=html", "--timings=.html", "--timings="] {
            assert!(timings(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_say_their_default_and_their_variable_in_the_help() {
        let mut build = command();
        build.build();
        let build = build.find_subcommand_mut("build").unwrap();
        let help: Vec<_> = build.render_long_help().to_string().split_whitespace().map(str::to_owned).collect();
        let help = help.join(" ");
        for key in KEYS {
            assert!(help.contains(&format!("[env: {}]", key.variable())), "{}", key.variable());
        }
        assert!(help.contains("[default: bundle] [env: PYKEEL_LIBRARIES]"), "{help}");
    }
}
