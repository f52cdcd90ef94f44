//! The supervisor: a second process of this same program, between pykeel and what it runs.
//!
//! A program runs in a process group of its own below it. When pykeel is killed, even by SIGKILL,
//! the kernel signals the supervisor, which kills the group: no compiler goes on writing into a
//! directory that another process cleans up.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group};

/// How long a program has to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// The first argument of a supervisor: `--pykeel-supervise PARENT PROGRAM ARGUMENT...`.
pub(super) const ARGUMENT: &str = "--pykeel-supervise";

/// This program's file, once [`supervise_if_asked`] has run in it.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Returns the program to start as a supervisor, or `None` where the program that runs has no
/// supervisor's entry point: a test.
pub(super) fn program() -> Option<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path)
}

/// Runs as a supervisor if the arguments say so, and returns the exit code. Otherwise notes this
/// program as the supervisor of what it runs later, and returns `None`. `main` calls it first.
#[must_use]
pub fn supervise_if_asked() -> Option<u8> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|arg| arg != ARGUMENT) {
        // Not by path: the file may be replaced while this program runs.
        let program = PathBuf::from("/proc/self/exe");
        if program.exists() {
            PROGRAM.get_or_init(|| program);
        }
        return None;
    }
    let parent = args.next();
    let program = args.next()?;
    Some(supervise(parent.as_deref(), &program, args).unwrap_or_else(|error| {
        // This process has no reporter; its standard error is the program's.
        eprintln!("{}: {error}", program.to_string_lossy());
        127
    }))
}

/// Starts a program, waits until it ends or a signal arrives, and returns the exit code.
fn supervise(parent: Option<&OsStr>, program: &OsStr, args: impl Iterator<Item = OsString>) -> io::Result<u8> {
    use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

    let mut signals = signal_hook::iterator::Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    // The parent may have died before the line above.
    let expected = parent.and_then(OsStr::to_str).and_then(|text| text.parse::<i32>().ok());
    if getppid().map(Pid::as_raw_pid) != expected {
        return Ok(143);
    }
    // A descendant that leaves the group (a daemon, `setsid`) becomes a child of this process when
    // its own parent ends, so `end_descendants` finds it.
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let mut child = Command::new(program).args(args).process_group(0).spawn()?;
    for signal in signals.forever() {
        if signal != SIGCHLD {
            end_group(&mut child)?;
            end_descendants()?;
            return Ok(143);
        }
        if let Some(status) = child.try_wait()? {
            // Reap orphans that have ended: their CPU time counts only once they are waited for.
            while matches!(rustix::process::wait(WaitOptions::NOHANG), Ok(Some(_))) {}
            let signalled = status.signal().map(|signal| 128 + signal);
            return Ok(u8::try_from(status.code().or(signalled).unwrap_or(1)).unwrap_or(1));
        }
    }
    Ok(1)
}

/// Ends the process group of a child: SIGTERM, then SIGKILL after [`GRACE`].
fn end_group(child: &mut Child) -> io::Result<()> {
    let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ok(()) };
    // SIGTERM first, which lets a program end children that are in groups of their own.
    let _gone = kill_process_group(group, Signal::TERM);
    let start = Instant::now();
    while child.try_wait()?.is_none() && start.elapsed() < GRACE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _gone = kill_process_group(group, Signal::KILL);
    child.wait()?;
    Ok(())
}

/// Kills all children of this process, and the orphans that become its children, until none is left.
pub(super) fn end_descendants() -> io::Result<()> {
    loop {
        for child in children(getpid())? {
            // One that has ended in the meantime is reaped below.
            let _gone = kill_process(child, Signal::KILL);
        }
        match rustix::process::wait(WaitOptions::empty()) {
            Err(rustix::io::Errno::CHILD) => return Ok(()),
            Err(rustix::io::Errno::INTR) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns the children of a process.
fn children(parent: Pid) -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        // `PID (name) state parent …`, and the name may contain anything. The process may have ended.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        if fields.split_whitespace().nth(1).and_then(|field| field.parse().ok()) == Some(parent.as_raw_pid()) {
            children.push(pid);
        }
    }
    Ok(children)
}
