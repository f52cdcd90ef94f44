//! `pykeel recipe show` and `pykeel recipe check`.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::super::args::RecipeCommand;
use super::super::config::Config;
use super::print;
use crate::domain::digest::Digest;
use crate::domain::plan::SourceSums;
use crate::domain::version::{Release, Series, Variant, VersionRequest};
use crate::error::Result;
use crate::recipe::{self, PinnedProfile, Recipe, SeriesRecipe};

pub(super) fn run(command: &RecipeCommand, config: &Config) -> Result<u8> {
    match command {
        RecipeCommand::Show { request, toml: false } => show(*request, config)?,
        RecipeCommand::Show { request, toml: true } => show_toml(*request, config)?,
        RecipeCommand::Check { files } => check(files, config)?,
    }
    Ok(0)
}

fn show(version: VersionRequest, config: &Config) -> Result<()> {
    let catalog = config.catalog()?;
    let (series, recipe) = catalog.find(version)?;
    let shown = Shown {
        pre_release: recipe.version.is_pre_release(),
        built: series.releases.iter().any(|row| row.version == recipe.version && row.is_built(recipe.variant)),
        version: recipe.version,
        variant: recipe.variant,
        sums: recipe.sums,
        digest: recipe.digest(),
        profiles: &recipe.profiles,
        shared: &recipe.shared,
    };
    print(config, &shown, || text(&shown, &series.file, series.end_of_life.as_deref()))
}

/// Prints the recipe of a series as one file that `--recipes` takes.
fn show_toml(version: VersionRequest, config: &Config) -> Result<()> {
    let catalog = config.catalog()?;
    let series = catalog.find(version)?.0.series;
    let text = catalog.resolved(series)?;
    print(config, &text, || {
        format!("# The whole recipe of Python {series}, as `pykeel recipe show {series} --toml` prints it.\n\n{text}")
    })
}

/// The recipe of a release, with facts that do not decide how it is built.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    pre_release: bool,
    built: bool,
    version: Release,
    variant: Variant,
    sums: SourceSums,
    /// The digest of what decides bytes.
    digest: Digest,
    profiles: &'a [PinnedProfile],
    #[serde(flatten)]
    shared: &'a SeriesRecipe,
}

/// A summary. `--json` and `--toml` print every key of a recipe without naming it here.
fn text(shown: &Shown<'_>, file: &str, end_of_life: Option<&str>) -> String {
    let recipe = shown.shared;
    let kind = if shown.pre_release { ", a pre-release" } else { "" };
    let mut text = format!("Python {}{}{kind} ({file})\n", shown.version, shown.variant);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    row("built", if shown.built { "by this project" } else { "not by this project" }.to_owned());
    row("end of life", end_of_life.unwrap_or("unknown").to_owned());
    row("digest", shown.digest.to_string());
    row("source", recipe.source.url.clone());
    for (name, sum) in [(".tar.xz", shown.sums.xz), (".tgz", shown.sums.tgz)] {
        if let Some(sum) = sum {
            row("", format!("{name:<8} {sum}"));
        }
    }
    row("configure", recipe.configure.arguments.join(" "));
    row(
        "environment",
        recipe
            .configure
            .environment
            .iter()
            .map(|(name, value)| format!("{name}='{value}'"))
            .collect::<Vec<_>>()
            .join(" "),
    );
    row("modules", recipe.modules.required.join(" "));
    row("disabled", recipe.modules.disabled.join(" "));
    if !recipe.modules.builtin.is_empty() {
        row("built in", recipe.modules.builtin.keys().map(String::as_str).collect::<Vec<_>>().join(" "));
    }
    for library in &recipe.libraries {
        row(
            "library",
            format!("{} for {} ({}, {})", library.name, library.modules.join(", "), library.debian, library.fedora),
        );
        if let Some(minimum) = &library.minimum {
            row("minimum", format!("{} {}", library.name, minimum.version));
        }
        for loaded in &library.loaded {
            row(
                "loaded",
                format!("{} by {} ({}, {})", loaded.files.join(" "), loaded.by, loaded.debian, loaded.fedora),
            );
        }
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
    let checked =
        |recipe: &Recipe| Checked { file: recipe.file.clone(), series: recipe.series, releases: recipe.releases.len() };
    let mut rows: Vec<Checked> = Vec::new();
    if files.is_empty() {
        rows.extend(config.catalog()?.recipes().map(checked));
    }
    for file in files {
        rows.extend(recipe::check_file(file)?.iter().map(checked));
    }
    print(config, &rows, || {
        rows.iter().fold(String::new(), |mut text, recipe| {
            let _ = writeln!(text, "{}: Python {}, {} releases", recipe.file, recipe.series, recipe.releases);
            text
        })
    })
}
