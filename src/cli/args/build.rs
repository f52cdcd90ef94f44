//! The commands that build: `build`, `train`, `install`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::super::settings::FlavorChoice;
use super::flags::BuildFlags;
use super::policies::PolicyArgs;
use super::values::{Wanted, named};
use crate::domain::artifact::Format;
use crate::domain::plan::Flavor;
use crate::domain::prefix::PrefixTemplate;
use crate::domain::version::VersionRequest;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuildArgs {
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
    pub policies: PolicyArgs,

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
    pub flags: BuildFlags,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct TrainArgs {
    /// Which version: 3.13, 3.13.5, 3.13t, latest
    #[arg(value_name = "VERSION")]
    pub version: VersionRequest,

    /// Put the profile under profiles/ of the directory of recipes, and pin it in its recipe
    #[arg(long)]
    pub save: bool,

    #[command(flatten)]
    pub flags: BuildFlags,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct InstallArgs {
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
    pub policies: PolicyArgs,

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
    pub flags: BuildFlags,
}

impl InstallArgs {
    /// The versions among what is to be installed.
    pub(in crate::cli) fn versions(&self) -> impl Iterator<Item = &VersionRequest> {
        self.what.iter().filter_map(|wanted| match wanted {
            Wanted::Version(request) => Some(request),
            Wanted::Artifact(_) => None,
        })
    }
}
