//! Time stamps that differ from build to build.

use std::collections::BTreeSet;

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK503",
    name: "changing-times",
    severity: Severity::Note,
    what: "The files of a Python or of a virtual environment have the times at which they were written.",
    why: "The same files built again give another layer: it is pushed, stored and pulled again, although nothing changed.",
    remedy: "set the times to one value (`SOURCE_DATE_EPOCH`, `tar --mtime`, `touch -d @…`) before the layer is made",
    judge: Judge::Always(judge),
};

/// Fewer distinct times are those of one archive.
const MANY: usize = 3;

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let pythons = subject.pythons.iter().map(|python| {
        let own = !["", "/usr", "/usr/local"].contains(&python.prefix.as_str());
        if own { &python.prefix } else { &python.stdlib }
    });
    let roots = pythons.chain(subject.venvs.iter().map(|venv| &venv.root));
    let found = roots.filter_map(|root| {
        if subject.is_of_distribution(&format!("{root}/os.py")) {
            return None;
        }
        let own = subject.tree.get(root).map(|node| node.mtime);
        let times = subject.tree.below(root).map(|(_, node)| node.mtime);
        let times: BTreeSet<i64> = times.chain(own).filter(|time| *time > 0).collect();
        let (first, last) = (*times.first()?, *times.last()?);
        let day = |time| jiff::Timestamp::from_second(time).map_or_else(|_| time.to_string(), |time| time.to_string());
        let message = format!("its files have {} different times, from {} to {}", times.len(), day(first), day(last));
        (times.len() > MANY).then(|| Found::at(root, message))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    fn python() -> Fixture {
        Fixture::default().python("/opt/python-3.13", "3.13", "3.13.9")
    }

    #[test]
    fn good() {
        assert_eq!(python().judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let lib = "/opt/python-3.13/lib/python3.13";
        let mut fixture = python();
        for (file, time) in [("os.py", 1_750_000_000), ("site.py", 1_750_000_001), ("json.py", 1_750_000_002)] {
            fixture = fixture.mtime(&format!("{lib}/{file}"), time);
        }
        let found = fixture.judged(&RULE);
        let message = "its files have 4 different times, from 1970-01-12T13:46:40Z to 2025-06-15T15:06:42Z";
        assert_eq!(found, [format!("note /opt/python-3.13: {message}")]);
    }
}
