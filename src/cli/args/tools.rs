//! The commands about recipes, the store and pykeel itself: `recipe`, `cache`, `completions`, `man`.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde::Serialize;

use super::super::help::PRUNE_HELP;
use super::values::age;
use crate::domain::version::VersionRequest;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RecipeCommand {
    /// Show what the recipe of a version says
    Show {
        /// A version: 3.13, 3.13.5, 3.13t
        #[arg(value_name = "VERSION")]
        request: VersionRequest,

        /// Print the whole recipe of its series as one file for --recipes
        #[arg(long, conflicts_with = "json")]
        toml: bool,
    },
    /// Check recipe files, or all recipes that are there
    Check {
        /// Recipe files; what they extend and their patches are looked for beside them
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// List what the store holds: size, last use, what refers to it
    List,
    /// Remove from the store what is not needed
    #[command(after_help = PRUNE_HELP)]
    Prune(PruneArgs),
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct PruneArgs {
    /// Remove what nothing refers to
    #[arg(long)]
    pub unused: bool,

    /// Remove what was not used for a time: 12h, 30d, 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,

    /// Remove what was least recently used until no more than a size is left: 500MB, 5GiB
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<ByteSize>,

    /// Remove everything
    #[arg(long, conflicts_with_all = ["unused", "older_than", "max_size"])]
    pub all: bool,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ManArgs {
    /// Write a page for each command into a directory
    #[arg(long = "out", id = "pages", value_name = "DIR")]
    pub out: Option<PathBuf>,
}
