//! Users that the image does not know.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::NO_USER;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK402",
    name: "unknown-user",
    severity: Severity::Error,
    what: "`/etc/passwd` of the image does not have the user that it runs as.",
    why: "With a name, the container does not start. With a number, it starts, and `getpass.getuser()`, \
          `os.path.expanduser(\"~\")` and libpq fail: that is a warning.",
    remedy: "add the user to the image's `/etc/passwd`: `useradd`, or a line of that file",
    judge: Judge::Sometimes(judge),
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Found>, String> {
    let user = subject.user.as_ref().ok_or(NO_USER)?;
    if user.in_passwd {
        return Ok(Vec::new());
    }
    let message = format!("/etc/passwd does not have the user `{}`", user.written);
    let found = Found::at("/etc/passwd", message);
    Ok(match user.uid {
        // An image without the file runs as root all the same.
        Some(0) => Vec::new(),
        Some(_) => vec![found.with(Severity::Warning)],
        None => vec![found],
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let passwd = "root:x:0:0::/root:/bin/sh\napp:x:10001:10001::/app:/bin/false\n";
        for user in ["", "app", "10001:10001"] {
            let fixture = Fixture::default().text("/etc/passwd", passwd).user(user);
            assert_eq!(fixture.judged(&RULE), Vec::<String>::new(), "{user}");
        }
    }

    #[test]
    fn bad() {
        let judged =
            |user| Fixture::default().text("/etc/passwd", "root:x:0:0::/root:/bin/sh\n").user(user).judged(&RULE);
        assert_eq!(judged("app"), ["error /etc/passwd: /etc/passwd does not have the user `app`"]);
        assert_eq!(judged("10001"), ["warning /etc/passwd: /etc/passwd does not have the user `10001`"]);
    }
}
