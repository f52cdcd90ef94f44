//! What work says while it goes on. Work emits events; the command line draws them.

use std::path::PathBuf;

use crate::cost::{Cost, Meter};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A stage began. `detail` says on what.
    Started {
        /// The stage's name: `fetch`, `compile`.
        stage: &'static str,
        /// What it works on.
        detail: String,
    },
    /// How far the running stage is.
    Progress {
        /// How much is done, in the unit of `total`.
        done: u64,
        /// How much there is, where that is known.
        total: Option<u64>,
        /// What is counted.
        unit: Unit,
    },
    /// A line that a program printed.
    Output(String),
    /// The running stage ended well.
    Finished {
        /// The stage's name.
        stage: &'static str,
        /// What came of it.
        detail: String,
        /// What it took.
        cost: Cost,
    },
    /// The running stage ended in an error, which somebody else tells.
    Failed {
        /// The stage's name.
        stage: &'static str,
        /// What it took until then.
        cost: Cost,
    },
    /// A program of the running stage ended.
    Ran {
        /// Its name for people: `make install`.
        program: String,
        /// What it took.
        cost: Cost,
        /// Whether it did what it should.
        succeeded: bool,
    },
    /// Something the user should know, though nothing is wrong.
    Note(String),
    /// Something the user should act on, though the work goes on.
    Warning(String),
    /// Something that only `-v` shows: a command line, a decision.
    Detail(String),
    /// Another build or another process holds a lock that this work needs.
    Waiting {
        /// What is locked.
        what: String,
        /// The lock file.
        lock: PathBuf,
    },
}

/// What a [`Event::Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Steps of a program: commands of make, checks.
    Steps,
}

/// Takes events. Called from several threads.
pub trait Reporter: Sync {
    /// Takes one event.
    fn report(&self, event: Event);

    /// A reporter for one of several tasks that go on at once. `name` tells them apart.
    fn task(&self, name: &str) -> Box<dyn Reporter + Send + '_>;
}

/// Takes events and says nothing: for tests and libraries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _: Event) {}

    fn task(&self, _: &str) -> Box<dyn Reporter + Send + '_> {
        Box::new(Self)
    }
}

/// Reports the start of a stage, runs it, and reports its end with what `summary` makes of it.
///
/// # Errors
/// What the stage answers.
pub fn staged<T, E>(
    reporter: &dyn Reporter,
    stage: &'static str,
    detail: impl Into<String>,
    work: impl FnOnce() -> Result<T, E>,
    summary: impl FnOnce(&T) -> String,
) -> Result<T, E> {
    reporter.report(Event::Started { stage, detail: detail.into() });
    let meter = Meter::start();
    let value = work();
    let cost = meter.cost();
    reporter.report(match &value {
        Ok(value) => Event::Finished { stage, detail: summary(value), cost },
        Err(_) => Event::Failed { stage, cost },
    });
    value
}
