//! The command that says what CI has to build: `matrix`.

use clap::builder::BoolishValueParser;
use clap::{Args as ClapArgs, ValueEnum};

use super::super::settings::{CliOverrides, FlavorChoice};
use super::flags::CompilingFlags;
use super::policies::PolicyArgs;
use super::remotes::RemoteArgs;
use super::values::named;
use crate::domain::prefix::PrefixTemplate;
use crate::domain::target::Target;
use crate::domain::version::{Variant, VersionRequest};
use crate::error::Result;

const OF_CELLS: &str = "Options of the builds";

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct MatrixArgs {
    /// Versions: 3.13, 3.13.5, 3.13t, latest [default: the newest release of each series]
    #[arg(value_name = "VERSION")]
    pub versions: Vec<VersionRequest>,

    /// Variants of the versions that are named without one: default, t (free-threaded), d (debug)
    #[arg(long, value_name = "VARIANT,...", value_delimiter = ',', value_parser = variant, default_value = "default")]
    pub variant: Vec<Variant>,

    /// Systems to build for [default: this one]
    #[arg(long, value_name = "TARGET,...", value_delimiter = ',', value_parser = named::<Target>())]
    pub target: Vec<Target>,

    /// What each artifact contains
    #[arg(long, value_name = "FLAVOR")]
    pub flavor: Option<FlavorChoice>,

    /// Remote that gets what is built, and may have some of it [default: the first of the remotes]
    // Checked later, because clap's errors would print the password of a URL.
    #[arg(long, value_name = "REMOTE")]
    pub push: Option<String>,

    /// Form of the result [default: lines for people]
    #[arg(long = "for", value_name = "SYSTEM", conflicts_with = "json")]
    pub form: Option<MatrixForm>,

    #[command(flatten, next_help_heading = OF_CELLS)]
    pub artifacts: MatrixArtifacts,
}

/// The options of the builds.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = OF_CELLS)]
pub(in crate::cli) struct MatrixArtifacts {
    /// Prefix to compile in; it may have {series}, {version} and {variant} in it
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PrefixTemplate>,

    #[command(flatten)]
    pub policies: PolicyArgs,

    /// Keep debug information in a second tarball
    #[arg(long)]
    pub debug_files: bool,

    #[command(flatten)]
    pub compiling: CompilingFlags,

    /// Build a series that is past its end of life
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub allow_eol: Option<bool>,

    #[command(flatten)]
    pub remotes: RemoteArgs,
}

/// What a matrix is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum MatrixForm {
    /// The matrix of a job of GitHub Actions, on one line
    Github,
    /// A child pipeline of GitLab
    Gitlab,
    /// docker-bake.hcl
    Bake,
}

impl MatrixArgs {
    /// Copies the given options over the settings of the same name.
    ///
    /// # Errors
    /// [`crate::error::RemoteError::Address`].
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) -> Result<()> {
        let MatrixArtifacts { prefix, policies, compiling, allow_eol, remotes, .. } = &self.artifacts;
        overrides.prefix.clone_from(prefix);
        overrides.flavor = self.flavor;
        compiling.apply_to(overrides);
        overrides.allow_eol = *allow_eol;
        policies.apply_to(overrides);
        remotes.apply_to(overrides)
    }
}

fn variant(text: &str) -> Result<Variant, String> {
    let found = Variant::ALL.iter().find(|variant| match variant {
        Variant::Default => text == "default",
        other => text == other.name(),
    });
    found.copied().ok_or_else(|| "it is none of default, t and d".to_owned())
}
