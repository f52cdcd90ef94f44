//! `--timings`: a reporter that records the events that pass through it, and prints them at the end as a table or
//! writes them as a page.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use super::args::{BuildFlags, TimingsForm};
use super::config::Config;
use super::reporter::CliReporter;
use crate::domain::target::Target;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::report::timings::steps::{Machine, State, Timings};
use crate::report::timings::{html, table};
use crate::sys::fs;

/// Passes events on to the command line's reporter, and records their times.
pub(super) struct Recorder<'a> {
    reporter: &'a CliReporter,
    form: Option<TimingsForm>,
    start: Instant,
    timings: Mutex<Timings>,
}

/// The reporter of one of several versions.
struct Task<'a> {
    recorder: &'a Recorder<'a>,
    name: String,
    reporter: Box<dyn Reporter + Send + 'a>,
}

impl<'a> Recorder<'a> {
    /// Starts the clock. `versions` are the requested ones.
    ///
    /// # Errors
    /// [`Error::Usage`] where a page cannot be written, before anything is built.
    pub(super) fn new(config: &'a Config, args: &BuildFlags, versions: Vec<String>) -> Result<Self> {
        if let Some(TimingsForm::Page(page)) = &args.timings {
            is_writable(page)?;
        }
        let machine = Machine {
            model: model(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            jobs: config.settings.jobs.value.get().into(),
            versions: unique(versions),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        };
        let timings = Mutex::new(Timings::new(machine));
        Ok(Self { reporter: &config.reporter, form: args.timings.clone(), start: Instant::now(), timings })
    }

    fn record(&self, version: Option<&str>, event: &Event) {
        let at = self.start.elapsed();
        self.timings.lock().unwrap_or_else(PoisonError::into_inner).record(at, version, event);
    }

    /// Reports the timings, also of a failed command, and returns the command's outcome. If the report fails, its error
    /// is returned only if the command succeeded; otherwise it is a warning.
    pub(super) fn finish(self, outcome: Result<u8>) -> Result<u8> {
        let Self { reporter, form, start, timings } = self;
        let mut timings = timings.into_inner().unwrap_or_else(PoisonError::into_inner);
        timings.finish(start.elapsed());
        let reported = match form {
            None => Ok(()),
            // No step ran. The error says why.
            _ if timings.groups.is_empty() => Ok(()),
            Some(TimingsForm::Table) => {
                reporter.result(|| table::text(&timings), || event(&timings));
                Ok(())
            }
            Some(TimingsForm::Page(path)) => fs::write_atomically(&path, html::page(&timings).as_bytes())
                .map(|()| reporter.report(Event::Note(format!("the timings are in {}", path.display())))),
        };
        match (outcome, reported) {
            (Ok(code), reported) => reported.map(|()| code),
            (Err(error), reported) => {
                if let Err(second) = reported {
                    reporter.report(Event::Warning(second.to_string()));
                }
                Err(error)
            }
        }
    }
}

impl Reporter for Recorder<'_> {
    fn report(&self, event: Event) {
        self.record(None, &event);
        self.reporter.report(event);
    }

    fn task(&self, name: &str) -> Box<dyn Reporter + Send + '_> {
        Box::new(Task { recorder: self, name: name.to_owned(), reporter: self.reporter.task(name) })
    }
}

impl Reporter for Task<'_> {
    fn report(&self, event: Event) {
        self.recorder.record(Some(&self.name), &event);
        self.reporter.report(event);
    }

    fn task(&self, name: &str) -> Box<dyn Reporter + Send + '_> {
        self.recorder.task(name)
    }
}

/// The event of `--progress json`; `docs/json.md` describes it.
fn event(timings: &Timings) -> Value {
    let mut rows = Vec::new();
    for group in &timings.groups {
        for (index, step) in group.steps.iter().enumerate() {
            rows.push(json!({
                "version": timings.title(group),
                "step": step.name,
                "detail": step.detail,
                "within": group.parent(index).map(|stage| &stage.name),
                "runs": step.runs,
                "start": step.start.as_secs_f64(),
                "seconds": step.cost.wall.as_secs_f64(),
                "cpu_seconds": step.cost.cpu.as_secs_f64(),
                "failed": step.state == State::Failed,
            }));
        }
    }
    json!({
        "event": "timings",
        "seconds": timings.wall.as_secs_f64(),
        "cpu_seconds": timings.cpu().as_secs_f64(),
        "processors": timings.machine.processors,
        "jobs": timings.machine.jobs,
        "steps": rows,
    })
}

/// Checks that a page can be written: its directory exists and is writable.
fn is_writable(page: &Path) -> Result<()> {
    let why = |reason: String| Error::Usage(format!("`--timings={}`: {reason}", page.display()));
    if page.is_dir() {
        return Err(why("it is a directory".into()));
    }
    let directory = fs::directory_of(page);
    if !directory.is_dir() {
        return Err(why(format!("there is no directory {}: create it first", directory.display())));
    }
    fs::temporary_in(directory).map(drop)
}

/// The model of the processor, as the kernel names it; else its architecture.
fn model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name").and_then(|rest| rest.split_once(':')));
    name.map_or_else(|| Target::OF_THIS_PROGRAM.arch().to_owned(), |(_, name)| name.trim().to_owned())
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}
