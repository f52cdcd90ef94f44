//! The commands about remotes: `push`, `pull`, `prune`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args as ClapArgs};

use super::super::settings::{CliOverrides, FlavorChoice, RemoteList};
use super::policies::PolicyArgs;
use super::values::{Wanted, age, named};
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

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("rules").args(["older_than", "keep", "locks"]).multiple(true).required(true))]
pub(in crate::cli) struct PruneRemoteArgs {
    /// Address of the remote
    // Checked later, because clap's errors would print the password of a URL.
    #[arg(value_name = "REMOTE")]
    pub remote: String,

    /// Keep what was published within a time: 12h, 30d, 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,

    /// Keep so many newest artifacts of each release, variant, target and flavor
    #[arg(long, value_name = "N")]
    pub keep: Option<usize>,

    /// Keep what a lock refers to; may be given several times
    #[arg(long = "lock", id = "locks", value_name = "FILE")]
    pub locks: Vec<PathBuf>,

    /// Print what would be removed, without removing it
    #[arg(long)]
    pub dry_run: bool,
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
