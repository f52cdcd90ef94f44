//! The commands about remotes: `push`, `pull`.

use clap::Args as ClapArgs;

use super::super::settings::{CliOverrides, FlavorChoice, RemoteList};
use super::policies::PolicyArgs;
use super::values::{Wanted, named};
use crate::domain::plan::Flavor;
use crate::error::Result;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct PushArgs {
    /// Versions or sha256:DIGEST of artifacts in the store, and at last the address of the remote
    // Two arguments would be clearer in code, but clap gives a single word to the first of them.
    #[arg(required = true, value_name = "[VERSION|sha256:DIGEST]... REMOTE")]
    pub words: Vec<String>,

    /// Push every artifact of the store
    #[arg(long)]
    pub all: bool,

    /// The only flavor to push
    #[arg(long, value_name = "FLAVOR", value_parser = named::<Flavor>())]
    pub flavor: Option<Flavor>,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct PullArgs {
    /// Versions, or sha256:DIGEST of an artifact
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "VERSION|sha256:DIGEST")]
    pub what: Vec<Wanted>,

    /// Take every artifact that the remotes have
    #[arg(long)]
    pub all: bool,

    /// What the artifact contains
    #[arg(long, value_name = "FLAVOR", value_parser = named::<Flavor>())]
    pub flavor: Option<Flavor>,

    #[command(flatten)]
    pub policies: PolicyArgs,

    #[command(flatten)]
    pub remotes: RemoteArgs,
}

/// Where artifacts are taken from.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct RemoteArgs {
    /// Remote to take artifacts from that the store does not have; in order, if given several times; `none` for no remote
    // Checked later, because clap's errors would print the password of a URL.
    #[arg(long, value_name = "ADDRESS")]
    pub remotes: Vec<String>,
}

impl RemoteArgs {
    /// Copies the given options over the settings of the same name.
    ///
    /// # Errors
    /// [`crate::error::RemoteError::Address`].
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) -> Result<()> {
        if !self.remotes.is_empty() {
            overrides.remotes = Some(RemoteList::parse(self.remotes.iter().map(String::as_str))?);
        }
        Ok(())
    }
}

impl PullArgs {
    /// Copies the given options over the settings of the same name.
    ///
    /// # Errors
    /// [`crate::error::RemoteError::Address`].
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) -> Result<()> {
        overrides.flavor = self.flavor.map(FlavorChoice::from);
        self.policies.apply_to(overrides);
        self.remotes.apply_to(overrides)
    }
}
