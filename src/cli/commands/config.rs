//! `pykeel config`.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::super::config::Config;
use super::super::settings::Entry;
use super::print;
use crate::error::Result;

/// Every setting, and the files that were read.
#[derive(Debug, Serialize)]
struct Output<'a> {
    settings: Vec<Entry<'a>>,
    files: &'a [PathBuf],
}

pub(super) fn run(config: &Config) -> Result<u8> {
    let output = Output { settings: config.settings.entries()?, files: &config.settings.files };
    print(config, &output, || text(&output))?;
    Ok(0)
}

fn text(output: &Output<'_>) -> String {
    let rows: Vec<_> = output.settings.iter().map(|entry| (entry, shown(&entry.value))).collect();
    let width = rows.iter().map(|(_, value)| value.chars().count()).max().unwrap_or_default();
    let mut text: String =
        rows.iter().map(|(entry, value)| format!("{:<12} {value:<width$}  {}\n", entry.key, entry.origin)).collect();
    for file in output.files {
        let _ = writeln!(text, "read {}", file.display());
    }
    text
}

/// Returns a value as in a file, without quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
