//! Pythons past their end of life.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK603",
    name: "ended-python",
    severity: Severity::Error,
    what: "A Python is of a series that is past its end of life.",
    why: "It gets no security fixes. A distribution's own Python does not count: the distribution fixes it for longer.",
    remedy: "move to a series that is supported",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let today = &subject.standards.today;
    let found = subject.pythons.iter().filter_map(|python| {
        let known = subject.standards.series.iter().find(|known| known.series == python.series)?;
        let end = known.end_of_life.as_ref()?;
        let is_over = today[..end.len().min(today.len())] > end[..];
        let is_of_distribution = subject.is_of_distribution(&format!("{}/os.py", python.stdlib));
        (is_over && !is_of_distribution)
            .then(|| Found::at(&python.prefix, format!("Python {} has got no fixes since {end}", python.series)))
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
    }

    #[test]
    fn bad() {
        let found = Fixture::default().python("/usr/local", "3.12", "3.12.12").judged(&RULE);
        assert_eq!(found, ["error /usr/local: Python 3.12 has got no fixes since 2025-10"]);
    }
}
