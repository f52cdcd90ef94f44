//! Inheritance: merges a file over the file that it extends.
//!
//! Tables are merged key by key. A list or any other value takes the place of the inherited one,
//! and `{ add = […], remove = […] }` in the place of a list changes the inherited list. `remove` at
//! the top names inherited keys that go. Whatever would have no effect is an error.

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::place::Layers;
use crate::error::Mistake;

/// The key that names the file a file changes.
pub(super) const EXTENDS: &str = "extends";
/// The key at the top that lists inherited keys which go.
const REMOVE: &str = "remove";
/// The keys of a change of an inherited list.
const CHANGES: [&str; 2] = ["add", "remove"];

/// A key or a value with its place.
type Value<'t> = Spanned<DeValue<'t>>;

/// Merges the tables of `layers`, which are in the same order.
///
/// # Errors
/// [`Mistake`] for the first change that does not fit what is inherited.
pub(super) fn merge<'t>(
    tables: Vec<Spanned<DeTable<'t>>>,
    layers: &Layers<'t>,
) -> Result<Spanned<DeTable<'t>>, Mistake> {
    let mut merged = Spanned::new(0..0, DeTable::new());
    for (number, (table, layer)) in tables.into_iter().zip(&layers.0).enumerate() {
        let span = table.span().start + layer.start..table.span().end + layer.start;
        let mut table = moved_table(table.into_inner(), layer.start);
        table.remove(EXTENDS);
        let merge = Merge { layers };
        if let Some(list) = table.remove(REMOVE) {
            if number == 0 {
                return Err(layers.error(&list, "nothing is inherited that could be removed: `extends` is missing"));
            }
            merge.remove_keys(merged.get_mut(), list)?;
        }
        merge.table("", merged.get_mut(), table)?;
        // If a key is missing after the merge, it is missing in the requested file.
        merged = Spanned::new(span, merged.into_inner());
    }
    Ok(merged)
}

/// The table with every place in it moved on.
fn moved_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    table.into_iter().map(|(key, value)| (moved(key, by, |key| key), moved_value(value, by))).collect()
}

fn moved_value(value: Value<'_>, by: usize) -> Value<'_> {
    moved(value, by, |value| match value {
        DeValue::Table(table) => DeValue::Table(moved_table(table, by)),
        DeValue::Array(array) => DeValue::Array(array.into_iter().map(|value| moved_value(value, by)).collect()),
        other => other,
    })
}

fn moved<T>(value: Spanned<T>, by: usize, change: impl FnOnce(T) -> T) -> Spanned<T> {
    let span = value.span().start + by..value.span().end + by;
    Spanned::new(span, change(value.into_inner()))
}

struct Merge<'a, 't> {
    layers: &'a Layers<'t>,
}

impl<'t> Merge<'_, 't> {
    /// Lays a table over an inherited one. `path` is its name, with a dot at its end.
    fn table(&self, path: &str, inherited: &mut DeTable<'t>, over: DeTable<'t>) -> Result<(), Mistake> {
        for (key, value) in over {
            let name = format!("{path}{}", key.get_ref());
            match (inherited.get_mut(key.get_ref().as_ref()), value.get_ref()) {
                (Some(below), DeValue::Table(_)) if below.get_ref().is_table() => self.value(&name, below, value)?,
                (Some(below), DeValue::Table(_)) if below.get_ref().is_array() => {
                    self.list(&name, &key, below, value)?;
                }
                (Some(_), _) => {
                    inherited.remove(key.get_ref().as_ref());
                    inherited.insert(key, value);
                }
                (None, _) => {
                    self.no_changes(&name, &key, &value)?;
                    inherited.insert(key, value);
                }
            }
        }
        Ok(())
    }

    /// Lays a table over a table. The place is that of the upper one.
    fn value(&self, name: &str, below: &mut Value<'t>, over: Value<'t>) -> Result<(), Mistake> {
        let span = over.span();
        if let (DeValue::Table(mut inherited), DeValue::Table(over)) = (taken(below), over.into_inner()) {
            self.table(&format!("{name}."), &mut inherited, over)?;
            *below = Spanned::new(span, DeValue::Table(inherited));
        }
        Ok(())
    }

    /// Changes an inherited list.
    fn list(
        &self,
        name: &str,
        key: &Spanned<DeString<'t>>,
        below: &mut Value<'t>,
        over: Value<'t>,
    ) -> Result<(), Mistake> {
        let span = over.span();
        let (DeValue::Array(mut list), DeValue::Table(mut change)) = (taken(below), over.into_inner()) else {
            return Ok(());
        };
        if !is_change(&change) {
            let message = format!("`{name}` is a list: expected [ … ], or {{ add = [ … ], remove = [ … ] }}");
            return Err(self.layers.error(key, message));
        }
        for item in items(change.remove("remove")) {
            let places: Vec<usize> = (0..list.len()).filter(|at| same(list[*at].get_ref(), item.get_ref())).collect();
            list = match places[..] {
                [place] => without(list, place),
                [] => return Err(self.layers.error(&item, format!("the inherited `{name}` does not have it"))),
                _ => {
                    let message = format!("the inherited `{name}` has it several times: give the whole list");
                    return Err(self.layers.error(&item, message));
                }
            };
        }
        for item in items(change.remove("add")) {
            if list.iter().any(|other| same(other.get_ref(), item.get_ref())) {
                return Err(self.layers.error(&item, format!("`{name}` has it already")));
            }
            list.push(item);
        }
        *below = Spanned::new(span, DeValue::Array(list));
        Ok(())
    }

    /// Refuses a change of a list where nothing is inherited.
    fn no_changes(&self, name: &str, key: &Spanned<DeString<'t>>, value: &Value<'t>) -> Result<(), Mistake> {
        let DeValue::Table(table) = value.get_ref() else { return Ok(()) };
        if is_change(table) {
            let message = format!("there is no inherited list `{name}` to change: give the list itself");
            return Err(self.layers.error(key, message));
        }
        for (key, value) in table {
            self.no_changes(&format!("{name}.{}", key.get_ref()), key, value)?;
        }
        Ok(())
    }

    /// Removes the inherited keys that a list names.
    fn remove_keys(&self, inherited: &mut DeTable<'t>, keys: Value<'t>) -> Result<(), Mistake> {
        if !keys.get_ref().is_array() {
            return Err(self.layers.error(&keys, "`remove` is a list of keys such as [\"library.libedit\"]"));
        }
        for item in items(Some(keys)) {
            let path = item.get_ref().as_str().and_then(|text| toml_edit::Key::parse(text).ok());
            let Some(path) = path else {
                let message = "this is not a key such as `library.libedit` or `release.\"3.13.5\"`";
                return Err(self.layers.error(&item, message));
            };
            if remove(inherited, &path).is_none() {
                let message = "nothing inherited has this key, so it cannot be removed";
                return Err(self.layers.error(&item, message));
            }
        }
        Ok(())
    }
}

/// Removes a key of a table, or of a table in it.
fn remove<'t>(table: &mut DeTable<'t>, path: &[toml_edit::Key]) -> Option<Value<'t>> {
    match path {
        [] => None,
        [name] => table.remove(name.get()),
        [name, rest @ ..] => match table.get_mut(name.get())?.get_mut() {
            DeValue::Table(table) => remove(table, rest),
            _ => None,
        },
    }
}

/// The value, in whose place nothing of use is left.
fn taken<'t>(value: &mut Value<'t>) -> DeValue<'t> {
    std::mem::replace(value.get_mut(), DeValue::Boolean(false))
}

/// The items of a list.
fn items(value: Option<Value<'_>>) -> Vec<Value<'_>> {
    match value.map(Spanned::into_inner) {
        Some(DeValue::Array(array)) => array.into_iter().collect(),
        _ => Vec::new(),
    }
}

fn without(list: DeArray<'_>, place: usize) -> DeArray<'_> {
    list.into_iter().enumerate().filter(|(at, _)| *at != place).map(|(_, item)| item).collect()
}

fn is_change(table: &DeTable<'_>) -> bool {
    !table.is_empty()
        && table.iter().all(|(key, value)| CHANGES.contains(&key.get_ref().as_ref()) && value.get_ref().is_array())
}

/// Whether two items of lists are the same. Lists have texts and lists of texts.
fn same(one: &DeValue<'_>, other: &DeValue<'_>) -> bool {
    match (one, other) {
        (DeValue::String(one), DeValue::String(other)) => one == other,
        (DeValue::Array(one), DeValue::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(a, b)| same(a.get_ref(), b.get_ref()))
        }
        _ => false,
    }
}
