//! `pykeel inspect`.

mod comparison;
mod sizes;

use std::path::Path;

use serde::Serialize;

use super::super::args::{InspectArgs, Wanted};
use super::super::config::Config;
use super::{by_digest, print};
use crate::audit::inspect;
use crate::domain::comparison::compare;
use crate::domain::contents::{Contents, File, PartSize, Tarball};
use crate::domain::manifest::Manifest;
use crate::domain::plan::{ArtifactRequest, Flavor};
use crate::domain::version::{Selector, VersionRequest};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter as _};
use crate::report::treemap;
use crate::store::StoredArtifact;
use crate::sys::fs;

/// The contents of an artifact, for JSON.
#[derive(Serialize)]
struct Output<'a> {
    manifest: &'a Manifest,
    tarball: Option<&'a Tarball>,
    sizes: Sizes,
    files: &'a [File],
}

#[derive(Serialize)]
struct Sizes {
    files: u64,
    links: u64,
    bytes: u64,
    parts: Vec<PartSize>,
}

pub(super) fn run(args: &InspectArgs, config: &Config) -> Result<u8> {
    let contents = read(&args.what, args.flavor, config)?;
    if let Some(with) = &args.with {
        let other = read(with, args.flavor, config)?;
        let (before, after) = (inspect::sysconfig(&contents)?, inspect::sysconfig(&other)?);
        let comparison = compare((&contents, &before), (&other, &after));
        print(config, &comparison, || comparison::text(&comparison, args.top))?;
        return Ok(0);
    }
    if let Some(path) = &args.html {
        fs::write_atomically(path, treemap::page(&contents).as_bytes())?;
    }
    let size = contents.total();
    let sizes = Sizes { files: size.files, links: contents.links, bytes: size.bytes, parts: contents.parts() };
    let output =
        Output { manifest: &contents.manifest, tarball: contents.tarball.as_ref(), sizes, files: &contents.files };
    print(config, &output, || sizes::text(&contents, args.top))?;
    if let Some(path) = &args.html {
        config.reporter.report(Event::Note(format!("the treemap is in {}", path.display())));
    }
    Ok(0)
}

/// Reads what an argument names. An existing path takes precedence over a version of the same name.
fn read(what: &Path, flavor: Flavor, config: &Config) -> Result<Contents> {
    let wanted = match what.to_str() {
        Some(text) if text.starts_with("sha256:") => Some(text.parse().map_err(Error::Usage)?),
        Some(text) if !what.exists() => text.parse().ok(),
        _ => None,
    };
    let artifact = match wanted {
        None | Some(Wanted::Tarball(_)) => return inspect::contents(what),
        Some(Wanted::Artifact(digest)) => by_digest(digest, config)?,
        Some(Wanted::Version(request)) => by_version(request, flavor, config)?,
    };
    let contents = inspect::contents(&artifact.tarball())?;
    match &contents.tarball {
        Some(tarball) if tarball.sha256 != artifact.record.digest => Err(Error::DigestMismatch {
            what: artifact.tarball().display().to_string(),
            found: tarball.sha256,
            expected: artifact.record.digest,
        }),
        _ => Ok(contents),
    }
}

/// Returns the one artifact of a version in the store. A series means its newest release in the store. Of artifacts
/// that differ in nothing that a user can choose, the newest counts. One whose manifest cannot be read is named and
/// does not count.
fn by_version(request: VersionRequest, flavor: Flavor, config: &Config) -> Result<StoredArtifact> {
    let artifacts = config.store.list()?;
    let describe = |artifact: &StoredArtifact| format!("sha256:{}  {}", artifact.record.digest, artifact.record.name);
    let there: Vec<String> = artifacts.iter().map(|artifact| artifact.record.name.to_string()).collect();
    let mut candidates: Vec<StoredArtifact> = artifacts
        .into_iter()
        .filter(|artifact| {
            let name = &artifact.record.name;
            let release = name.release();
            let selected = match request.selector {
                Selector::Latest => true,
                Selector::Series(series) => release.series() == series,
                Selector::Release(wanted) => release == wanted,
            };
            selected && name.variant() == request.variant && name.flavor() == flavor
        })
        .collect();
    let newest = candidates.iter().map(|artifact| artifact.record.name.release()).max();
    candidates.retain(|artifact| Some(artifact.record.name.release()) == newest);
    let mut requests: Vec<ArtifactRequest> = Vec::new();
    let mut distinct = Vec::new();
    let mut unreadable = Vec::new();
    // The newest come first.
    for artifact in candidates {
        match artifact.read_manifest() {
            Ok(manifest) => {
                let request = manifest.plan.request;
                if !requests.iter().any(|newer| newer.says_the_same_as(&request)) {
                    requests.push(request);
                    distinct.push(artifact);
                }
            }
            // Another pykeel may have made it.
            Err(error @ (Error::NotAnArtifact { .. } | Error::Damaged { .. } | Error::DigestMismatch { .. })) => {
                unreadable.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    if distinct.is_empty() && !unreadable.is_empty() {
        return Err(unreadable.remove(0));
    }
    for error in unreadable {
        config.reporter.report(Event::Warning(format!("ignoring an artifact of Python {request}: {error}")));
    }
    let mut candidates = distinct;
    match candidates.len() {
        1 => Ok(candidates.remove(0)),
        0 => {
            let why = if there.is_empty() { "it is empty".into() } else { format!("it has {}", there.join(", ")) };
            Err(Error::NotInStore { request: request.to_string(), why: Some(why) })
        }
        _ => Err(Error::AmbiguousArtifact {
            request: request.to_string(),
            candidates: candidates.iter().map(describe).collect(),
        }),
    }
}
