//! The commands that act on what was built: `list`, `index`, `inspect`, `verify`, `uninstall`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::flags::{BUILD_OPTIONS, BuildFlags};
use super::values::{ProfileName, named};
use crate::domain::plan::Flavor;
use crate::domain::version::VersionRequest;
use crate::export::uv_index::UrlTemplate;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ListArgs {
    /// Remote to list [default: the store]
    // Checked later, because clap's errors would print the password of a URL.
    #[arg(value_name = "REMOTE", conflicts_with = "all")]
    pub remote: Option<String>,

    /// List every version that has a recipe
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct IndexArgs {
    /// Directory of tarballs, as `build --out` writes them [default: the store]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,

    /// Where the tarballs can be downloaded; it has {file} or {sha256} in it, and may have {version} [default: where
    /// they are on this machine]
    #[arg(long, value_name = "URL")]
    pub url: Option<UrlTemplate>,

    /// The only flavor to take [default: builder, else runtime]
    #[arg(long, value_name = "FLAVOR", value_parser = named::<Flavor>())]
    pub flavor: Option<Flavor>,

    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct InspectArgs {
    /// Tarball or prefix; or a version or sha256:DIGEST in the store
    #[arg(value_name = "PATH|VERSION|sha256:DIGEST")]
    pub what: PathBuf,

    /// Compare with this one, which counts as the newer
    #[arg(value_name = "WITH")]
    pub with: Option<PathBuf>,

    /// Flavor of the version in the store
    #[arg(long, value_name = "FLAVOR", default_value = "runtime", value_parser = named::<Flavor>())]
    pub flavor: Flavor,

    /// Maximum length of lists of files and packages, in text
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,

    /// Also write the sizes as a treemap: one HTML page that needs nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "with")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct VerifyArgs {
    /// Tarball or prefix, or sha256:DIGEST of an artifact in the store
    #[arg(value_name = "PATH|sha256:DIGEST")]
    pub path: PathBuf,

    /// Check the files only, and run nothing of the tree
    #[arg(long = "static", conflicts_with = "rebuild")]
    pub only_files: bool,

    /// Root file system that it runs in, whose libraries are compared with the bundled ones [default: the one that the
    /// prefix is in]
    #[arg(long, value_name = "DIR", conflicts_with = "rebuild")]
    pub root: Option<PathBuf>,

    /// Rebuild it by its own plan, and compare the two
    #[arg(long)]
    pub rebuild: bool,

    /// Profile that it was built with, if neither the store nor the recipe has it
    #[arg(long, value_name = "FILE|sha256:DIGEST", help_heading = BUILD_OPTIONS)]
    pub profile: Option<ProfileName>,

    /// File for the report of diffoscope [default: among the store's logs]
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

    /// Directory that it is installed in [default: by the prefix template]
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,

    /// Root file system to remove it from
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Also remove files that were added or changed
    #[arg(long)]
    pub force: bool,

    /// Print what would be removed, without removing it
    #[arg(long)]
    pub dry_run: bool,
}
