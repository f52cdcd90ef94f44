//! `pykeel push`.

use serde::Serialize;

use super::super::args::{PushArgs, Wanted};
use super::super::config::Config;
use super::places::is;
use super::{print, warn_of_unreadable};
use crate::domain::artifact::ArtifactName;
use crate::domain::digest::Digest;
use crate::error::{Error, RemoteError, Result};
use crate::event::{Event, Reporter as _, staged};
use crate::report::text::human;
use crate::store::StoredArtifact;
use crate::store::remote::{self, Address, Pushed};

/// The result of a push.
#[derive(Debug, Serialize)]
struct Output {
    remote: Address,
    artifacts: Vec<One>,
}

/// The result for one artifact.
#[derive(Debug, Serialize)]
struct One {
    name: ArtifactName,
    digest: Digest,
    /// Whether the remote did not offer it before.
    new: bool,
    /// The bytes of its files that were sent.
    sent: u64,
}

pub(super) fn run(args: &PushArgs, config: &Config) -> Result<u8> {
    // clap requires a word.
    let Some((address, what)) = args.words.split_last() else { return Err(RemoteError::NoneNamed.into()) };
    let address = Address::parse(address)?;
    if what.is_empty() != args.all {
        return Err(Error::Usage("name versions or digests and at last the remote, or use `--all`".into()));
    }
    let what = what.iter().map(|text| wanted(text)).collect::<Result<Vec<_>>>()?;
    let artifacts = selected(args, &what, config)?;
    let remote = remote::open(&address)?;
    let (mut pushed, mut failure) = (Vec::new(), None);
    for artifact in artifacts {
        // It may have been pruned since the store was listed.
        let Some(artifact) = config.store.hold(&artifact, &config.reporter)? else {
            let record = &artifact.record;
            if args.all {
                config.reporter.report(Event::Note(format!("{} was pruned meanwhile", record.name)));
            } else {
                failure = failure.or(Some(Error::NoSuchArtifact { digest: record.digest }));
            }
            continue;
        };
        let (name, digest) = (artifact.record.name.clone(), artifact.record.digest);
        let result = staged(
            &config.reporter,
            "push",
            format!("{name} to {address}"),
            || remote.push(&artifact, &config.reporter),
            |pushed| match pushed {
                Pushed::New { sent } => format!("{name}, {} sent", human(*sent)),
                Pushed::AlreadyThere => format!("{name} is there"),
            },
        )?;
        let (new, sent) = match result {
            Pushed::New { sent } => (true, sent),
            Pushed::AlreadyThere => (false, 0),
        };
        pushed.push(One { name, digest, new, sent });
    }
    let output = Output { remote: address, artifacts: pushed };
    print(config, &output, || {
        let line =
            |one: &One| format!("sha256:{}  {}  {}\n", one.digest, if one.new { "new" } else { "was there" }, one.name);
        output.artifacts.iter().map(line).collect()
    })?;
    failure.map_or(Ok(0), Err)
}

/// Reads what is to be pushed.
fn wanted(text: &str) -> Result<Wanted> {
    match text.parse() {
        Ok(Wanted::Tarball(_)) => Err(Error::Usage(format!(
            "`{text}` is neither a version nor sha256:DIGEST; only what the store has is pushed"
        ))),
        Ok(wanted) => Ok(wanted),
        Err(reason) => Err(Error::Usage(reason)),
    }
}

/// Returns the artifacts of the store that are named, each once.
fn selected(args: &PushArgs, what: &[Wanted], config: &Config) -> Result<Vec<StoredArtifact>> {
    warn_of_unreadable(config, &config.reporter)?;
    let of_flavor =
        |artifact: &StoredArtifact| args.flavor.is_none_or(|flavor| flavor == artifact.record.name.flavor());
    let all: Vec<_> = config.store.list()?.into_iter().filter(of_flavor).collect();
    let names = |wanted: &Wanted, artifact: &StoredArtifact| match wanted {
        Wanted::Version(request) => is(*request, &artifact.record.name),
        Wanted::Artifact(digest) => *digest == artifact.record.digest,
        Wanted::Tarball(_) => false,
    };
    for wanted in what {
        if !all.iter().any(|artifact| names(wanted, artifact)) {
            return Err(match wanted {
                Wanted::Artifact(digest) => Error::NoSuchArtifact { digest: *digest },
                Wanted::Version(request) => Error::NotInStore { request: request.to_string(), why: None },
                Wanted::Tarball(path) => Error::Usage(format!("{} is a tarball", path.display())),
            });
        }
    }
    Ok(all.into_iter().filter(|artifact| args.all || what.iter().any(|wanted| names(wanted, artifact))).collect())
}
