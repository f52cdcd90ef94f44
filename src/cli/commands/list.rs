//! `pykeel list`.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::args::ListArgs;
use super::super::config::Config;
use super::{print, warn_of_unreadable};
use crate::domain::artifact::ArtifactRecord;
use crate::domain::version::{Release, Series, Variant};
use crate::error::Result;
use crate::pipeline::is_past;
use crate::report::text::human;
use crate::store::remote::{self, Address, Listed};

/// A version with a recipe.
#[derive(Debug, Serialize)]
struct Known {
    series: Series,
    version: Release,
    variants: Vec<Variant>,
    pre_release: bool,
    built: bool,
    built_variants: Vec<Variant>,
    end_of_life: Option<String>,
    past_end_of_life: bool,
}

pub(super) fn run(args: &ListArgs, config: &Config) -> Result<u8> {
    match &args.remote {
        Some(address) => of_remote(&Address::parse(address)?, config)?,
        None if args.all => versions(config)?,
        None => artifacts(config)?,
    }
    Ok(0)
}

/// What a remote has.
#[derive(Debug, Serialize)]
struct Remote<'a> {
    remote: &'a Address,
    artifacts: Vec<Listed>,
}

fn of_remote(address: &Address, config: &Config) -> Result<()> {
    let mut artifacts = remote::open(address)?.list()?;
    artifacts.sort_by(|a, b| {
        let of =
            |listed: &Listed| (listed.version.clone(), listed.target, listed.flavor, listed.published, listed.digest);
        of(a).cmp(&of(b))
    });
    let output = Remote { remote: address, artifacts };
    print(config, &output, || {
        if output.artifacts.is_empty() {
            return format!("the remote {address} has no artifacts\n");
        }
        output.artifacts.iter().map(line).collect()
    })
}

/// A line for people.
fn line(listed: &Listed) -> String {
    let Listed { version, target, flavor, shared, glibc_floor, digest, size, .. } = listed;
    let (size, shared) = (size.map(human).unwrap_or_default(), if *shared { " shared" } else { "" });
    format!("sha256:{digest}  {size:>8}  {version} {target} glibc{glibc_floor} {flavor}{shared}\n")
}

fn artifacts(config: &Config) -> Result<()> {
    warn_of_unreadable(config, &config.reporter)?;
    let records: Vec<ArtifactRecord> = config.store.list()?.into_iter().map(|artifact| artifact.record).collect();
    print(config, &records, || {
        if records.is_empty() {
            return format!("the store {} has no artifacts\n", config.store.root().display());
        }
        records
            .iter()
            .map(|record| format!("sha256:{}  {:>8}  {}\n", record.digest, human(record.size), record.name))
            .collect()
    })
}

fn versions(config: &Config) -> Result<()> {
    let catalog = config.catalog()?;
    let mut known = Vec::new();
    for recipe in catalog.recipes().rev() {
        for row in recipe.releases.iter().rev() {
            known.push(Known {
                series: recipe.series,
                version: row.version,
                variants: recipe.variants.keys().copied().collect(),
                pre_release: row.version.is_pre_release(),
                built: row.built,
                built_variants: row.built_variants.iter().copied().collect(),
                end_of_life: recipe.end_of_life.clone(),
                past_end_of_life: is_past(recipe),
            });
        }
    }
    print(config, &known, || {
        known.iter().fold(String::new(), |mut text, version| {
            let mut notes = Vec::new();
            let built: Vec<String> = std::iter::once(Variant::Default)
                .filter(|_| version.built)
                .chain(version.built_variants.iter().copied())
                .map(|variant| format!("{}{variant}", version.version))
                .collect();
            if !built.is_empty() {
                notes.push(format!("built by this project: {}", built.join(", ")));
            }
            if version.pre_release {
                notes.push("pre-release".to_owned());
            }
            if version.past_end_of_life {
                notes.push(format!("end of life {}", version.end_of_life.as_deref().unwrap_or_default()));
            }
            let line = format!("{:<10} {}", version.version, notes.join(", "));
            let _ = writeln!(text, "{}", line.trim_end());
            text
        })
    })
}
