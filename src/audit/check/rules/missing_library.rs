//! Libraries that a program or an extension module needs and that the loader does not find in the image.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// The most findings. Nobody reads more, and a hostile image could have millions.
const MOST: usize = 10_000;

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    // Each with a program or module that it fails for.
    let mut missing: BTreeMap<Missing, String> = BTreeMap::new();
    let mut add = |needed_for: &str, libraries: &[Missing]| {
        for library in libraries {
            if missing.len() < MOST {
                missing.entry(library.clone()).or_insert_with(|| needed_for.to_owned());
            }
        }
    };
    for program in programs(subject) {
        add(program, &subject.linker.program(program).missing);
    }
    for environment in &subject.environments {
        subject.linker.each_extension(environment, |module, process| add(module, &process.missing));
    }
    let names: BTreeSet<&str> = missing.keys().map(|missing| missing.library.as_str()).collect();
    // The first one of each name; the last one that is inserted stays.
    let mut files: Vec<(&str, &str)> = subject.tree.named(&names).collect();
    files.reverse();
    let elsewhere: HashMap<&str, &str> = files.into_iter().collect();
    let place = |missing: &Missing| elsewhere.get(missing.library.as_str()).copied();
    let more = || Found::of_image(format!("there are {MOST} or more of these, and only the first are listed"));
    let found = missing.iter().map(|(library, root)| found(subject, library, root, place(library)));
    found.chain((missing.len() == MOST).then(more)).collect()
}

/// The finding. `elsewhere` is a file of the library's name where the loader does not look.
fn found(subject: &Subject<'_>, missing: &Missing, root: &str, elsewhere: Option<&str>) -> Found {
    let Missing { by, library } = missing;
    let through = if by == root { String::new() } else { format!(", which {root} needs") };
    let needs = format!("it needs {library}{through}");
    match elsewhere {
        // Some packages load their libraries themselves before they import what needs them.
        Some(place) if subject.is_of_a_wheel(place) && subject.is_of_a_wheel(by) => {
            let message = format!("{needs}; the loader does not look for it in {place}, so the package has to load it");
            Found::at(by, message).with(Severity::Note)
        }
        Some(place) if is_configured(subject, place) => {
            Found::at(by, format!("{needs}; {place} is not in /etc/ld.so.cache, because ldconfig did not run"))
        }
        Some(place) => Found::at(by, format!("{needs}; the loader does not look for it in {place}")),
        // Slim images have the module and not Tk, as there is no display.
        None if by.contains("/lib-dynload/_tkinter.") => {
            Found::at(by, format!("{needs}, which is not in the image")).with(Severity::Note)
        }
        None => Found::at(by, format!("{needs}, which is not in the image")),
    }
}

/// Whether `ldconfig` would put a library into the loader's cache.
fn is_configured(subject: &Subject<'_>, library: &str) -> bool {
    let directory = library.rsplit_once('/').map_or("", |(directory, _)| directory);
    let further = subject.tree.children("/etc/ld.so.conf.d").map(|(name, _)| format!("/etc/ld.so.conf.d/{name}"));
    let files = further.chain(["/etc/ld.so.conf".to_owned()]);
    files.filter_map(|file| subject.tree.text(&file)).any(|text| text.lines().any(|line| line.trim() == directory))
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
    fn many_libraries_that_are_missing_take_no_longer_each() {
        let names: Vec<String> = (0..3000).map(|number| format!("libmissing{number}.so")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut fixture = Fixture::default().elf("/usr/bin/tool", program(&names));
        for number in 0..3000 {
            fixture = fixture.file(&format!("/srv/{number}"), 1);
        }
        assert_eq!(fixture.judged(&RULE).len(), names.len());
    }

    #[test]
    fn of_very_many_the_first_are_listed() {
        let mut fixture = Fixture::default();
        let names: Vec<String> = (0..1000).map(|number| format!("libmissing{number}.so")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for number in 0..11 {
            fixture = fixture.elf(&format!("/usr/bin/tool{number}"), program(&names));
        }
        let found = fixture.judged(&RULE);
        assert_eq!(found.len(), MOST + 1);
        assert!(found.iter().any(|found| found.contains("only the first are listed")));
    }

    #[test]
    fn tk_is_a_note() {
        let module = "/usr/local/lib/python3.13/lib-dynload/_tkinter.cpython-313-x86_64-linux-gnu.so";
        let found = Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .elf(module, library("", &["libtk8.6.so"]))
            .judged(&RULE);
        assert_eq!(found, [format!("note {module}: it needs libtk8.6.so, which is not in the image")]);
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
        assert!(found[0].starts_with("note ") && found[0].contains("the package has to load it"), "{found:?}");
        let found = service().elf("/opt/libpq.so.5", library("libpq.so.5", &[])).judged(&RULE);
        assert!(found[0].starts_with("error ") && found[0].contains("does not look for it in /opt"), "{found:?}");
        let found = service()
            .elf("/usr/local/lib/libpq.so.5", library("libpq.so.5", &[]))
            .text("/etc/ld.so.conf.d/libc.conf", "# a comment\n/usr/local/lib\n")
            .judged(&RULE);
        assert!(found[0].contains("ldconfig did not run"), "{found:?}");
    }
}
