//! Timings as a page for a browser. The same timings give the same bytes.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::steps::{Group, State, Step, Timings};
use super::table::{label, ratio, share};
use crate::cost::Cost;
use crate::report::page::Page;

const PAGE: Page =
    Page { template: include_str!("page.html"), style: include_str!("style.css"), script: include_str!("script.js") };

/// The kind of work of a stage, which decides its colour. A new stage counts as `Artifact` until it
/// is named here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Source,
    Building,
    Training,
    Artifact,
    Checking,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Source, Self::Building, Self::Training, Self::Artifact, Self::Checking];

    fn of(stage: &str) -> Self {
        match stage {
            "plan" | "fetch" | "unpack" | "patch" => Self::Source,
            "configure" | "freeze" | "compile" => Self::Building,
            "train" => Self::Training,
            "verify" => Self::Checking,
            _ => Self::Artifact,
        }
    }

    /// Returns its name in the page and in the style sheet.
    const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Building => "building",
            Self::Training => "training",
            Self::Artifact => "artifact",
            Self::Checking => "checking",
        }
    }
}

/// The values of the template.
#[derive(Serialize)]
struct View<'a> {
    versions: String,
    figures: Vec<(&'static str, String)>,
    legend: Vec<&'static str>,
    lanes: Vec<Lane<'a>>,
    /// Where the lines of the grid are, in percent.
    grid: Vec<String>,
    axis: Vec<Tick>,
    busy: Busy,
    tables: Vec<Table<'a>>,
    facts: Vec<(&'static str, String)>,
}

/// The bars of a version, one below the other.
#[derive(Serialize)]
struct Lane<'a> {
    title: &'a str,
    steps: Vec<Bar<'a>>,
}

/// A step in its lane.
#[derive(Serialize)]
struct Bar<'a> {
    kind: &'static str,
    failed: bool,
    within: bool,
    /// The lines of the tooltip.
    tip: Vec<String>,
    label: String,
    detail: &'a str,
    /// Position and width in percent.
    x: String,
    width: String,
    took: String,
}

/// A label of the axis.
#[derive(Serialize)]
struct Tick {
    x: String,
    anchor: &'static str,
    label: String,
}

/// The busy processors over time, as an area.
#[derive(Serialize)]
struct Busy {
    path: String,
    top: String,
    processors: usize,
}

/// The rows of a version.
#[derive(Serialize)]
struct Table<'a> {
    /// The heading, if there are several versions.
    title: Option<&'a str>,
    rows: Vec<Row>,
}

/// A row of the table.
#[derive(Serialize)]
struct Row {
    class: &'static str,
    name: String,
    start: String,
    wall: String,
    cpu: String,
    ratio: String,
    share: String,
    detail: String,
}

/// Renders the page.
#[must_use]
pub fn page(timings: &Timings) -> String {
    let view = View {
        versions: match &timings.machine.versions[..] {
            // An artifact that was named by its digest.
            [] => "pykeel".to_owned(),
            versions => format!("Python {}", versions.join(", ")),
        },
        figures: figures(timings),
        legend: legend(timings),
        lanes: timings.groups.iter().map(|group| lane(timings, group)).collect(),
        grid: ticks(timings.wall).into_iter().map(|tick| percent(place(tick, timings.wall))).collect(),
        axis: axis(timings.wall),
        busy: busy(timings),
        tables: tables(timings),
        facts: facts(timings),
    };
    PAGE.render(&view)
}

fn figures(timings: &Timings) -> Vec<(&'static str, String)> {
    let whole = Cost { wall: timings.wall, cpu: timings.cpu() };
    vec![
        ("wall clock", seconds(whole.wall)),
        ("CPU time", seconds(whole.cpu)),
        ("processors busy on average", format!("{} of {}", ratio(whole), timings.machine.processors)),
    ]
}

fn facts(timings: &Timings) -> Vec<(&'static str, String)> {
    let machine = &timings.machine;
    vec![
        ("Date", machine.date.clone()),
        ("Versions", machine.versions.join(", ")),
        ("Processor", machine.model.clone()),
        ("Processors", machine.processors.to_string()),
        ("Jobs", machine.jobs.to_string()),
        ("pykeel", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

/// Returns the kinds of the steps.
fn legend(timings: &Timings) -> Vec<&'static str> {
    let steps = || timings.groups.iter().flat_map(|group| &group.steps);
    let used = |kind: &Kind| timings.groups.iter().flat_map(Group::outermost).any(|step| Kind::of(&step.name) == *kind);
    let failed = steps().any(|step| step.state == State::Failed).then_some("failed");
    Kind::ALL.into_iter().filter(used).map(Kind::name).chain(failed).collect()
}

fn lane<'a>(timings: &'a Timings, group: &'a Group) -> Lane<'a> {
    let mut kind = Kind::Artifact;
    let steps = group.steps.iter().map(|step| {
        if step.depth == 0 {
            kind = Kind::of(&step.name);
        }
        let (start, end) = (place(step.start, timings.wall), place(step.end, timings.wall));
        Bar {
            kind: kind.name(),
            failed: step.state == State::Failed,
            within: step.depth > 0,
            tip: tip(timings, step),
            label: label(step),
            detail: &step.detail,
            x: percent(start),
            // A rectangle without any width is not drawn, line or not.
            width: percent((end - start).max(0.05)),
            took: seconds(step.cost.wall),
        }
    });
    Lane { title: title(timings, group), steps: steps.collect() }
}

fn title<'a>(timings: &'a Timings, group: &'a Group) -> &'a str {
    timings.title(group).unwrap_or("all versions")
}

/// Returns the lines of a step's tooltip.
fn tip(timings: &Timings, step: &Step) -> Vec<String> {
    let failed = if step.state == State::Failed { ", failed" } else { "" };
    let lines = [
        format!("{}{failed}", label(step)),
        step.detail.clone(),
        format!("from {} to {}", seconds(step.start), seconds(step.end)),
        format!("wall {}, {} of the whole", seconds(step.cost.wall), share(step.cost.wall, timings.wall)),
        format!("CPU {}, processors busy {}", seconds(step.cost.cpu), ratio(step.cost)),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// Returns the position of a time on the axis, in percent.
fn place(at: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { (at.as_secs_f64() * 100.0 / whole.as_secs_f64()).clamp(0.0, 100.0) }
}

/// Formats a percentage for SVG.
fn percent(value: f64) -> String {
    format!("{value:.3}%")
}

/// Returns the times that the axis marks: round ones, six at most.
fn ticks(whole: Duration) -> Vec<Duration> {
    const STEPS: [u64; 24] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
        600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000,
    ];
    let fits = |step: &&u64| whole.as_millis() <= u128::from(**step) * 5;
    let step = Duration::from_millis(*STEPS.iter().find(fits).unwrap_or(&86_400_000));
    (0..).map(|number| step * number).take_while(|tick| *tick <= whole).take(100).collect()
}

fn axis(whole: Duration) -> Vec<Tick> {
    let tick = |tick: Duration| {
        let x = place(tick, whole);
        let anchor = match x {
            ..=2.0 => "start",
            ..94.0 => "middle",
            _ => "end",
        };
        Tick { x: percent(x), anchor, label: clock(tick) }
    };
    ticks(whole).into_iter().map(tick).collect()
}

/// Returns the area of the busy processors. Its height is the number of processors, or the most that
/// were measured.
fn busy(timings: &Timings) -> Busy {
    let busy = timings.busy();
    #[expect(clippy::cast_precision_loss, reason = "no machine has that many processors")]
    let processors = timings.machine.processors as f64;
    let most = busy.iter().map(|(_, busy)| *busy).fold(processors, f64::max);
    let height = |busy: f64| 100.0 - busy * 100.0 / most;
    let mut path = "M0 100".to_owned();
    for pair in busy.windows(2) {
        let [(from, level), (to, _)] = [pair[0], pair[1]];
        let [x1, x2] = [from, to].map(|at| place(at, timings.wall) * 10.0);
        let y = height(level);
        let _ = write!(path, "L{x1:.2} {y:.2}L{x2:.2} {y:.2}");
    }
    path.push_str("L1000 100Z");
    Busy { path, top: format!("{:.2}%", height(processors)), processors: timings.machine.processors }
}

/// Returns the same numbers as rows: those of each version with their sum, and those of the whole.
fn tables(timings: &Timings) -> Vec<Table<'_>> {
    let whole = Cost { wall: timings.wall, cpu: timings.cpu() };
    let table = |group| {
        let steps = group_rows(timings, group);
        let several = timings.groups.len() > 1;
        Table { title: several.then(|| title(timings, group)), rows: steps }
    };
    let last = row(timings, "sum", "whole".into(), Some(Duration::ZERO), whole);
    timings.groups.iter().map(table).chain([Table { title: None, rows: vec![last] }]).collect()
}

fn group_rows(timings: &Timings, group: &Group) -> Vec<Row> {
    let step = |step: &Step| {
        let failed = if step.state == State::Failed { "failed: " } else { "" };
        let class = if step.depth == 0 { "" } else { "within" };
        let detail = format!("{failed}{}", step.detail).trim_end_matches(": ").to_owned();
        Row { detail, ..row(timings, class, label(step), Some(step.start), step.cost) }
    };
    let sum = row(timings, "sum", "sum".into(), None, group.cost());
    group.steps.iter().map(step).chain([sum]).collect()
}

/// Returns a row without a detail.
fn row(timings: &Timings, class: &'static str, name: String, start: Option<Duration>, cost: Cost) -> Row {
    let decimal = |time: Duration| format!("{:.1}", time.as_secs_f64());
    Row {
        class,
        name,
        start: start.map(decimal).unwrap_or_default(),
        wall: decimal(cost.wall),
        cpu: decimal(cost.cpu),
        ratio: ratio(cost),
        share: share(cost.wall, timings.wall),
        detail: String::new(),
    }
}

/// Formats a duration: `0.04 s`, `59.1 s`, `10:21`.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.1 => format!("{seconds:.2} s"),
        ..599.95 => format!("{seconds:.1} s"),
        _ => clock(Duration::from_secs_f64(seconds.round())),
    }
}

/// Formats a time on the axis: `0`, `0.5 s`, `20 s`, `2:00`, `1:30:00`.
fn clock(time: Duration) -> String {
    let whole = time.as_secs();
    match whole {
        0 if time.is_zero() => "0".to_owned(),
        0..120 => format!("{} s", time.as_secs_f64()),
        120..3600 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::steps::tests::{machine, milliseconds, one, ran, started, two};
    use super::*;

    #[test]
    fn a_page_needs_nothing_else() {
        let page = page(&two());
        assert!(!page.contains("{{"), "every place is filled");
        for source in ["http:", "https:", "src=", "href=", "url(", "@import", "style="] {
            assert!(!page.contains(source), "{source}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn the_same_timings_give_the_same_page() {
        assert_eq!(page(&one()), page(&one()));
        assert_ne!(page(&one()), page(&two()));
    }

    #[test]
    fn every_step_has_a_bar_and_a_row() {
        for timings in [one(), two()] {
            let page = page(&timings);
            let steps: usize = timings.groups.iter().map(|group| group.steps.len()).sum();
            assert_eq!(page.matches("<rect ").count(), steps);
            // With the heading, the sums, and the headings of groups.
            let several = if timings.groups.len() > 1 { timings.groups.len() } else { 0 };
            assert_eq!(page.matches("<tr").count(), 1 + steps + timings.groups.len() + 1 + several);
        }
        // From 0.51 to 9.01 of 10 seconds.
        assert!(page(&one()).contains("<rect x=\"5.100%\" y=\"3\" width=\"85.000%\" height=\"14\"/>"));
        assert!(page(&two()).contains("class=\"step within failed\""));
    }

    #[test]
    fn no_name_breaks_out_of_the_page() {
        let evil = "</script><script>alert(1)</script>\"'&<!--{{script}}\n";
        let mut timings = Timings::new(machine(&[evil]));
        timings.record(milliseconds(0), Some(evil), &started("compile", evil));
        timings.record(milliseconds(5), Some(evil), &ran(evil, 5, 5));
        timings.record(milliseconds(6), None, &started("<u>", ""));
        timings.finish(milliseconds(9));
        timings.machine.date = evil.into();
        let page = page(&timings);
        assert_eq!(page.matches("</script>").count(), PAGE.template.matches("</script>").count());
        assert_eq!(page.matches("<script").count(), PAGE.template.matches("<script").count());
        assert_eq!(page.matches(PAGE.script).count(), 1);
        assert!(!page.contains("<!--") && !page.contains("<u>") && page.contains("&lt;u&gt;"));
    }

    #[test]
    fn every_kind_has_its_colour_in_both_schemes() {
        for name in Kind::ALL.map(Kind::name).into_iter().chain(["failed"]) {
            assert!(PAGE.style.contains(&format!("[data-kind=\"{name}\"] {{ --color: var(--{name}); }}")), "{name}");
            assert_eq!(PAGE.style.matches(&format!("--{name}: #")).count(), 2, "{name}");
        }
    }

    #[test]
    fn the_axis_has_round_times() {
        let labels = |whole: u64| ticks(milliseconds(whole)).into_iter().map(clock).collect::<Vec<_>>();
        assert_eq!(labels(0), ["0"]);
        assert_eq!(labels(1_900), ["0", "0.5 s", "1 s", "1.5 s"]);
        assert_eq!(labels(99_000), ["0", "30 s", "60 s", "90 s"]);
        assert_eq!(labels(600_000), ["0", "2:00", "4:00", "6:00", "8:00", "10:00"]);
        assert!(labels(u64::from(u32::MAX) * 1_000).len() <= 100);
        assert_eq!(seconds(milliseconds(621_400)), "10:21");
    }
}
