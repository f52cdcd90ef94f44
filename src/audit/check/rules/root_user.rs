//! Images that run as root.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::{NO_USER, user_name};

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK401",
    name: "root-user",
    severity: Severity::Warning,
    what: "The image runs as root.",
    why: "Whoever takes over the service can change everything in the container, and needs one bug less to get out of it.",
    remedy: "make a user with a number (`useradd --uid 10001`), and name it by `USER`",
    judge: Judge::Sometimes(judge),
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Found>, String> {
    let user = subject.user.as_ref().ok_or(NO_USER)?;
    Ok(user.is_root().then(|| Found::of_image(format!("it runs as {}", user_name(user)))).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, standards};
    use super::*;

    #[test]
    fn good() {
        assert_eq!(Fixture::default().user("65532").judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        assert_eq!(Fixture::default().user("").judged(&RULE), ["warning -: it runs as root, which is the default"]);
        assert_eq!(Fixture::default().user("0:0").judged(&RULE), ["warning -: it runs as the user `0:0`"]);
        assert!(Fixture::default().judged_by(&RULE, &standards()).is_err());
    }
}
