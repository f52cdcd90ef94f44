//! The log of a build: a file with every command line and its output.

use std::collections::VecDeque;
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::fs;
use super::process::{Runner, Spec};
use crate::cost::Meter;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};

/// How many of the last lines an error shows if there is no compiler error.
const TAIL: usize = 20;
/// How many lines before a compiler error an error shows.
const CONTEXT_BEFORE: usize = 1;
/// How many lines after it.
const CONTEXT_AFTER: usize = 6;

/// Runs programs and writes their output to a log file.
pub struct BuildLog<'a> {
    path: PathBuf,
    file: fs_err::File,
    runner: &'a dyn Runner,
    reporter: &'a dyn Reporter,
}

/// The part of a log that is searched for its last program, from the end.
const SEARCHED: u64 = 1 << 20;

/// Returns the program that ran last by a log, with its goal: `make all`. `None` if the log cannot be read or names
/// none near its end.
#[must_use]
pub fn last_program(log: &Path) -> Option<String> {
    // Another process named it.
    let mut file = fs::open_plain(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SEARCHED))).ok()?;
    let mut bytes = Vec::new();
    file.take(SEARCHED).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let words = shlex::split(text.lines().rev().find_map(|line| line.strip_prefix("$ "))?)?;
    let (program, args) = words.split_first()?;
    Some(Spec::new(program).args(args).name())
}

impl<'a> BuildLog<'a> {
    /// Creates the log file, or truncates the one that is there.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn create(path: PathBuf, runner: &'a dyn Runner, reporter: &'a dyn Reporter) -> Result<Self> {
        let file = fs::create_plain(&path)?;
        Ok(Self { path, file, runner, reporter })
    }

    /// Returns the path of the log file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the runner.
    #[must_use]
    pub const fn runner(&self) -> &'a dyn Runner {
        self.runner
    }

    /// Returns the reporter.
    #[must_use]
    pub const fn reporter(&self) -> &'a dyn Reporter {
        self.reporter
    }

    /// Runs a program that must succeed. Each line of its output goes to the log and to `each`.
    ///
    /// # Errors
    /// [`Error::Command`] with the first compiler error, or the last lines if there is none;
    /// [`Error::Spawn`] if the program cannot be started, [`Error::Interrupted`] after a signal,
    /// [`Error::Io`] if the log cannot be written.
    pub fn run(&self, spec: &Spec, mut each: impl FnMut(&str)) -> Result<()> {
        self.reporter.report(Event::Detail(spec.command_line()));
        writeln!(&self.file, "$ {}", spec.command_line())?;
        let mut excerpt = Excerpt::default();
        let mut written = Ok(());
        let meter = Meter::start();
        let outcome = self.runner.run(spec, &mut |_, line| {
            if written.is_ok() {
                written = writeln!(&self.file, "{line}");
            }
            excerpt.line(line);
            self.reporter.report(Event::Output(line.to_owned()));
            each(line);
        });
        self.reporter.report(Event::Ran {
            program: spec.name(),
            cost: meter.cost(),
            succeeded: outcome.as_ref().is_ok_and(|outcome| outcome.success()),
        });
        let outcome = outcome?;
        written?;
        if outcome.success() {
            return Ok(());
        }
        writeln!(&self.file, "{outcome}")?;
        Err(Error::Command {
            command: spec.command_line(),
            status: outcome.to_string(),
            output: excerpt.finish(),
            log: Some(self.path.clone()),
        })
    }
}

/// Collects the lines of the output that explain a failure.
#[derive(Debug, Default)]
struct Excerpt {
    last: VecDeque<String>,
    error: Vec<String>,
}

impl Excerpt {
    /// Takes the next line.
    fn line(&mut self, line: &str) {
        if self.error.is_empty() {
            if is_error(line) {
                let before = self.last.len().saturating_sub(CONTEXT_BEFORE);
                self.error.extend(self.last.iter().skip(before).cloned());
                self.error.push(line.to_owned());
            }
        } else if self.error.len() <= CONTEXT_BEFORE + CONTEXT_AFTER {
            self.error.push(line.to_owned());
        }
        if self.last.len() == TAIL {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
    }

    /// Returns the lines to show.
    fn finish(self) -> String {
        let lines = if self.error.is_empty() { Vec::from(self.last) } else { self.error };
        lines.join("\n")
    }
}

/// Whether a line is the first one of an error of a compiler, linker, configure or make.
fn is_error(line: &str) -> bool {
    // `Modules/_ssl.c:42:10: fatal error: openssl/ssl.h: No such file or directory`
    let compiler = line.contains(": error: ") || line.contains(": fatal error: ");
    let linker = line.contains("undefined reference to") || line.contains("ld: cannot find ");
    let configure = line.starts_with("configure: error:");
    let killed = line.contains("fatal error: Killed signal terminated program");
    compiler || linker || configure || killed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str) -> String {
        let mut excerpt = Excerpt::default();
        text.lines().for_each(|line| excerpt.line(line));
        excerpt.finish()
    }

    #[test]
    fn the_first_error_counts_and_not_what_follows_from_it() {
        let mut text = "gcc -c a.c\nIn file included from a.c:1:\nb.h:3:1: error: unknown type name 'foo'\n    3 | foo bar;\n      | ^~~\n".to_owned();
        text.push_str(&"gcc -c other.c\n".repeat(50));
        text.push_str("c.c:1:1: error: the second\nmake: *** [Makefile:1: a.o] Error 1\n");
        let excerpt = excerpt(&text);
        assert!(
            excerpt.starts_with("In file included from a.c:1:\nb.h:3:1: error: unknown type name 'foo'"),
            "{excerpt}"
        );
        assert!(excerpt.contains("3 | foo bar;") && !excerpt.contains("the second"));
    }

    #[test]
    fn without_a_compilers_error_the_last_lines_count() {
        let text: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let excerpt = excerpt(&text);
        assert!(excerpt.starts_with("line 80") && excerpt.ends_with("line 99"));
    }
}
