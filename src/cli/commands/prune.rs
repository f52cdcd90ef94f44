//! `pykeel prune`: removes artifacts from a remote.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::super::args::PruneRemoteArgs;
use super::super::config::Config;
use super::print;
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::error::Result;
use crate::pykeel_lock::LockFile;
use crate::report::text::human;
use crate::store::remote::{self, Address, Pruning, Retention};

/// What was removed.
#[derive(Debug, Serialize)]
struct Output {
    remote: Address,
    dry_run: bool,
    removed: Vec<One>,
    /// The bytes of the files that nothing else in the remote has.
    freed: u64,
    /// The number of artifacts that stay.
    left: usize,
}

/// An artifact.
#[derive(Debug, Serialize)]
struct One {
    name: ArtifactName,
    digest: Digest,
    /// In bytes.
    size: u64,
    /// In seconds since 1970.
    published: u64,
}

pub(super) fn run(args: &PruneRemoteArgs, config: &Config) -> Result<u8> {
    let address = Address::parse(&args.remote)?;
    let named = if args.locks.is_empty() { None } else { Some(locked(args)?) };
    let retention = Retention { younger_than: args.older_than, newest: args.keep, named };
    let remote = remote::open(&address)?;
    let Pruning { goes, stays, freed } = retention.apply(remote.all()?);
    if !args.dry_run && !goes.is_empty() {
        remote.remove(&goes, &config.reporter)?;
    }
    let one = |offer: remote::Offer| One {
        name: offer.name,
        digest: offer.digest,
        size: offer.size,
        published: offer.published,
    };
    let removed = goes.into_iter().map(one).collect();
    let output = Output { remote: address, dry_run: args.dry_run, removed, freed, left: stays };
    print(config, &output, || {
        let mut text = String::new();
        for One { name, digest, size, .. } in &output.removed {
            let _ = writeln!(text, "sha256:{digest}  {:>8}  {name}", human(*size));
        }
        let would = if output.dry_run { "would be freed" } else { "freed" };
        let _ = writeln!(text, "{} {would}, {} artifacts left", human(output.freed), output.left);
        text
    })?;
    Ok(0)
}

/// The digests that the locks refer to.
fn locked(args: &PruneRemoteArgs) -> Result<BTreeSet<Digest>> {
    let mut digests = BTreeSet::new();
    for path in &args.locks {
        let file = LockFile::read_existing(path)?;
        digests.extend(file.content().entries.values().map(|artifact| artifact.digest));
    }
    Ok(digests)
}
