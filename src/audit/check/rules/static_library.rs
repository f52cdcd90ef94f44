//! Static libraries and objects for the linker.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::{Group, grouped};

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK303",
    name: "static-library",
    severity: Severity::Warning,
    what: "Static libraries or objects for the linker are in the image.",
    why: "Only a linker reads them. `libpython3.13.a` alone has 60 MB. Those of wheels such as numpy and of packages of \
          the distribution that are not for builds are a note.",
    remedy: "leave `.a` and `.o` files to the builder stage",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let is_static = |name: &str| [".a", ".o", ".la"].iter().any(|ending| name.ends_with(ending));
    let found = |group: Group| {
        let text = group.text("static libraries or objects");
        let is_note = group.of_wheel || group.package.is_some();
        let found = Found::at(group.path, text);
        if is_note { found.with(Severity::Note) } else { found }
    };
    grouped(subject, is_static).into_iter().map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default().file("/usr/lib/a.so", 10).file("/usr/share/a.out", 10);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .file("/usr/local/lib/python3.13/config-3.13-x86_64-linux-gnu/libpython3.13.a", 60_000_000)
            .package("python3-numpy", "1", &["/usr/lib/python3/dist-packages/numpy/random/lib/libnpyrandom.a"])
            .file("/usr/lib/python3/dist-packages/numpy/random/lib/libnpyrandom.a", 2000)
            .file("/usr/local/lib/python3.13/site-packages/numpy/random/lib/libnpyrandom.a", 2000)
            .judged(&RULE);
        let expected = [
            "note /usr/lib/python3: 1 static libraries or objects, 2.0 kB, of the package python3-numpy",
            "warning /usr/local/lib/python3.13: 1 static libraries or objects, 60.0 MB",
            "note /usr/local/lib/python3.13/site-packages/numpy: 1 static libraries or objects, 2.0 kB",
        ];
        assert_eq!(found, expected);
    }
}
