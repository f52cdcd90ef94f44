//! The command that writes a Dockerfile: `dockerfile`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::super::settings::FlavorChoice;
use super::values::named;
use crate::domain::image::{Builder, Label};
use crate::domain::plan::{Bytecode, LibraryPolicy};
use crate::domain::prefix::PrefixTemplate;
use crate::domain::pykeel_lock::LOCK_FILE;
use crate::domain::reference::ImageReference;
use crate::domain::version::VersionRequest;
use crate::export::dockerfile::{AppPackage, ContextPath, ProgramSource, Runtime};

/// The image to build on, unless one is named.
pub(in crate::cli) const DEFAULT_BASE: &str = "debian:13";
/// Where pykeel is in the build context, unless it is named.
pub(in crate::cli) const DEFAULT_PYKEEL: &str = "pykeel";

const APPLICATION: &str = "Application";
const CONTEXT: &str = "Build context";

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct DockerfileArgs {
    /// Versions, side by side; with `--locked` as the lock has them
    #[arg(long, value_name = "VERSION,...", required = true, value_delimiter = ',')]
    pub python: Vec<VersionRequest>,

    /// Version that `python` and `python3` are [default: the first]
    #[arg(long = "default", value_name = "VERSION")]
    pub default: Option<VersionRequest>,

    /// Image to build on: Debian, Ubuntu, or one that is made of them
    #[arg(long, value_name = "IMAGE", default_value = DEFAULT_BASE)]
    pub base: ImageReference,

    /// Image to run in; `distroless` or `scratch` is one with nothing but the files that Python needs of a system
    /// [default: the base, or its -slim]
    #[arg(long, value_name = "IMAGE|distroless|scratch")]
    pub runtime: Option<Runtime>,

    /// Where libraries come from [default: `system` in a runtime of the release of the base, else `bundle`]
    #[arg(long, value_name = "POLICY", value_parser = named::<LibraryPolicy>())]
    pub libraries: Option<LibraryPolicy>,

    /// Which .pyc files of Python's own library to ship [default: unchecked-hash with an application, else strip]
    #[arg(long, value_name = "POLICY", value_parser = named::<Bytecode>())]
    pub bytecode: Option<Bytecode>,

    /// Prefix of the Pythons; it may have {series}, {version} and {variant} in it
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PrefixTemplate>,

    /// Images to make: the one to run, the one to build with, or the pair
    /// [default: `all` without an application, else `runtime`]
    #[arg(long, value_name = "FLAVOR")]
    pub flavor: Option<FlavorChoice>,

    /// Lock of the Pythons, as `pykeel lock` writes it: they are exactly what it says
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = LOCK_FILE)]
    pub locked: Option<ContextPath>,

    /// Builder that it is written for: one of the two of Docker, or buildah, which Podman uses too
    #[arg(long, value_name = "PROGRAM", value_parser = named::<Builder>(), default_value = "buildkit")]
    pub builder: Builder,

    /// Label of the images; can be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<Label>,

    /// Lock of the application: requirements.txt with hashes, pylock.toml or uv.lock
    #[arg(long, value_name = "FILE", help_heading = APPLICATION)]
    pub lock: Option<ContextPath>,

    /// Directory with the code of the application, which becomes /srv/app
    #[arg(long, value_name = "DIR", help_heading = APPLICATION)]
    pub app: Option<ContextPath>,

    /// Packages of Debian that the application is built with and runs with
    #[arg(long, value_name = "build:PACKAGE,run:PACKAGE,...", value_delimiter = ',', help_heading = APPLICATION)]
    pub app_packages: Vec<AppPackage>,

    /// Command of the image, as in `python -m app` [default: python3]
    #[arg(long, value_name = "COMMAND", help_heading = APPLICATION)]
    pub cmd: Option<String>,

    /// pykeel itself: a file of the build context, or an image with a tag that has it as /pykeel
    #[arg(long, value_name = "FILE|IMAGE", default_value = DEFAULT_PYKEEL, help_heading = CONTEXT)]
    pub pykeel: ProgramSource,

    /// uv, which some locks need: a file of the build context, or an image with a tag that has it as /uv
    #[arg(long, value_name = "FILE|IMAGE", help_heading = CONTEXT)]
    pub uv: Option<ProgramSource>,

    /// Store of finished artifacts in the build context: then nothing is compiled
    #[arg(long, value_name = "DIR", help_heading = CONTEXT)]
    pub artifacts: Option<ContextPath>,

    /// Certificates of a company to trust, in PEM; can be given several times
    #[arg(long, value_name = "FILE", help_heading = CONTEXT)]
    pub ca: Vec<ContextPath>,

    /// Directory to write Dockerfile and .dockerignore to, the build context [default: print the Dockerfile]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Replace files that are there
    #[arg(long, requires = "output")]
    pub force: bool,

    /// Take a series that is past its end of life
    #[arg(long)]
    pub allow_eol: bool,
}
