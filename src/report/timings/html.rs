//! Timings as a page for a browser. The same timings give the same bytes.

use std::fmt::Write as _;
use std::time::Duration;

use super::steps::{Group, State, Step, Timings};
use super::table::{label, ratio, share};
use crate::cost::Cost;
use crate::report::page::{escaped, filled, source};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What kind of work a stage is. A stage that is new is one of those that make the artifact until it is named here:
/// that is a colour, and nothing else.
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

    /// Its name in the page and in the style.
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

/// The page.
#[must_use]
pub fn page(timings: &Timings) -> String {
    let versions = match &timings.machine.versions[..] {
        // An artifact that was named by its digest.
        [] => "pykeel".to_owned(),
        versions => format!("Python {}", escaped(&versions.join(", "))),
    };
    let fields = [
        ("title", format!("{versions}: timings")),
        ("style-source", source(STYLE)),
        ("script-source", source(SCRIPT)),
        ("style", STYLE.to_owned()),
        ("script", SCRIPT.to_owned()),
        ("versions", versions),
        ("figures", figures(timings)),
        ("legend", legend(timings)),
        ("lanes", timings.groups.iter().map(|group| lane(timings, group)).collect()),
        ("busy", busy(timings)),
        ("axis", axis(timings.wall)),
        ("rows", rows(timings)),
        ("facts", facts(timings)),
    ];
    filled(PAGE, &fields)
}

fn figures(timings: &Timings) -> String {
    let whole = Cost { wall: timings.wall, cpu: timings.cpu() };
    let figures = [
        ("wall clock", seconds(whole.wall)),
        ("CPU time", seconds(whole.cpu)),
        ("processors busy on average", format!("{} of {}", ratio(whole), timings.machine.processors)),
    ];
    figures.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>")).collect()
}

fn facts(timings: &Timings) -> String {
    let machine = &timings.machine;
    let facts = [
        ("Date", machine.date.clone()),
        ("Versions", machine.versions.join(", ")),
        ("Processor", machine.model.clone()),
        ("Processors", machine.processors.to_string()),
        ("Jobs", machine.jobs.to_string()),
        ("pykeel", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    facts.into_iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escaped(&value))).collect()
}

fn legend(timings: &Timings) -> String {
    let steps = || timings.groups.iter().flat_map(|group| &group.steps);
    let used = |kind: &Kind| timings.groups.iter().flat_map(Group::outermost).any(|step| Kind::of(&step.name) == *kind);
    let key = |name: &str| format!("<li data-kind=\"{name}\"><span class=\"swatch\"></span>{name}</li>");
    let mut keys: String = Kind::ALL.into_iter().filter(used).map(|kind| key(kind.name())).collect();
    if steps().any(|step| step.state == State::Failed) {
        keys.push_str(&key("failed"));
    }
    keys
}

/// The steps of a version, below each other.
fn lane(timings: &Timings, group: &Group) -> String {
    let title = escaped(timings.title(group).unwrap_or("all versions"));
    let mut html = format!("<section class=\"lane\">\n<h3>{title}</h3>\n<ol>\n");
    let mut kind = Kind::Artifact;
    for step in &group.steps {
        if step.depth == 0 {
            kind = Kind::of(&step.name);
        }
        let tip = tip(timings, step);
        let classes = match (step.depth, step.state) {
            (0, State::Failed) => "step failed",
            (0, _) => "step",
            (_, State::Failed) => "step within failed",
            _ => "step within",
        };
        let _ = writeln!(
            html,
            "<li class=\"{classes}\" data-kind=\"{}\" data-tip=\"{tip}\"><span class=\"what\"><b>{}</b> <small>{}</small></span>{}\
             <span class=\"took\">{}</span></li>",
            kind.name(),
            escaped(&label(step)),
            escaped(&step.detail),
            bar(timings.wall, step),
            seconds(step.cost.wall),
        );
    }
    html.push_str("</ol>\n</section>\n");
    html
}

/// What is said of a step, a line each.
fn tip(timings: &Timings, step: &Step) -> String {
    let failed = if step.state == State::Failed { ", failed" } else { "" };
    let lines = [
        format!("{}{failed}", label(step)),
        step.detail.clone(),
        format!("from {} to {}", seconds(step.start), seconds(step.end)),
        format!("wall {}, {} of the whole", seconds(step.cost.wall), share(step.cost.wall, timings.wall)),
        format!("CPU {}, processors busy {}", seconds(step.cost.cpu), ratio(step.cost)),
    ];
    let lines: Vec<String> = lines.iter().filter(|line| !line.is_empty()).map(|line| escaped(line)).collect();
    lines.join("&#10;")
}

/// A place on the axis, in percent.
fn place(at: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { (at.as_secs_f64() * 100.0 / whole.as_secs_f64()).clamp(0.0, 100.0) }
}

fn bar(whole: Duration, step: &Step) -> String {
    let (start, end) = (place(step.start, whole), place(step.end, whole));
    let (top, height) = if step.depth == 0 { (3, 14) } else { (6, 8) };
    format!(
        "<svg class=\"bar\" aria-hidden=\"true\">{}<rect x=\"{start:.3}%\" y=\"{top}\" width=\"{:.3}%\" height=\"{height}\"/></svg>",
        grid(whole),
        // A rectangle without any width is not drawn, line or not.
        (end - start).max(0.05)
    )
}

/// The times that are marked: round ones, five or six at the most.
fn ticks(whole: Duration) -> Vec<Duration> {
    const STEPS: [u64; 24] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
        600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000,
    ];
    let fits = |step: &&u64| whole.as_millis() <= u128::from(**step) * 5;
    let step = Duration::from_millis(*STEPS.iter().find(fits).unwrap_or(&86_400_000));
    (0..).map(|number| step * number).take_while(|tick| *tick <= whole).take(100).collect()
}

fn grid(whole: Duration) -> String {
    let line = |tick: &Duration| {
        let x = place(*tick, whole);
        format!("<line x1=\"{x:.3}%\" x2=\"{x:.3}%\" y1=\"0\" y2=\"100%\"/>")
    };
    ticks(whole).iter().map(line).collect()
}

fn axis(whole: Duration) -> String {
    let label = |tick: &Duration| {
        let x = place(*tick, whole);
        let anchor = match x {
            ..=2.0 => "start",
            ..94.0 => "middle",
            _ => "end",
        };
        format!("<text x=\"{x:.3}%\" y=\"13\" text-anchor=\"{anchor}\">{}</text>", clock(*tick))
    };
    ticks(whole).iter().map(label).collect()
}

/// The processors that were busy, as an area; the axis goes to all there are, or to what was measured beyond.
fn busy(timings: &Timings) -> String {
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
    let top = height(processors);
    format!(
        "<svg class=\"busy\" role=\"img\" aria-label=\"Processors busy over time\">{}\
         <svg viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\">\
         <path d=\"{path}\"/></svg>\
         <line class=\"all\" x1=\"0\" x2=\"100%\" y1=\"{top:.2}%\" y2=\"{top:.2}%\"/>\
         <text x=\"100%\" y=\"{top:.2}%\" dy=\"-4\" text-anchor=\"end\">all {}</text></svg>",
        grid(timings.wall),
        timings.machine.processors,
    )
}

/// The same numbers as a table.
fn rows(timings: &Timings) -> String {
    let mut html = String::new();
    for group in &timings.groups {
        if timings.groups.len() > 1 {
            let title = escaped(timings.title(group).unwrap_or("all versions"));
            let _ = writeln!(html, "<tr class=\"group\"><th colspan=\"7\" scope=\"rowgroup\">{title}</th></tr>");
        }
        for step in &group.steps {
            let failed = if step.state == State::Failed { "failed: " } else { "" };
            let detail = format!("{failed}{}", step.detail);
            let class = if step.depth == 0 { "" } else { " class=\"within\"" };
            row(&mut html, class, &label(step), Some(step.start), step.cost, timings, detail.trim_end_matches(": "));
        }
        row(&mut html, " class=\"sum\"", "sum", None, group.cost(), timings, "");
    }
    let whole = Cost { wall: timings.wall, cpu: timings.cpu() };
    row(&mut html, " class=\"sum\"", "whole", Some(Duration::ZERO), whole, timings, "");
    html
}

fn row(
    html: &mut String,
    class: &str,
    name: &str,
    start: Option<Duration>,
    cost: Cost,
    timings: &Timings,
    detail: &str,
) {
    let start = start.map(|start| format!("{:.1}", start.as_secs_f64())).unwrap_or_default();
    let _ = writeln!(
        html,
        "<tr{class}><th scope=\"row\">{}</th><td>{start}</td><td>{:.1}</td><td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escaped(name),
        cost.wall.as_secs_f64(),
        cost.cpu.as_secs_f64(),
        ratio(cost),
        share(cost.wall, timings.wall),
        escaped(detail)
    );
}

/// A span of time for people: `0.04 s`, `59.1 s`, `10:21`.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.1 => format!("{seconds:.2} s"),
        ..599.95 => format!("{seconds:.1} s"),
        _ => clock(Duration::from_secs_f64(seconds.round())),
    }
}

/// A time on the axis: `0`, `0.5 s`, `20 s`, `2:00`, `1:30:00`.
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
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert_eq!(page.matches("<script").count(), PAGE.matches("<script").count());
        assert_eq!(page.matches(SCRIPT).count(), 1);
        assert!(!page.contains("<!--") && !page.contains("<u>") && page.contains("&lt;u&gt;"));
    }

    #[test]
    fn every_kind_has_its_colour_in_both_schemes() {
        for name in Kind::ALL.map(Kind::name).into_iter().chain(["failed"]) {
            assert!(STYLE.contains(&format!("[data-kind=\"{name}\"] {{ --color: var(--{name}); }}")), "{name}");
            assert_eq!(STYLE.matches(&format!("--{name}: #")).count(), 2, "{name}");
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
