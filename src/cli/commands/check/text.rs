//! The judgement of an image for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::audit::check::Report;
use crate::audit::check::finding::{Finding, Severity};
use crate::report::text::{human, percent, shown};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();

pub(super) fn text(report: &Report, top: usize) -> String {
    let mut text = String::new();
    let counted: Vec<&Finding> = report.findings.iter().filter(|finding| finding.ignored.is_none()).collect();
    // The findings are in the order of severity and rule.
    for group in counted.chunk_by(|a, b| (a.rule, a.severity) == (b.rule, b.severity)) {
        rule(&mut text, group, top);
    }
    for skipped in &report.skipped {
        let _ = writeln!(text, "skipped {} {}: {}", skipped.rule, skipped.name, skipped.reason);
    }
    if let Some(index) = &report.index {
        let age = index.age_days.map_or_else(|| "of unknown age".to_owned(), |days| format!("{days} days old"));
        let _ = writeln!(text, "index of security updates: {}, {age}", counts(index.lists, "list"));
    }
    let ignored = report.findings.len() - counted.len();
    if !text.is_empty() {
        text.push('\n');
    }
    sizes(&mut text, report, top);
    let _ = write!(
        text,
        "\n{}: {}, {}, {}",
        shown(&report.image),
        counts(report.count(Severity::Error), "error"),
        counts(report.count(Severity::Warning), "warning"),
        counts(report.count(Severity::Note), "note"),
    );
    if ignored > 0 {
        let _ = write!(text, "; {ignored} ignored");
    }
    text.push('\n');
    text
}

fn rule(text: &mut String, group: &[&Finding], top: usize) {
    let Some(first) = group.first() else { return };
    let style = match first.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
        Severity::Note => CYAN,
    };
    let _ = writeln!(text, "{style}{}{style:#} {} {}", first.severity, first.rule, first.name);
    for finding in group.iter().take(top) {
        let path = finding.path.as_ref().map(|path| format!("{}: ", shown(path))).unwrap_or_default();
        let _ = writeln!(text, "  {path}{}", shown(&finding.message));
    }
    if group.len() > top {
        let _ = writeln!(text, "  and {} more", group.len() - top);
    }
    let _ = writeln!(text, "  {CYAN}help{CYAN:#}: {}", first.remedy);
}

fn sizes(text: &mut String, report: &Report, top: usize) {
    let sizes = &report.sizes;
    if sizes.layers.len() > 1 {
        for (index, layer) in sizes.layers.iter().enumerate() {
            let hidden = if layer.hidden > 0 { format!(", {} hidden", human(layer.hidden)) } else { String::new() };
            let made_by: String = layer.made_by.as_deref().unwrap_or_default().chars().take(70).collect();
            let _ = writeln!(text, "layer {:<3} {:>9}{hidden}  {}", index + 1, human(layer.bytes), shown(&made_by));
        }
    }
    for owner in sizes.owners.iter().take(top) {
        let share = percent(owner.bytes, sizes.bytes);
        let _ = writeln!(text, "{:>9} {share:>7}  {}", human(owner.bytes), shown(&owner.owner));
    }
    let _ =
        write!(text, "{:>9} in {} files, {} programs and libraries", human(sizes.bytes), sizes.files, report.elf_files);
    for python in &report.pythons {
        let _ = write!(text, "; Python {} in {}", shown(&python.version), shown(&python.prefix));
    }
    text.push('\n');
}

fn counts(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
