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
    /// Show the recipe of a version
    Show {
        /// Version: 3.13, 3.13.5, 3.13t
        #[arg(value_name = "VERSION")]
        request: VersionRequest,

        /// Print the whole recipe of its series as one file for --recipes
        #[arg(long, conflicts_with = "json")]
        toml: bool,
    },
    /// Check recipe files, or every recipe
    Check {
        /// Recipe files; files that they extend, and patches, are read from beside them
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// List the entries of the store: size, last use, what needs them
    List,
    /// Remove entries of the store that are not needed
    #[command(after_help = PRUNE_HELP)]
    Prune(PruneArgs),
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct PruneArgs {
    /// Remove entries that nothing refers to
    #[arg(long)]
    pub unused: bool,

    /// Remove entries that were not used for a time: 12h, 30d, 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,

    /// Remove the least recently used entries until the store has at most this size: 500MB, 5GiB
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<ByteSize>,

    /// Remove everything that is not in use
    #[arg(long, conflicts_with_all = ["unused", "older_than", "max_size"])]
    pub all: bool,

    /// Print what would be removed, without removing it
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct CompletionsArgs {
    /// Shell
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
    /// Directory to write one page per command to
    #[arg(long = "out", id = "pages", value_name = "DIR")]
    pub out: Option<PathBuf>,
}
