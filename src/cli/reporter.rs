//! Draws events: bars on a terminal, lines elsewhere, JSON lines for programs.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{Global, Progress};
use super::render;
use crate::event::{Event, Reporter, Unit};

const GREEN: Style = AnsiColor::Green.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// The reporter of the command line. Everything goes to standard error.
pub(super) struct CliReporter {
    manner: Manner,
    verbose: bool,
}

enum Manner {
    Quiet,
    Plain,
    Json,
    Bars(Mutex<Stage>),
}

/// The bar of the running stage.
struct Stage {
    bar: ProgressBar,
    steps: Option<u64>,
    since: Instant,
}

impl CliReporter {
    pub(super) fn new(global: &Global) -> Self {
        render::apply(global.color);
        let manner = match global.progress {
            _ if global.quiet => Manner::Quiet,
            Progress::Json => Manner::Json,
            Progress::Auto if std::io::stderr().is_terminal() => Manner::Bars(Mutex::new(Stage::new())),
            Progress::Auto | Progress::Plain => Manner::Plain,
        };
        Self { manner, verbose: global.verbose }
    }

    /// A line that stays, above the bar where there is one.
    fn line(&self, line: &str) {
        match &self.manner {
            Manner::Bars(bar) => {
                let bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
                bar.bar.suspend(|| anstream::eprintln!("{line}"));
            }
            _ => anstream::eprintln!("{line}"),
        }
    }

    fn said(&self, event: &Event) -> Option<String> {
        match event {
            Event::Finished { stage, detail, took } => {
                Some(format!("{GREEN}{stage:>12}{GREEN:#} {detail} {DIM}{}{DIM:#}", seconds(*took)))
            }
            Event::Note(text) => Some(format!("{GREEN}{:>12}{GREEN:#} {text}", "note")),
            Event::Waiting { what, lock } => Some(format!(
                "{YELLOW}{:>12}{YELLOW:#} for {what}, which another process has ({})",
                "waiting",
                lock.display()
            )),
            Event::Detail(text) if self.verbose => Some(format!("{DIM}{:>12} {text}{DIM:#}", "")),
            _ => None,
        }
    }
}

impl Reporter for CliReporter {
    fn report(&self, event: Event) {
        if let Event::Warning(text) = &event
            && !matches!(self.manner, Manner::Json)
        {
            return self.line(&format!("{YELLOW}warning{YELLOW:#}: {text}"));
        }
        match &self.manner {
            Manner::Quiet => {}
            Manner::Json => {
                if let Some(json) = json(&event) {
                    eprintln!("{json}");
                }
            }
            Manner::Plain => {
                // A minute without a word looks like a minute without work.
                if let Event::Started { stage: stage @ ("fetch" | "configure" | "compile"), .. } = event {
                    self.line(&format!("{DIM}{stage:>12} …{DIM:#}"));
                }
                if let Some(line) = self.said(&event) {
                    self.line(&line);
                }
            }
            Manner::Bars(bar) => {
                bar.lock().unwrap_or_else(PoisonError::into_inner).show(&event);
                if let Some(line) = self.said(&event) {
                    self.line(&line);
                }
            }
        }
    }
}

impl Stage {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is a constant, and one that is wrong would only look plain.
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12.cyan.bold} {spinner} {elapsed:>4} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar, steps: None, since: Instant::now() }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Started { stage, detail } => {
                *self = Self::new();
                self.bar.set_prefix(*stage);
                self.bar.set_message(detail.clone());
                self.bar.enable_steady_tick(Duration::from_millis(100));
            }
            Event::Progress { done, unit: Unit::Steps, .. } => self.steps = Some(*done),
            Event::Progress { done, total, unit: Unit::Bytes } => {
                let total = total.map(|total| format!(" of {}", HumanBytes(total))).unwrap_or_default();
                self.bar.set_message(format!("{}{total}", HumanBytes(*done)));
            }
            // Drawing each line of make would take longer than a compilation.
            Event::Output(line) if self.since.elapsed() > Duration::from_millis(60) => {
                self.since = Instant::now();
                let steps = self.steps.map(|steps| format!("[{steps}] ")).unwrap_or_default();
                self.bar.set_message(format!("{steps}{}", shortened(line)));
            }
            Event::Finished { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A compiler's command by what it compiles; other lines as they are.
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

/// An event as a line of JSON; `docs/json.md` describes them.
fn json(event: &Event) -> Option<serde_json::Value> {
    use serde_json::json;
    Some(match event {
        Event::Started { stage, detail } => json!({"event": "started", "stage": stage, "detail": detail}),
        Event::Progress { done, total, unit } => {
            let unit = if *unit == Unit::Bytes { "bytes" } else { "steps" };
            json!({"event": "progress", "done": done, "total": total, "unit": unit})
        }
        Event::Finished { stage, detail, took } => {
            json!({"event": "finished", "stage": stage, "detail": detail, "seconds": took.as_secs_f64()})
        }
        Event::Note(text) => json!({"event": "note", "text": text}),
        Event::Warning(text) => json!({"event": "warning", "text": text}),
        Event::Detail(text) => json!({"event": "detail", "text": text}),
        Event::Waiting { what, lock } => json!({"event": "waiting", "what": what, "lock": lock}),
        Event::Output(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compilation_is_shown_by_its_source() {
        assert_eq!(shortened("gcc -fPIC -Wall -c ./Modules/_ssl.c -o Modules/_ssl.o"), "Modules/_ssl.c");
        assert_eq!(shortened("checking for gcc... yes "), "checking for gcc... yes");
    }
}
