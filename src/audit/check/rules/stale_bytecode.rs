//! Bytecode that Python does not use.

use super::super::finding::{Found, Severity};
use super::super::image::Header;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::sources;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK502",
    name: "stale-bytecode",
    severity: Severity::Warning,
    what: "`.pyc` files on `sys.path` are for a source of another time or size.",
    why: "Python ignores them and compiles at each start: something changed the time stamps after compiling, for \
          example a copy or a build that sets them to the epoch.",
    remedy: "compile as `unchecked-hash` (`python -m compileall --invalidation-mode unchecked-hash`), which ignores times",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for environment in &subject.environments {
        for directory in environment.paths.iter().filter(|path| seen.insert((*path).clone())) {
            let is_stale = |header: Header, mtime: i64, size: u64| match header {
                Header::Hash => false,
                Header::Damaged => true,
                // Python compares the low 32 bits.
                Header::Timestamp { mtime: of_source, size: source_size } => {
                    i64::from(of_source) != mtime & 0xffff_ffff || u64::from(source_size) != size & 0xffff_ffff
                }
            };
            let stale = sources(subject, directory).filter_map(|source| {
                let (path, header) = source.bytecode?;
                is_stale(header, source.mtime, source.size).then_some(path)
            });
            let stale: Vec<String> = stale.collect();
            if let Some(first) = stale.first() {
                let others =
                    if stale.len() > 1 { format!(" and {} others are", stale.len() - 1) } else { " is".to_owned() };
                let name = first.rsplit('/').next().unwrap_or(first);
                found.push(Found::at(directory, format!("{name}{others} not of the source beside it")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    fn with(header: Header) -> Vec<String> {
        Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .file("/usr/local/lib/python3.13/site-packages/a.py", 10)
            .bytecode("/usr/local/lib/python3.13/site-packages/__pycache__/a.cpython-313.pyc", header)
            .judged(&RULE)
    }

    #[test]
    fn good() {
        assert_eq!(with(Header::Timestamp { mtime: 1_000_000, size: 10 }), Vec::<String>::new());
        assert_eq!(with(Header::Hash), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let expected =
            ["warning /usr/local/lib/python3.13/site-packages: a.cpython-313.pyc is not of the source beside it"];
        assert_eq!(with(Header::Timestamp { mtime: 999_999, size: 10 }), expected);
        assert_eq!(with(Header::Timestamp { mtime: 1_000_000, size: 11 }), expected);
        assert_eq!(with(Header::Damaged), expected);
    }
}
