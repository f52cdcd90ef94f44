//! What standard error says during a build, in the words of python-build: users' scripts read them.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use crate::cli::reporter::waiting;
use crate::event::{Event, Reporter};

/// A reporter that prints lines as python-build does.
pub(super) struct Lines {
    /// `Python-3.13.5`.
    package: String,
    verbose: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The file that is being downloaded.
    file: Option<String>,
    is_installing: bool,
    /// Whether a build began: everything else is done at once.
    has_built: bool,
}

impl Lines {
    pub(super) fn new(package: String, verbose: bool) -> Self {
        Self { package, verbose, state: Mutex::default() }
    }

    /// Whether a build began.
    pub(super) fn has_built(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).has_built
    }

    /// Returns the lines of an event for standard error.
    fn of(&self, event: &Event) -> Vec<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Trying { file, place } => {
                let is_next = state.file.as_ref() != Some(file);
                state.file = Some(file.clone());
                let first = is_next.then(|| format!("Downloading {file}..."));
                first.into_iter().chain([format!("-> {place}")]).collect()
            }
            Event::Started { stage: "unpack" | "install", .. } if !state.is_installing => {
                state.is_installing = true;
                vec![format!("Installing {}...", self.package)]
            }
            Event::Started { stage: "plan", .. } => {
                state.has_built = true;
                Vec::new()
            }
            Event::Training { reason, compiler, .. } => vec![said(&format!(
                "{reason} for {} and {compiler}: recording one first, which takes as long as the build itself",
                self.package
            ))],
            Event::Waiting { what, lock, waited, holder } => {
                let for_what = waiting(what, *waited, holder.as_ref());
                vec![said(&format!("waiting {for_what} ({})", lock.display()))]
            }
            Event::Warning(text) => vec![said(&format!("warning: {text}"))],
            Event::Note(text) | Event::Detail(text) if self.verbose => vec![said(text)],
            _ => Vec::new(),
        }
    }
}

impl Reporter for Lines {
    fn report(&self, event: Event) {
        if let Event::Output(line) = &event
            && self.verbose
        {
            // A reader that has gone does not stop the build.
            let _closed = writeln!(anstream::stdout(), "{line}");
        }
        for line in self.of(&event) {
            anstream::eprintln!("{line}");
        }
    }

    fn task(&self, _: &str) -> Box<dyn Reporter + Send + '_> {
        // There is one version, and so one task.
        Box::new(Same(self))
    }
}

/// The same reporter, for a task.
struct Same<'a>(&'a Lines);

impl Reporter for Same<'_> {
    fn report(&self, event: Event) {
        self.0.report(event);
    }

    fn task(&self, name: &str) -> Box<dyn Reporter + Send + '_> {
        self.0.task(name)
    }
}

/// Returns a line of pykeel's own.
pub(super) fn said(text: &str) -> String {
    format!("python-build: {text}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_build_says_what_scripts_read() {
        let lines = Lines::new("Python-3.13.5".into(), false);
        let trying = |place: &str| Event::Trying { file: "Python-3.13.5.tar.xz".into(), place: place.into() };
        let started = |stage| Event::Started { stage, detail: "x".into() };
        let events = [
            started("plan"),
            started("fetch"),
            trying("https://mirror.test/1a2b"),
            trying("https://www.python.org/x"),
            started("unpack"),
            Event::Output("checking for gcc... gcc".into()),
            Event::Note("a note".into()),
            Event::Warning("a warning".into()),
            started("install"),
        ];
        let said: Vec<String> = events.iter().flat_map(|event| lines.of(event)).collect();
        let expected = [
            "Downloading Python-3.13.5.tar.xz...",
            "-> https://mirror.test/1a2b",
            "-> https://www.python.org/x",
            "Installing Python-3.13.5...",
            "python-build: warning: a warning",
        ];
        assert_eq!(said, expected);
        assert!(lines.has_built());
        let verbose = Lines::new("Python-3.13.5".into(), true);
        assert_eq!(verbose.of(&Event::Note("a note".into())), ["python-build: a note"]);
        assert!(!verbose.has_built());
    }

    #[test]
    fn a_wait_is_said_at_first_and_from_time_to_time() {
        let lines = Lines::new("Python-3.13.5".into(), false);
        let holder = crate::event::Holder { pid: 7, held: Duration::from_secs(90), step: Some("make all".into()) };
        let waiting = |seconds, holder| {
            let (what, lock) = ("the build 1a2b".into(), "/s/locks/1a2b.lock".into());
            lines.of(&Event::Waiting { what, lock, waited: Duration::from_secs(seconds), holder })
        };
        let first = "python-build: waiting for the build 1a2b, locked by another process (/s/locks/1a2b.lock)";
        assert_eq!(waiting(0, None), [first]);
        let next = waiting(30, Some(holder)).concat();
        assert!(next.contains("(pid 7) for 1m 30s, which runs make all; waited 30s"), "{next}");
    }
}
