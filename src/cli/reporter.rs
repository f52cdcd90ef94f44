//! Draws events: bars on a terminal, lines elsewhere, JSON lines for programs.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use super::args::{Global, Progress};
use super::render;
use crate::cost::Cost;
use crate::event::{Event, Holder, Reporter, Unit};

const GREEN: Style = AnsiColor::Green.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// The reporter of the command line. It prints on standard error.
pub(super) struct CliReporter {
    manner: Manner,
    /// Whether output is JSON.
    json: bool,
    verbose: bool,
    /// The bar of work that belongs to no version.
    own: Mutex<Bar>,
}

enum Manner {
    Quiet,
    Plain,
    Json,
    Bars(MultiProgress),
}

/// The reporter of one of several tasks: a bar and lines of its own.
struct TaskReporter<'a> {
    cli: &'a CliReporter,
    name: String,
    bar: Mutex<Bar>,
}

/// The bar of the running stage, if one runs.
#[derive(Default)]
struct Bar {
    line: Option<ProgressBar>,
    steps: Option<u64>,
    drawn: Option<Instant>,
    /// Whether it shows that a lock is waited for.
    is_waiting: bool,
}

impl CliReporter {
    pub(super) fn new(global: &Global) -> Self {
        render::apply(global.color);
        let manner = match global.progress {
            _ if global.quiet => Manner::Quiet,
            Progress::Json => Manner::Json,
            Progress::Auto if std::io::stderr().is_terminal() => Manner::Bars(MultiProgress::new()),
            Progress::Auto | Progress::Plain => Manner::Plain,
        };
        Self { manner, json: global.progress == Progress::Json, verbose: global.verbose, own: Mutex::default() }
    }

    /// Prints a result that the user asked for by an option, also with `--quiet`.
    pub(super) fn result(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> serde_json::Value) {
        if self.json {
            eprintln!("{}", json());
        } else {
            self.line(text().trim_end());
        }
    }

    /// Prints a permanent line above the bars.
    fn line(&self, line: &str) {
        match &self.manner {
            Manner::Bars(bars) => bars.suspend(|| anstream::eprintln!("{line}")),
            _ => anstream::eprintln!("{line}"),
        }
    }

    /// Shows an event of the command or of a task.
    fn show(&self, event: &Event, task: Option<&str>, bar: &Mutex<Bar>) {
        match &self.manner {
            Manner::Json => {
                if let Some(json) = json(event, task) {
                    eprintln!("{json}");
                }
                return;
            }
            Manner::Quiet => {}
            Manner::Plain => {
                // Without output a long stage would look like a hanging one.
                if let Event::Started { stage: stage @ ("fetch" | "configure" | "compile"), .. } = event {
                    self.line(&format!(
                        "{DIM}{stage:>12}{} …{DIM:#}",
                        task.map(|name| format!(" {name}")).unwrap_or_default()
                    ));
                }
            }
            Manner::Bars(bars) => bar.lock().unwrap_or_else(PoisonError::into_inner).show(event, task, bars),
        }
        if let Some(line) = self.said(event, task) {
            self.line(&line);
        }
    }

    /// Returns the permanent line of an event.
    fn said(&self, event: &Event, name: Option<&str>) -> Option<String> {
        let task = name.map(|name| format!("{CYAN}{name}{CYAN:#} ")).unwrap_or_default();
        if let Event::Warning(text) = event {
            return Some(format!("{YELLOW}warning{YELLOW:#}: {task}{text}"));
        }
        match event {
            _ if matches!(self.manner, Manner::Quiet) => None,
            Event::Finished { stage, detail, cost } => {
                Some(format!("{GREEN}{stage:>12}{GREEN:#} {task}{detail} {DIM}{}{DIM:#}", seconds(cost.wall)))
            }
            Event::Note(text) => Some(format!("{GREEN}{:>12}{GREEN:#} {task}{text}", "note")),
            Event::Training { version, compiler, reason } => Some(format!(
                "{GREEN}{:>12}{GREEN:#} {task}{reason} for Python {version} and {compiler}: recording one first, which \
                 takes about as long as the build itself (`pykeel train {version} --save --recipes DIR` pins one)",
                "note"
            )),
            // The bar goes on to show it.
            Event::Waiting { waited, .. } if !waited.is_zero() && matches!(self.manner, Manner::Bars(_)) => None,
            Event::Waiting { what, lock, waited, holder } => {
                let (for_what, lock) = (waiting(what, *waited, holder.as_ref()), lock.display());
                Some(format!("{YELLOW}{:>12}{YELLOW:#} {task}{for_what} ({lock})", "waiting"))
            }
            Event::Detail(text) if self.verbose => Some(format!("{DIM}{:>12} {text}{DIM:#}", name.unwrap_or_default())),
            _ => None,
        }
    }
}

impl Reporter for CliReporter {
    fn report(&self, event: Event) {
        self.show(&event, None, &self.own);
    }

    fn task(&self, name: &str) -> Box<dyn Reporter + Send + '_> {
        Box::new(TaskReporter { cli: self, name: name.to_owned(), bar: Mutex::default() })
    }
}

impl Reporter for TaskReporter<'_> {
    fn report(&self, event: Event) {
        self.cli.show(&event, Some(&self.name), &self.bar);
    }

    /// Returns the same task: tasks are not nested.
    fn task(&self, name: &str) -> Box<dyn Reporter + Send + '_> {
        self.cli.task(name)
    }
}

impl Bar {
    fn show(&mut self, event: &Event, task: Option<&str>, bars: &MultiProgress) {
        let task = task.map(|name| format!("{name} ")).unwrap_or_default();
        match event {
            Event::Started { stage, detail } => {
                // A task keeps its place among the others from one stage to the next.
                let bar = self.line.get_or_insert_with(|| bars.add(spinner()));
                bar.reset_elapsed();
                bar.set_prefix(*stage);
                bar.set_message(if task.contains(detail.as_str()) { task } else { format!("{task}{detail}") });
                (self.steps, self.is_waiting) = (None, false);
            }
            Event::Waiting { what, waited, holder, .. } => {
                let bar = self.line.get_or_insert_with(|| bars.add(spinner()));
                bar.set_prefix("waiting");
                bar.set_message(format!("{task}{}", waiting(what, *waited, holder.as_ref())));
                self.is_waiting = true;
            }
            // No stage begins if the other process did all the work.
            _ if self.is_waiting => self.clear(),
            Event::Progress { done, unit: Unit::Steps, .. } => self.steps = Some(*done),
            Event::Progress { done, total, unit: Unit::Bytes } => {
                let total = total.map(|total| format!(" of {}", HumanBytes(total))).unwrap_or_default();
                self.message(format!("{task}{}{total}", HumanBytes(*done)));
            }
            // Drawing each line of make would take longer than a compilation.
            Event::Output(line) if self.drawn.is_none_or(|drawn| drawn.elapsed() > Duration::from_millis(60)) => {
                self.drawn = Some(Instant::now());
                let steps = self.steps.map(|steps| format!("[{steps}] ")).unwrap_or_default();
                self.message(format!("{task}{steps}{}", shortened(line)));
            }
            Event::Finished { .. } | Event::Failed { .. } if task.is_empty() => self.clear(),
            // Until its next stage begins: it may have to wait for a processor.
            Event::Finished { .. } => self.message(task),
            _ => {}
        }
    }

    fn message(&self, message: String) {
        if let Some(bar) = &self.line {
            bar.set_message(message);
        }
    }

    fn clear(&mut self) {
        self.is_waiting = false;
        if let Some(bar) = self.line.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Describes what is waited for: `for the build 1a2b, locked by another process (pid 7) for 2m 10s, which runs make all`.
pub(super) fn waiting(what: &str, waited: Duration, holder: Option<&Holder>) -> String {
    let mut text = format!("for {what}, locked by another process");
    if let Some(Holder { pid, held, step }) = holder {
        let step = step.as_ref().map(|step| format!(", which runs {step}")).unwrap_or_default();
        let _ = write!(text, " (pid {pid}) for {}{step}", minutes(*held));
    }
    if !waited.is_zero() {
        let _ = write!(text, "; waited {}", minutes(waited));
    }
    text
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // The template is a constant, and one that is wrong would only look plain.
    if let Ok(style) = ProgressStyle::with_template("{prefix:>12.cyan.bold} {spinner} {elapsed:>4} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Shortens a compiler's command to the file that it compiles. Other lines stay as they are.
fn shortened(line: &str) -> String {
    let source = line.split_whitespace().find(|word| {
        !word.starts_with('-') && std::path::Path::new(word).extension().is_some_and(|extension| extension == "c")
    });
    match source {
        Some(source) if line.contains(" -c ") => source.trim_start_matches("./").to_owned(),
        _ => line.trim().to_owned(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// `2m 10s`, `45s`.
fn minutes(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m {seconds}s"),
    }
}

/// Returns an event as a line of JSON. `docs/json.md` describes them.
fn json(event: &Event, task: Option<&str>) -> Option<serde_json::Value> {
    use serde_json::json;
    let mut json = match event {
        Event::Started { stage, detail } => json!({"event": "started", "stage": stage, "detail": detail}),
        Event::Progress { done, total, unit } => {
            let unit = if *unit == Unit::Bytes { "bytes" } else { "steps" };
            json!({"event": "progress", "done": done, "total": total, "unit": unit})
        }
        Event::Finished { stage, detail, cost: Cost { wall, cpu } } => json!({
            "event": "finished",
            "stage": stage,
            "detail": detail,
            "seconds": wall.as_secs_f64(),
            "cpu_seconds": cpu.as_secs_f64(),
        }),
        Event::Failed { stage, cost: Cost { wall, cpu } } => {
            json!({"event": "failed", "stage": stage, "seconds": wall.as_secs_f64(), "cpu_seconds": cpu.as_secs_f64()})
        }
        Event::Ran { program, cost: Cost { wall, cpu }, succeeded } => json!({
            "event": "ran",
            "program": program,
            "seconds": wall.as_secs_f64(),
            "cpu_seconds": cpu.as_secs_f64(),
            "succeeded": succeeded,
        }),
        Event::Trying { file, place } => json!({"event": "trying", "file": file, "place": place}),
        Event::Note(text) => json!({"event": "note", "text": text}),
        Event::Training { version, compiler, reason } => {
            json!({"event": "training", "version": version, "compiler": compiler, "reason": reason})
        }
        Event::Warning(text) => json!({"event": "warning", "text": text}),
        Event::Detail(text) => json!({"event": "detail", "text": text}),
        Event::Waiting { what, lock, waited, holder } => json!({
            "event": "waiting",
            "what": what,
            "lock": lock,
            "waited_seconds": waited.as_secs(),
            "pid": holder.as_ref().map(|holder| holder.pid),
            "held_seconds": holder.as_ref().map(|holder| holder.held.as_secs()),
            "step": holder.as_ref().and_then(|holder| holder.step.as_ref()),
        }),
        Event::Output(_) => return None,
    };
    if let Some(task) = task {
        json["task"] = task.into();
    }
    Some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_is_said_with_the_time_and_the_step() {
        let holder = Holder { pid: 7, held: Duration::from_secs(130), step: Some("make all".into()) };
        assert_eq!(waiting("the build 1a2b", Duration::ZERO, None), "for the build 1a2b, locked by another process");
        assert_eq!(
            waiting("the build 1a2b", Duration::from_mins(1), Some(&holder)),
            "for the build 1a2b, locked by another process (pid 7) for 2m 10s, which runs make all; waited 1m 0s"
        );
    }

    #[test]
    fn a_compilation_is_shown_by_its_source() {
        assert_eq!(shortened("gcc -fPIC -Wall -c ./Modules/_ssl.c -o Modules/_ssl.o"), "Modules/_ssl.c");
        assert_eq!(shortened("checking for gcc... yes "), "checking for gcc... yes");
    }
}
