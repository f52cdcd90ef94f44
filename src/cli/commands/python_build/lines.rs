//! What standard error says during a build, in the words of python-build: users' scripts read them.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

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
}

impl Lines {
    pub(super) fn new(package: String, verbose: bool) -> Self {
        Self { package, verbose, state: Mutex::default() }
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
            Event::Training { reason, compiler, .. } => vec![said(&format!(
                "{reason} for {} and {compiler}: recording one first, which takes as long as the build itself",
                self.package
            ))],
            Event::Waiting { what, waited, holder, .. } if waited.is_zero() => {
                let who = holder.as_ref().map(|holder| format!(" (pid {})", holder.pid)).unwrap_or_default();
                vec![said(&format!("waiting for {what}, which another process works on{who}"))]
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
        let verbose = Lines::new("Python-3.13.5".into(), true);
        assert_eq!(verbose.of(&Event::Note("a note".into())), ["python-build: a note"]);
    }
}
