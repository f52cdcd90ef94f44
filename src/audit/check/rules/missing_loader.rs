//! Programs whose dynamic loader is not in the image.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::programs;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK104",
    name: "missing-loader",
    severity: Severity::Error,
    what: "A program names a dynamic loader, such as `/lib64/ld-linux-x86-64.so.2`, that is not in the image.",
    why: "The program does not start. The error is `no such file or directory`, although the program is there: a \
          program for glibc on an image with musl, or an image from scratch without its C library.",
    remedy: "use a program that was built for the C library of the image, or add the C library",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let missing = programs(subject).into_iter().filter_map(|program| {
        let (_, linkage) = subject.linker.linkage(program)?;
        let loader = linkage.interpreter.as_ref().filter(|loader| subject.tree.find_file(loader).is_none())?;
        let found = Found::at(program, format!("its loader {loader} is not in the image"));
        // Some wheels bring programs for several C libraries.
        Some(if subject.is_of_a_wheel(program) { found.with(Severity::Note) } else { found })
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library, program};
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default()
            .elf("/usr/lib64/ld-2.36.so", library("ld.so", &[]))
            .link("/usr/lib64/ld.so", "ld-2.36.so")
            .link("/lib64", "usr/lib64")
            .elf("/usr/bin/tool", program(&[]));
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default().elf("/usr/bin/tool", program(&[])).judged(&RULE);
        assert_eq!(found, ["error /usr/bin/tool: its loader /lib64/ld.so is not in the image"]);
    }
}
