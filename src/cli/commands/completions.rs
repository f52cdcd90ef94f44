//! `pykeel completions`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::builder::PossibleValuesParser;
use clap_complete::aot;
use serde::Serialize;

use super::super::args::{self, CompletionsArgs, Shell};
use super::super::config::Config;
use super::print;
use crate::domain::version::Variant;
use crate::error::Result;
use crate::recipe::Catalog;

#[derive(Debug, Serialize)]
struct Output {
    shell: Shell,
    script: String,
}

pub(super) fn run(args: &CompletionsArgs, config: &Config) -> Result<u8> {
    let versions = versions(&config.catalog()?);
    let mut command = with_versions(args::command(), &versions);
    let mut script = Vec::new();
    let shell = match args.shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    aot::generate(shell, &mut command, "pykeel", &mut script);
    let mut output = Output { shell: args.shell, script: String::from_utf8_lossy(&script).into_owned() };
    if args.shell == Shell::Fish {
        output.script.push_str(&fish_versions(&command, &versions));
    }
    print(config, &output, || output.script.clone())?;
    Ok(0)
}

/// Returns the words for a version: series and releases, in each variant, and `latest`.
fn versions(catalog: &Catalog) -> Vec<String> {
    let mut versions = vec!["latest".to_owned()];
    for recipe in catalog.recipes().rev() {
        let variants: BTreeSet<Variant> = recipe.variants.keys().copied().chain([Variant::Default]).collect();
        for variant in &variants {
            versions.push(format!("{}{variant}", recipe.series));
        }
        versions.extend(recipe.releases.iter().rev().map(|row| row.version.to_string()));
    }
    versions
}

/// The command, with versions for every argument that takes one.
fn with_versions(command: clap::Command, versions: &[String]) -> clap::Command {
    let command = command.mut_args(|arg| {
        if takes_version(&arg) { arg.value_parser(PossibleValuesParser::new(versions.to_vec())) } else { arg }
    });
    command.mut_subcommands(|subcommand| with_versions(subcommand, versions))
}

fn takes_version(arg: &clap::Arg) -> bool {
    arg.get_value_names().is_some_and(|names| names.iter().any(|name| name.starts_with("VERSION")))
}

/// The versions for fish, for which clap has no completion of positional arguments.
fn fish_versions(command: &clap::Command, versions: &[String]) -> String {
    let mut lines = String::new();
    let takes = |command: &clap::Command| command.get_positionals().any(takes_version);
    for first in command.get_subcommands() {
        let using = format!("__fish_pykeel_using_subcommand {}", first.get_name());
        let second = first.get_subcommands().filter(|second| takes(second));
        let second = second.map(|second| format!("{using}; and __fish_seen_subcommand_from {}", second.get_name()));
        for condition in takes(first).then(|| using.clone()).into_iter().chain(second) {
            let _ = writeln!(lines, "complete -c pykeel -n \"{condition}\" -f -k -a \"{}\"", versions.join(" "));
        }
    }
    lines
}
