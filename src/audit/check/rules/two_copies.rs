//! Two libraries of one soname that one process can load.

use std::collections::{BTreeMap, BTreeSet};

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK103",
    name: "two-copies-of-a-library",
    severity: Severity::Warning,
    what: "Extension modules of one Python find different files for the same soname.",
    why: "A process loads a soname once, so the order of the imports decides which copy runs: `import ssl, psycopg2` \
          and `import psycopg2, ssl` are two programs. Updates of one copy do not reach the other.",
    remedy: "build Python or the module with the system's libraries, so that there is one copy",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for environment in &subject.environments {
        // The files of each soname, each with a module that loads it.
        let mut copies: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        subject.linker.each_extension(environment, |module, process| {
            for object in &process.objects {
                if let Some(soname) = object.linkage.soname.as_ref().filter(|_| object.path != module) {
                    let files = copies.entry(soname.clone()).or_default();
                    files.entry(object.path.clone()).or_insert_with(|| module.to_owned());
                }
            }
        });
        for (soname, files) in copies {
            // The same bytes under two names do the same.
            let digest = |path: &String| subject.tree.get(path)?.file()?.digest;
            let same = files.len() > 1 && files.keys().map(digest).collect::<BTreeSet<_>>().len() == 1;
            if files.len() > 1 && !(same && files.keys().all(|path| digest(path).is_some())) {
                let list = files.iter().map(|(file, module)| format!("{file} (for {module})"));
                let list = list.collect::<Vec<_>>().join(" and ");
                found.push(Found::at(&environment.root, format!("{soname} is found as {list}")));
            }
        }
    }
    found.sort_by(|a, b| a.message.cmp(&b.message));
    // A virtual environment sees what its Python sees.
    found.dedup_by(|a, b| a.message == b.message);
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library};
    use super::*;

    fn python() -> Fixture {
        let mut ssl = library("", &["libssl.so.3"]);
        ssl.rpath = vec!["$ORIGIN/../..".to_owned()];
        Fixture::default()
            .python("/opt/python-3.13", "3.13", "3.13.9")
            .elf("/opt/python-3.13/lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", ssl)
            .elf("/opt/python-3.13/lib/libssl.so.3", library("libssl.so.3", &[]))
    }

    #[test]
    fn good() {
        let wheel = "/opt/python-3.13/lib/python3.13/site-packages";
        let mut own = library("", &["libssl-1a2b3c4d.so.3"]);
        own.rpath = vec!["$ORIGIN/pq.libs".to_owned()];
        let fixture = python()
            .elf(&format!("{wheel}/_pq.cpython-313-x86_64-linux-gnu.so"), own)
            .elf(&format!("{wheel}/pq.libs/libssl-1a2b3c4d.so.3"), library("libssl-1a2b3c4d.so.3", &[]));
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let module = "/opt/python-3.13/lib/python3.13/site-packages/_pq.cpython-313-x86_64-linux-gnu.so";
        let found = python()
            .elf(module, library("", &["libpq.so.5"]))
            .elf("/usr/lib/libpq.so.5", library("libpq.so.5", &["libssl.so.3"]))
            .elf("/usr/lib/libssl.so.3", library("libssl.so.3", &[]))
            .judged(&RULE);
        let message = "libssl.so.3 is found as /opt/python-3.13/lib/libssl.so.3 (for /opt/python-3.13/lib/python3.13/\
                       lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so) and /usr/lib/libssl.so.3 (for ";
        assert_eq!(found, [format!("warning /opt/python-3.13: {message}{module})")]);
    }
}
