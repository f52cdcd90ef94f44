//! `pykeel index`.

use std::path::Path;

use super::super::args::IndexArgs;
use super::super::config::Config;
use super::{print, warn_of_unreadable};
use crate::audit::inspect;
use crate::domain::artifact::Format;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter as _};
use crate::export::uv_index::{self, LeftOut, Offer};
use crate::store::StoredArtifact;
use crate::store::artifact::format_of;
use crate::sys::fs;
use crate::sys::http::url;

pub(super) fn run(args: &IndexArgs, config: &Config) -> Result<u8> {
    let offers = match &args.directory {
        Some(directory) => offers_in(directory)?,
        None => offers_of_store(config)?,
    };
    let (index, left_out) = uv_index::index(offers, args.flavor, args.url.as_ref());
    let mut others = 0;
    for (offer, why) in left_out {
        let reason = match why {
            LeftOut::Format => "uv reads no .tar.xz",
            LeftOut::Flavor => "it is of another flavor",
            // A store can have many.
            LeftOut::Another => {
                others += 1;
                continue;
            }
        };
        config.reporter.report(Event::Note(format!("{} is not in the index: {reason}", offer.name.file(offer.format))));
    }
    if others > 0 {
        let text = format!("not in the index: other artifacts of the same releases ({others})");
        config.reporter.report(Event::Note(text));
    }
    if index.is_empty() {
        let path = args.directory.clone().unwrap_or_else(|| config.store.root().to_owned());
        let reason = "it has no artifact that uv can install".to_owned();
        return Err(Error::NotAnArtifact { path, reason });
    }
    let mut text = serde_json::to_string_pretty(&index).map_err(std::io::Error::from)?;
    text.push('\n');
    match &args.output {
        None => print(config, &index, || text)?,
        Some(path) => {
            fs::write_atomically(path, text.as_bytes())?;
            print(config, &index, || path.display().to_string())?;
        }
    }
    Ok(0)
}

/// Returns what the store has.
fn offers_of_store(config: &Config) -> Result<Vec<Offer>> {
    warn_of_unreadable(config, &config.reporter)?;
    let offer = |artifact: StoredArtifact| {
        let manifest = artifact.read_manifest()?;
        Ok(Offer {
            name: manifest.name,
            libraries: manifest.plan.request.policies.library_policy,
            url: url_of(&artifact.tarball())?,
            format: Format::Zst,
            sha256: artifact.record.digest,
            published: Some(artifact.record.published),
        })
    };
    config.store.list()?.into_iter().map(offer).collect()
}

/// Returns the tarballs in a directory. Each is read to its end.
fn offers_in(directory: &Path) -> Result<Vec<Offer>> {
    let mut offers = Vec::new();
    for entry in fs_err::read_dir(directory).map_err(Error::Unreadable)? {
        let path = entry?.path();
        if format_of(&path).is_err() {
            continue;
        }
        let contents = match inspect::contents(&path) {
            Ok(contents) => contents,
            // Debug files, and tarballs that are no artifacts of ours.
            Err(Error::NotAnArtifact { .. }) => continue,
            Err(error) => return Err(error),
        };
        let Some(tarball) = contents.tarball else { continue };
        offers.push(Offer {
            name: contents.manifest.name,
            libraries: contents.manifest.plan.request.policies.library_policy,
            url: url_of(&path)?,
            format: tarball.format,
            sha256: tarball.sha256,
            published: None,
        });
    }
    Ok(offers)
}

/// Returns the URL of a file on this machine.
fn url_of(path: &Path) -> Result<String> {
    let path = std::path::absolute(path)?;
    url::of_file(&path).ok_or_else(|| Error::NotAnArtifact { path, reason: "it has no URL".into() })
}
