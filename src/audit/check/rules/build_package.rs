//! Packages of the distribution that only a build needs.

use super::super::finding::{Found, Severity};
use super::super::packages::is_for_builds;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK304",
    name: "build-package",
    severity: Severity::Warning,
    what: "Packages of the distribution that only a build needs are installed: `-dev` packages, compilers, `make`.",
    why: "They make the image larger and have security updates of their own.",
    remedy: "install them in the builder stage only; the runtime stage needs the libraries without `-dev`",
    judge: Judge::Sometimes(judge),
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Found>, String> {
    if !subject.packages.is_known() {
        return Err("the image has no database of dpkg".to_owned());
    }
    let names = subject.packages.installed().map(|package| package.name.as_str()).filter(|name| is_for_builds(name));
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let shown = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().checked_sub(8).filter(|more| *more > 0).map(|more| format!(" and {more} more"));
    Ok(vec![Found::at("/var/lib/dpkg/status", format!("{shown}{}", more.unwrap_or_default()))])
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default()
            .package("libgcc-s1", "14", &[])
            .package("gcc-14-base", "14", &[])
            .package("perl-base", "5.40", &[])
            .package("libdevmapper1.02.1", "1", &[]);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let fixture =
            Fixture::default().package("libssl-dev", "3", &[]).package("gcc-14", "14", &[]).package("make", "4", &[]);
        assert_eq!(fixture.judged(&RULE), ["warning /var/lib/dpkg/status: libssl-dev, gcc-14, make"]);
        let error = Fixture::default().judged_by(&RULE, &super::super::super::fixtures::standards()).unwrap_err();
        assert_eq!(error, "the image has no database of dpkg");
    }
}
