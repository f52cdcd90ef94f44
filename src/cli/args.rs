//! The arguments, as clap reads them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::plan::{Bytecode, Flavor, LibraryPolicy, Optimize};
use crate::domain::prefix::Prefix;
use crate::domain::version::VersionRequest;

/// Builds CPython for containers: relocatable, verified, the same every time.
#[derive(Debug, Parser)]
#[command(name = "pykeel", version, max_term_width = 100, after_help = TOP_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Command,
}

const TOP_HELP: &str = "\
Examples:
  pykeel build 3.13 --install-deps --out dist    build the newest 3.13, its tarball under dist/
  pykeel install 3.13                            put it into /opt/myorg/python-3.13
  pykeel install 3.13 --root /out                put it into a root file system for COPY --from
  pykeel verify /opt/myorg/python-3.13           check what is there

Exit codes: 0 done, 1 the build failed, 2 usage or recipe error, 3 a source could not be had,
4 verification failed, 5 something is locked, full or not permitted, 130 interrupted.";

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    #[arg(long, global = true, env = "PYKEEL_STORE", value_name = "DIR")]
    #[arg(help = "Where artifacts and sources are kept [default: $XDG_CACHE_HOME/pykeel]")]
    pub store: Option<PathBuf>,

    /// A directory of recipes that are laid over those compiled in
    #[arg(long, global = true, env = "PYKEEL_RECIPES", value_name = "DIR")]
    pub recipes: Option<PathBuf>,

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
    /// Install CPython from the store, or build it first
    #[command(after_help = INSTALL_HELP)]
    Install(InstallArgs),
    /// List the artifacts in the store
    List(ListArgs),
    /// Show what an artifact or an installed prefix is
    Inspect(PathArgs),
    /// Check an artifact or an installed prefix
    Verify(PathArgs),
    /// Show or check recipes
    #[command(subcommand)]
    Recipe(RecipeCommand),
}

const BUILD_HELP: &str = "\
Examples:
  pykeel build 3.13                              the newest release of a series
  pykeel build 3.13.5 --flavor all --out dist    runtime and builder tarballs from one compilation
  pykeel build 3.13 --bytecode unchecked-hash    with bytecode caches: larger, and faster to start
  pykeel build 3.13 --mirror /srv/sources        the source archive from a directory
  pykeel build 3.13 --dry-run --json             the plan, without building";

const INSTALL_HELP: &str = "\
Examples:
  pykeel install 3.13                            into /opt/myorg/python-3.13
  pykeel install 3.13 --root /out                into /out/opt/myorg/python-3.13
  pykeel install 3.13 --prefix ~/python          anywhere: the tree is relocatable
  pykeel install sha256:1a2b…                    exactly that artifact, or nothing";

/// What decides which artifact is meant.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct ChoiceArgs {
    /// How the interpreter is optimised
    #[arg(long, value_name = "HOW", default_value = "none", value_parser = named::<Optimize>())]
    pub optimize: Optimize,

    /// Where shared libraries come from at run time
    #[arg(long, value_name = "POLICY", default_value = "bundle", value_parser = named::<LibraryPolicy>())]
    pub libraries: LibraryPolicy,

    /// What becomes of bytecode caches
    #[arg(long, value_name = "POLICY", default_value = "strip", value_parser = named::<Bytecode>())]
    pub bytecode: Bytecode,
}

/// How a build is done.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Build options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(super) struct HowArgs {
    /// How many commands make runs at once [default: the number of processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    /// Install the packages that the build needs
    #[arg(long, conflicts_with = "offline")]
    pub install_deps: bool,

    /// Use no network: sources come from the store and from directories
    #[arg(long)]
    pub offline: bool,

    /// A directory with source archives, or a URL with {version}, {base} and {file}; tried first
    // Checked later: clap's errors would show what is wrong with its password.
    #[arg(long, value_name = "DIR|URL", env = "PYKEEL_MIRROR", hide_env_values = true)]
    pub mirror: Vec<OsString>,

    /// Build a series that is past its end of life
    #[arg(long)]
    pub allow_eol: bool,

    /// Leave the build directory, and say where it is
    #[arg(long)]
    pub keep_build: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct BuildArgs {
    /// Versions: 3.13, 3.13.5, 3.13t, latest
    #[arg(required = true, value_name = "VERSION")]
    pub versions: Vec<VersionRequest>,

    /// The prefix that is compiled in [default: /opt/myorg/python-X.Y]
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<Prefix>,

    /// What is kept
    #[arg(long, value_name = "FLAVOR", default_value = "runtime")]
    pub flavor: FlavorChoice,

    #[command(flatten)]
    pub choices: ChoiceArgs,

    /// Keep debug information aside, in a second tarball
    #[arg(long)]
    pub debug_files: bool,

    /// The format of the tarball in --out
    #[arg(long, value_name = "FORMAT", default_value = "zst", value_parser = named::<Format>())]
    pub format: Format,

    /// Where to put the tarball and its manifest; without it they are in the store
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print the plan; build and install nothing
    #[arg(long, conflicts_with = "install_deps")]
    pub dry_run: bool,

    #[command(flatten)]
    pub how: HowArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FlavorChoice {
    /// What a production container needs
    Runtime,
    /// With headers, python-config and pip
    Builder,
    /// Both, from one compilation
    All,
}

impl FlavorChoice {
    pub(super) fn flavors(self) -> Vec<Flavor> {
        match self {
            Self::Runtime => vec![Flavor::Runtime],
            Self::Builder => vec![Flavor::Builder],
            Self::All => Flavor::ALL.to_vec(),
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct InstallArgs {
    /// A version, or sha256: and the digest of an artifact in the store
    #[arg(value_name = "VERSION|sha256:DIGEST")]
    pub what: Wanted,

    /// Where to install [default: the prefix that is compiled in]
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,

    /// Install into another root file system
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// What is kept
    #[arg(long, value_name = "FLAVOR", default_value = "runtime", value_parser = named::<Flavor>())]
    pub flavor: Flavor,

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
pub(super) struct PathArgs {
    /// A tarball, or a prefix
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum RecipeCommand {
    /// Show what the recipe of a version says
    Show {
        /// A version: 3.13, 3.13.5, 3.13t
        #[arg(value_name = "VERSION")]
        request: VersionRequest,
    },
    /// Check recipe files, or all recipes that are there
    Check {
        /// Recipe files; their patches are looked for in patches/ beside them
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// A parser of clap for an enum whose values have names.
fn named<T>() -> impl clap::builder::TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = String> + Named + Clone + Send + Sync + 'static,
{
    use clap::builder::TypedValueParser as _;
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

impl_named!(Optimize, LibraryPolicy, Bytecode, Flavor, Format);

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_artifact_is_wanted_by_digest() {
        assert!(matches!("3.13t".parse(), Ok(Wanted::Version(_))));
        assert!(matches!(format!("sha256:{}", "a".repeat(64)).parse(), Ok(Wanted::Artifact(_))));
        assert!("sha256:abc".parse::<Wanted>().unwrap_err().contains("64"));
    }
}
