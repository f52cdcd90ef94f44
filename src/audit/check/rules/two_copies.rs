//! Two libraries of one soname that one process can load.

use std::collections::{BTreeMap, BTreeSet};

use super::super::finding::{Found, Severity};
use super::super::linker::Process;
use super::super::python::Environment;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK103",
    name: "two-copies-of-a-library",
    severity: Severity::Warning,
    what: "Extension modules of one Python find different files for the same soname. It is an error if one of the files \
           lacks a symbol version that a user of the other needs, and a note if each has all of them.",
    why: "A process loads a soname once, so the order of the imports decides which copy runs: `import ssl, psycopg2` \
          and `import psycopg2, ssl` are two programs. Updates of one copy do not reach the other.",
    remedy: "build Python or the module with the system's libraries, so that there is one copy",
    judge: Judge::Always(judge),
};

/// The files of one soname in an environment.
#[derive(Default)]
struct Copies {
    /// Each file, with a module that loads it.
    files: BTreeMap<String, String>,
    /// The symbol versions that are needed of the soname, each with who needs it.
    needed: BTreeMap<String, String>,
}

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for environment in &subject.environments {
        for (soname, copies) in copies(subject, environment) {
            found.extend(judged(subject, &environment.root, &soname, &copies));
        }
    }
    found.sort_by(|a, b| a.message.cmp(&b.message));
    // A virtual environment sees what its Python sees.
    found.dedup_by(|a, b| a.message == b.message);
    found
}

fn copies(subject: &Subject<'_>, environment: &Environment) -> BTreeMap<String, Copies> {
    let mut all: BTreeMap<String, Copies> = BTreeMap::new();
    let mut add = |module: &str, process: &Process<'_>| {
        for object in &process.objects {
            if let Some(soname) = object.linkage.soname.as_ref().filter(|_| object.path != module) {
                let files = &mut all.entry(soname.clone()).or_default().files;
                files.entry(object.path.clone()).or_insert_with(|| module.to_owned());
            }
            for (soname, versions) in &object.linkage.needed_versions {
                let needed = &mut all.entry(soname.clone()).or_default().needed;
                for version in versions {
                    needed.entry(version.clone()).or_insert_with(|| object.path.clone());
                }
            }
        }
    };
    subject.linker.each_extension(environment, |module, process| add(module, process));
    all.retain(|_, copies| copies.files.len() > 1);
    all
}

fn judged(subject: &Subject<'_>, root: &str, soname: &str, copies: &Copies) -> Option<Found> {
    let digests = copies.files.keys().map(|path| subject.tree.get(path)?.file()?.digest);
    let digests: BTreeSet<_> = digests.collect();
    // The same bytes under two names do the same.
    if is_hashed(soname) || (digests.len() == 1 && !digests.contains(&None)) {
        return None;
    }
    let list = copies.files.iter().map(|(file, module)| format!("{file} (for {module})"));
    let list = list.collect::<Vec<_>>().join(" and ");
    let defined = |file: &String| {
        let (_, linkage) = subject.linker.linkage(file)?;
        (!linkage.defined_versions.is_empty()).then_some(&linkage.defined_versions)
    };
    let lacking = copies.files.keys().find_map(|file| {
        let defined = defined(file)?;
        let (version, by) = copies.needed.iter().find(|(version, _)| !defined.contains(version))?;
        Some(format!("{by} needs {version}, which {file} does not define"))
    });
    let found = Found::at(root, format!("{soname} is found as {list}"));
    Some(match lacking {
        Some(lacking) => Found { message: format!("{}; {lacking}", found.message), ..found }.with(Severity::Error),
        None if copies.files.keys().all(|file| defined(file).is_some()) => found.with(Severity::Note),
        None => found,
    })
}

/// Whether auditwheel named a library by the hash of its bytes before it changed them: `libz-1a2b3c4d.so.1`. Wheels that
/// have the same name have the same library.
fn is_hashed(soname: &str) -> bool {
    let stem = soname.split(".so").next().unwrap_or_default();
    stem.rsplit_once('-').is_some_and(|(_, hash)| hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library};
    use super::*;
    use crate::sys::elf::Linkage;

    const OWN: &str = "/opt/python-3.13/lib/libssl.so.3";
    const SYSTEM: &str = "/usr/lib/libssl.so.3";

    /// An OpenSSL with symbol versions.
    fn ssl(versions: &[&str]) -> Linkage {
        let defined_versions = versions.iter().map(ToString::to_string).collect();
        Linkage { defined_versions, ..library("libssl.so.3", &[]) }
    }

    fn python(own: Linkage) -> Fixture {
        let mut module = library("", &["libssl.so.3"]);
        module.rpath = vec!["$ORIGIN/../..".to_owned()];
        Fixture::default()
            .python("/opt/python-3.13", "3.13", "3.13.9")
            .elf("/opt/python-3.13/lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", module)
            .elf(OWN, own)
    }

    #[test]
    fn good() {
        let wheel = "/opt/python-3.13/lib/python3.13/site-packages";
        let mut own = library("", &["libssl-1a2b3c4d.so.3"]);
        own.rpath = vec!["$ORIGIN/pq.libs".to_owned()];
        let fixture = python(ssl(&[]))
            .elf(&format!("{wheel}/_pq.cpython-313-x86_64-linux-gnu.so"), own)
            .elf(&format!("{wheel}/pq.libs/libssl-1a2b3c4d.so.3"), library("libssl-1a2b3c4d.so.3", &[]));
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
        // Two wheels with the same library.
        let mut fixture = python(ssl(&[]));
        for name in ["pq", "qp"] {
            let mut own = library("", &["libssl-1a2b3c4d.so.3"]);
            own.rpath = vec![format!("$ORIGIN/{name}.libs")];
            fixture = fixture
                .elf(&format!("{wheel}/_{name}.cpython-313-x86_64-linux-gnu.so"), own)
                .elf(&format!("{wheel}/{name}.libs/libssl-1a2b3c4d.so.3"), library("libssl-1a2b3c4d.so.3", &[]));
        }
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let module = "/opt/python-3.13/lib/python3.13/site-packages/_pq.cpython-313-x86_64-linux-gnu.so";
        let judged = |own, system| {
            let mut libpq = library("libpq.so.5", &["libssl.so.3"]);
            libpq.needed_versions = vec![("libssl.so.3".to_owned(), vec!["OPENSSL_3.2.0".to_owned()])];
            python(own)
                .elf(module, library("", &["libpq.so.5"]))
                .elf("/usr/lib/libpq.so.5", libpq)
                .elf(SYSTEM, system)
                .judged(&RULE)
        };
        let found = format!(
            "/opt/python-3.13: libssl.so.3 is found as {OWN} (for /opt/python-3.13/lib/python3.13/lib-dynload/\
             _ssl.cpython-313-x86_64-linux-gnu.so) and {SYSTEM} (for {module})"
        );
        assert_eq!(judged(ssl(&[]), ssl(&[])), [format!("warning {found}")]);
        let both = ["OPENSSL_3.0.0", "OPENSSL_3.2.0"];
        assert_eq!(judged(ssl(&both), ssl(&both)), [format!("note {found}")]);
        let lacking = format!("/usr/lib/libpq.so.5 needs OPENSSL_3.2.0, which {OWN} does not define");
        assert_eq!(judged(ssl(&both[..1]), ssl(&both)), [format!("error {found}; {lacking}")]);
    }
}
