//! The process between pykeel and a confined program: a second process of this same program. It enters the namespaces,
//! becomes nobody, says on its standard output what it got, and starts the program.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Mode;
use rustix::mount::{MountFlags, mount};
use rustix::process::{getegid, geteuid, getpid};
use rustix::thread::UnshareFlags;

use super::isolation::{Isolation, Namespace, RunAs, becomes_nobody};
use super::nobody::become_nobody;
use super::{ARGUMENT, Confinement, Entered, NOBODY, Stop, loopback};
use crate::sys::process::supervisor;

/// Confines a program and runs it, if the arguments say so, and returns the exit code. Otherwise returns `None`. `main`
/// calls it first.
#[must_use]
pub fn confine_if_asked() -> Option<u8> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|arg| arg != ARGUMENT) {
        return None;
    }
    let request = args.next()?;
    let program = args.next()?;
    let confinement: Confinement = serde_json::from_str(request.to_str()?).ok()?;
    Some(confine(&confinement, &program, args).unwrap_or_else(|error| {
        // This process has no reporter; its standard error is the program's.
        eprintln!("{}: {error}", program.to_string_lossy());
        127
    }))
}

fn confine(confinement: &Confinement, program: &OsStr, args: impl Iterator<Item = OsString>) -> io::Result<u8> {
    let mut place = Place::here(confinement)?;
    let stop = place.enter().err();
    let goes_on = stop.is_none() && program != "/";
    let entered = Entered { isolation: place.isolation, stop };
    let mut out = io::stdout();
    writeln!(out, "{}", serde_json::to_string(&entered)?)?;
    out.flush()?;
    if !goes_on {
        return Ok(0);
    }
    // Without a PID namespace, what the program leaves behind becomes a child of this process.
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let status = Command::new(program).args(args).spawn()?.wait()?;
    if !entered.isolation.namespaces.contains(&Namespace::Pid) {
        supervisor::end_descendants()?;
    }
    let signalled = status.signal().map(|signal| 128 + signal);
    Ok(u8::try_from(status.code().or(signalled).unwrap_or(1)).unwrap_or(1))
}

/// Where this process is on its way.
struct Place<'a> {
    confinement: &'a Confinement,
    isolation: Isolation,
    directory: PathBuf,
    /// Whether the program has to be run as nobody.
    becomes_nobody: bool,
    /// The user and group before the user namespace, in which they have other numbers at first.
    identity: (u32, u32),
}

impl<'a> Place<'a> {
    fn here(confinement: &'a Confinement) -> io::Result<Self> {
        Ok(Self {
            confinement,
            isolation: Isolation::default(),
            directory: std::env::current_dir()?,
            becomes_nobody: becomes_nobody(),
            identity: identity(),
        })
    }

    fn enter(&mut self) -> Result<(), Stop> {
        if self.confinement.only_as_nobody && geteuid().is_root() && !self.becomes_nobody {
            return Err(Stop::NotConfined("this user namespace has no user nobody".into()));
        }
        rustix::process::umask(Mode::from_bits_retain(0o022));
        // What root may do is done before it is nobody. What it may not do either, a user namespace may allow.
        self.enter_spaces()?;
        if self.becomes_nobody {
            become_nobody().map_err(|error| {
                Stop::NotConfined(format!("root may not become the user nobody here: {}", text(&error)))
            })?;
            self.isolation.user = RunAs::Nobody;
            self.identity = identity();
        } else if geteuid().is_root() {
            self.isolation.user = RunAs::Root;
        }
        if self.confinement.without_user_namespace {
            // The caller knows why.
        } else if let Err(error) = unshare(UnshareFlags::NEWUSER) {
            self.isolation.lacks(Namespace::User, text(&error));
        } else {
            self.map_user().map_err(|error| Stop::UnusableUserNamespace(text(&error)))?;
            self.isolation.has(Namespace::User);
            self.enter_spaces()?;
        }
        if self.confinement.mounts.required
            && let Some(lack) = self.isolation.lacking.iter().find(|lack| lack.namespace == Namespace::Mount)
        {
            return Err(Stop::NotConfined(format!("this system allows no mount namespace ({})", lack.reason)));
        }
        // No program that is set-uid, or that has capabilities, gets anything by that.
        rustix::thread::set_no_new_privs(true).map_err(|error| Stop::NotConfined(text(&error.into())))
    }

    /// Enters the namespaces that this process is not in yet.
    fn enter_spaces(&mut self) -> Result<(), Stop> {
        let spaces = [
            (Namespace::Network, UnshareFlags::NEWNET),
            (Namespace::Pid, UnshareFlags::NEWPID),
            (Namespace::Mount, UnshareFlags::NEWNS),
        ];
        for (namespace, flag) in spaces {
            if self.isolation.namespaces.contains(&namespace) {
                continue;
            }
            match unshare(flag) {
                Ok(()) => {
                    self.isolation.has(namespace);
                    self.settle(namespace)?;
                }
                Err(error) => self.isolation.lacks(namespace, text(&error)),
            }
        }
        Ok(())
    }

    /// Prepares a new namespace.
    fn settle(&self, namespace: Namespace) -> Result<(), Stop> {
        match namespace {
            Namespace::Network => {
                // Without the device, the checks of connections use others.
                let _refused = loopback::start();
            }
            Namespace::Mount => {
                self.confinement
                    .mounts
                    .arrange()
                    .map_err(|error| Stop::NotConfined(format!("its mounts: {}", text(&error))))?;
                // It shows the numbers of the PID namespace that this process is in, so that `/proc/self` is right, and
                // no process of another user. Kernels before 5.8 do not know the word and refuse; there the number would
                // count for the whole system.
                let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                let _refused = mount("proc", "/proc", "proc", flags, c"hidepid=invisible");
                // What is mounted over the current directory is not seen from it.
                std::env::set_current_dir(&self.directory)
                    .map_err(|error| Stop::NotConfined(format!("{}: {}", self.directory.display(), text(&error))))?;
            }
            Namespace::User | Namespace::Pid => {}
        }
        Ok(())
    }

    /// Gives the user namespace that this process has entered its one user and group.
    fn map_user(&self) -> io::Result<()> {
        let (user, group) = self.identity;
        let shown = |id: u32| if id == 0 { NOBODY } else { id };
        for (file, text) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("{} {user} 1", shown(user))),
            ("gid_map", format!("{} {group} 1", shown(group))),
        ] {
            // The kernel takes the whole in one write, and no file is made where there is none.
            std::fs::OpenOptions::new()
                .write(true)
                .open(Path::new("/proc/self").join(file))?
                .write_all(text.as_bytes())?;
        }
        Ok(())
    }
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "what can go wrong is to part with open files, as CLONE_FILES does, which is never used here"
    )]
    Ok(rustix::thread::unshare(flags)?)
}

fn identity() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// An error of the system without its number.
fn text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
