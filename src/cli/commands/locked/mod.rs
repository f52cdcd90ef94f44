//! `--locked`: takes exactly the artifacts of a lock, from the store or by building them, or fails with what is different.

mod entries;
mod options;
mod orders;

use std::path::Path;

pub(super) use self::entries::{Entry, Flavors, entries};
pub(super) use self::options::Given;
pub(super) use self::orders::{Delivery, Order, Workshop};
use super::super::config::Config;
use super::super::settings::Origin;
use super::stored::{is_damage, pinned, set_aside, unfit};
use super::warn_of_unreadable;
use crate::audit::tarball::TarballArtifact;
use crate::domain::artifact::ArtifactRecord;
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::{ArtifactRequest, BuildPlan};
use crate::domain::pykeel_lock::{
    Difference, Kind, LockedArtifact, LockedPlan, Row, differences, essential, exact, rows, topics,
};
use crate::domain::rebuild::Topic;
use crate::error::{Error, PykeelLockError, Result};
use crate::event::Event;
use crate::pipeline::Built;
use crate::recipe::ReleaseRecipe;
use crate::store::StoredArtifact;
use crate::store::remote::Address;

/// How the artifacts of a lock are had.
pub(super) struct Locked<'a> {
    /// The lock.
    pub(super) lock: &'a Path,
    pub(super) given: Given<'a>,
    pub(super) workshop: Workshop<'a>,
    pub(super) purpose: Purpose<'a>,
}

/// What the artifacts are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// To be installed below a root, or on this system: they have to run there. The installation compares their digests.
    Install(Option<&'a Path>),
    /// To be in the store, for whatever system: nothing else compares their digests.
    Store,
}

/// How many entries of the store, and artifacts of remotes, are tried if they only say that they are what is locked.
const MOST_TRIES: usize = 4;

impl Locked<'_> {
    /// Returns the artifact of an entry, if the store or a remote has it and it is what the lock says. One that only says
    /// so is set aside, and another one is looked for.
    ///
    /// # Errors
    /// [`PykeelLockError::Untrue`] if the lock says something else of the digest, [`Error::UnsupportedTarget`] if it does
    /// not run where it is to be installed, [`Error::Remote`] for a remote, [`Error::Io`].
    pub(super) fn in_store(&self, entry: &Entry) -> Result<Option<StoredArtifact>> {
        let (config, locked, reporter) = (self.given.config, &entry.artifact, self.workshop.pipeline.reporter);
        for _ in 0..MOST_TRIES {
            let found = pinned(locked.digest, Some(locked.plan.build_key), config, reporter)?;
            let found = if found.is_none() { self.taken_where_locked(locked)? } else { found };
            let Some(artifact) = found else { return Ok(None) };
            let compared = if self.purpose == Purpose::Store { compare_digest(&artifact) } else { Ok(()) };
            match compared.and_then(|()| self.checked(entry, &artifact)) {
                Ok(()) => return Ok(Some(artifact)),
                Err(error) if is_damage(&error) => set_aside(&artifact, &error, config, reporter)?,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes an artifact from the remotes that the lock names, unless the user wants none asked.
    fn taken_where_locked(&self, locked: &LockedArtifact) -> Result<Option<StoredArtifact>> {
        let Config { settings, store, remotes, .. } = self.given.config;
        let asks_none = settings.remotes.origin != Origin::Default && settings.remotes.value.0.is_empty();
        if asks_none {
            return Ok(None);
        }
        let addresses = locked.remotes.iter().map(|text| Address::of_lock(text)).collect::<Result<Vec<_>>>()?;
        // A directory needs no network.
        let usable = addresses.into_iter().filter(|address| !settings.offline.value || !address.is_remote());
        remotes.pinned_at(usable.collect(), locked.digest, store, self.workshop.pipeline.reporter)
    }

    /// Checks that an artifact is what the lock says, and that it runs on the system that it is to be installed on.
    fn checked(&self, entry: &Entry, artifact: &StoredArtifact) -> Result<()> {
        let locked = &entry.artifact;
        let manifest = artifact.read_manifest()?;
        let prefix = &locked.plan.options.prefix;
        let (request, compiled_in) = (&manifest.plan.request, &manifest.plan.request.prefix);
        let there = described(locked, artifact, &manifest);
        let mut differing = differences(&rows(locked), &rows(&there));
        if prefix.prefix(request.release, request.variant) != *compiled_in {
            differing.push(difference("prefix", prefix.to_string(), compiled_in.to_string()));
        }
        for (name, before, after) in [
            ("flavor", entry.request.flavor.to_string(), request.flavor.to_string()),
            ("target", entry.request.target.to_string(), request.target.to_string()),
        ] {
            if before != after {
                differing.push(difference(name, before, after));
            }
        }
        if !differing.is_empty() || there != *locked {
            // The store may be what is wrong.
            compare_whole(artifact)?;
            return Err(PykeelLockError::Untrue {
                lock: self.lock.to_owned(),
                request: entry.request.to_string(),
                digest: locked.digest,
                differences: told(&differing.iter().collect::<Vec<_>>()),
            }
            .into());
        }
        let reason = match self.purpose {
            Purpose::Install(root) => unfit(&artifact.record.name, Some(&manifest), root, self.given.config),
            Purpose::Store => None,
        };
        reason.map_or(Ok(()), |reason| Err(Error::UnsupportedTarget { reason }))
    }

    /// Builds entries. Each is what the lock says, or an error. What several flavors of a release have in common is an
    /// error of the first of them alone.
    ///
    /// # Errors
    /// Those that concern all entries.
    pub(super) fn build<'e>(&self, entries: &[&'e Entry]) -> Result<Vec<(&'e Entry, Result<Built>)>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        for entry in entries {
            let text = format!("the store does not have {}, sha256:{}", entry.request, entry.artifact.digest.short());
            self.workshop.pipeline.reporter.report(Event::Note(text));
        }
        let (mut results, mut buildable) = (Vec::new(), Vec::new());
        for (entry, plan) in self.plans(entries)? {
            match plan {
                Ok(_) => buildable.push(entry),
                Err(error) => results.push((entry, Err(error))),
            }
        }
        let orders = buildable.iter().map(|entry| self.order(entry)).collect::<Result<Vec<_>>>()?;
        for Delivery { orders, built } in self.workshop.build(&orders)? {
            let mut ordered = orders.iter().map(|number| buildable[*number]);
            match built {
                Ok(built) => results.extend(
                    ordered.zip(built).map(|(entry, built)| (entry, self.is_locked(entry, &built).map(|()| built))),
                ),
                Err(error) => results.extend(ordered.next().map(|entry| (entry, Err(error)))),
            }
        }
        Ok(results)
    }

    fn order(&self, entry: &Entry) -> Result<Order> {
        let plan = &entry.artifact.plan;
        let choices = self.given.choices_of(&plan.options)?;
        Ok(Order { version: exact(plan.release, plan.variant), flavor: entry.request.flavor, choices })
    }

    /// Returns the recipe of an entry, or `None` if no recipe here has its release.
    fn recipe(&self, order: &Order) -> Result<Option<ReleaseRecipe>> {
        match self.workshop.pipeline.recipe(order.version, self.given.config.settings.allow_eol.value) {
            Err(Error::UnknownVersion { .. } | Error::NoVariant { .. }) => Ok(None),
            recipe => recipe.map(Some),
        }
    }

    /// Returns the request that an entry would be built for, or `None` if no recipe here has its release.
    ///
    /// # Errors
    /// Those of the user's choices.
    pub(super) fn request(&self, entry: &Entry) -> Result<Option<ArtifactRequest>> {
        let order = self.order(entry)?;
        let recipe = self.recipe(&order)?;
        Ok(recipe.map(|recipe| order.choices.request(&recipe, order.flavor, entry.request.target)))
    }

    /// Returns the plans of entries. Each is the one that is locked, or [`PykeelLockError::OtherPlan`].
    ///
    /// # Errors
    /// Those that concern all entries.
    pub(super) fn plans<'e>(&self, entries: &[&'e Entry]) -> Result<Vec<(&'e Entry, Result<BuildPlan>)>> {
        let other = |entry: &Entry, differences, topics| {
            let (lock, request) = (self.lock.to_owned(), entry.request.to_string());
            Error::from(PykeelLockError::OtherPlan { lock, request, differences, topics })
        };
        let (mut results, mut known, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let order = self.order(entry)?;
            if self.recipe(&order)?.is_some() {
                known.push(*entry);
                orders.push(order);
            } else {
                let why = format!("no recipe here has {}", order.version);
                results.push((*entry, Err(other(entry, vec![why], vec![Topic::Recipe]))));
            }
        }
        for (entry, plan) in known.into_iter().zip(self.workshop.plans(&orders)?) {
            let locked = &entry.artifact.plan;
            let here = LockedPlan::of(&plan, &locked.options.prefix);
            // What decides no byte of Python is in the manifest, and so in the digest too.
            if here == *locked {
                results.push((entry, Ok(plan)));
                continue;
            }
            let all = differences(&locked.rows(), &here.rows());
            let found = essential(&all);
            results.push((entry, Err(other(entry, told(&found), topics(&found)))));
        }
        Ok(results)
    }

    /// Checks that what was built is what is locked.
    fn is_locked(&self, entry: &Entry, built: &Built) -> Result<()> {
        let (found, expected) = (built.artifact.record.digest, entry.artifact.digest);
        if found == expected {
            return self.checked(entry, &built.artifact);
        }
        let (lock, request) = (self.lock.to_owned(), entry.request.to_string());
        Err(PykeelLockError::OtherArtifact { lock, request, found, expected }.into())
    }

    /// The error for an entry whose artifact the store does not have: it names what is there instead.
    ///
    /// # Errors
    /// [`Error::Io`] if the store cannot be read.
    pub(super) fn not_in_store(&self, entry: &Entry) -> Result<Error> {
        warn_of_unreadable(self.given.config, &self.given.config.reporter)?;
        let locked = &entry.artifact;
        let mut instead = Vec::new();
        for artifact in self.given.config.store.list()? {
            let name = &artifact.record.name;
            let is_alike = (name.release(), name.variant(), name.flavor(), name.target())
                == (locked.plan.release, locked.plan.variant, entry.request.flavor, entry.request.target);
            if !is_alike {
                continue;
            }
            let manifest = match artifact.read_manifest() {
                Ok(manifest) => manifest,
                Err(error) => {
                    instead.push(error.to_string());
                    continue;
                }
            };
            let there = described(locked, &artifact, &manifest);
            let all = differences(&rows(locked), &rows(&there));
            instead.push(format!("{name} differs: {}", lines(&essential(&all)).join("; ")));
        }
        Ok(PykeelLockError::NotInStore {
            lock: self.lock.to_owned(),
            request: entry.request.to_string(),
            digest: locked.digest,
            instead,
        }
        .into())
    }
}

/// What a lock would say of an artifact in place of what it says. Where it is to be had is no fact of the artifact.
fn described(locked: &LockedArtifact, artifact: &StoredArtifact, manifest: &Manifest) -> LockedArtifact {
    let there = LockedArtifact::of(&artifact.record, manifest, &locked.plan.options.prefix);
    LockedArtifact { remotes: locked.remotes.clone(), ..there }
}

/// Compares a tarball of the store with its digest.
fn compare_digest(artifact: &StoredArtifact) -> Result<()> {
    let (tarball, expected) = (artifact.tarball(), artifact.record.digest);
    let found = Digest::of_reader(fs_err::File::open(&tarball)?)?;
    if found == expected {
        return Ok(());
    }
    Err(Error::DigestMismatch { what: tarball.display().to_string(), found, expected })
}

/// Compares a tarball of the store with its digest, and what it has in it with the record and the manifest beside it.
fn compare_whole(artifact: &StoredArtifact) -> Result<()> {
    compare_digest(artifact)?;
    let inside = TarballArtifact::read(&artifact.tarball())?;
    // The others are not in it.
    let ArtifactRecord { debug_digest, published, .. } = artifact.record;
    let record = ArtifactRecord { debug_digest, published, ..inside.artifact().record.clone() };
    if record == artifact.record {
        return Ok(());
    }
    let what = artifact.tarball().display().to_string();
    Err(Error::Damaged { what, reason: "the store says something else of it than its manifest".into() })
}

/// What the request of a lock has, and what an artifact has.
fn difference(name: &str, locked: String, there: String) -> Difference {
    let (key, name) = (name.to_owned(), name.to_owned());
    Difference { kind: Kind::Option, key, name, before: Some(locked), after: Some(there), topic: None }
}

/// The lines of an error, which is never without a reason.
fn told(changes: &[&Difference]) -> Vec<String> {
    let lines = lines(changes);
    if lines.is_empty() { vec!["it differs in something that has no name here".to_owned()] } else { lines }
}

/// Says what differs from a lock, one line each.
pub(super) fn lines(changes: &[&Difference]) -> Vec<String> {
    let line = |change: &&Difference| {
        let name = &change.name;
        match (&change.before, &change.after) {
            (Some(locked), Some(here)) => format!("{name} is {}, locked: {}", short(here), short(locked)),
            (Some(locked), None) => format!("{name} is none, locked: {}", short(locked)),
            (None, here) => format!("{name} is {}, locked: none", short(here.as_deref().unwrap_or_default())),
        }
    };
    changes.iter().map(line).collect()
}

/// Returns a value, of a digest the first digits.
pub(super) fn short(value: &str) -> String {
    value.parse::<Digest>().map_or_else(|_| value.to_owned(), Digest::short)
}

/// The rows of options that differ from what is locked.
pub(super) fn contradictions(locked: &[Row], wanted: &[Row]) -> Vec<String> {
    lines(&differences(locked, wanted).iter().collect::<Vec<_>>())
}
