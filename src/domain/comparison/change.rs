//! One thing that differs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// A named value that differs. A value that one side does not have is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// The name of the field, variable or part.
    pub name: String,
    /// The value of the first artifact.
    pub before: Option<T>,
    /// The value of the second artifact.
    pub after: Option<T>,
}

/// The items that only one of two lists has, in the order of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListChange {
    /// The items that only the second list has.
    pub added: Vec<String>,
    /// The items that only the first list has.
    pub removed: Vec<String>,
}

impl ListChange {
    pub(super) fn between(before: &[String], after: &[String]) -> Self {
        let lacks = |list: &[String], other: &[String]| -> Vec<String> {
            let other: BTreeSet<&String> = other.iter().collect();
            list.iter().filter(|item| !other.contains(item)).cloned().collect()
        };
        Self { added: lacks(after, before), removed: lacks(before, after) }
    }

    /// Whether both lists have the same items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Returns the entries that differ between two maps, in the order of their keys.
pub(super) fn changes<T: Clone + PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
) -> Vec<Change<T>> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .map(|name| Change { name: name.clone(), before: before.get(name).cloned(), after: after.get(name).cloned() })
        .filter(|change| change.before != change.after)
        .collect()
}
