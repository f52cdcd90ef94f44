//! A merged recipe as the text of one file that extends nothing.

use std::fmt::Write as _;

use toml::de::{DeTable, DeValue};

/// The order of the keys at the top. Other keys come last.
const ORDER: [&str; 13] = [
    "series",
    "end-of-life",
    "source",
    "configure",
    "make",
    "pgo",
    "modules",
    "library",
    "flavor",
    "variant",
    "patch",
    "profile",
    "release",
];
/// The tables whose rows are a line each.
const ROWS: [&str; 3] = ["patch", "profile", "release"];
/// How long a line with a list may be.
const WIDTH: usize = 110;

/// The text of a merged recipe.
pub(super) fn render(table: &DeTable<'_>) -> String {
    let mut text = String::new();
    section(&mut text, &[], table);
    text
}

fn section(text: &mut String, path: &[&str], table: &DeTable<'_>) {
    let mut entries: Vec<(&str, &DeValue<'_>)> =
        table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref())).collect();
    if path.is_empty() {
        let place = |key: &str| ORDER.iter().position(|other| *other == key).unwrap_or(ORDER.len());
        entries.sort_by_key(|(key, _)| place(key));
    }
    let is_row_table = matches!(path, [name] if ROWS.contains(name));
    let (sections, lines): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(_, value)| value.is_table() && !is_row_table);
    if !lines.is_empty() && !path.is_empty() {
        let names: Vec<String> = path.iter().map(|name| key(name)).collect();
        let _ = writeln!(text, "\n[{}]", names.join("."));
    }
    for (name, value) in lines {
        line(text, &key(name), value);
    }
    for (name, value) in sections {
        if let DeValue::Table(table) = value {
            section(text, &[path, &[name]].concat(), table);
        }
    }
}

/// `name = value`; a table of tables is a line for each table in it.
fn line(text: &mut String, name: &str, value: &DeValue<'_>) {
    match value {
        DeValue::Table(table) if !table.is_empty() && table.values().all(|value| value.get_ref().is_table()) => {
            for (inner, value) in table {
                line(text, &format!("{name}.{}", key(inner.get_ref())), value.get_ref());
            }
        }
        _ => {
            let _ = writeln!(text, "{name} = {}", inline(value, name.len() + 3, 0));
        }
    }
}

/// A value on one line, or a list on several if it is too long for what `used` leaves of the line.
fn inline(value: &DeValue<'_>, used: usize, indent: usize) -> String {
    match value {
        DeValue::String(string) => toml_edit::Value::from(string.as_ref()).to_string(),
        DeValue::Table(table) => {
            let item = |(name, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
                format!("{} = {}", key(name.get_ref()), inline(value.get_ref(), 0, indent))
            };
            format!("{{ {} }}", table.iter().map(item).collect::<Vec<_>>().join(", "))
        }
        DeValue::Array(array) => {
            let items: Vec<_> = array.iter().map(|item| inline(item.get_ref(), indent + 2, indent + 2)).collect();
            let short = format!("[{}]", items.join(", "));
            if used + short.len() <= WIDTH && !short.contains('\n') { short } else { wrapped(&items, indent) }
        }
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
    }
}

/// A list on several lines.
fn wrapped(items: &[String], indent: usize) -> String {
    let margin = " ".repeat(indent + 2);
    let mut lines = vec![String::new()];
    for item in items {
        let last = lines.last_mut().expect("there is one from the start");
        if last.is_empty() {
            *last = format!("{margin}{item},");
        } else if last.len() + item.len() + 2 > WIDTH {
            lines.push(format!("{margin}{item},"));
        } else {
            let _ = write!(last, " {item},");
        }
    }
    format!("[\n{}\n{}]", lines.join("\n"), " ".repeat(indent))
}

/// A key as it is written: with quotes where it needs them.
fn key(name: &str) -> String {
    toml_edit::Key::new(name).to_string()
}
