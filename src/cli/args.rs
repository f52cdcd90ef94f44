//! The arguments, as clap reads them.

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{BoolishValueParser, PathBufValueParser, TypedValueParser as _};
use clap::{Args as ClapArgs, CommandFactory as _, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use super::help::{
    BUILD_HELP, COMPLETIONS_HELP, INSPECT_HELP, INSTALL_HELP, PRUNE_HELP, TOP_HELP, TRAIN_HELP, UNINSTALL_HELP,
    VERIFY_HELP,
};
use super::settings::{FlavorChoice, Given, KEYS, Mirror};
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::domain::plan::{Bytecode, Flavor, LibraryPolicy, Optimize};
use crate::domain::prefix::PrefixTemplate;
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::planning::choices::NamedProfile;
use crate::stages::fetch;

/// Builds CPython for containers: relocatable, verified, the same every time.
#[derive(Debug, Parser)]
#[command(name = "pykeel", version, max_term_width = 100, after_help = TOP_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Where artifacts and sources are kept
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,

    /// A directory of recipes that are laid over those compiled in
    #[arg(long, global = true, value_name = "DIR")]
    pub recipes: Option<PathBuf>,

    #[arg(long, global = true, value_name = "FILE")]
    #[arg(help = "The one configuration file to read [default: every pykeel.toml that is found] [env: PYKEEL_CONFIG]")]
    pub config: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// Say nothing but the result and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say what is run
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// How progress is shown
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    pub progress: Progress,

    /// Whether to use colours; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Progress {
    /// Bars on a terminal, else lines
    Auto,
    /// A line for each stage
    Plain,
    /// A line of JSON for each event
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
    /// Record what an optimised build needs: a profile of what CPython does most
    #[command(after_help = TRAIN_HELP)]
    Train(TrainArgs),
    /// Install CPython from the store, or build it first
    #[command(after_help = INSTALL_HELP)]
    Install(InstallArgs),
    /// Remove an installed CPython
    #[command(after_help = UNINSTALL_HELP)]
    Uninstall(UninstallArgs),
    /// List the artifacts in the store
    List(ListArgs),
    /// Show what an artifact or an installed prefix holds, or what differs between two
    #[command(after_help = INSPECT_HELP)]
    Inspect(InspectArgs),
    /// Check an artifact or an installed prefix
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Show or check recipes
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// Show what the store holds, or remove what is not needed
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Show every setting, its value and where it was set
    Config,
    /// Print the completions of a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
    /// Print the man page, or write one for each command
    Man(ManArgs),
}

impl Args {
    /// What the command line says of the settings.
    ///
    /// # Errors
    /// That a mirror cannot be used.
    pub(super) fn given(&self) -> Result<Given> {
        let recipes = self.global.recipes.clone().map(Some);
        let mut given = Given { store: self.global.store.clone(), recipes, ..Given::default() };
        match &self.command {
            Command::Build(args) => {
                given.prefix.clone_from(&args.prefix);
                given.flavor = args.flavor;
                given.format = args.format;
                given.out = args.out.clone().map(Some);
                args.choices.say(&mut given);
                args.how.say(&mut given)?;
            }
            Command::Train(args) => args.how.say(&mut given)?,
            Command::Verify(args) => args.how.say(&mut given)?,
            Command::Install(args) => {
                given.flavor = args.flavor.map(FlavorChoice::from);
                args.choices.say(&mut given);
                args.how.say(&mut given)?;
            }
            _ => {}
        }
        Ok(given)
    }
}

/// The command as clap knows it. Options that are settings say their default and their variable.
pub(super) fn command() -> clap::Command {
    with_settings(Args::command()).mut_subcommand("verify", |verify| {
        // Verifying alone builds nothing.
        verify.mut_args(|arg| if arg.get_help_heading() == Some(BUILD_OPTIONS) { arg.requires("rebuild") } else { arg })
    })
}

fn with_settings(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let key = arg.get_long().and_then(|long| KEYS.iter().find(|key| key.name() == long));
        match (key, arg.get_help().cloned()) {
            (Some(key), Some(help)) => {
                // What an installation's prefix is by default depends on what is installed.
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

/// What decides which artifact is meant.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct ChoiceArgs {
    /// How the interpreter is optimised
    #[arg(long, value_name = "HOW", value_parser = named::<Optimize>())]
    pub optimize: Option<Optimize>,

    /// The profile of an optimised build, instead of the one that the recipe pins
    #[arg(long, value_name = "FILE|sha256:DIGEST")]
    pub profile: Option<ProfileName>,

    /// Where shared libraries come from at run time
    #[arg(long, value_name = "POLICY", value_parser = named::<LibraryPolicy>())]
    pub libraries: Option<LibraryPolicy>,

    /// What becomes of bytecode caches
    #[arg(long, value_name = "POLICY", value_parser = named::<Bytecode>())]
    pub bytecode: Option<Bytecode>,
}

impl ChoiceArgs {
    fn say(&self, given: &mut Given) {
        given.optimize = self.optimize.map(Some);
        given.libraries = self.libraries;
        given.bytecode = self.bytecode;
    }
}

/// A profile as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProfileName {
    File(PathBuf),
    Stored(Digest),
}

impl std::str::FromStr for ProfileName {
    type Err = crate::domain::digest::ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sha256:") {
            Some(digest) => digest.parse().map(Self::Stored),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl ProfileName {
    /// The profile by its digest.
    ///
    /// # Errors
    /// That the file cannot be read.
    pub(super) fn find(&self) -> Result<NamedProfile> {
        Ok(match self {
            Self::Stored(digest) => NamedProfile { digest: *digest, file: None },
            Self::File(path) => {
                let digest =
                    Digest::of_reader(fs_err::File::open(path).map_err(|error| Error::Usage(error.to_string()))?)?;
                NamedProfile { digest, file: Some(path.clone()) }
            }
        })
    }
}

const BUILD_OPTIONS: &str = "Build options";

/// How a build is done.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = BUILD_OPTIONS)]
pub(super) struct HowArgs {
    /// How many commands make runs at once
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroU16>,

    /// What starts the compiler, and spares it what it compiled before
    #[arg(long, value_name = "NAME", value_parser = named::<Launcher>())]
    pub launcher: Option<Launcher>,

    /// Install the packages that the build needs
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub install_deps: Option<bool>,

    /// Use no network: sources come from the store and from directories
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub offline: Option<bool>,

    /// A directory with source archives, or a URL with {version}, {base} and {file}; tried first
    // Checked later: clap's errors would show what is wrong with its password.
    #[arg(long, value_name = "DIR|URL")]
    pub mirror: Vec<OsString>,

    /// Build a series that is past its end of life
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub allow_eol: Option<bool>,

    /// Leave the build directory, and say where it is
    #[arg(long)]
    pub keep_build: bool,

    /// Say what wall clock and CPU time each step took, or draw it as a page for a browser
    #[arg(long, value_name = "table|FILE.html", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "table", value_parser = PathBufValueParser::new().try_map(timings_form))]
    pub timings: Option<TimingsForm>,
}

impl HowArgs {
    fn say(&self, given: &mut Given) -> Result<()> {
        given.jobs = self.jobs;
        given.launcher = self.launcher.map(Some);
        given.install_deps = self.install_deps;
        given.offline = self.offline;
        given.allow_eol = self.allow_eol;
        if !self.mirror.is_empty() {
            let mirrors = self.mirror.iter().map(|mirror| fetch::Mirror::parse(mirror).map(Mirror));
            given.mirror = Some(mirrors.collect::<Result<_>>()?);
        }
        Ok(())
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct BuildArgs {
    /// Versions: 3.13, 3.13.5, 3.13t, latest
    #[arg(required = true, value_name = "VERSION")]
    pub versions: Vec<VersionRequest>,

    /// The prefix that is compiled in, with places for {series}, {version} and {variant}
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PrefixTemplate>,

    /// What is kept
    #[arg(long, value_name = "FLAVOR")]
    pub flavor: Option<FlavorChoice>,

    #[command(flatten)]
    pub choices: ChoiceArgs,

    /// Keep debug information aside, in a second tarball
    #[arg(long)]
    pub debug_files: bool,

    /// The format of the tarball in --out
    #[arg(long, value_name = "FORMAT", value_parser = named::<Format>())]
    pub format: Option<Format>,

    /// Where to put the tarball and its manifest; without it they are in the store
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print the plan; build and install nothing
    #[arg(long, conflicts_with_all = ["install_deps", "timings"])]
    pub dry_run: bool,

    #[command(flatten)]
    pub how: HowArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct TrainArgs {
    /// Which version: 3.13, 3.13.5, 3.13t, latest
    #[arg(value_name = "VERSION")]
    pub version: VersionRequest,

    /// Put the profile under profiles/ of the directory of recipes, and pin it in its recipe
    #[arg(long)]
    pub save: bool,

    #[command(flatten)]
    pub how: HowArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct InstallArgs {
    /// Versions, or sha256: and the digest of an artifact in the store
    #[arg(required = true, value_name = "VERSION|sha256:DIGEST")]
    pub what: Vec<Wanted>,

    /// Where to install [default: the prefix that is compiled in]
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,

    /// Install into another root file system
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// What is kept
    #[arg(long, value_name = "FLAVOR", value_parser = named::<Flavor>())]
    pub flavor: Option<Flavor>,

    #[command(flatten)]
    pub choices: ChoiceArgs,

    /// Install from the store or fail
    #[arg(long)]
    pub no_build: bool,

    /// Do not wait for the disk: for a layer of an image that is written later anyway
    #[arg(long)]
    pub no_sync: bool,

    /// Replace a prefix that pykeel did not make, and install again what is there
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub how: HowArgs,
}

impl InstallArgs {
    /// The versions among what is to be installed.
    pub(super) fn versions(&self) -> impl Iterator<Item = &VersionRequest> {
        self.what.iter().filter_map(|wanted| match wanted {
            Wanted::Version(request) => Some(request),
            Wanted::Artifact(_) => None,
        })
    }
}

/// What to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Version(VersionRequest),
    Artifact(Digest),
}

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("sha256:") {
            Some(digest) => digest
                .parse()
                .map(Self::Artifact)
                .map_err(|error: crate::domain::digest::ParseDigestError| error.to_string()),
            None => text
                .parse()
                .map(Self::Version)
                .map_err(|error: crate::domain::version::ParseVersionError| error.to_string()),
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct ListArgs {
    /// List all versions that there are recipes for
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct InspectArgs {
    /// A tarball, a prefix, or a version or sha256: and a digest in the store
    #[arg(value_name = "PATH|VERSION|sha256:DIGEST")]
    pub what: PathBuf,

    /// Compare with that one: what it has that is new
    #[arg(value_name = "WITH")]
    pub with: Option<PathBuf>,

    /// Which flavor of a version in the store is meant
    #[arg(long, value_name = "FLAVOR", default_value = "runtime", value_parser = named::<Flavor>())]
    pub flavor: Flavor,

    /// How long lists of files and packages get, in text
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,

    /// Write the sizes as a map, too: one page for a browser that needs nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "with")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct VerifyArgs {
    /// A tarball, or a prefix, or sha256: and the digest of an artifact in the store
    #[arg(value_name = "PATH|sha256:DIGEST")]
    pub path: PathBuf,

    /// Build it again by its own plan, and say in what the result differs
    #[arg(long)]
    pub rebuild: bool,

    /// The profile it was made with, where neither the store nor the recipe has it
    #[arg(long, value_name = "FILE|sha256:DIGEST", help_heading = BUILD_OPTIONS)]
    pub profile: Option<ProfileName>,

    /// Where diffoscope writes its report [default: among the store's logs]
    #[arg(long, value_name = "FILE", help_heading = BUILD_OPTIONS)]
    pub diffoscope_report: Option<PathBuf>,

    #[command(flatten)]
    pub how: HowArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum RecipeCommand {
    /// Show what the recipe of a version says
    Show {
        /// A version: 3.13, 3.13.5, 3.13t
        #[arg(value_name = "VERSION")]
        request: VersionRequest,

        /// Print the whole recipe of its series as one file for --recipes
        #[arg(long, conflicts_with = "json")]
        toml: bool,
    },
    /// Check recipe files, or all recipes that are there
    Check {
        /// Recipe files; what they extend and their patches are looked for beside them
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct UninstallArgs {
    /// Versions: 3.13, 3.13.5, 3.13t
    #[arg(required_unless_present = "prefix", value_name = "VERSION")]
    pub versions: Vec<VersionRequest>,

    /// Where it is installed [default: by the prefix template]
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,

    /// Remove from another root file system
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Remove files too that somebody added or changed
    #[arg(long)]
    pub force: bool,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// List what the store holds: size, last use, what refers to it
    List,
    /// Remove from the store what is not needed
    #[command(after_help = PRUNE_HELP)]
    Prune(PruneArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct PruneArgs {
    /// Remove what nothing refers to
    #[arg(long)]
    pub unused: bool,

    /// Remove what was not used for a time: 12h, 30d, 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,

    /// Remove what was least recently used until no more than a size is left: 500MB, 5GiB
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<ByteSize>,

    /// Remove everything
    #[arg(long, conflicts_with_all = ["unused", "older_than", "max_size"])]
    pub all: bool,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ManArgs {
    /// Write a page for each command into a directory
    #[arg(long = "out", id = "pages", value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// As what timings are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimingsForm {
    /// In the terminal.
    Table,
    /// As a page in that file.
    Page(PathBuf),
}

/// By the ending of its name a browser knows a page for one.
fn timings_form(path: PathBuf) -> Result<TimingsForm, String> {
    if path.as_os_str() == "table" {
        Ok(TimingsForm::Table)
    } else if path.extension().is_some_and(|extension| extension == "html") {
        Ok(TimingsForm::Page(path))
    } else {
        Err("the name of a page has to end in .html".to_owned())
    }
}

/// A span of time as people write it: `12h`, `30d`, `2w`.
fn age(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    // A day is 24 hours here: it is the age of a file that is asked for.
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let seconds = span.total((jiff::Unit::Second, days)).map_err(|error| format!("{error} (in days or weeks?)"))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "it is negative".to_owned())
}

/// A parser of clap for an enum whose values have names.
fn named<T>() -> impl clap::builder::TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = String> + Named + Clone + Send + Sync + 'static,
{
    clap::builder::PossibleValuesParser::new(T::names()).try_map(|text| text.parse::<T>())
}

/// The names of an enum's values.
trait Named {
    fn names() -> Vec<&'static str>;
}

macro_rules! impl_named {
    ($($name:ty),+) => { $(impl Named for $name {
        fn names() -> Vec<&'static str> {
            Self::ALL.iter().map(|value| value.name()).collect()
        }
    })+ };
}

impl_named!(Optimize, LibraryPolicy, Bytecode, Flavor, Format, Launcher);

#[cfg(test)]
mod tests {
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
            Ok::<_, clap::Error>(args.how.timings)
        };
        assert_eq!(timings("--offline").unwrap(), None);
        assert_eq!(timings("--timings").unwrap(), Some(TimingsForm::Table));
        assert_eq!(timings("--timings=a/b.html").unwrap(), Some(TimingsForm::Page("a/b.html".into())));
        for wrong in ["--timings=a.txt", "--timings=html", "--timings=.html", "--timings="] {
            assert!(timings(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_age_is_a_span_of_time() {
        let hours = |text: &str| age(text).unwrap().as_secs() / 3600;
        assert_eq!((hours("12h"), hours("30d"), hours("2w"), hours("1d 1h")), (12, 720, 336, 25));
        for text in ["", "30", "d", "-1d", "1 month"] {
            assert!(age(text).is_err(), "{text}");
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

    #[test]
    fn an_artifact_is_wanted_by_digest() {
        assert!(matches!("3.13t".parse(), Ok(Wanted::Version(_))));
        assert!(matches!(format!("sha256:{}", "a".repeat(64)).parse(), Ok(Wanted::Artifact(_))));
        assert!("sha256:abc".parse::<Wanted>().unwrap_err().contains("64"));
    }
}
