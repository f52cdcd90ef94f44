//! `pykeel recipe show` and `pykeel recipe check`.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::super::args::RecipeCommand;
use super::super::config::Config;
use super::print;
use crate::domain::version::{Series, VersionRequest};
use crate::error::Result;
use crate::recipe::ReleaseRecipe;

pub(super) fn run(command: &RecipeCommand, config: &Config) -> Result<u8> {
    match command {
        RecipeCommand::Show { request } => show(*request, config)?,
        RecipeCommand::Check { files } => check(files, config)?,
    }
    Ok(0)
}

fn show(version: VersionRequest, config: &Config) -> Result<()> {
    let catalog = config.catalog()?;
    let (series, recipe) = catalog.find(version)?;
    let built = series.releases.iter().any(|row| row.version == recipe.version && row.is_built(recipe.variant));
    let shown = Shown { pre_release: recipe.version.is_pre_release(), built, recipe };
    print(config, &shown, || text(&shown, &series.file, series.end_of_life.as_deref()))
}

/// A release as the recipe has it, with what does not decide how it is built.
#[derive(Debug, Serialize)]
struct Shown {
    pre_release: bool,
    built: bool,
    #[serde(flatten)]
    recipe: ReleaseRecipe,
}

fn text(shown: &Shown, file: &str, end_of_life: Option<&str>) -> String {
    let recipe = &shown.recipe;
    let kind = if shown.pre_release { ", a pre-release" } else { "" };
    let mut text = format!("Python {}{}{kind} ({file})\n", recipe.version, recipe.variant);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    row("built", if shown.built { "by this project" } else { "not by this project" }.to_owned());
    row("end of life", end_of_life.unwrap_or("unknown").to_owned());
    row("digest", recipe.digest().to_string());
    row("source", recipe.source.url.clone());
    for (name, sum) in [(".tar.xz", recipe.sums.xz), (".tgz", recipe.sums.tgz)] {
        if let Some(sum) = sum {
            row("", format!("{name:<8} {sum}"));
        }
    }
    row("configure", recipe.configure.join(" "));
    row(
        "environment",
        recipe.environment.iter().map(|(name, value)| format!("{name}='{value}'")).collect::<Vec<_>>().join(" "),
    );
    row("modules", recipe.modules.join(" "));
    row("disabled", recipe.disabled.join(" "));
    if !recipe.builtin.is_empty() {
        row("built in", recipe.builtin.keys().map(String::as_str).collect::<Vec<_>>().join(" "));
    }
    for library in &recipe.libraries {
        row(
            "library",
            format!("{} for {} ({}, {})", library.name, library.modules.join(", "), library.debian, library.fedora),
        );
    }
    for patch in &recipe.patches {
        row("patch", format!("{} {}", patch.sha256, patch.file));
    }
    text
}

/// A recipe that was checked.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    series: Series,
    releases: usize,
}

fn check(files: &[PathBuf], config: &Config) -> Result<()> {
    let mut catalog = config.catalog()?;
    let mut series = Vec::new();
    for file in files {
        series.push(catalog.check_file(file)?);
    }
    let checked: Vec<Checked> = catalog
        .recipes()
        .filter(|recipe| files.is_empty() || series.contains(&recipe.series))
        .map(|recipe| Checked { file: recipe.file.clone(), series: recipe.series, releases: recipe.releases.len() })
        .collect();
    print(config, &checked, || {
        checked.iter().fold(String::new(), |mut text, recipe| {
            let _ = writeln!(text, "{}: Python {}, {} releases", recipe.file, recipe.series, recipe.releases);
            text
        })
    })
}
