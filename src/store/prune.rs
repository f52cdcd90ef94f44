//! Pruning: which things are removed from a store, and removing each without disturbing its users.

use std::time::Duration;

use super::Store;
use super::contents::{Contents, Guard, Item, Kind, Need, modified};
use super::files::now;
use super::work;
use crate::error::Result;
use crate::sys::fs;
use crate::sys::lock::{Attempt, Lock};

/// The reasons to remove something. Each that is set counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Nothing needs it.
    pub unused: bool,
    /// Its last use is longer ago than this.
    pub older_than: Option<Duration>,
    /// The store has more than this many bytes; the least recently used is removed first.
    pub max_size: Option<u64>,
    /// Everything is removed.
    pub all: bool,
}

/// The result of removing one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruned {
    /// It was removed.
    Removed,
    /// A process uses it, or has used it since it was selected. It stays.
    InUse,
}

/// The things that a policy removes at a time in seconds since 1970, as indices in order. What is in use stays.
#[must_use]
pub fn select(items: &[Item], policy: &Policy, now: u64) -> Vec<usize> {
    let mut goes: Vec<bool> = items.iter().map(|item| policy.all && !item.in_use).collect();
    if let Some(age) = policy.older_than {
        for (item, goes) in items.iter().zip(&mut goes) {
            *goes |= !item.in_use && now.saturating_sub(item.last_used) > age.as_secs();
        }
    }
    if policy.unused {
        add_unused(items, &mut goes);
    }
    if let Some(max) = policy.max_size {
        let mut oldest: Vec<usize> = (0..items.len()).filter(|index| !items[*index].in_use).collect();
        oldest.sort_by_key(|index| (items[*index].last_used, *index));
        for index in oldest {
            let left: u64 = items.iter().zip(&goes).filter(|(_, goes)| !**goes).map(|(item, _)| item.size).sum();
            if left <= max {
                break;
            }
            goes[index] = true;
            if policy.unused {
                add_unused(items, &mut goes);
            }
        }
    }
    (0..items.len()).filter(|index| goes[*index]).collect()
}

/// Adds what nothing needs, given what is removed already.
fn add_unused(items: &[Item], goes: &mut [bool]) {
    // Artifacts do not need each other, so two rounds are enough: first they, then what they were made of.
    for _ in 0..2 {
        let stays = |key: &_| items.iter().zip(&*goes).any(|(item, goes)| !goes && item.build_key == Some(*key));
        let unused: Vec<bool> = items
            .iter()
            .map(|item| match &item.need {
                Need::Nothing => true,
                Need::Artifacts(keys) => !keys.iter().any(stays),
                Need::Install | Need::Kept => false,
            })
            .collect();
        for ((item, goes), unused) in items.iter().zip(&mut *goes).zip(unused) {
            *goes |= unused && !item.in_use;
        }
    }
}

impl Store {
    /// The things that a policy removes now.
    #[must_use]
    pub fn prunable<'c>(&self, contents: &'c Contents, policy: &Policy) -> Vec<&'c Item> {
        select(&contents.items, policy, now()).into_iter().map(|index| &contents.items[index]).collect()
    }

    /// Removes a thing, unless a process uses it: the locks of its makers and readers are taken first, without
    /// waiting, and it must not have been used since it was selected.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be locked or removed.
    pub fn prune(&self, item: &Item) -> Result<Pruned> {
        let _turn = match (item.kind, item.path.parent()) {
            (Kind::Work, Some(place)) => Some(work::take_turn(place)?),
            _ => None,
        };
        let mut held = Vec::new();
        for guard in &item.locks {
            match guard {
                Guard::Maker(path) => match Lock::try_acquire(path)? {
                    Some(lock) => held.push(lock),
                    None => return Ok(Pruned::InUse),
                },
                Guard::Readers(path) => match Lock::try_existing(path)? {
                    Attempt::Locked(lock) => held.push(lock),
                    Attempt::Held => return Ok(Pruned::InUse),
                    // Without the file there is no reader either.
                    Attempt::Absent => {}
                },
            }
            if let Guard::Readers(path) = guard
                && modified(path) > item.last_used
            {
                return Ok(Pruned::InUse);
            }
        }
        match item.kind {
            // Renamed first, so that readers see a whole entry or none.
            Kind::Artifact => {
                let gone = item.path.with_extension("gone");
                fs::remove_tree(&gone)?;
                if item.path.exists() {
                    fs_err::rename(&item.path, &gone)?;
                }
                fs::remove_tree(&gone)?;
            }
            Kind::Work => {
                fs::remove_tree(&item.path)?;
                for beside in [work::lock_of(&item.path), work::kept_mark_of(&item.path)] {
                    remove_file(&beside)?;
                }
            }
            _ if item.path.is_dir() => fs::remove_tree(&item.path)?,
            _ => remove_file(&item.path)?,
        }
        Ok(Pruned::Removed)
    }
}

fn remove_file(path: &std::path::Path) -> Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::digest::Digest;

    fn item(name: &str, kind: Kind, size: u64, last_used: u64, need: Need) -> Item {
        Item {
            kind,
            name: name.to_owned(),
            path: name.into(),
            size,
            last_used,
            need,
            in_use: false,
            locks: Vec::new(),
            build_key: (kind == Kind::Artifact).then(|| Digest::of(name)),
        }
    }

    fn of(names: &[&str]) -> Need {
        Need::Artifacts(names.iter().map(Digest::of).collect::<BTreeSet<_>>())
    }

    /// Two artifacts of one request, a source of each, a log, a kept build and two leftovers.
    fn items() -> Vec<Item> {
        vec![
            item("new", Kind::Artifact, 100, 900, Need::Install),
            item("old", Kind::Artifact, 90, 300, Need::Nothing),
            item("new.tar.xz", Kind::Source, 20, 800, of(&["new", "old"])),
            item("old.tar.xz", Kind::Source, 20, 200, of(&["old"])),
            item("old.log", Kind::Log, 1, 300, of(&["old"])),
            item("build-kept", Kind::Work, 500, 100, Need::Kept),
            item("build-dead", Kind::Work, 300, 990, Need::Nothing),
            item("x-5", Kind::Damaged, 90, 5, Need::Nothing),
        ]
    }

    fn names(items: &[Item], policy: &Policy) -> Vec<String> {
        select(items, policy, 1000).into_iter().map(|index| items[index].name.clone()).collect()
    }

    #[test]
    fn what_nothing_needs_goes_with_what_only_it_needed() {
        let policy = Policy { unused: true, ..Policy::default() };
        assert_eq!(names(&items(), &policy), ["old", "old.tar.xz", "old.log", "build-dead", "x-5"]);
        let mut items = items();
        items[1].in_use = true;
        assert_eq!(names(&items, &policy), ["build-dead", "x-5"]);
    }

    #[test]
    fn age_and_size_are_reasons_of_their_own() {
        let old = Policy { older_than: Some(Duration::from_secs(750)), ..Policy::default() };
        assert_eq!(names(&items(), &old), ["old.tar.xz", "build-kept", "x-5"]);
        // The store has 1121 bytes: the least recently used are removed, and no more than necessary.
        let small = Policy { max_size: Some(450), ..Policy::default() };
        assert_eq!(names(&items(), &small), ["old", "old.tar.xz", "build-kept", "x-5"]);
        assert!(names(&items(), &Policy { max_size: Some(1121), ..Policy::default() }).is_empty());
        let both = Policy { unused: true, max_size: Some(619), ..Policy::default() };
        assert_eq!(names(&items(), &both), ["old", "old.tar.xz", "old.log", "build-kept", "build-dead", "x-5"]);
        assert_eq!(names(&items(), &Policy { all: true, ..Policy::default() }).len(), 8);
        assert!(names(&items(), &Policy::default()).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_in_use_stays_and_the_size_holds(
            things in proptest::collection::vec((0..1000u64, 0..1000u64, any::<bool>()), 0..20),
            max in 0..5000u64, age in 0..1000u64, unused: bool,
        ) {
            let items: Vec<Item> = things
                .iter()
                .map(|(size, used, in_use)| Item { in_use: *in_use, ..item("x", Kind::Log, *size, *used, Need::Nothing) })
                .collect();
            let policy = Policy { unused, older_than: Some(Duration::from_secs(age)), max_size: Some(max), all: false };
            let goes = select(&items, &policy, 1000);
            prop_assert!(goes.iter().all(|index| !items[*index].in_use));
            let size = |keep: &dyn Fn(usize) -> bool| -> u64 {
                items.iter().enumerate().filter(|(index, _)| keep(*index)).map(|(_, item)| item.size).sum()
            };
            let left = size(&|index| !goes.contains(&index));
            prop_assert!(left <= max.max(size(&|index| items[index].in_use)));
        }
    }
}
