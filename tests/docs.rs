//! The documentation: links have targets, lines are short, and the README takes two minutes to read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest line outside tables and code, in characters.
const LONGEST_LINE: usize = 120;
/// The most words of the README, as `wc -w` counts them.
const README_WORDS: usize = 900;

/// A line of a document outside code, with its number.
struct Line {
    number: usize,
    text: String,
}

/// A document, by its path relative to the repository.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(top().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    fn lines(&self) -> Vec<Line> {
        let mut in_code = false;
        let mut lines = Vec::new();
        for (index, text) in self.text.lines().enumerate() {
            if text.trim_start().starts_with("```") {
                in_code = !in_code;
            } else if !in_code {
                lines.push(Line { number: index + 1, text: text.to_owned() });
            }
        }
        lines
    }

    /// The anchors of the headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.lines().into_iter().filter(|line| line.text.starts_with('#'));
        headings.map(|line| anchor(line.text.trim_start_matches('#').trim())).collect()
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

fn documents() -> Vec<Document> {
    let entries = fs::read_dir(top().join("docs")).expect("the directory docs");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Path::new("docs").join(entry.expect("an entry").file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from));
    paths.sort();
    paths.into_iter().map(Document::read).collect()
}

/// The targets of the links in a line: `to` of `[text](to)`.
fn links(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// Why a link leads nowhere, if it does.
fn broken(from: &Document, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { from.path.clone() } else { from.path.with_file_name("").join(path) };
    if !top().join(&path).exists() {
        return Some(format!("{} does not exist", path.display()));
    }
    let anchor = anchor?;
    (!Document::read(path).anchors().contains(anchor)).then(|| format!("no heading has the anchor #{anchor}"))
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut found = Vec::new();
    for document in documents() {
        for line in document.lines() {
            let broken = links(&line.text).into_iter().filter_map(|target| broken(&document, target));
            found.extend(broken.map(|why| format!("{}:{}: {why}", document.path.display(), line.number)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_broken_link_is_found() {
    let document = Document { path: "docs/a.md".into(), text: String::new() };
    assert!(broken(&document, "no-such-file.md").is_some());
    assert!(broken(&document, "../README.md#no-such-heading").is_some());
    assert!(broken(&document, "../README.md#two-commands").is_none());
    assert_eq!(links("[a](b.md#c), and [d](https://e)"), ["b.md#c", "https://e"]);
}

#[test]
fn lines_of_text_are_short() {
    let mut found = Vec::new();
    for document in documents() {
        let long = |line: &Line| !line.text.starts_with('|') && line.text.chars().count() > LONGEST_LINE;
        let long = document.lines().into_iter().filter(long);
        found.extend(long.map(|line| format!("{}:{} is too long", document.path.display(), line.number)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_readme_is_read_in_two_minutes() {
    let words = Document::read("README.md".into()).text.split_whitespace().count();
    assert!(words <= README_WORDS, "{words} words");
}

#[test]
fn every_setting_is_described() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pykeel"));
    command.args(["config", "--json"]).env("PYKEEL_CONFIG", "/dev/null").env("PYKEEL_STORE", "/store");
    let output = command.output().expect("pykeel");
    let config: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = Document::read("docs/configuration.md".into()).text;
    for setting in config["settings"].as_array().expect("an array") {
        let key = setting["key"].as_str().expect("a key");
        assert!(text.contains(&format!("\n| `{key}` | ")), "{key} has no row");
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} "))), "{key} is not in the example");
    }
}
