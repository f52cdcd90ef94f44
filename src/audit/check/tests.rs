use std::fmt::Write as _;

use super::fixtures::{Fixture, standards};
use super::*;

/// What `docs/check.md` says of each rule.
fn documented() -> String {
    let mut text = String::new();
    for rule in RULES {
        let _infallible = write!(text, "### {} {}\n\n", rule.id, rule.name);
        let paragraphs = [
            format!("Severity: {}. {}", rule.severity, rule.what),
            format!("Why: {}", rule.why),
            format!("Remedy: {}.", rule.remedy),
        ];
        for paragraph in paragraphs {
            text.push_str(&wrapped(&paragraph));
            text.push_str("\n\n");
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// Wraps a paragraph at 116 characters.
fn wrapped(paragraph: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 116 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// `PYKEEL_WRITE_DOCS=1 cargo test --lib check` writes the page anew.
#[test]
fn the_page_of_rules_is_made_from_the_rules() {
    const BEGIN: &str = "<!-- The rules: made from src/audit/check/rules by its tests. -->\n\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check.md");
    let page = fs_err::read_to_string(&path).unwrap();
    let (before, rules) = page.split_once(BEGIN).expect("the mark before the rules");
    if std::env::var_os("PYKEEL_WRITE_DOCS").is_some() {
        fs_err::write(&path, format!("{before}{BEGIN}{}", documented())).unwrap();
        return;
    }
    assert_eq!(rules, documented(), "PYKEEL_WRITE_DOCS=1 cargo test --lib check writes docs/check.md");
}

#[test]
fn a_good_image_has_no_finding() {
    let image = Fixture::default()
        .python("/opt/python-3.13", "3.13", "3.13.9")
        .venv("/app", "/opt/python-3.13/bin", "python3.13")
        .text("/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:10001:10001::/:/bin/false\n")
        .package("libssl3", "3.0.17-1~deb12u3", &[])
        .user("app")
        .image();
    let report = judge("good", &image, &standards(), &[]);
    assert_eq!(report.findings, []);
    assert!(report.skipped.is_empty() && report.worst().is_none(), "{:?}", report.skipped);
    assert_eq!(report.pythons[0].version, "3.13.9");
}

#[test]
fn what_is_ignored_does_not_count_and_what_covers_nothing_is_named() {
    let image = || Fixture::default().key("/srv/key.pem").user("").image();
    let report = judge("bad", &image(), &standards(), &[]);
    assert_eq!((report.worst(), report.count(Severity::Error)), (Some(Severity::Error), 1));
    assert!(report.skipped.iter().any(|skipped| skipped.rule == "PK601"), "{:?}", report.skipped);
    let ignores = ["rule = 'secret'\npath = '/srv/*.pem'\nreason = 'r'", "rule = 'PK101'\nreason = 'r'"];
    let report = judge("bad", &image(), &standards(), &ignores.map(|text| toml::from_str(text).unwrap()));
    assert_eq!((report.worst(), report.count(Severity::Error)), (Some(Severity::Warning), 0));
    assert_eq!(report.unused_ignores, ["PK101"]);
}

/// A distroless image: no shell, no package database, scripts that nobody can start.
#[test]
fn an_image_without_a_shell_is_judged() {
    let image = Fixture::default()
        .python("/opt/python-3.13", "3.13", "3.13.9")
        .text("/opt/python-3.13/bin/python3-config", "#!/bin/sh\n")
        .user("65532")
        .image();
    let report = judge("distroless", &image, &standards(), &[]);
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(found, ["PK402", "PK202"]);
    let skipped: Vec<&str> = report.skipped.iter().map(|skipped| skipped.rule).collect();
    assert_eq!(skipped, ["PK304", "PK601"]);
}
