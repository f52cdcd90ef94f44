//! A runner for tests: it starts nothing, records what it is asked to run, and answers from a script.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};

use super::{Outcome, Runner, Spec, Stream};
use crate::error::Result;

/// Writes what a program writes.
type WriteFiles = Box<dyn Fn(&Spec) + Send + Sync>;

/// What a program does when it is run: it writes files, then prints, then ends.
#[derive(Default)]
pub(crate) struct Answer {
    lines: Vec<(Stream, String)>,
    code: i32,
    files: Option<WriteFiles>,
}

impl Answer {
    /// A program that succeeds and prints nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Prints text on standard output.
    pub(crate) fn out(mut self, text: &str) -> Self {
        self.lines.extend(text.lines().map(|line| (Stream::Out, line.to_owned())));
        self
    }

    /// Prints text on standard error.
    pub(crate) fn err(mut self, text: &str) -> Self {
        self.lines.extend(text.lines().map(|line| (Stream::Err, line.to_owned())));
        self
    }

    /// Exits with a code.
    pub(crate) fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// Writes files, as the specification says where.
    pub(crate) fn files(mut self, write: impl Fn(&Spec) + Send + Sync + 'static) -> Self {
        self.files = Some(Box::new(write));
        self
    }
}

/// A runner with a script.
#[derive(Default)]
pub(crate) struct Scripted {
    rules: Vec<(String, Answer)>,
    specs: Mutex<Vec<Spec>>,
}

impl Scripted {
    /// A runner without any rule.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Answers command lines that contain `words`. The latest rule that fits counts, so that a test can
    /// replace one of a common script.
    pub(crate) fn on(mut self, words: &str, answer: Answer) -> Self {
        self.rules.push((words.to_owned(), answer));
        self
    }

    /// What was run, in order.
    pub(crate) fn specs(&self) -> Vec<Spec> {
        self.specs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The command lines of what was run, in order.
    pub(crate) fn command_lines(&self) -> Vec<String> {
        self.specs().iter().map(Spec::command_line).collect()
    }
}

impl Runner for Scripted {
    /// # Panics
    /// If no rule fits: the test does not know of this program.
    fn run(&self, spec: &Spec, sink: &mut dyn FnMut(Stream, &str)) -> Result<Outcome> {
        let command = spec.command_line();
        self.specs.lock().unwrap_or_else(PoisonError::into_inner).push(spec.clone());
        let rule = self.rules.iter().rev().find(|(words, _)| command.contains(words));
        let Some((_, answer)) = rule else { panic!("no rule of the script fits `{command}`") };
        if let Some(write) = &answer.files {
            write(spec);
        }
        for (stream, line) in &answer.lines {
            sink(*stream, line);
        }
        Ok(Outcome::Exited(ExitStatus::from_raw(answer.code << 8)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_is_run_is_recorded_and_answered_by_the_latest_rule_that_fits() {
        let directory = tempfile::tempdir().unwrap();
        let runner = Scripted::new()
            .on("make", Answer::new().out("made\n"))
            .on(
                "make all",
                Answer::new().err("warning\n").files(|spec| {
                    fs_err::write(spec.directory.as_ref().unwrap().join("python"), "").unwrap();
                }),
            )
            .on("false", Answer::new().err("no\n").code(3));
        assert_eq!(runner.capture(&Spec::new("make").arg("install")).unwrap(), "made");
        assert_eq!(runner.capture(&Spec::new("make").arg("all").directory(directory.path())).unwrap(), "");
        assert!(directory.path().join("python").exists());
        let error = runner.capture(&Spec::new("false")).unwrap_err();
        assert!(
            matches!(&error, Error::Command { status, output, .. } if status == "exit status 3" && output == "no"),
            "{error:?}"
        );
        assert_eq!(runner.command_lines(), ["make install", "make all", "false"]);
    }

    #[test]
    #[should_panic(expected = "no rule of the script fits `rm -rf /`")]
    fn a_program_that_no_rule_knows_fails_the_test() {
        Scripted::new().run(&Spec::new("rm").args(["-rf", "/"]), &mut |_, _| {}).ok();
    }
}
