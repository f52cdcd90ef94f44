//! Runs a program that is not trusted: as the user nobody if pykeel is root, and in namespaces of its own as far as the
//! system allows them.
//!
//! | file | subject |
//! | --- | --- |
//! | `isolation` | what a program is kept from, and what the system does not allow |
//! | `entry` | the process between pykeel and the program, which enters the namespaces |
//! | `mounts` | the file system that the program sees |
//! | `loopback` | the network device `lo` |

mod entry;
mod isolation;
mod loopback;
mod mounts;
mod nobody;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use entry::confine_if_asked;
pub use isolation::{Isolation, Lack, Namespace, RunAs, becomes_nobody};
pub use mounts::{Mounts, closed_to_nobody, is_closed};

use super::{Outcome, Runner, Spec, Stream};
use crate::error::Result;

/// The identifier of the user and of the group `nobody`, which is the same on every distribution.
pub const NOBODY: u32 = 65534;

/// The first argument of the process that enters the namespaces: `--pykeel-confine REQUEST PROGRAM ARGUMENT...`.
const ARGUMENT: &str = "--pykeel-confine";

/// The file of this program, as the process that starts it sees it. It is not found by its path: the file may be replaced
/// while this program runs.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// How a program is confined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The file system that it sees.
    pub mounts: Mounts,
    /// Whether it is to run as nobody or not at all, also where root is only the root of a user namespace without other
    /// users.
    pub only_as_nobody: bool,
    /// Whether not even to try a user namespace.
    without_user_namespace: bool,
}

impl Confinement {
    /// Returns one with these mounts; the fields say what the parameters mean.
    #[must_use]
    pub const fn new(mounts: Mounts, only_as_nobody: bool) -> Self {
        Self { mounts, only_as_nobody, without_user_namespace: false }
    }
}

/// What became of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confined {
    /// It ran.
    Ran {
        /// What it was kept from.
        isolation: Isolation,
        /// How it ended.
        outcome: Outcome,
    },
    /// It did not run, for this reason: it could not be confined as it has to be.
    NotRun(String),
}

/// The first line that the process prints on its standard output; everything after it is the program's.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Entered {
    isolation: Isolation,
    stop: Option<Stop>,
}

/// Why the program is not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Stop {
    /// It could not be confined as it has to be, for this reason.
    NotConfined(String),
    /// The system gives out user namespaces in which nothing is allowed, as Ubuntu does. There is no way back out of
    /// one.
    UnusableUserNamespace(String),
}

/// Runs a program and passes what it prints to `sink`, as [`Runner::run`] does.
///
/// # Errors
/// Those of [`Runner::run`].
pub fn run(
    runner: &dyn Runner,
    spec: &Spec,
    confinement: &Confinement,
    sink: &mut dyn FnMut(Stream, &str),
) -> Result<Confined> {
    if std::fs::read_link(THIS_PROGRAM).is_err() {
        return Ok(Confined::NotRun("/proc is not mounted, and nothing can be confined without it".into()));
    }
    let mut confinement = confinement.clone();
    let mut unusable = None;
    loop {
        let (entered, outcome) = attempt(runner, spec, &confinement, sink)?;
        match entered.stop {
            Some(Stop::UnusableUserNamespace(reason)) if !confinement.without_user_namespace => {
                confinement.without_user_namespace = true;
                unusable = Some(reason);
            }
            Some(Stop::UnusableUserNamespace(reason) | Stop::NotConfined(reason)) => {
                return Ok(Confined::NotRun(reason));
            }
            None => {
                let mut isolation = entered.isolation;
                if let Some(reason) = unusable {
                    isolation.lacks(Namespace::User, reason);
                }
                return Ok(Confined::Ran { isolation, outcome });
            }
        }
    }
}

/// Returns why the system allows no mount namespace, if it allows none.
///
/// # Errors
/// Those of [`Runner::run`].
pub fn refused_mounts(runner: &dyn Runner) -> Result<Option<String>> {
    let confinement = Confinement { mounts: Mounts { required: true, ..Mounts::default() }, ..Confinement::default() };
    let spec = Spec::new("/").directory("/").environment([("PATH", "/")]);
    let (entered, _) = attempt(runner, &spec, &confinement, &mut |_, _| {})?;
    Ok(entered.stop.map(|stop| match stop {
        Stop::NotConfined(reason) | Stop::UnusableUserNamespace(reason) => reason,
    }))
}

fn attempt(
    runner: &dyn Runner,
    spec: &Spec,
    confinement: &Confinement,
    sink: &mut dyn FnMut(Stream, &str),
) -> Result<(Entered, Outcome)> {
    let request = serde_json::to_string(confinement).map_err(std::io::Error::from)?;
    let mut wrapped = Spec { program: THIS_PROGRAM.into(), args: Vec::new(), ..spec.clone() };
    wrapped = wrapped.args([ARGUMENT, &request]).arg(&spec.program).args(&spec.args);
    let mut entered = None;
    let mut said = String::new();
    let outcome = runner.run(&wrapped, &mut |stream, line| match &entered {
        None if stream == Stream::Out => {
            entered = Some(serde_json::from_str::<Entered>(line).map_err(|_| line.to_owned()));
        }
        _ => {
            line.clone_into(&mut said);
            sink(stream, line);
        }
    })?;
    let entered = entered.and_then(std::result::Result::ok).unwrap_or_else(|| Entered {
        stop: Some(Stop::NotConfined(format!("the process that confines it failed ({outcome}: {said})"))),
        ..Entered::default()
    });
    Ok((entered, outcome))
}

/// Returns where a system without mount namespaces can run something as nobody that lies in a directory which is closed to
/// nobody: a directory for temporary files that is open.
#[must_use]
pub fn open_directory() -> Option<PathBuf> {
    let places = [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    places.into_iter().find(|place| place.is_dir() && closed_to_nobody(place).is_none() && is_executable(place))
}

fn is_executable(directory: &Path) -> bool {
    crate::sys::fs::runs_programs(directory).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::scripted::{Answer, Scripted};

    fn run_with(first: &str) -> (Confined, Vec<String>) {
        let runner = Scripted::new()
            .on(ARGUMENT, Answer::new().out(&format!("{first}\none\n")))
            .on(r#""without_user_namespace":true"#, Answer::new().out("{\"isolation\":{},\"stop\":null}\none\n"));
        let mut lines = Vec::new();
        let spec = Spec::new("/bin/echo").arg("one");
        let confined =
            run(&runner, &spec, &Confinement::default(), &mut |_, line| lines.push(line.to_owned())).unwrap();
        assert!(runner.command_lines().iter().all(|line| line.ends_with(" /bin/echo one")));
        (confined, lines)
    }

    #[test]
    fn the_first_line_says_what_was_had_and_the_rest_is_the_programs() {
        let (confined, lines) = run_with(r#"{"isolation":{"namespaces":["pid"]},"stop":null}"#);
        let Confined::Ran { isolation, outcome } = confined else { panic!("{confined:?}") };
        assert_eq!((isolation.namespaces, outcome.success()), (vec![Namespace::Pid], true));
        assert_eq!(lines, ["one"]);
    }

    #[test]
    fn what_could_not_be_confined_did_not_run() {
        let (confined, _) = run_with(r#"{"isolation":{},"stop":{"NotConfined":"why"}}"#);
        assert_eq!(confined, Confined::NotRun("why".into()));
        let (confined, _) = run_with("nonsense");
        assert!(matches!(&confined, Confined::NotRun(reason) if reason.contains("failed")), "{confined:?}");
    }

    #[test]
    fn a_user_namespace_that_allows_nothing_is_gone_without() {
        let (confined, _) = run_with(r#"{"isolation":{},"stop":{"UnusableUserNamespace":"no"}}"#);
        let Confined::Ran { isolation, .. } = confined else { panic!("{confined:?}") };
        assert_eq!(isolation.lacking[0].reason, "no");
    }
}
