//! Running programs: what to run is a [`Spec`], what runs it a [`Runner`] that a test can fake.
//!
//! A program runs in a process group of its own below a supervisor, a second process of this same
//! program. When pykeel is killed, even by SIGKILL, the kernel tells the supervisor, which kills
//! the group: no compiler goes on writing into a directory that somebody else cleans up.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, getppid, kill_process, kill_process_group, waitid,
};
use wait4::Wait4 as _;

use super::interrupt;
use super::jobserver::JobServer;
use crate::cost;
use crate::error::{Error, Result};

/// What to run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The directory it runs in; none is the current one.
    pub directory: Option<PathBuf>,
    /// Its whole environment; none passes the user's on.
    pub environment: Option<BTreeMap<String, OsString>>,
    /// How long it may take; none is for ever.
    pub timeout: Option<Duration>,
    /// The slots that it may take, if it is a make.
    pub jobs: Option<JobServer>,
}

impl Spec {
    /// A program without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            directory: None,
            environment: None,
            timeout: None,
            jobs: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets the whole environment.
    #[must_use]
    pub fn environment<K: Into<String>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment = Some(variables.into_iter().map(|(key, value)| (key.into(), value.into())).collect());
        self
    }

    /// Limits the time.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Lets it take slots of a jobserver; its starter holds one for it.
    #[must_use]
    pub fn jobs(mut self, jobs: &JobServer) -> Self {
        self.jobs = Some(jobs.clone());
        self
    }

    /// A name for people: the program, Python's module, and what it is to do, where its last argument says so:
    /// `make install`, `python3.13 -m ensurepip`, `configure`.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy().into_owned();
        if let Some(module) = self.args.iter().skip_while(|arg| *arg != "-m").nth(1) {
            name.push_str(" -m ");
            name.push_str(&module.to_string_lossy());
        } else if let Some(goal) = self.args.last().and_then(|arg| arg.to_str()).filter(is_goal) {
            name.push(' ');
            name.push_str(goal);
        }
        name
    }

    /// The command line as a shell would take it.
    #[must_use]
    pub fn command_line(&self) -> String {
        let words = std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str));
        words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }
}

/// What a make or a command with words of its own is to do; a path or an option says less.
fn is_goal(word: &&str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// A word as a shell would take it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// By itself, or by a signal.
    Exited(ExitStatus),
    /// It was killed, for it took too long.
    TimedOut(Duration),
}

impl Outcome {
    /// Whether it did what it should.
    #[must_use]
    pub fn success(self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut(limit) => write!(f, "killed after {} s", limit.as_secs()),
            // The supervisor passes a signal on as a shell does: 128 and its number.
            Self::Exited(status) => match (status.code(), status.signal()) {
                (Some(137), _) | (_, Some(9)) => f.write_str("killed by signal 9: out of memory?"),
                (Some(code), _) if code > 128 => write!(f, "killed by signal {}", code - 128),
                (Some(code), _) => write!(f, "exit status {code}"),
                (None, signal) => write!(f, "killed by signal {}", signal.unwrap_or_default()),
            },
        }
    }
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Runs programs.
pub trait Runner: Sync {
    /// Runs a program to its end and gives each line that it prints, without the newline, to `sink`.
    ///
    /// # Errors
    /// [`Error::Spawn`] when it cannot be started, [`Error::Interrupted`] after a signal.
    fn run(&self, spec: &Spec, sink: &mut dyn FnMut(Stream, &str)) -> Result<Outcome>;

    /// Runs a program and gives what it prints on standard output, white space trimmed at the end.
    ///
    /// # Errors
    /// The same, and [`Error::Command`] when it fails.
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

/// Runs real programs.
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
                    // Both pipes are closed; the program may still run on without them.
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

/// How long a program has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// The argument that makes this program a supervisor.
const SUPERVISE: &str = "--pykeel-supervise";

/// This program's file, where it has a supervisor's entry: see [`supervise_if_asked`].
static SUPERVISOR: OnceLock<PathBuf> = OnceLock::new();

fn spawn(spec: &Spec) -> Result<Child> {
    let mut command = match SUPERVISOR.get() {
        Some(supervisor) => {
            let mut command = Command::new(supervisor);
            command.arg0("pykeel").arg(SUPERVISE).arg(std::process::id().to_string()).arg(&spec.program);
            command
        }
        None => Command::new(&spec.program),
    };
    command.args(&spec.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A terminal's Ctrl-C is for pykeel, which then ends the program in its own way.
    command.process_group(0);
    if let Some(directory) = &spec.directory {
        command.current_dir(directory);
    }
    if let Some(variables) = &spec.environment {
        command.env_clear().envs(variables);
    }
    if let Some(jobs) = &spec.jobs {
        jobs.share(&mut command);
    }
    let error =
        |reason: io::Error| Error::Spawn { program: spec.program.display().to_string(), reason: reason.to_string() };
    // A supervisor would find out too late for a good message.
    if SUPERVISOR.get().is_some() {
        runnable(spec).map_err(error)?;
    }
    command.spawn().map_err(error)
}

/// Whether a program is there to be run; a path such as `./configure` is meant in the directory.
fn runnable(spec: &Spec) -> io::Result<()> {
    let program = &spec.program;
    let found = if program.components().count() > 1 || program.starts_with(".") {
        spec.directory.as_deref().unwrap_or(Path::new("")).join(program).exists()
    } else {
        which::which(program).is_ok()
    };
    if found { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
}

/// Sends what a pipe yields as lines; bytes that are not UTF-8 are replaced.
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
        // Whoever listens goes on when this one is gone, and the time is noted by now.
        drop(sender);
    });
}

/// Ends a program and all that it started.
fn end(child: &mut Child) -> io::Result<()> {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ok(()) };
    if SUPERVISOR.get().is_some() {
        // It kills the group, waits, and ends. A process that is gone already is no error.
        let _gone = kill_process(pid, Signal::TERM);
    } else {
        let _gone = kill_process_group(pid, Signal::KILL);
    }
    reap(child).map(drop)
}

/// Whether a child has ended; if so it is left to be reaped.
fn has_ended(child: &Child) -> io::Result<bool> {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ok(false) };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

/// Waits for a child to end, once. Its CPU time, with that of all whom it and its own children waited
/// for, is this thread's.
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

/// Makes this process a supervisor if its arguments say so, and gives its exit code; else makes
/// this program the supervisor of what it runs later. `main` calls it first of all.
#[must_use]
pub fn supervise_if_asked() -> Option<u8> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|arg| arg != SUPERVISE) {
        // Not by name: the file may be replaced while this program runs.
        let program = PathBuf::from("/proc/self/exe");
        if program.exists() {
            SUPERVISOR.get_or_init(|| program);
        }
        return None;
    }
    let parent = args.next();
    let program = args.next()?;
    Some(supervise(parent.as_deref(), &program, args).unwrap_or_else(|error| {
        // There is no reporter in this process: what it says lands in its program's output.
        eprintln!("{}: {error}", program.to_string_lossy());
        127
    }))
}

fn supervise(parent: Option<&OsStr>, program: &OsStr, args: impl Iterator<Item = OsString>) -> io::Result<u8> {
    use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

    let mut signals = signal_hook::iterator::Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    // The parent may have died before the line above.
    let expected = parent.and_then(OsStr::to_str).and_then(|text| text.parse::<i32>().ok());
    if getppid().map(Pid::as_raw_pid) != expected {
        return Ok(143);
    }
    // What leaves the group (a daemon, `setsid`) becomes a child of this process when its own
    // parent ends, so that it is found here in the end.
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let mut child = Command::new(program).args(args).process_group(0).spawn()?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    for signal in signals.forever() {
        if signal == SIGCHLD {
            if let Some(status) = child.try_wait()? {
                // What the program left behind and has ended: its time counts once it is waited for.
                while matches!(rustix::process::wait(WaitOptions::NOHANG), Ok(Some(_))) {}
                let signalled = status.signal().map(|signal| 128 + signal);
                return Ok(u8::try_from(status.code().or(signalled).unwrap_or(1)).unwrap_or(1));
            }
        } else if let Some(group) = group {
            // First the way that lets a program end its own children, in groups of their own.
            let _gone = kill_process_group(group, Signal::TERM);
            let start = Instant::now();
            while child.try_wait()?.is_none() && start.elapsed() < GRACE {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _gone = kill_process_group(group, Signal::KILL);
            child.wait()?;
            end_descendants()?;
            return Ok(143);
        }
    }
    Ok(1)
}

/// Kills the children of this process, and the children that these leave to it, to the last.
fn end_descendants() -> io::Result<()> {
    loop {
        for child in children(getpid())? {
            // One that has ended meanwhile is reaped below.
            let _gone = kill_process(child, Signal::KILL);
        }
        match rustix::process::wait(WaitOptions::empty()) {
            Err(rustix::io::Errno::CHILD) => return Ok(()),
            Err(rustix::io::Errno::INTR) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The processes whose parent is the one given.
fn children(parent: Pid) -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        // `PID (name) state parent …`, and the name may hold anything. It may have ended by now.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        if fields.split_whitespace().nth(1).and_then(|field| field.parse().ok()) == Some(parent.as_raw_pid()) {
            children.push(pid);
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_pasted() {
        let spec = Spec::new("make").args(["BLDSHARED=gcc -shared", "it's", "-j2", ""]);
        assert_eq!(spec.command_line(), r"make 'BLDSHARED=gcc -shared' 'it'\''s' -j2 ''");
    }

    #[test]
    fn a_name_says_what_a_command_is_to_do() {
        let name = |program: &str, args: &[&str]| Spec::new(program).args(args.iter().map(ToString::to_string)).name();
        assert_eq!(name("make", &["-o", "Programs/_testembed", "DESTDIR=/x", "install"]), "make install");
        assert_eq!(name("./configure", &["--disable-test-modules"]), "configure");
        assert_eq!(name("/w/bin/python3.13", &["-I", "-m", "ensurepip", "--default-pip"]), "python3.13 -m ensurepip");
        assert_eq!(name("strip", &["--strip-unneeded", "bin/python3.13"]), "strip");
        assert_eq!(name("make", &[]), "make");
    }

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
    fn an_environment_is_the_whole_environment() {
        let spec = Spec::new("/usr/bin/env").environment([("ONLY", "this")]);
        assert_eq!(System.capture(&spec).unwrap(), "ONLY=this");
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
