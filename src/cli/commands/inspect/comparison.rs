//! Describes the differences between two artifacts as text.

use std::fmt::{Display, Write as _};

use anstyle::{AnsiColor, Style};

use super::sizes::BOLD;
use crate::domain::comparison::{Change, Comparison, FileSize, LibraryVersion, ListChange, part_title};
use crate::domain::contents::Size;
use crate::domain::digest::Digest;
use crate::report::text::{human, percent, shown};

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();

/// The length up to which a value is shown completely, in characters.
const LONG: usize = 60;

pub(super) fn text(comparison: &Comparison, top: usize) -> String {
    let (before, after) = (&comparison.before, &comparison.after);
    let mut text = format!("{REMOVED}-{REMOVED:#} {}\n{ADDED}+{ADDED:#} {}\n", before.name, after.name);
    if comparison.same {
        text.push_str("they hold the same files, built by the same plan\n");
    }
    let (old, new) = (before.size.bytes, after.size.bytes);
    row(&mut text, "size", &sizes(old, new));
    if let (Some(old), Some(new)) = (&before.tarball, &after.tarball) {
        row(&mut text, "tarball", &sizes(old.size, new.size));
    }
    if let Some(floor) = &comparison.glibc_floor {
        row(&mut text, "glibc floor", &both(floor));
    }
    row_of_list(&mut text, "modules", &comparison.modules);
    row_of_list(&mut text, "built in", &comparison.builtin_modules);
    row_of_list(&mut text, "packages", &comparison.runtime_packages);
    section(&mut text, "plan", &comparison.plan, usize::MAX, |change| (change.name.clone(), values(change)));
    section(&mut text, "libraries", &comparison.libraries, usize::MAX, |change| (change.name.clone(), library(change)));
    section(&mut text, "sizes by part", &comparison.parts, usize::MAX, |change| {
        let bytes = |size: Option<Size>| size.unwrap_or_default().bytes;
        (part_title(&change.name).to_owned(), sizes(bytes(change.before), bytes(change.after)))
    });
    files(&mut text, comparison, top);
    section(&mut text, "sysconfig", &comparison.sysconfig, top, |change| {
        let value = |value: &Option<_>| value.as_ref().map(ToString::to_string);
        (change.name.clone(), words(value(&change.before), value(&change.after)))
    });
    text
}

fn row(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<14} {value}");
}

fn row_of_list(text: &mut String, name: &str, change: &ListChange) {
    if !change.is_empty() {
        row(text, name, &list(&change.removed, &change.added));
    }
}

/// A heading and a row for each change, the names in a column.
fn section<T>(text: &mut String, title: &str, changes: &[T], top: usize, show: impl Fn(&T) -> (String, String)) {
    if changes.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{BOLD}{title}{BOLD:#}");
    let rows: Vec<(String, String)> = changes.iter().take(top).map(show).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().min(36);
    for (name, value) in &rows {
        let _ = writeln!(text, "  {:<width$}  {value}", shown(name));
    }
    more(text, changes.len(), top);
}

fn more(text: &mut String, number: usize, top: usize) {
    if number > top {
        let _ = writeln!(text, "  … {} more; `--top N` shows N, `--json` all", number - top);
    }
}

fn files(text: &mut String, comparison: &Comparison, top: usize) {
    let files = &comparison.files;
    let counts = [("added", files.added.len()), ("removed", files.removed.len()), ("changed", files.changed.len())];
    if counts.iter().all(|(_, number)| *number == 0) {
        return;
    }
    let _ = writeln!(text, "\n{BOLD}files{BOLD:#}");
    let counts: Vec<String> = counts.iter().map(|(what, number)| format!("{number} {what}")).collect();
    let _ = writeln!(text, "  {}", counts.join(", "));
    for (style, sign, list) in [(ADDED, '+', &files.added), (REMOVED, '-', &files.removed)] {
        for FileSize { path, size } in list.iter().take(top) {
            let _ = writeln!(text, "  {style}{sign}{style:#} {:>9}  {}", human(*size), shown(path));
        }
        more(text, list.len(), top);
    }
    for change in files.changed.iter().take(top) {
        let by = difference(change.before.size, change.after.size);
        let _ = writeln!(text, "  ~ {by:>9}  {}", shown(&change.after.path));
    }
    more(text, files.changed.len(), top);
}

/// Two sizes and how they differ: `28.8 MB -> 38.4 MB, +9.6 MB (33.4 %)`.
fn sizes(before: u64, after: u64) -> String {
    if before == after {
        return human(before);
    }
    // A share of a very small size means nothing.
    let tells = before.saturating_mul(10) >= after;
    let share = if tells { format!(" ({})", percent(before.abs_diff(after), before)) } else { String::new() };
    format!("{} -> {}, {}{share}", human(before), human(after), difference(before, after))
}

fn difference(before: u64, after: u64) -> String {
    match after.cmp(&before) {
        std::cmp::Ordering::Less => format!("-{}", human(before - after)),
        std::cmp::Ordering::Equal => "same size".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", human(after - before)),
    }
}

fn both<T: Display>(change: &Change<T>) -> String {
    let side = |value: &Option<T>| value.as_ref().map_or_else(|| "none".to_owned(), |value| shown(&value.to_string()));
    format!("{} -> {}", side(&change.before), side(&change.after))
}

/// Returns removed items after a minus and added items after a plus: `- _bz2 _dbm  + _ssl`.
fn list(removed: &[String], added: &[String]) -> String {
    let words = |words: &[String]| words.iter().map(|word| shown(word)).collect::<Vec<_>>().join(" ");
    let mut sides = Vec::new();
    if !removed.is_empty() {
        sides.push(format!("{REMOVED}-{REMOVED:#} {}", words(removed)));
    }
    if !added.is_empty() {
        sides.push(format!("{ADDED}+{ADDED:#} {}", words(added)));
    }
    sides.join("  ")
}

fn library(change: &Change<LibraryVersion>) -> String {
    let version = |library: &LibraryVersion| shown(&format!("{} {}", library.package, library.version));
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            let versions = if (&before.package, &before.version) == (&after.package, &after.version) {
                format!("{}, other bytes", version(before))
            } else {
                format!("{} -> {}", version(before), version(after))
            };
            format!("{versions}, {}", difference(before.size, after.size))
        }
        (None, Some(after)) => format!("{ADDED}new{ADDED:#}: {}, {}", version(after), human(after.size)),
        (Some(before), None) => format!("{REMOVED}gone{REMOVED:#}: {}, {}", version(before), human(before.size)),
        (None, None) => String::new(),
    }
}

/// Returns the values of a field of the plan; of lists, the items that are in one only.
fn values(change: &Change<serde_json::Value>) -> String {
    use serde_json::Value;
    let items = |value: &Option<Value>| -> Option<Vec<String>> {
        match value {
            None => Some(Vec::new()),
            Some(Value::Array(items)) => Some(items.iter().map(plain).collect()),
            Some(_) => None,
        }
    };
    let is_list = |value: &Option<Value>| matches!(value, Some(Value::Array(_)));
    match (items(&change.before), items(&change.after)) {
        (Some(before), Some(after)) if is_list(&change.before) || is_list(&change.after) => only(&before, &after),
        _ => words(change.before.as_ref().map(plain), change.after.as_ref().map(plain)),
    }
}

/// A value of JSON as people write it; a digest by its first digits.
fn plain(value: &serde_json::Value) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    text.parse::<Digest>().map_or_else(|_| text.to_owned(), Digest::short)
}

/// Returns two texts: completely if they are short, otherwise the words that are in one only.
fn words(before: Option<String>, after: Option<String>) -> String {
    let side = |value: &Option<String>| match value.as_deref() {
        None => "none".to_owned(),
        Some("") => "''".to_owned(),
        Some(text) if text.chars().count() > LONG => {
            format!("{}…", shown(&text.chars().take(LONG).collect::<String>()))
        }
        Some(text) => shown(text),
    };
    let is_long = |value: &Option<String>| value.as_ref().is_some_and(|text| text.chars().count() > LONG);
    if before.is_none() || after.is_none() || !is_long(&before) && !is_long(&after) {
        return format!("{} -> {}", side(&before), side(&after));
    }
    let split = |value: Option<String>| -> Vec<String> {
        value.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    only(&split(before), &split(after))
}

/// Returns the items that are in one list only.
fn only(before: &[String], after: &[String]) -> String {
    let lacks = |list: &[String], other: &[String]| -> Vec<String> {
        list.iter().filter(|item| !other.contains(item)).cloned().collect()
    };
    let (removed, added) = (lacks(before, after), lacks(after, before));
    if removed.is_empty() && added.is_empty() {
        return "the same in another order or number".to_owned();
    }
    list(&removed, &added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::comparison::{Variables, compare};
    use crate::domain::contents::tests::contents;
    use crate::domain::plan::Bytecode;
    use crate::domain::sysconfig::Value;

    fn plain_text(comparison: &Comparison) -> String {
        anstream::adapter::strip_str(&text(comparison, 3)).to_string()
    }

    #[test]
    fn a_comparison_is_told_in_text() {
        let before = contents(&[
            ("bin/python3.13", 5_700_000),
            ("lib/libssl.so.3", 700_000),
            ("lib/python3.13/ssl.py", 52_000),
            ("lib/python3.13/old\n.py", 1_000),
        ]);
        let mut after = contents(&[
            ("bin/python3.13", 5_600_000),
            ("lib/libssl.so.3", 710_000),
            ("lib/python3.13/ssl.py", 52_000),
            ("lib/python3.13/__pycache__/a.pyc", 70_000),
            ("lib/python3.13/__pycache__/b.pyc", 60_000),
            ("lib/python3.13/__pycache__/c.pyc", 50_000),
            ("lib/python3.13/__pycache__/d.pyc", 40_000),
        ]);
        let manifest = &mut after.manifest;
        manifest.plan.request.policies.bytecode = Bytecode::UncheckedHash;
        manifest.plan.source.xz = Some(crate::domain::digest::Digest::of("other"));
        manifest.plan.configure.push("--enable-shared".into());
        manifest.plan.disabled = vec!["_dbm".into()];
        manifest.glibc_floor = "2.36".parse().unwrap();
        manifest.modules.push("_bz2".into());
        manifest.libraries[0].version = "3.0.2".into();
        manifest.libraries[0].size = 710_000;
        let variables = |flags: &str, number| {
            Variables::from([
                ("CFLAGS".to_owned(), Value::Text(format!("{flags} {}", "-Wall ".repeat(20)))),
                ("SIZEOF_X".to_owned(), Value::Number(number)),
            ])
        };
        let (old, new) = (variables("-O2", 4), variables("-O3", 8));
        insta::assert_snapshot!(plain_text(&compare((&before, &old), (&after, &new))));
    }

    #[test]
    fn the_same_is_said_to_be_the_same() {
        let contents = contents(&[("bin/python3.13", 5_700_000)]);
        let variables = Variables::new();
        let text = plain_text(&compare((&contents, &variables), (&contents, &variables)));
        assert!(text.contains("the same files") && !text.contains("->"), "{text}");
    }
}
