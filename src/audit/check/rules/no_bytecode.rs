//! Modules that are compiled at every start.

use std::collections::{BTreeMap, HashSet};

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::sources;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK501",
    name: "no-bytecode",
    severity: Severity::Warning,
    what: "Modules on `sys.path` have no `.pyc` file.",
    why: "Python compiles them at each start of a container, and a user that may not write can never keep the result. \
          A web service's imports took 0.59 s of CPU without bytecode and 0.32 s with.",
    remedy: "compile at the final path: `python -m compileall --invalidation-mode unchecked-hash`; for a Python of \
             pykeel, `bytecode = \"unchecked-hash\"`",
    judge: Judge::Always(judge),
};

/// What nearly every service imports from the standard library. The rest of it may be without.
const AT_START: &[&str] = &[
    "asyncio",
    "base64",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "email",
    "encodings",
    "enum",
    "functools",
    "hashlib",
    "http",
    "importlib",
    "inspect",
    "json",
    "logging",
    "os",
    "pathlib",
    "random",
    "re",
    "selectors",
    "site",
    "socket",
    "ssl",
    "string",
    "subprocess",
    "tempfile",
    "threading",
    "traceback",
    "typing",
    "urllib",
    "uuid",
];

/// How many modules of a hundred may have none: some packages have files that are not for this Python.
const FEW: usize = 10;

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    // The directories of sys.path in which anything is missing: how many modules are, and of how many.
    let mut found = BTreeMap::new();
    let mut seen = HashSet::new();
    for environment in &subject.environments {
        for directory in environment.paths.iter().filter(|path| seen.insert((*path).clone())) {
            let is_stdlib = subject.pythons.iter().any(|python| python.stdlib == *directory);
            let (mut missing, mut all) = (0, 0);
            for source in sources(subject, directory) {
                let first = source.path[directory.len() + 1..].split(['/', '.']).next().unwrap_or_default();
                if is_stdlib && !AT_START.contains(&first) {
                    continue;
                }
                all += 1;
                missing += usize::from(source.bytecode.is_none());
            }
            if missing * 100 > all * FEW {
                found.insert(directory.clone(), (missing, all));
            }
        }
    }
    let found = found.into_iter().map(|(directory, (missing, all))| {
        let found = Found::at(&directory, format!("{missing} of {all} modules have no bytecode"));
        // Debian compiles when a package is installed; without, it is the distribution's decision.
        if subject.is_of_distribution(&format!("{directory}/os.py")) { found.with(Severity::Note) } else { found }
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .file("/usr/local/lib/python3.13/turtle.py", 100_000)
            .file("/usr/local/lib/python3.13/site-packages/a/templates/x-y/b.py", 10);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .file("/usr/local/lib/python3.13/site-packages/a/__init__.py", 10)
            .file("/usr/local/lib/python3.13/site-packages/a/b.py", 10)
            .judged(&RULE);
        assert_eq!(found, ["warning /usr/local/lib/python3.13/site-packages: 2 of 2 modules have no bytecode"]);
    }
}
