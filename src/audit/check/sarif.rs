//! The findings as SARIF 2.1.0, which code hosts and editors show.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::finding::{Finding, Severity};
use super::{Report, rules};

/// Returns the findings of a report as SARIF.
#[must_use]
pub fn sarif(report: &Report) -> Value {
    let level = |severity: Severity| severity.name();
    let rules: Vec<Value> = rules::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.name,
                "shortDescription": {"text": rule.what},
                "fullDescription": {"text": format!("{} {}", rule.what, rule.why)},
                "help": {"text": rule.remedy},
                "defaultConfiguration": {"level": level(rule.severity)},
            })
        })
        .collect();
    let result = |finding: &Finding| {
        let path = finding.path.as_deref().unwrap_or(".").trim_start_matches('/');
        let mut result = json!({
            "ruleId": finding.rule,
            "ruleIndex": rules::ALL.iter().position(|rule| rule.id == finding.rule),
            "level": level(finding.severity),
            "message": {"text": format!("{}; {}", finding.message, finding.remedy)},
            "locations": [{
                "physicalLocation": {"artifactLocation": {"uri": uri(path), "uriBaseId": "IMAGE"}},
            }],
        });
        if let Some(reason) = &finding.ignored {
            result["suppressions"] = json!([{"kind": "external", "justification": reason}]);
        }
        result
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "pykeel", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "originalUriBaseIds": {"IMAGE": {"description": {"text": format!("the root of {}", report.image)}}},
            "results": report.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// Writes a path as a relative reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+@,=".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _infallible = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Fixture, standards};
    use super::super::judge;
    use super::*;

    #[test]
    fn every_finding_is_a_result_with_its_rule() {
        let image = Fixture::default().key("/srv/a b.pem").user("").image();
        let ignores = [toml::from_str("rule = 'root-user'\nreason = 'a test'").unwrap()];
        let sarif = sarif(&judge("a:1", &image, &standards(), &ignores));
        let run = &sarif["runs"][0];
        let results = run["results"].as_array().unwrap();
        let of = |rule: &str| results.iter().find(|result| result["ruleId"] == rule).unwrap();
        let place = &of("PK307")["locations"][0]["physicalLocation"]["artifactLocation"];
        assert_eq!((place["uri"].as_str(), of("PK307")["level"].as_str()), (Some("srv/a%20b.pem"), Some("error")));
        assert_eq!(of("PK401")["suppressions"][0]["justification"], "a test");
        for result in results {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        }
    }
}
