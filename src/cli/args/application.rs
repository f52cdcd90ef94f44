//! The command that makes an application's environment: `venv`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::venv::Platform;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct VenvArgs {
    /// Lock: requirements.txt with hashes, pylock.toml or uv.lock
    #[arg(value_name = "LOCK")]
    pub lock: PathBuf,

    /// Python of the flavor `builder`: an installed version, or the directory of its prefix
    #[arg(long, value_name = "VERSION|PREFIX")]
    pub python: PathBuf,

    /// Where the environment is, now and at run time
    #[arg(long, value_name = "DIR")]
    pub at: PathBuf,

    /// Root file system that it will run in; what is missing there is listed, with the line that installs it
    #[arg(long, value_name = "DIR")]
    pub runtime_root: Option<PathBuf>,

    /// Keep a wheel of each package in this directory, with a lock of their own
    #[arg(long, value_name = "DIR")]
    pub wheels: Option<PathBuf>,

    /// Copy the libraries that wheels need into them; PLATFORM is `auto` or `manylinux_2_NN`, of glibc 2.NN
    #[arg(long, value_name = "PLATFORM", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    pub repair: Option<Platform>,

    /// Replace an environment that is there
    #[arg(long)]
    pub force: bool,
}
