//! The runner that starts real processes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use wait4::Wait4 as _;

use super::{Outcome, Runner, Spec, Stream, supervisor};
use crate::cost;
use crate::error::{Error, Result};
use crate::sys::interrupt;

/// Replaces this process by another program, which gets this process's environment and one more variable. Returns only
/// the reason why the program cannot be started.
#[must_use]
pub fn replace_process(program: &Path, args: &[OsString], name: &str, value: &OsStr) -> io::Error {
    Command::new(program).args(args).env(name, value).exec()
}

/// Starts real processes.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Runner for System {
    fn run(&self, spec: &Spec, sink: &mut dyn FnMut(Stream, &str)) -> Result<Outcome> {
        interrupt::check()?;
        let mut child = spawn(spec)?;
        let (sender, lines) = mpsc::sync_channel(256);
        if let Some(out) = child.stdout.take() {
            read_lines(out, Stream::Out, sender.clone());
        }
        if let Some(err) = child.stderr.take() {
            read_lines(err, Stream::Err, sender.clone());
        }
        drop(sender);
        let start = Instant::now();
        loop {
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok((stream, line)) => sink(stream, &line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // Both pipes are closed; the program may still be running.
                    if has_ended(&child)? {
                        return Ok(Outcome::Exited(reap(&mut child)?));
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            if let Err(interrupted) = interrupt::check() {
                end(&mut child)?;
                return Err(interrupted);
            }
            if let Some(limit) = spec.timeout.filter(|limit| start.elapsed() > *limit) {
                end(&mut child)?;
                return Ok(Outcome::TimedOut(limit));
            }
        }
    }
}

/// Starts a program in a process group of its own, below the supervisor where there is one.
fn spawn(spec: &Spec) -> Result<Child> {
    let mut command = match supervisor::program() {
        Some(supervisor) => {
            let mut command = Command::new(supervisor);
            command.arg0("pykeel").arg(supervisor::ARGUMENT).arg(std::process::id().to_string()).arg(&spec.program);
            command
        }
        None => Command::new(&spec.program),
    };
    let input = spec.input.as_ref().map_or_else(|| Ok(Stdio::null()), |input| input_of(input))?;
    command.args(&spec.args).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A terminal's Ctrl-C goes to pykeel alone, which then ends the program.
    command.process_group(0);
    if let Some(directory) = &spec.directory {
        command.current_dir(directory);
    }
    command.env_clear().envs(&spec.environment);
    if let Some(jobs) = &spec.jobs {
        jobs.share(&mut command);
    }
    let error =
        |reason: io::Error| Error::Spawn { program: spec.program.display().to_string(), reason: reason.to_string() };
    // The supervisor starts even if the program cannot, so check first.
    if supervisor::program().is_some() {
        runnable(spec).map_err(error)?;
    }
    command.spawn().map_err(error)
}

/// A file in memory that a program reads. A pipe could be closed while it is written.
fn input_of(text: &str) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

/// Checks that a program exists. A path such as `./configure` is relative to the spec's directory.
fn runnable(spec: &Spec) -> io::Result<()> {
    let program = &spec.program;
    let found = if program.components().count() > 1 || program.starts_with(".") {
        spec.directory.as_deref().unwrap_or(Path::new("")).join(program).exists()
    } else {
        // As the supervisor finds it, in the environment of the program.
        which::which_in(program, spec.environment.get("PATH"), spec.directory.as_deref().unwrap_or(Path::new("/")))
            .is_ok()
    };
    if found { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
}

/// Reads a pipe in a thread and sends its lines; bytes that are not UTF-8 are replaced.
fn read_lines(pipe: impl Read + Send + 'static, stream: Stream, sender: mpsc::SyncSender<(Stream, String)>) {
    let helper = cost::helper();
    std::thread::spawn(move || {
        helper.run(|| {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                if sender.send((stream, text)).is_err() {
                    break;
                }
                line.clear();
            }
        });
        // The receiver stops waiting when the last sender is dropped: only after the CPU time is charged.
        drop(sender);
    });
}

/// Kills a program and everything that it started, and reaps it.
fn end(child: &mut Child) -> io::Result<()> {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ok(()) };
    if supervisor::program().is_some() {
        // The supervisor kills the group, waits for it, and exits. A process that has already ended is no error.
        let _gone = kill_process(pid, Signal::TERM);
    } else {
        let _gone = kill_process_group(pid, Signal::KILL);
    }
    reap(child).map(drop)
}

/// Whether a child has ended. Does not reap it.
fn has_ended(child: &Child) -> io::Result<bool> {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ok(false) };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

/// Waits for a child to end and reaps it. Charges its CPU time, and that of all processes that it and
/// its children waited for, to this thread.
fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        match child.wait4() {
            Ok(ended) => {
                cost::charge(ended.rusage.utime + ended.rusage.stime);
                return Ok(ended.status);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_program_and_of_what_it_started_is_that_of_its_thread() {
        // The shell itself says what it and its child took, in `times`.
        let busy = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done";
        let spec = Spec::new("/bin/sh").args(["-c", &format!("{busy}; sh -c '{busy}'; times")]);
        let meter = crate::cost::Meter::start();
        let said = System.capture(&spec).unwrap();
        let seconds: f64 = said
            .split_whitespace()
            .map(|time| {
                let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
                minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
            })
            .sum();
        let cpu = meter.cost().cpu.as_secs_f64();
        // `times` counts in ticks, and rounds each of its four figures.
        assert!(seconds > 0.0 && cpu >= seconds - 0.04, "{cpu} of {said}");
    }

    #[test]
    fn both_streams_arrive_and_the_status_too() {
        let mut lines = Vec::new();
        let spec = Spec::new("/bin/sh").args(["-c", "echo one; echo two >&2; exit 3"]);
        let outcome = System.run(&spec, &mut |stream, line| lines.push((stream, line.to_owned()))).unwrap();
        lines.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(lines, [(Stream::Out, "one".to_owned()), (Stream::Err, "two".to_owned())]);
        assert_eq!(outcome.to_string(), "exit status 3");
    }

    #[test]
    fn a_program_reads_what_it_is_given_and_nothing_else() {
        assert_eq!(System.capture(&Spec::new("/bin/cat").input("registry.test")).unwrap(), "registry.test");
        assert_eq!(System.capture(&Spec::new("/bin/cat")).unwrap(), "");
        assert_eq!(System.capture(&Spec::new("/bin/true").input("unread")).unwrap(), "");
    }

    #[test]
    fn an_environment_is_the_whole_environment() {
        let spec = Spec::new("/usr/bin/env").environment([("ONLY", "this")]);
        assert_eq!(System.capture(&spec).unwrap(), "ONLY=this");
    }

    #[test]
    fn nothing_of_the_users_environment_reaches_a_program_that_says_nothing_about_it() {
        // Cargo sets this one for tests.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let mut lines: Vec<String> =
            System.capture(&Spec::new("/usr/bin/env")).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
    }

    #[test]
    fn what_hangs_is_ended_with_its_children() {
        let spec = Spec::new("/bin/sh").args(["-c", "sleep 60 & sleep 60"]).timeout(Duration::from_millis(200));
        let start = Instant::now();
        let outcome = System.run(&spec, &mut |_, _| {}).unwrap();
        assert!(matches!(outcome, Outcome::TimedOut(_)));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = System.capture(&Spec::new("no-such-program")).unwrap_err();
        assert!(matches!(&error, Error::Spawn { program, .. } if program == "no-such-program"), "{error}");
    }

    #[test]
    fn a_failure_shows_what_was_said() {
        let error = System.capture(&Spec::new("/bin/sh").args(["-c", "echo why >&2; exit 1"])).unwrap_err();
        assert!(matches!(&error, Error::Command { output, .. } if output == "why"), "{error:?}");
    }
}
