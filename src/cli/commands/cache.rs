//! `pykeel cache list` and `pykeel cache prune`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::HumanDuration;
use serde::Serialize;

use super::super::args::{CacheCommand, PruneArgs};
use super::super::config::Config;
use super::print;
use crate::error::Result;
use crate::event::{Event, Reporter};
use crate::report::text::human;
use crate::store::{Contents, Item, Kind, NeededBy, Policy, Pruned};

/// One thing in the store.
#[derive(Debug, Serialize)]
struct Entry {
    kind: Kind,
    name: String,
    path: PathBuf,
    /// In bytes.
    size: u64,
    /// In seconds since 1970.
    last_used: u64,
    needed_by: Vec<String>,
    in_use: bool,
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    store: &'a Path,
    size: u64,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    dry_run: bool,
    removed: Vec<Entry>,
    /// The entries that were selected, and that a process uses.
    skipped: Vec<Entry>,
    /// Bytes.
    freed: u64,
    /// Bytes that are left.
    size: u64,
}

pub(super) fn run(command: &CacheCommand, config: &Config) -> Result<u8> {
    match command {
        CacheCommand::List => list(config)?,
        CacheCommand::Prune(args) => prune(args, config)?,
    }
    Ok(0)
}

fn entry(item: &Item, contents: &Contents) -> Entry {
    Entry {
        kind: item.kind,
        name: item.name.clone(),
        path: item.path.clone(),
        size: item.size,
        last_used: item.last_used,
        needed_by: contents.needed_by(item).into_iter().map(needed_by).collect(),
        in_use: item.in_use,
    }
}

/// The users of an entry, as JSON names them.
fn needed_by(what: NeededBy) -> String {
    match what {
        NeededBy::Install => "install".to_owned(),
        NeededBy::User => "--keep-build".to_owned(),
        NeededBy::Artifact(name) => name,
    }
}

fn list(config: &Config) -> Result<()> {
    let contents = Contents::read(&config.store, &Config::work_elsewhere())?;
    let entries = contents.items.iter().map(|item| entry(item, &contents)).collect();
    let listed = Listed { store: config.store.root(), size: contents.size(), entries };
    print(config, &listed, || {
        let mut text: String = listed.entries.iter().map(row).collect();
        let _ = writeln!(text, "{} in {}", human(listed.size), listed.store.display());
        text
    })
}

fn row(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::Artifact => "artifact",
        Kind::Source => "source",
        Kind::Profile => "profile",
        Kind::Intermediate => "kept work",
        Kind::Log => "log",
        Kind::Work => "work",
        Kind::Damaged => "damaged",
        Kind::Partial => "partial",
    };
    let mut notes = Vec::new();
    if entry.in_use {
        notes.push("in use".to_owned());
    }
    match &entry.needed_by[..] {
        [] => notes.push("nothing refers to it".to_owned()),
        names => notes.push(format!("needed by {}", names.join(", "))),
    }
    let used = format!("{} ago", HumanDuration(age(entry.last_used)));
    format!("{kind:<9} {:>9}  {used:<14} {} ({})\n", human(entry.size), entry.name, notes.join(", "))
}

fn age(since: u64) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_secs(since))
}

fn prune(args: &PruneArgs, config: &Config) -> Result<()> {
    let named = args.all || args.older_than.is_some() || args.max_size.is_some();
    let policy = Policy {
        unused: args.unused || !named,
        older_than: args.older_than,
        max_size: args.max_size.map(|size| size.as_u64()),
        all: args.all,
    };
    let contents = Contents::read(&config.store, &Config::work_elsewhere())?;
    let mut outcome =
        Outcome { dry_run: args.dry_run, removed: Vec::new(), skipped: Vec::new(), freed: 0, size: contents.size() };
    for item in config.store.prunable(&contents, &policy) {
        crate::sys::interrupt::check()?;
        let entry = entry(item, &contents);
        if !args.dry_run && config.store.prune(item)? == Pruned::InUse {
            config.reporter.report(Event::Note(format!("{} is in use, and stays", entry.name)));
            outcome.skipped.push(entry);
            continue;
        }
        outcome.freed += entry.size;
        outcome.size -= entry.size;
        outcome.removed.push(entry);
    }
    print(config, &outcome, || {
        let mut text: String = outcome.removed.iter().map(row).collect();
        let (freed, left) = (human(outcome.freed), human(outcome.size));
        let would = if outcome.dry_run { "would be freed" } else { "freed" };
        let _ = writeln!(text, "{freed} {would}, {left} left");
        text
    })
}
