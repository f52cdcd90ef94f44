//! The changes of a lock for people.

use std::fmt::Write as _;
use std::path::Path;

use super::super::locked::short;
use crate::domain::pykeel_lock::{Difference, EntryChange, Kind, LockedArtifact, essential, names, rows};
use crate::report::text::{human, shown};

/// A line: a name, and one or two values.
type Line = (String, Vec<String>);

/// Returns the changes as tables, one for each entry.
pub(super) fn text(lock: &Path, changes: &[EntryChange]) -> String {
    if changes.is_empty() {
        return format!("{} is up to date\n", lock.display());
    }
    changes.iter().map(entry).collect::<Vec<_>>().join("\n")
}

fn entry(change: &EntryChange) -> String {
    let (kind, lines) = match (&change.before, &change.after) {
        (Some(before), Some(after)) => ("", changed(before, after, &change.differences)),
        (Some(before), None) => (": removed", content(before)),
        (None, Some(after)) => (": new", content(after)),
        (None, None) => ("", Vec::new()),
    };
    let width = |of: &dyn Fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or_default();
    let first = width(&|(name, _)| name.chars().count());
    let second = width(&|(_, values)| if values.len() > 1 { values[0].chars().count() } else { 0 });
    let mut text = format!("{}{kind}\n", change.request);
    for (name, values) in &lines {
        let rest = values.split_first().map_or_else(String::new, |(value, rest)| match rest {
            [] => value.clone(),
            _ => format!("{value:<second$}  {}", rest.join("  ")),
        });
        let _ = writeln!(text, "{}", format!("  {name:<first$}  {rest}").trim_end());
    }
    text
}

/// What is in an artifact.
fn content(artifact: &LockedArtifact) -> Vec<Line> {
    let rows = rows(artifact);
    let content: Vec<_> = rows.iter().filter(|row| row.kind.is_content()).collect();
    let named = names(&content).into_iter().zip(&content);
    let mut lines: Vec<Line> = named.map(|(name, row)| (shown(&name), vec![shown(&row.value)])).collect();
    lines.extend(
        rows.iter().filter(|row| row.kind == Kind::Place).map(|row| (row.key.clone(), vec![shown(&row.value)])),
    );
    lines.push(("size".into(), vec![human(artifact.size)]));
    lines.push(("sha256".into(), vec![artifact.digest.short()]));
    lines
}

/// What differs, and at the end the size and the digest.
fn changed(before: &LockedArtifact, after: &LockedArtifact, differences: &[Difference]) -> Vec<Line> {
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "–".to_owned(), |value| shown(&short(value)));
    let line = |change: &&Difference| (shown(&change.name), vec![value(&change.before), value(&change.after)]);
    let is_digest = |change: &&&Difference| change.kind == Kind::Derived && change.key == "sha256";
    let mut lines = vec![(String::new(), vec!["locked".to_owned(), "new".to_owned()])];
    lines.extend(essential(differences).iter().filter(|change| !is_digest(change)).map(line));
    // Only where it is to be had may differ.
    if before.digest != after.digest {
        lines.push(("size".into(), vec![human(before.size), human(after.size)]));
        lines.push(("sha256".into(), vec![before.digest.short(), after.digest.short()]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pykeel_lock::tests::entry;
    use crate::domain::pykeel_lock::{PykeelLock, changes};

    #[test]
    fn a_change_is_a_table_with_what_differs() {
        let (request, before) = entry("3.13");
        let (latest, mut hostile) = entry("latest");
        let mut after = before.clone();
        after.plan.release = "3.13.15".parse().unwrap();
        after.remotes.insert("oci://registry.test/python".into());
        after.plan.libraries.insert("openssl".into(), "3.0.17-1~deb12u2".into());
        after.plan.libraries.insert("sqlite3".into(), "3.40.1-2+deb12u2".into());
        (after.size, after.digest) = (9_142_342, crate::domain::digest::Digest::of("new"));
        hostile.plan.libraries.insert("\u{1b}[2J".into(), "\u{202e}1".into());
        let lock = |entries: &[(_, &LockedArtifact)]| PykeelLock {
            entries: entries.iter().map(|(request, artifact)| (*request, (*artifact).clone())).collect(),
        };
        let found = changes(&lock(&[(request, &before)]), &lock(&[(request, &after), (latest, &hostile)]));
        insta::assert_snapshot!(text(Path::new("pykeel.lock"), &found));
        let there = LockedArtifact { remotes: ["file:///srv".into()].into(), ..before.clone() };
        let moved = changes(&lock(&[(request, &before)]), &lock(&[(request, &there)]));
        let only_remotes = text(Path::new("pykeel.lock"), &moved);
        assert_eq!(only_remotes.lines().count(), 3, "{only_remotes}");
        assert!(only_remotes.contains("remotes  –       file:///srv"), "{only_remotes}");
        assert_eq!(text(Path::new("x.lock"), &[]), "x.lock is up to date\n");
    }
}
