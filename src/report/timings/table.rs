//! Timings as a text table.

use std::fmt::Write as _;
use std::time::Duration;

use super::steps::{State, Step, Timings};
use crate::cost::Cost;
use crate::report::text::shown;

/// Returns the table: a row for each step, a group for each version.
#[must_use]
pub fn text(timings: &Timings) -> String {
    let titled = timings.groups.len() > 1;
    let label = |step: &Step| format!("{}{}", "  ".repeat(step.depth), label(step));
    let labels = timings.groups.iter().flat_map(|group| group.steps.iter().map(label));
    // Wide enough for the headings and the sums as well.
    let width = labels.map(|label| label.chars().count()).chain([5]).max().unwrap_or_default() + 2;
    let headings =
        format!("  {:<width$}{:>8}{:>9}{:>9}{:>9}{:>9}\n", "step", "start", "wall", "cpu", "cpu/wall", "share");
    let mut table = Table { text: headings, width, whole: timings.wall };
    for group in &timings.groups {
        if titled {
            let _ = writeln!(table.text, "{}", shown(timings.title(group).unwrap_or("all versions")));
        }
        for step in &group.steps {
            let mut remarks = Vec::new();
            if step.state == State::Failed {
                remarks.push("failed".to_owned());
            }
            remarks.extend(Some(shown(&step.detail)).filter(|detail| !detail.is_empty()));
            let start = format!("{:.1}", step.start.as_secs_f64());
            table.row(&label(step), &start, step.cost, &remarks.join(": "));
        }
        table.row("sum", "", group.cost(), "");
    }
    let whole = Cost { wall: timings.wall, cpu: timings.cpu() };
    table.row("whole", "0.0", whole, "");
    table.text
}

/// The table as far as it is written.
struct Table {
    text: String,
    /// The width of the first column.
    width: usize,
    /// The time that shares are of.
    whole: Duration,
}

impl Table {
    fn row(&mut self, name: &str, start: &str, cost: Cost, remarks: &str) {
        let width = self.width;
        let (wall, cpu) = (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64());
        let (ratio, share) = (ratio(cost), share(cost.wall, self.whole));
        let line = format!("  {name:<width$}{start:>8}{wall:>9.1}{cpu:>9.1}{ratio:>9}{share:>9}  {remarks}");
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// Returns a step's name, and how often it ran if more than once.
#[must_use]
pub fn label(step: &Step) -> String {
    let name = shown(&step.name);
    match step.runs {
        Some(runs @ 2..) => format!("{name} ×{runs}"),
        _ => name,
    }
}

/// Returns how many processors were busy on average; a dash if the time is too short to tell.
#[must_use]
pub fn ratio(cost: Cost) -> String {
    if cost.wall < Duration::from_millis(50) {
        "–".to_owned()
    } else {
        format!("{:.2}", cost.cpu.as_secs_f64() / cost.wall.as_secs_f64())
    }
}

/// Returns the share of the whole wall clock time.
#[must_use]
pub fn share(wall: Duration, whole: Duration) -> String {
    if whole.is_zero() {
        "– %".to_owned()
    } else {
        format!("{:.1} %", wall.as_secs_f64() * 100.0 / whole.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::super::steps::tests::{one, two};
    use super::*;

    #[test]
    fn a_build_is_told_as_a_table() {
        insta::assert_snapshot!(text(&one()));
    }

    #[test]
    fn several_builds_are_told_in_groups() {
        insta::assert_snapshot!(text(&two()));
    }

    #[test]
    fn what_took_no_time_is_no_number() {
        assert_eq!(ratio(Cost::default()), "–");
        assert_eq!(share(Duration::ZERO, Duration::ZERO), "– %");
    }
}
