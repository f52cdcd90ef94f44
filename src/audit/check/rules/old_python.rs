//! Pythons that are behind their series.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use crate::domain::version::Release;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK602",
    name: "old-python",
    severity: Severity::Warning,
    what: "A Python is not the newest release of its series.",
    why: "Each release fixes bugs and security holes of the ones before. A distribution's own Python does not count: \
          the distribution fixes it without a new version.",
    remedy: "build the image with the newest release of the series",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let found = subject.pythons.iter().filter_map(|python| {
        let known = subject.standards.series.iter().find(|known| known.series == python.series)?;
        let release: Release = python.version.as_ref()?.parse().ok()?;
        let is_of_distribution = subject.is_of_distribution(&format!("{}/os.py", python.stdlib));
        (release < known.newest && !is_of_distribution).then(|| {
            let message =
                format!("Python {release} is behind {}, the newest release that the recipes know", known.newest);
            Found::at(&python.prefix, message)
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        assert_eq!(Fixture::default().python("/usr/local", "3.13", "3.13.9").judged(&RULE), Vec::<String>::new());
        let debians = Fixture::default().python("/usr", "3.13", "3.13.5").package(
            "libpython3.13-minimal",
            "3.13.5-2",
            &["/usr/lib/python3.13/os.py"],
        );
        assert_eq!(debians.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default().python("/usr/local", "3.13", "3.13.5").judged(&RULE);
        let message = "Python 3.13.5 is behind 3.13.9, the newest release that the recipes know";
        assert_eq!(found, [format!("warning /usr/local: {message}")]);
    }
}
