//! The artifacts that a command takes from the store, or builds: what they are, and how they are built.

use clap::Args as ClapArgs;

use super::super::settings::{CliOverrides, FlavorChoice};
use super::flags::BuildFlags;
use super::policies::PolicyArgs;
use super::values::{Wanted, named};
use crate::domain::plan::Flavor;
use crate::domain::prefix::PrefixTemplate;
use crate::domain::version::VersionRequest;
use crate::error::Result;

/// What is built, in one or both flavors, with any option.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuiltArtifacts {
    /// Prefix to compile in; it may have {series}, {version} and {variant} in it
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PrefixTemplate>,

    /// What the artifact contains
    #[arg(long, value_name = "FLAVOR")]
    pub flavor: Option<FlavorChoice>,

    #[command(flatten)]
    pub policies: PolicyArgs,

    /// Keep debug information in a second tarball
    #[arg(long)]
    pub debug_files: bool,

    #[command(flatten)]
    pub flags: BuildFlags,
}

impl BuiltArtifacts {
    /// Copies the given options over the settings of the same name.
    ///
    /// # Errors
    /// [`crate::error::Error::Mirror`], [`crate::error::RemoteError::Address`].
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) -> Result<()> {
        overrides.prefix.clone_from(&self.prefix);
        overrides.flavor = self.flavor;
        self.policies.apply_to(overrides);
        self.flags.apply_to(overrides)
    }
}

/// What is taken from the store, in one flavor.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct WantedArtifacts {
    /// Versions, sha256:DIGEST of an artifact in the store, or the path of a tarball
    #[arg(required = true, value_name = "VERSION|sha256:DIGEST|TARBALL")]
    pub what: Vec<Wanted>,

    /// What the artifact contains
    #[arg(long, value_name = "FLAVOR", value_parser = named::<Flavor>())]
    pub flavor: Option<Flavor>,

    #[command(flatten)]
    pub policies: PolicyArgs,

    /// Fail instead of building when the store has no artifact
    #[arg(long)]
    pub no_build: bool,

    #[command(flatten)]
    pub flags: BuildFlags,
}

impl WantedArtifacts {
    /// Returns the versions among the arguments.
    pub(in crate::cli) fn versions(&self) -> impl Iterator<Item = &VersionRequest> {
        self.what.iter().filter_map(Wanted::version)
    }

    /// Copies the given options over the settings of the same name.
    ///
    /// # Errors
    /// [`crate::error::Error::Mirror`].
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) -> Result<()> {
        overrides.flavor = self.flavor.map(FlavorChoice::from);
        self.policies.apply_to(overrides);
        self.flags.apply_to(overrides)
    }
}
