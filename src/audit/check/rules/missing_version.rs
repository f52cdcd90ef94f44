//! Symbol versions that a library of the image does not define.

use std::collections::BTreeMap;

use super::super::finding::{Found, Severity};
use super::super::linker::Process;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::programs;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK102",
    name: "missing-symbol-version",
    severity: Severity::Error,
    what: "A program, an extension module or one of their libraries needs a symbol version that the library in the \
           image does not define.",
    why: "It was built on a newer distribution than the image's. It fails with ``version `GLIBC_2.38' not found``.",
    remedy: "build it on the distribution of the image or an older one, or update the image",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let mut missing: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut add = |process: &Process<'_>| {
        for (object, provider, version) in process.missing_versions() {
            let versions = missing.entry((object.path.clone(), provider.path.clone())).or_default();
            if !versions.iter().any(|known| known == version) {
                versions.push(version.to_owned());
            }
        }
    };
    for program in programs(subject) {
        add(&subject.linker.program(program));
    }
    for environment in &subject.environments {
        subject.linker.each_extension(environment, |_, process| add(process));
    }
    let found = |((object, provider), versions): (&(String, String), &Vec<String>)| {
        Found::at(object, format!("it needs {} of {provider}, which does not define it", versions.join(", ")))
    };
    missing.iter().map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library, program};
    use super::*;

    fn with_libc(defined: &[&str]) -> Fixture {
        let mut libc = library("libc.so.6", &[]);
        libc.defined_versions = defined.iter().map(ToString::to_string).collect();
        let mut tool = program(&["libc.so.6"]);
        tool.needed_versions = vec![("libc.so.6".to_owned(), vec!["GLIBC_2.34".to_owned(), "GLIBC_2.38".to_owned()])];
        Fixture::default()
            .elf("/lib64/ld.so", library("ld.so", &[]))
            .elf("/usr/lib/libc.so.6", libc)
            .elf("/usr/local/bin/tool", tool)
    }

    #[test]
    fn good() {
        assert_eq!(with_libc(&["GLIBC_2.34", "GLIBC_2.38"]).judged(&RULE), Vec::<String>::new());
        // The loader takes a library without versions as it is.
        assert_eq!(with_libc(&[]).judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = with_libc(&["GLIBC_2.34"]).judged(&RULE);
        assert_eq!(
            found,
            ["error /usr/local/bin/tool: it needs GLIBC_2.38 of /usr/lib/libc.so.6, which does not define it"]
        );
    }
}
