//! Header files.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::{Group, grouped};

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK302",
    name: "headers",
    severity: Severity::Warning,
    what: "Header files of C or C++ are in the image.",
    why: "Only a compiler reads them. Those of a Python, of wheels such as numpy and of packages of the distribution \
          that are not for builds are a note: they come with it.",
    remedy: "leave `-dev` packages and `include` to the builder stage",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let is_header = |name: &str| [".h", ".hh", ".hpp", ".hxx"].iter().any(|ending| name.ends_with(ending));
    let found = |group: Group| {
        let text = group.text("headers");
        let found = Found::at(group.path, text);
        if group.comes_along { found.with(Severity::Note) } else { found }
    };
    grouped(subject, is_header).into_iter().map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default().file("/usr/lib/a.so", 10).file("/usr/share/doc/a.html", 10);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .file("/usr/local/include/python3.13/Python.h", 1000)
            .file("/usr/local/include/python3.13/cpython/object.h", 1000)
            .package("zlib1g-dev", "1", &["/usr/include/zlib.h"])
            .file("/usr/include/zlib.h", 500)
            .package("libperl5.36", "5.36", &["/usr/lib/perl/CORE/perl.h"])
            .file("/usr/lib/perl/CORE/perl.h", 500)
            .file("/usr/local/lib/python3.13/site-packages/numpy/_core/include/numpy/ndarraytypes.h", 2000)
            .judged(&RULE);
        let expected = [
            "warning /usr/include: 1 headers, 500 B",
            "note /usr/lib/perl: 1 headers, 500 B, of the package libperl5.36",
            "note /usr/local/include/python3.13: 2 headers, 2.0 kB",
            "note /usr/local/lib/python3.13/site-packages/numpy: 1 headers, 2.0 kB",
        ];
        assert_eq!(found, expected);
    }
}
