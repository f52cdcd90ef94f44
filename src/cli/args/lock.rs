//! The command that writes `pykeel.lock`, and how other commands take what it says.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::wanted::BuiltArtifacts;
use crate::domain::pykeel_lock::LOCK_FILE;
use crate::domain::version::VersionRequest;

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags of the command line")]
pub(in crate::cli) struct LockArgs {
    /// Versions: 3.13, 3.13.5, 3.13t, latest [default: all that are locked]
    #[arg(value_name = "VERSION")]
    pub versions: Vec<VersionRequest>,

    /// The lock to write
    #[arg(long, value_name = "FILE", default_value = LOCK_FILE)]
    pub lock: PathBuf,

    /// Take the newest release and the newest artifact of what is locked already
    #[arg(long)]
    pub upgrade: bool,

    /// Build on this machine what is to be locked, instead of taking it from the store
    #[arg(long)]
    pub build: bool,

    /// Remove versions from the lock, on all targets
    #[arg(long, requires = "versions", conflicts_with_all = ["upgrade", "build"])]
    pub remove: bool,

    /// Print what would change, and write nothing
    #[arg(long, conflicts_with = "build")]
    pub dry_run: bool,

    /// Write nothing, and fail if something would change
    #[arg(long, conflicts_with_all = ["build", "dry_run"])]
    pub check: bool,

    #[command(flatten)]
    pub artifacts: BuiltArtifacts,
}

/// How a command takes what is locked.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct LockedArgs {
    /// Take exactly the artifacts of pykeel.lock; without versions, all of them
    #[arg(long)]
    pub locked: bool,

    /// The lock to read
    #[arg(long, value_name = "FILE", default_value = LOCK_FILE, requires = "locked")]
    pub lock: PathBuf,
}
