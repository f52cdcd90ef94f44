//! The commands that build: `build`, `train`, `install`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::flags::BuildFlags;
use super::lock::LockedArgs;
use super::policies::ConfigureArgs;
use super::values::named;
use super::wanted::{BuiltArtifacts, WantedArtifacts};
use crate::domain::artifact::Format;
use crate::domain::version::VersionRequest;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuildArgs {
    /// Versions: 3.13, 3.13.5, 3.13t, latest
    #[arg(required_unless_present = "locked", value_name = "VERSION")]
    pub versions: Vec<VersionRequest>,

    #[command(flatten)]
    pub locked: LockedArgs,

    #[command(flatten)]
    pub artifacts: BuiltArtifacts,

    /// Format of the tarball in --out
    #[arg(long, value_name = "FORMAT", value_parser = named::<Format>())]
    pub format: Option<Format>,

    /// Directory to copy the tarball and its manifest to
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print the plan without building
    #[arg(long, conflicts_with_all = ["install_deps", "timings"])]
    pub dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct TrainArgs {
    /// Version: 3.13, 3.13.5, 3.13t, latest
    #[arg(value_name = "VERSION")]
    pub version: VersionRequest,

    #[command(flatten)]
    pub configure: ConfigureArgs,

    /// Save the profile in profiles/ of the recipe directory, and pin it in the recipe
    #[arg(long)]
    pub save: bool,

    /// Train with a shared libpython, for builds with `--shared`
    #[arg(long)]
    pub shared: bool,

    #[command(flatten)]
    pub flags: BuildFlags,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct InstallArgs {
    /// Directory to install into; any path [default: the prefix that is compiled in]
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,

    /// Root file system to install into, such as that of an image
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Do not sync to disk: for an image layer that is exported afterwards
    #[arg(long)]
    pub no_sync: bool,

    /// Replace what pykeel did not install, remove files that it did not put there, and reinstall what is there already
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub locked: LockedArgs,

    #[command(flatten)]
    pub artifacts: WantedArtifacts,
}
