//! `pykeel pull`: takes artifacts from the remotes into the store.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Serialize;

use super::super::args::{PullArgs, Wanted};
use super::super::config::{BuildPlaces, Config};
use super::stored::{Missing, Search};
use super::{print, sorted_out};
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::error::{Error, RemoteError, Result};
use crate::store::StoredArtifact;

/// The result for one artifact.
#[derive(Debug, Serialize)]
struct Output {
    name: ArtifactName,
    build_key: Digest,
    digest: Digest,
    /// The remote that it came from; none if the store had it.
    remote: Option<String>,
    #[serde(serialize_with = "super::lossy")]
    tarball: PathBuf,
}

pub(super) fn run(args: &PullArgs, config: &Config) -> Result<u8> {
    if config.settings.remotes.value.0.is_empty() {
        return Err(RemoteError::NoneNamed.into());
    }
    let results = if args.all { everything(config)? } else { named(args, config)? };
    let (artifacts, failure) = sorted_out(results)?;
    let outputs: Vec<Output> = artifacts.iter().map(|artifact| output(artifact, config)).collect();
    print(config, &outputs, || {
        outputs.iter().map(|output| format!("sha256:{}  {}\n", output.digest, output.name)).collect()
    })?;
    failure.map_or(Ok(0), Err)
}

fn output(artifact: &StoredArtifact, config: &Config) -> Output {
    let record = &artifact.record;
    Output {
        name: record.name.clone(),
        build_key: record.build_key,
        digest: record.digest,
        remote: config.remotes.origin(record.build_key),
        tarball: artifact.tarball(),
    }
}

/// Takes what is named, as `install` would.
fn named(args: &PullArgs, config: &Config) -> Result<Vec<(String, Result<StoredArtifact>)>> {
    let (catalog, jobs) = (config.catalog()?, config.jobs()?);
    let search = Search {
        config,
        pipeline: config.pipeline(&catalog, &config.reporter, &jobs),
        once: args.policies.once(false),
        profile: args.policies.profile.as_ref(),
        places: BuildPlaces::default(),
        prefix: None,
        root: None,
        missing: Missing::Refuse,
    };
    if let Some(Wanted::Tarball(path)) = args.what.iter().find(|wanted| matches!(wanted, Wanted::Tarball(_))) {
        let path = path.display();
        return Err(Error::Usage(format!(
            "`{path}` is neither a version nor sha256:DIGEST; only what a remote has is pulled"
        )));
    }
    let wanted = args.what.iter().map(|wanted| search.find(wanted)).collect::<Result<Vec<_>>>()?;
    let pairs: Vec<_> = wanted.iter().map(|(name, what)| (name.as_str(), what)).collect();
    let artifacts = search.artifacts(&pairs)?;
    Ok(wanted.iter().map(|(name, _)| name.clone()).zip(artifacts).collect())
}

/// Takes all that the remotes have and the store has not.
fn everything(config: &Config) -> Result<Vec<(String, Result<StoredArtifact>)>> {
    let mut results = Vec::new();
    if config.remotes.is_empty() {
        return Err(Error::Usage("nothing is asked over the network now, and no remote is a directory".into()));
    }
    let mut there: HashMap<Digest, StoredArtifact> =
        config.store.list()?.into_iter().map(|artifact| (artifact.record.digest, artifact)).collect();
    // Those of the settings that may be asked: without the network, directories alone.
    for listed in config.remotes.list(&config.reporter)? {
        let name = format!("{} ({}, {})", listed.version, listed.flavor, listed.digest.short());
        let result = match there.get(&listed.digest) {
            Some(artifact) => Ok(artifact.clone()),
            None => config
                .remotes
                .listed(listed.digest, &config.store, &config.reporter)
                .and_then(|artifact| artifact.ok_or(Error::NoSuchArtifact { digest: listed.digest })),
        };
        match result {
            Err(error @ (Error::Io(_) | Error::Interrupted(_))) => return Err(error),
            Err(error) => results.push((name, Err(error))),
            Ok(artifact) => {
                // Several remotes may have it.
                there.insert(listed.digest, artifact.clone());
                results.push((name, Ok(artifact)));
            }
        }
    }
    Ok(results)
}
