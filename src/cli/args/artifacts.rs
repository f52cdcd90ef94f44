//! The commands that act on what was built: `list`, `inspect`, `verify`, `uninstall`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::flags::{BUILD_OPTIONS, BuildFlags};
use super::values::{ProfileName, named};
use crate::domain::plan::Flavor;
use crate::domain::version::VersionRequest;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ListArgs {
    /// List all versions that there are recipes for
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct InspectArgs {
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
pub(in crate::cli) struct VerifyArgs {
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
    pub flags: BuildFlags,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct UninstallArgs {
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
