//! Events: the code below the command line reports what it does, and the command line draws it.

use std::path::PathBuf;
use std::time::Duration;

use crate::cost::{Cost, Meter};

/// An event of a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A stage started.
    Started {
        /// The stage's name: `fetch`, `compile`.
        stage: &'static str,
        /// What the stage works on.
        detail: String,
    },
    /// A source archive is looked for at a URL. Directories are looked into without an event.
    Trying {
        /// The file's name: `Python-3.13.5.tar.xz`.
        file: String,
        /// The URL, without credentials, or the path of one with the scheme `file`.
        place: String,
    },
    /// The progress of the running stage.
    Progress {
        /// The amount done, in `unit`.
        done: u64,
        /// The total amount in `unit`, if known.
        total: Option<u64>,
        /// What `done` and `total` count.
        unit: Unit,
    },
    /// A line that a program printed.
    Output(String),
    /// The running stage succeeded.
    Finished {
        /// The stage's name.
        stage: &'static str,
        /// The result in a few words.
        detail: String,
        /// The time that it took.
        cost: Cost,
    },
    /// The running stage failed. The error itself is reported elsewhere.
    Failed {
        /// The stage's name.
        stage: &'static str,
        /// The time that it took until then.
        cost: Cost,
    },
    /// A program of the running stage ended.
    Ran {
        /// The program's name for people: `make install`.
        program: String,
        /// The time that it took.
        cost: Cost,
        /// Whether the program succeeded.
        succeeded: bool,
    },
    /// Information for the user; nothing is wrong.
    Note(String),
    /// A problem that the user should act on; the work continues.
    Warning(String),
    /// Information that only `-v` shows: a command line, a decision.
    Detail(String),
    /// No profile fits a release and the compiler, so one is recorded before the build.
    Training {
        /// The release with its variant: `3.12.3`.
        version: String,
        /// The compiler: `gcc 12.2`.
        compiler: String,
        /// Why no profile fits.
        reason: String,
    },
    /// Another build or another process holds a lock that this work needs. It is reported again from time to time.
    Waiting {
        /// What is locked.
        what: String,
        /// The lock file.
        lock: PathBuf,
        /// How long this process has waited; zero for the first report.
        waited: Duration,
        /// The process that holds the lock, if it is known.
        holder: Option<Holder>,
    },
}

/// The process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number, in its own container.
    pub pid: u32,
    /// How long it has held the lock.
    pub held: Duration,
    /// The program that its build ran last, by its log: `make all`.
    pub step: Option<String>,
}

/// The unit of an [`Event::Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Steps of a program: commands of make, checks.
    Steps,
}

/// Receives events, from several threads.
pub trait Reporter: Sync {
    /// Receives one event.
    fn report(&self, event: Event);

    /// Returns a reporter for one of several parallel tasks. `name` identifies the task.
    fn task(&self, name: &str) -> Box<dyn Reporter + Send + '_>;
}

/// A reporter that ignores all events, for tests and libraries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _: Event) {}

    fn task(&self, _: &str) -> Box<dyn Reporter + Send + '_> {
        Box::new(Self)
    }
}

/// Reports the start of a stage, runs `work`, and reports the end, with the `summary` of the result.
///
/// # Errors
/// Those of the stage.
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
