//! The trait that runs programs, and how a program ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use super::Spec;
use crate::error::{Error, Result};

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It exited, or a signal killed it.
    Exited(ExitStatus),
    /// It reached its time limit and was killed.
    TimedOut(Duration),
}

impl Outcome {
    /// Whether the exit status is 0.
    #[must_use]
    pub fn success(self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut(limit) => write!(f, "killed after {} s", limit.as_secs()),
            // The supervisor reports a signal as a shell does: 128 plus its number.
            Self::Exited(status) => match (status.code(), status.signal()) {
                (Some(137), _) | (_, Some(9)) => f.write_str("killed by signal 9: out of memory?"),
                (Some(code), _) if code > 128 => write!(f, "killed by signal {}", code - 128),
                (Some(code), _) => write!(f, "exit status {code}"),
                (None, signal) => write!(f, "killed by signal {}", signal.unwrap_or_default()),
            },
        }
    }
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Runs programs.
pub trait Runner: Sync {
    /// Runs a program until it ends. Passes each line that it prints to `sink`, without the newline.
    ///
    /// # Errors
    /// [`Error::Spawn`] if the program cannot be started, [`Error::Interrupted`] after a signal,
    /// [`Error::Io`] if it cannot be waited for.
    fn run(&self, spec: &Spec, sink: &mut dyn FnMut(Stream, &str)) -> Result<Outcome>;

    /// Runs a program and returns its standard output, without white space at the end.
    ///
    /// # Errors
    /// Those of [`run`](Self::run), and [`Error::Command`] if the program fails.
    fn capture(&self, spec: &Spec) -> Result<String> {
        let (mut out, mut err) = (String::new(), String::new());
        let outcome = self.run(spec, &mut |stream, line| {
            let text = if stream == Stream::Out { &mut out } else { &mut err };
            text.push_str(line);
            text.push('\n');
        })?;
        out.truncate(out.trim_end().len());
        if outcome.success() {
            return Ok(out);
        }
        Err(Error::Command {
            command: spec.command_line(),
            status: outcome.to_string(),
            output: if err.trim().is_empty() { out } else { err.trim().to_owned() },
            log: None,
        })
    }
}
