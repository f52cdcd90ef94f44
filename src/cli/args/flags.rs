//! The options of a build that decide no bytes.

use std::ffi::OsString;
use std::num::NonZeroU16;

use clap::Args as ClapArgs;
use clap::builder::{BoolishValueParser, PathBufValueParser, TypedValueParser as _};

use super::super::settings::{CliOverrides, Mirror};
use super::remotes::RemoteArgs;
use super::values::{TimingsForm, named, timings_form};
use crate::domain::launcher::Launcher;
use crate::error::Result;
use crate::stages::fetch;

pub(super) const BUILD_OPTIONS: &str = "Build options";

/// How a build compiles, wherever it runs.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct CompilingFlags {
    /// Compiler cache to run the compiler through
    #[arg(long, value_name = "NAME", value_parser = named::<Launcher>())]
    pub launcher: Option<Launcher>,

    /// Install missing build dependencies with the package manager
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub install_deps: Option<bool>,
}

impl CompilingFlags {
    /// Copies the given options over the settings of the same name.
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) {
        overrides.launcher = self.launcher.map(Some);
        overrides.install_deps = self.install_deps;
    }
}

/// The options of a build that decide no bytes.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = BUILD_OPTIONS)]
pub(in crate::cli) struct BuildFlags {
    /// Number of parallel jobs
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroU16>,

    #[command(flatten)]
    pub compiling: CompilingFlags,

    /// Do not use the network: read sources from the store and from mirror directories
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub offline: Option<bool>,

    /// Directory of source archives, or a URL with {file}, {sha256}, {version} and {base}; tried first
    // Checked later, because clap's errors would print the password of a URL.
    #[arg(long, value_name = "DIR|URL")]
    pub mirror: Vec<OsString>,

    #[command(flatten)]
    pub remotes: RemoteArgs,

    /// Build a series that is past its end of life
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub allow_eol: Option<bool>,

    /// Keep the build directory, and print its path
    #[arg(long)]
    pub keep_build: bool,

    /// Report the wall clock and CPU time of each step, as a table or as an HTML page
    #[arg(long, value_name = "table|FILE.html", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "table", value_parser = PathBufValueParser::new().try_map(timings_form))]
    pub timings: Option<TimingsForm>,
}

impl BuildFlags {
    /// Copies the given options over the settings of the same name.
    ///
    /// # Errors
    /// [`crate::error::Error::Mirror`], [`crate::error::RemoteError::Address`].
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) -> Result<()> {
        overrides.jobs = self.jobs;
        self.compiling.apply_to(overrides);
        overrides.offline = self.offline;
        overrides.allow_eol = self.allow_eol;
        if !self.mirror.is_empty() {
            let mirrors = self.mirror.iter().map(|mirror| fetch::Mirror::parse(mirror).map(Mirror));
            overrides.mirror = Some(mirrors.collect::<Result<_>>()?);
        }
        self.remotes.apply_to(overrides)
    }
}
