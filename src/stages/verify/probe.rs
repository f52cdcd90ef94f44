//! Checks what the built Python does: runs the package `probe` in it, moved and at its prefix.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

use super::report::{Report, Status};
use super::tree::Own;
use crate::domain::manifest::Manifest;
use crate::domain::plan::Flavor;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::sys::process::{Runner, SEARCH_PATH, Spec, Stream};
use crate::sys::toolchain::find_program;

/// The Python package that runs inside the built Python.
static PROBE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/stages/verify/probe");

/// The time limit of the whole probe, which also limits each check itself.
const LIMIT: Duration = Duration::from_mins(45);

/// The probe's request, which the package describes.
#[derive(Debug, Serialize)]
struct Request<'a> {
    prefix: &'a Path,
    compiled_prefix: &'a str,
    modules: &'a [String],
    scripts: Vec<String>,
    loaded: Vec<&'a str>,
    flavor: Flavor,
    static_library: bool,
    shared: bool,
    scratch: &'a Path,
    tls_cert: &'a Path,
    tls_key: &'a Path,
    compiler: bool,
    forbidden: &'a [String],
}

/// The probe's output.
#[derive(Debug, Deserialize)]
struct Answer {
    checks: Vec<AnsweredCheck>,
}

/// One result.
#[derive(Debug, Deserialize)]
struct AnsweredCheck {
    name: String,
    status: String,
    #[serde(default)]
    detail: String,
}

/// Runs the probe on a tree where it is and, if that is not its prefix, at its prefix in a mount
/// namespace, if the system allows one. Where the tree is, it has to work without anything at the prefix, so such a
/// namespace hides what is there.
///
/// # Errors
/// [`Error::Io`] if the probe cannot be written, [`Error::Spawn`] or [`Error::Interrupted`] if it does
/// not run to its end. What it finds is in the report.
pub(super) fn check(probe: &Probe<'_>, tree: &Path, report: &mut Report) -> Result<()> {
    probe.prepare()?;
    let compiled = probe.manifest.plan.request.prefix.as_path();
    if tree == compiled {
        return probe.run("at its prefix", tree, &Place::Here, report);
    }
    let namespace = probe.namespace(tree)?;
    let place = match &namespace {
        Namespace::Works { without_tree, .. } if compiled.symlink_metadata().is_ok() => without_tree,
        _ => &Place::Here,
    };
    probe.run("moved", tree, place, report)?;
    match namespace {
        Namespace::Works { at_prefix, .. } => probe.run("at its prefix", compiled, &at_prefix, report),
        Namespace::Unavailable(reason) => {
            report.add("at its prefix", Status::Skipped(reason));
            Ok(())
        }
    }
}

/// Where the probe runs.
enum Place {
    /// On this system as it is.
    Here,
    /// In a new mount namespace.
    Namespace {
        /// The command line that enters it.
        words: Vec<OsString>,
        /// The directory that is hidden in it.
        hidden: PathBuf,
    },
}

impl Place {
    fn hides(&self, path: &Path) -> bool {
        matches!(self, Self::Namespace { hidden, .. } if path.starts_with(hidden))
    }
}

/// Whether the tree can be at its prefix in a mount namespace.
enum Namespace {
    /// It can.
    Works {
        /// Where nothing is at the prefix.
        without_tree: Place,
        /// Where the tree is at its prefix.
        at_prefix: Place,
    },
    /// It cannot on this system, for this reason.
    Unavailable(String),
}

/// The inputs of the probe.
pub(super) struct Probe<'a> {
    pub manifest: &'a Manifest,
    pub own: &'a Own,
    /// A directory for the probe, and for what the checks write.
    pub scratch: &'a Path,
    /// Strings that nothing in the tree may mention.
    pub forbidden: &'a [String],
    pub runner: &'a dyn Runner,
    pub reporter: &'a dyn Reporter,
}

impl Probe<'_> {
    /// Returns a path in the scratch directory.
    fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Writes the probe's package, and with it the certificate for its TLS connections to itself.
    ///
    /// The certificate is part of the package and valid from 1970 on, so verification does not depend
    /// on the clock: `loopback/cert.pem` says how it was made.
    fn prepare(&self) -> Result<()> {
        write(&PROBE, &self.file("probe"))
    }

    /// Returns places where nothing or the tree is at its prefix, without touching the real one: in a mount
    /// namespace an empty file system hides the first directory of the prefix, and the tree is bind
    /// mounted at the prefix.
    fn namespace(&self, tree: &Path) -> Result<Namespace> {
        const WITHOUT_TREE: &str = r#"mount -t tmpfs none "$1" && shift 3 && exec "$@""#;
        const AT_PREFIX: &str = r#"
mount -t tmpfs none "$1" && mkdir -p "$3" && mount --bind "$2" "$3" && shift 3 && exec "$@""#;
        let compiled = self.manifest.plan.request.prefix.as_path();
        let top: PathBuf = compiled.iter().take(2).collect();
        if !top.is_dir() {
            return Ok(Namespace::Unavailable(format!("there is no {} to mount over", top.display())));
        }
        if tree.starts_with(&top) || self.scratch.starts_with(&top) {
            return Ok(Namespace::Unavailable(format!("the tree itself is below {}", top.display())));
        }
        let Some(unshare) = find_program("unshare") else {
            return Ok(Namespace::Unavailable("`unshare` is not installed".into()));
        };
        // Most containers forbid namespaces, so try it. Some allow one only with a user namespace, also to root.
        let with_user: &[&[&str]] = &[&["--user", "--map-root-user"]];
        let both: &[&[&str]] = &[&[], &["--user", "--map-root-user"]];
        let mut refusal = String::new();
        for options in if rustix::process::geteuid().is_root() { both } else { with_user } {
            let entered = |script: &str| {
                let mut words: Vec<OsString> = vec![unshare.clone().into()];
                words.extend(options.iter().map(OsString::from));
                let shell = ["--mount", "--propagation", "private", "--", "/bin/sh", "-c", script, "sh"];
                words.extend(shell.map(OsString::from));
                words.extend([top.clone().into_os_string(), tree.into(), compiled.into()]);
                Place::Namespace { words, hidden: top.clone() }
            };
            let at_prefix = entered(AT_PREFIX);
            match self.runner.capture(&self.spec(&at_prefix, Path::new("/bin/true"))) {
                Ok(_) => return Ok(Namespace::Works { without_tree: entered(WITHOUT_TREE), at_prefix }),
                Err(Error::Command { output, .. }) if refusal.is_empty() => refusal = output,
                Err(Error::Command { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let refusal = refusal.lines().next().unwrap_or_default();
        Ok(Namespace::Unavailable(format!("this system allows no mount namespace ({refusal})")))
    }

    /// Returns how to run a program in a place.
    fn spec(&self, place: &Place, program: &Path) -> Spec {
        let spec = match place {
            Place::Here => Spec::new(program),
            Place::Namespace { words, .. } => Spec::new(&words[0]).args(&words[1..]).arg(program),
        };
        spec.directory(self.scratch)
            .environment([("PATH", SEARCH_PATH), ("LC_ALL", "C.UTF-8"), ("HOME", "/nonexistent")])
            .timeout(LIMIT)
    }

    /// Runs the probe in a place and adds its results to the report.
    fn run(&self, name: &str, prefix: &Path, place: &Place, report: &mut Report) -> Result<()> {
        let plan = &self.manifest.plan;
        let scratch = crate::sys::fs::temporary_directory_in(self.scratch, "probe-")?;
        let cc = plan.environment.get("CC").map_or("gcc", String::as_str);
        let request = Request {
            prefix,
            compiled_prefix: plan.request.prefix.as_str(),
            modules: &self.manifest.modules,
            scripts: self.own.names_in("bin"),
            loaded: self.manifest.loaded.iter().map(|file| file.file.as_str()).collect(),
            flavor: plan.request.flavor,
            static_library: plan.static_library,
            shared: plan.request.policies.shared,
            scratch: scratch.path(),
            tls_cert: &self.file("probe/loopback/cert.pem"),
            tls_key: &self.file("probe/loopback/key.pem"),
            compiler: cc.split_whitespace().next().and_then(find_program).is_some_and(|path| !place.hides(&path)),
            forbidden: self.forbidden,
        };
        let file = self.file("request.json");
        fs_err::write(&file, serde_json::to_vec(&request).map_err(std::io::Error::from)?)?;
        let spec = self
            .spec(place, &prefix.join(plan.interpreter()))
            .args(["-I", "-B"])
            .arg(self.file("probe/__main__.py"))
            .arg(&file);
        self.reporter.report(Event::Detail(spec.command_line()));
        let (mut out, mut err) = (String::new(), String::new());
        let outcome = self.runner.run(&spec, &mut |stream, line| {
            let text = if stream == Stream::Out { &mut out } else { &mut err };
            text.push_str(line);
            text.push('\n');
        })?;
        match serde_json::from_str::<Answer>(&out) {
            Ok(answer) if outcome.success() && !answer.checks.is_empty() => {
                for check in answer.checks {
                    report.add(format!("{name}: {}", check.name), status(&check.status, check.detail));
                }
            }
            _ => report.add(
                format!("{name}: the interpreter runs"),
                Status::Failed(format!("{outcome}: {}", err.trim().lines().last().unwrap_or("no output"))),
            ),
        }
        Ok(())
    }
}

/// Writes an embedded directory into a new directory.
fn write(embedded: &Dir<'_>, directory: &Path) -> Result<()> {
    fs_err::create_dir(directory)?;
    let place = |path: &Path| directory.join(path.file_name().unwrap_or_default());
    for file in embedded.files() {
        fs_err::write(place(file.path()), file.contents())?;
    }
    for inner in embedded.dirs() {
        write(inner, &place(inner.path()))?;
    }
    Ok(())
}

/// Returns the status that the probe reports.
fn status(status: &str, detail: String) -> Status {
    match status {
        "passed" => Status::Passed,
        "skipped" => Status::Skipped(detail),
        _ => Status::Failed(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::manifest;
    use crate::event::Silent;
    use crate::sys::process::scripted::{Answer, Scripted};

    /// The command lines of the two runs of the probe for a tree with this prefix.
    fn runs(prefix: &str) -> Vec<String> {
        let scratch = tempfile::tempdir().unwrap();
        let mut manifest = manifest();
        manifest.plan.request.prefix = prefix.parse().unwrap();
        let own = Own::read(scratch.path(), &manifest);
        let answer = r#"{"checks": [{"name": "x", "status": "passed"}]}"#;
        let runner = Scripted::new().on("/bin/true", Answer::new()).on("probe/__main__.py", Answer::new().out(answer));
        let probe = Probe {
            manifest: &manifest,
            own: &own,
            scratch: scratch.path(),
            forbidden: &[],
            runner: &runner,
            reporter: &Silent,
        };
        let mut report = Report::default();
        check(&probe, &scratch.path().join("moved"), &mut report).unwrap();
        let names: Vec<&str> = report.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["moved: x", "at its prefix: x"]);
        runner.command_lines().into_iter().filter(|line| line.contains("__main__.py")).collect()
    }

    #[test]
    fn a_moved_tree_runs_with_nothing_at_its_prefix() {
        for (prefix, is_hidden) in [("/usr/lib", true), ("/usr/no-such", false)] {
            let [moved, at_prefix] = &runs(prefix)[..] else { panic!() };
            assert_eq!(moved.contains("mount -t tmpfs"), is_hidden, "{moved}");
            assert!(!moved.contains("--bind") && at_prefix.contains("--bind"), "{moved} {at_prefix}");
        }
    }
}
