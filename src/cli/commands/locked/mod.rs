//! `--locked`: takes exactly the artifacts of a lock, from the store or by building them, or fails with what is different.

mod entries;
mod options;
mod orders;

use std::path::Path;

pub(super) use self::entries::{Entry, Flavors, entries};
pub(super) use self::options::Given;
pub(super) use self::orders::{Delivery, Order, Workshop};
use super::stored::too_new;
use super::warn_of_unreadable;
use crate::domain::comparison::Change;
use crate::domain::digest::Digest;
use crate::domain::plan::BuildPlan;
use crate::domain::pykeel_lock::{LockedArtifact, LockedPlan, Row, differences, essential, exact, rows, topics};
use crate::domain::rebuild::Topic;
use crate::error::{Error, PykeelLockError, Result};
use crate::event::{Event, Reporter as _};
use crate::pipeline::Built;
use crate::store::StoredArtifact;

/// How the artifacts of a lock are had.
pub(super) struct Locked<'a> {
    /// The lock.
    pub(super) lock: &'a Path,
    pub(super) given: Given<'a>,
    pub(super) workshop: Workshop<'a>,
    /// The root that they are for.
    pub(super) root: Option<&'a Path>,
}

/// Whether the tarball in the store is read before it counts as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digests {
    /// It is read and compared.
    Compared,
    /// Whoever takes it compares it.
    ComparedLater,
}

impl Locked<'_> {
    /// Returns the artifact of an entry, if the store or a remote has it and it is what the lock says.
    ///
    /// # Errors
    /// [`PykeelLockError::Untrue`] if the lock says something else of the digest, [`Error::UnsupportedTarget`] if it does
    /// not run here, [`Error::Remote`] for a remote, [`Error::Io`].
    pub(super) fn in_store(&self, entry: &Entry, digests: Digests) -> Result<Option<StoredArtifact>> {
        let (config, locked) = (self.given.config, &entry.artifact);
        let mut found = config.store.list()?;
        found.retain(|artifact| artifact.record.digest == locked.digest);
        // One of them may only say that it has this digest.
        found.sort_by_key(|artifact| artifact.record.build_key != locked.plan.build_key);
        let reporter = self.workshop.pipeline.reporter;
        let held = found.first().map(|artifact| config.store.hold(artifact, reporter)).transpose()?.flatten();
        // It may have been replaced since.
        let held = held.filter(|artifact| artifact.record.digest == locked.digest);
        let held = match held {
            Some(held) => Some(held),
            None => config.remotes.pinned(locked.digest, &config.store, reporter)?,
        };
        let Some(artifact) = held else { return Ok(None) };
        let checked = self.checked(entry, &artifact, digests);
        match checked {
            Ok(()) => Ok(Some(artifact)),
            Err(error @ (Error::DigestMismatch { .. } | Error::Damaged { .. })) => {
                let aside = config.store.set_aside(&artifact)?;
                config.reporter.report(Event::Warning(format!("{error}; it is now in {}", aside.display())));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks that an artifact is what the lock says, and that it runs on the system that it is for.
    fn checked(&self, entry: &Entry, artifact: &StoredArtifact, digests: Digests) -> Result<()> {
        let (locked, tarball) = (&entry.artifact, artifact.tarball());
        let manifest = artifact.read_manifest()?;
        if digests == Digests::Compared {
            let found = Digest::of_reader(fs_err::File::open(&tarball)?)?;
            if found != locked.digest {
                let what = tarball.display().to_string();
                return Err(Error::DigestMismatch { what, found, expected: locked.digest });
            }
        }
        let prefix = &locked.plan.options.prefix;
        let (request, compiled_in) = (&manifest.plan.request, &manifest.plan.request.prefix);
        let mut there = LockedArtifact::of(&artifact.record, &manifest, prefix);
        there.remotes.clone_from(&locked.remotes);
        let mut differing = differences(&rows(locked), &rows(&there));
        if prefix.prefix(request.release, request.variant) != *compiled_in {
            let (before, after) = (Some(prefix.to_string()), Some(compiled_in.to_string()));
            differing.push(Change { name: "prefix".into(), before, after });
        }
        for (name, before, after) in [
            ("flavor", entry.request.flavor.to_string(), request.flavor.to_string()),
            ("target", entry.request.target.to_string(), request.target.to_string()),
        ] {
            if before != after {
                differing.push(Change { name: name.into(), before: Some(before), after: Some(after) });
            }
        }
        if !differing.is_empty() {
            return Err(PykeelLockError::Untrue {
                lock: self.lock.to_owned(),
                request: entry.request.to_string(),
                digest: locked.digest,
                differences: lines(&differing.iter().collect::<Vec<_>>()),
            }
            .into());
        }
        too_new(&artifact.record.name, self.root).map_or(Ok(()), |reason| Err(Error::UnsupportedTarget { reason }))
    }

    /// Builds entries. Each is what the lock says, or an error.
    ///
    /// # Errors
    /// Those that concern all entries.
    pub(super) fn build(&self, entries: &[&Entry]) -> Result<Vec<(String, Result<Vec<Built>>)>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        for entry in entries {
            let text = format!("the store does not have {}, sha256:{}", entry.request, entry.artifact.digest.short());
            self.workshop.pipeline.reporter.report(Event::Note(text));
        }
        let orders = self.orders(entries)?;
        self.plans(entries, &orders)?;
        let deliveries = self.workshop.build(&orders)?.into_iter();
        let result = |Delivery { orders, built }: Delivery| {
            let entries: Vec<&Entry> = orders.iter().map(|number| entries[*number]).collect();
            let name = entries.first().map(|entry| entry.name()).unwrap_or_default();
            let built = built.and_then(|built| {
                entries.iter().zip(&built).try_for_each(|(entry, built)| self.is_locked(entry, built))?;
                Ok(built)
            });
            (name, built)
        };
        Ok(deliveries.map(result).collect())
    }

    fn orders(&self, entries: &[&Entry]) -> Result<Vec<Order>> {
        let order = |entry: &&Entry| {
            let plan = &entry.artifact.plan;
            let choices = self.given.choices_of(&plan.options)?;
            Ok(Order { version: exact(plan.release, plan.variant), flavor: entry.request.flavor, choices })
        };
        entries.iter().map(order).collect()
    }

    /// Returns the plans of entries, which have to be the ones that are locked.
    ///
    /// # Errors
    /// [`PykeelLockError::OtherPlan`] for the first that is not.
    pub(super) fn dry_run(&self, entries: &[&Entry]) -> Result<Vec<BuildPlan>> {
        self.plans(entries, &self.orders(entries)?)
    }

    fn plans(&self, entries: &[&Entry], orders: &[Order]) -> Result<Vec<BuildPlan>> {
        let other = |entry: &Entry, differences, topics| PykeelLockError::OtherPlan {
            lock: self.lock.to_owned(),
            request: entry.request.to_string(),
            differences,
            topics,
        };
        let eol = self.given.config.settings.allow_eol.value;
        for (entry, order) in entries.iter().zip(orders) {
            if let Err(Error::UnknownVersion { .. } | Error::NoVariant { .. }) =
                self.workshop.pipeline.recipe(order.version, eol)
            {
                let why = format!("no recipe here has {}", order.version);
                return Err(other(entry, vec![why], vec![Topic::Recipe]).into());
            }
        }
        let plans = self.workshop.plans(orders)?;
        for (entry, plan) in entries.iter().zip(&plans) {
            let locked = &entry.artifact.plan;
            let here = LockedPlan::of(plan, &locked.options.prefix);
            let (before, after) = (locked.rows(), here.rows());
            let all = differences(&before, &after);
            // What decides no byte of Python is in the manifest, and so in the digest too.
            if !all.is_empty() {
                let found = essential(&all);
                let names: Vec<&str> = found.iter().map(|change| change.name.as_str()).collect();
                let topics = topics(&[before, after].concat(), &names);
                return Err(other(entry, lines(&found), topics).into());
            }
        }
        Ok(plans)
    }

    /// Checks that what was built is what is locked.
    fn is_locked(&self, entry: &Entry, built: &Built) -> Result<()> {
        let (found, expected) = (built.artifact.record.digest, entry.artifact.digest);
        if found == expected {
            return self.checked(entry, &built.artifact, Digests::ComparedLater);
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
            let there = LockedArtifact::of(&artifact.record, &manifest, &locked.plan.options.prefix);
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

/// Says what differs from a lock, one line each.
pub(super) fn lines(changes: &[&Change<String>]) -> Vec<String> {
    let line = |change: &&Change<String>| {
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
