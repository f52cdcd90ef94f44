//! Libraries that a program or an extension module needs and that the loader does not find in the image.

use std::collections::BTreeMap;

use super::super::finding::{Found, Severity};
use super::super::linker::Missing;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::programs;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK101",
    name: "missing-library",
    severity: Severity::Error,
    what: "A program or an extension module needs a shared library that the loader does not find inside the image.",
    why: "The program does not start, or the import fails with `cannot open shared object file`.",
    remedy: "install the package of the library in the image, or bundle the library",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    // Each with a program or module that it fails for.
    let mut missing: BTreeMap<Missing, String> = BTreeMap::new();
    for program in programs(subject) {
        for library in subject.linker.program(program).missing {
            missing.entry(library).or_insert_with(|| program.to_owned());
        }
    }
    for environment in &subject.environments {
        subject.linker.each_extension(environment, |module, process| {
            for library in &process.missing {
                missing.entry(library.clone()).or_insert_with(|| module.to_owned());
            }
        });
    }
    missing.iter().map(|(library, root)| found(subject, library, root)).collect()
}

fn found(subject: &Subject<'_>, missing: &Missing, root: &str) -> Found {
    let Missing { by, library } = missing;
    let through = if by == root { String::new() } else { format!(", which {root} needs") };
    // Some packages load their libraries themselves before they import what needs them.
    let elsewhere = subject
        .tree
        .iter()
        .find(|(path, _)| path.strip_suffix(library.as_str()).is_some_and(|rest| rest.ends_with('/')));
    match elsewhere {
        Some((place, _)) if subject.is_of_a_wheel(place) && subject.is_of_a_wheel(by) => {
            let message = format!(
                "it needs {library}{through}: {place} is not where the loader looks, so the package has to load it itself"
            );
            Found::at(by, message).with(Severity::Note)
        }
        Some((place, _)) => {
            Found::at(by, format!("it needs {library}{through}; the loader does not look for it in {place}"))
        }
        None => Found::at(by, format!("it needs {library}{through}, which is not in the image")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library, program};
    use super::*;

    fn service() -> Fixture {
        Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .venv("/app", "/usr/local/bin", "python3.13")
            .elf(
                "/app/lib/python3.13/site-packages/psycopg2/_psycopg.cpython-313-x86_64-linux-gnu.so",
                library("", &["libpq.so.5"]),
            )
            .elf("/lib64/ld.so", library("ld.so", &[]))
            .elf("/usr/bin/tool", program(&["libz.so.1"]))
            .elf("/usr/lib/libz.so.1", library("libz.so.1", &[]))
    }

    #[test]
    fn good() {
        let fixture = service()
            .elf("/usr/lib/x86_64-linux-gnu/libpq.so.5", library("libpq.so.5", &["libssl.so.3"]))
            .elf("/usr/lib/x86_64-linux-gnu/libssl.so.3", library("libssl.so.3", &[]))
            // A plain library that nothing needs, and a module for another processor.
            .elf("/app/lib/python3.13/site-packages/x/libunused.so", library("libunused.so", &["libno.so"]));
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let module = "/app/lib/python3.13/site-packages/psycopg2/_psycopg.cpython-313-x86_64-linux-gnu.so";
        let found = service().judged(&RULE);
        assert_eq!(found, [format!("error {module}: it needs libpq.so.5, which is not in the image")]);
        let pq = "/usr/lib/x86_64-linux-gnu/libpq.so.5";
        let found = service().elf(pq, library("libpq.so.5", &["libldap.so.2"])).judged(&RULE);
        assert_eq!(
            found,
            [format!("error {pq}: it needs libldap.so.2, which {module} needs, which is not in the image")]
        );
        let found = service()
            .elf("/app/lib/python3.13/site-packages/pq.libs/libpq.so.5", library("libpq.so.5", &[]))
            .judged(&RULE);
        assert!(found[0].starts_with("note ") && found[0].contains("has to load it itself"), "{found:?}");
        let found = service().elf("/opt/libpq.so.5", library("libpq.so.5", &[])).judged(&RULE);
        assert!(found[0].starts_with("error ") && found[0].contains("does not look for it in /opt"), "{found:?}");
    }
}
