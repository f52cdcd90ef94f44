//! Security updates of the distribution that the image does not have.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK601",
    name: "pending-update",
    severity: Severity::Warning,
    what: "The distribution has a security update for a package of the image.",
    why: "A known hole is open. The index says how old it is: an old one misses the newest updates.",
    remedy: "rebuild the image with `apt-get update && apt-get upgrade` in a layer of its own, or on a newer base",
    judge: Judge::Sometimes(judge),
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Found>, String> {
    let Some(index) = &subject.standards.index else {
        return Err("no lists of the distribution's packages were given".to_owned());
    };
    if !subject.packages.is_known() {
        return Err("the image has no database of dpkg".to_owned());
    }
    if let (Some(of_index), Some(of_image)) = (&index.release, release(subject))
        && *of_index != of_image
    {
        return Err(format!("the index is of {of_index}, and the image of {of_image}"));
    }
    let age = index.age_days.map_or_else(|| "of unknown age".to_owned(), |days| format!("{days} days old"));
    let found = subject.packages.installed().filter_map(|package| {
        let update = index.update(&package.name, &package.architecture, &package.version)?;
        let message = format!("{} {} has the update {update} (the index is {age})", package.name, package.version);
        Some(Found::at("/var/lib/dpkg/status", message))
    });
    Ok(found.collect())
}

/// The distribution and version of the image: `Debian 12`, if it says so.
fn release(subject: &Subject<'_>) -> Option<String> {
    let text = subject.tree.text("/etc/os-release").or_else(|| subject.tree.text("/usr/lib/os-release"))?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_matches('"'));
    let origin = match field("ID=")? {
        "debian" => "Debian",
        "ubuntu" => "Ubuntu",
        _ => return None,
    };
    Some(format!("{origin} {}", field("VERSION_ID=")?))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, standards};
    use super::super::super::subject::Standards;
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default().package("libssl3", "3.0.17-1~deb12u3", &[]).package("zlib1g", "1", &[]);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
        let other =
            Fixture::default().text("/etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n").package("zlib1g", "1", &[]);
        let error = other.judged_by(&RULE, &standards()).unwrap_err();
        assert_eq!(error, "the index is of Debian 12, and the image of Debian 13");
        let without = Standards { index: None, ..standards() };
        let error = Fixture::default().package("zlib1g", "1", &[]).judged_by(&RULE, &without).unwrap_err();
        assert_eq!(error, "no lists of the distribution's packages were given");
    }

    #[test]
    fn bad() {
        let found = Fixture::default().package("libssl3", "3.0.17-1~deb12u2", &[]).judged(&RULE);
        let message = "libssl3 3.0.17-1~deb12u2 has the update 3.0.17-1~deb12u3 (the index is 2 days old)";
        assert_eq!(found, [format!("warning /var/lib/dpkg/status: {message}")]);
    }
}
