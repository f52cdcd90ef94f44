//! Findings that somebody decided not to count, each with the reason.

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::finding::Finding;
use super::rules;

/// A rule that does not count, everywhere or for some paths.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct Ignore {
    /// The rule's identity: `PK101`.
    pub rule: String,
    /// The paths for which it does not count; all, and the image as a whole, if there is none.
    path: Option<GlobMatcher>,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    rule: String,
    path: Option<String>,
    reason: Option<String>,
}

impl TryFrom<Written> for Ignore {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let known = rules::ALL.iter().find(|rule| rule.id == written.rule || rule.name == written.rule);
        let rule = known.ok_or_else(|| format!("there is no rule `{}`", written.rule))?.id.to_owned();
        let reason = written.reason.filter(|reason| !reason.trim().is_empty());
        let reason = reason.ok_or_else(|| format!("`reason` has to say why {rule} is ignored"))?;
        let matcher = |path: &String| {
            let glob = GlobBuilder::new(path).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| format!("`{path}` is not a valid pattern: {error}"))
        };
        let path = written.path.as_ref().map(matcher).transpose()?;
        Ok(Self { rule, path, reason })
    }
}

impl Ignore {
    /// Whether it is about a finding.
    #[must_use]
    pub fn covers(&self, finding: &Finding) -> bool {
        let path_fits = match (&self.path, &finding.path) {
            (None, _) => true,
            (Some(matcher), Some(path)) => matcher.is_match(path),
            (Some(_), None) => false,
        };
        self.rule == finding.rule && path_fits
    }

    /// The rule and the pattern, for people: `PK302 for /usr/include/**`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.path {
            Some(path) => format!("{} for {}", self.rule, path.glob()),
            None => self.rule.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    fn parsed(text: &str) -> Result<Ignore, String> {
        toml::from_str(text).map_err(|error| error.message().trim().to_owned())
    }

    #[test]
    fn a_rule_is_ignored_for_paths_and_with_a_reason() {
        let finding = |path: Option<&str>| Finding {
            rule: "PK302",
            name: "headers",
            severity: Severity::Warning,
            path: path.map(str::to_owned),
            message: String::new(),
            remedy: "",
            ignored: None,
        };
        let ignore =
            parsed("rule = 'headers'\npath = '/usr/include/**'\nreason = 'a plug-in is compiled at run time'").unwrap();
        assert!(ignore.covers(&finding(Some("/usr/include/a/b"))) && !ignore.covers(&finding(Some("/usr/lib"))));
        assert!(!ignore.covers(&finding(None)));
        let everywhere = parsed("rule = 'PK302'\nreason = 'x'").unwrap();
        assert!(everywhere.covers(&finding(None)) && everywhere.covers(&finding(Some("/a"))));
        assert_eq!((ignore.describe(), everywhere.describe()), ("PK302 for /usr/include/**".into(), "PK302".into()));
    }

    #[test]
    fn an_ignore_without_a_reason_or_a_rule_is_a_mistake() {
        assert_eq!(parsed("rule = 'PK302'").unwrap_err(), "`reason` has to say why PK302 is ignored");
        assert_eq!(parsed("rule = 'PK302'\nreason = ' '").unwrap_err(), "`reason` has to say why PK302 is ignored");
        assert_eq!(parsed("rule = 'PK999'\nreason = 'x'").unwrap_err(), "there is no rule `PK999`");
        assert!(parsed("rule = 'PK302'\nreason = 'x'\npath = '['").unwrap_err().contains("not a valid pattern"));
    }
}
