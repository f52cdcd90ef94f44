//! Checks what the built Python does: runs the package `probe` in it, moved and at its prefix.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

use super::own::Own;
use super::report::{RUNNING, Report, Status};
use crate::domain::manifest::Manifest;
use crate::domain::plan::Flavor;
use crate::error::Result;
use crate::event::{Event, Reporter};
use crate::sys::process::confine::{self, Confined, Confinement, Mounts, NOBODY, becomes_nobody};
use crate::sys::process::{Runner, SEARCH_PATH, Spec, Stream};
use crate::sys::toolchain::find_program;

/// The Python package that runs inside the built Python.
static PROBE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/stages/verify/probe");

/// The time limit of the whole probe, which also limits each check itself.
const LIMIT: Duration = Duration::from_mins(45);

/// The name of the run with the tree at its prefix.
const AT_PREFIX: &str = "at its prefix";

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

/// Directories that no program can do without, so that nothing is mounted over them.
const SYSTEM: &[&str] = &[
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/sbin",
    "/usr/share",
];

/// Runs the probe on a tree where it is and, if that is not its prefix, at its prefix in a mount
/// namespace, if the system allows one. Where the tree is, it has to work without anything at the prefix, so such a
/// namespace hides what is there.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if the probe cannot be written, [`Error::Spawn`](crate::error::Error::Spawn) or
/// [`Error::Interrupted`](crate::error::Error::Interrupted) if it does not run to its end. What it finds is in the
/// report.
pub(super) fn check(probe: &Probe<'_>, tree: &Path, report: &mut Report) -> Result<()> {
    // What is in these directories cannot be shown at another place without them.
    if let Some(closed) = [Path::new("/"), tree].into_iter().find(|path| becomes_nobody() && confine::is_closed(path)) {
        let reason = format!("root runs it as the user nobody, who may not enter {}", closed.display());
        report.add(RUNNING, Status::Skipped(reason));
        return Ok(());
    }
    probe.prepare()?;
    let compiled = probe.manifest.plan.request.prefix.as_path();
    if tree == compiled {
        let mounts = Mounts::default().showing(&[probe.scratch, tree], becomes_nobody());
        report.append(probe.run(AT_PREFIX, tree, mounts)?);
        return Ok(());
    }
    let above = directory_above(compiled);
    let hidden = above.iter().filter(|_| compiled.symlink_metadata().is_ok()).cloned().collect();
    let moved = Mounts { hidden, ..Mounts::default() }.showing(&[probe.scratch, tree], becomes_nobody());
    let at_prefix = match above {
        None => Err(format!("there is no directory above {} to mount over", compiled.display())),
        Some(_) if tree.starts_with(compiled) || compiled.starts_with(tree) => {
            Err(format!("the tree itself is below {}", compiled.display()))
        }
        Some(above) => {
            let bound = vec![(tree.to_owned(), compiled.to_owned())];
            let mounts = Mounts { hidden: BTreeSet::from([above]), bound, required: true };
            Ok(mounts.showing(&[probe.scratch], becomes_nobody()))
        }
    };
    // Both at once: neither run sees what the other one does, and each waits for compilers and time limits.
    let (moved, at_prefix) = std::thread::scope(|scope| {
        let at_prefix = scope.spawn(|| match at_prefix {
            Ok(mounts) => probe.run(AT_PREFIX, compiled, mounts),
            Err(reason) => Ok(Report::of(AT_PREFIX, Status::Skipped(reason))),
        });
        (probe.run("moved", tree, moved), at_prefix.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    report.append(moved?);
    report.append(at_prefix?);
    Ok(())
}

/// Returns the directory that is hidden to have nothing at a prefix: the first on the way to it that the system can do
/// without.
fn directory_above(prefix: &Path) -> Option<PathBuf> {
    let mut ways: Vec<&Path> = prefix.ancestors().filter(|path| path.parent().is_some()).collect();
    ways.reverse();
    let found = ways.into_iter().find(|path| !SYSTEM.iter().any(|system| *path == Path::new(system)))?;
    found.is_dir().then(|| found.to_owned())
}

/// The inputs of the probe.
pub(super) struct Probe<'a> {
    pub manifest: &'a Manifest,
    pub own: &'a Own,
    /// Whether the tree has files that are not the artifact's, so that root does not run it, whatever kind of root.
    pub only_as_nobody: bool,
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

    /// Returns how to run a program.
    fn spec(&self, program: &Path) -> Spec {
        Spec::new(program)
            .directory(self.scratch)
            .environment([("PATH", SEARCH_PATH), ("LC_ALL", "C.UTF-8"), ("HOME", "/nonexistent")])
            .timeout(LIMIT)
    }

    /// Runs the probe on the tree at `prefix` and returns its results.
    fn run(&self, name: &str, prefix: &Path, mounts: Mounts) -> Result<Report> {
        let plan = &self.manifest.plan;
        let scratch = crate::sys::fs::temporary_directory_in(self.scratch, "probe-")?;
        if becomes_nobody() {
            std::os::unix::fs::chown(scratch.path(), Some(NOBODY), Some(NOBODY))?;
        }
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
            compiler: cc.split_whitespace().next().and_then(find_program).is_some_and(|path| !mounts.hides(&path)),
            forbidden: self.forbidden,
        };
        let file = self.file(&format!("{}.json", name.replace(' ', "-")));
        write_open(&file, &serde_json::to_vec(&request).map_err(std::io::Error::from)?)?;
        let spec = self
            .spec(&prefix.join(plan.interpreter()))
            .args(["-I", "-B"])
            .arg(self.file("probe/__main__.py"))
            .arg(&file);
        self.reporter.report(Event::Detail(spec.command_line()));
        let (mut out, mut err) = (String::new(), String::new());
        let confinement = Confinement::new(mounts, self.only_as_nobody);
        let confined = confine::run(self.runner, &spec, &confinement, &mut |stream, line| {
            let text = if stream == Stream::Out { &mut out } else { &mut err };
            text.push_str(line);
            text.push('\n');
        })?;
        let (isolation, outcome) = match confined {
            Confined::Ran { isolation, outcome } => (isolation, outcome),
            Confined::NotRun(reason) => {
                return Ok(Report::of(name, Status::Skipped(not_run(reason, &confinement.mounts))));
            }
        };
        let mut report = Report::default();
        report.ran_with(isolation);
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
        Ok(report)
    }
}

/// Why the probe was not run, with the directories that are the reason that it needed a mount namespace.
fn not_run(reason: String, mounts: &Mounts) -> String {
    let closed: BTreeSet<String> = mounts
        .bound
        .iter()
        .filter(|_| becomes_nobody())
        .filter_map(|(from, _)| Some(confine::closed_to_nobody(from)?.display().to_string()))
        .collect();
    if closed.is_empty() {
        return reason;
    }
    let closed: Vec<String> = closed.into_iter().collect();
    format!("root runs it as the user nobody, who may not enter {}, and {reason}", closed.join(" and "))
}

/// Writes a file that every user may read, whatever umask pykeel runs with.
fn write_open(path: &Path, bytes: &[u8]) -> Result<()> {
    fs_err::write(path, bytes)?;
    Ok(fs_err::set_permissions(path, Permissions::from_mode(0o644))?)
}

/// Writes an embedded directory into a new directory.
fn write(embedded: &Dir<'_>, directory: &Path) -> Result<()> {
    super::create_open_directory(directory)?;
    let place = |path: &Path| directory.join(path.file_name().unwrap_or_default());
    for file in embedded.files() {
        write_open(&place(file.path()), file.contents())?;
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

    /// The requests for the confinement of the two runs of the probe for a tree with this prefix.
    fn runs(prefix: &str) -> Vec<Confinement> {
        let scratch = tempfile::tempdir().unwrap();
        fs_err::set_permissions(scratch.path(), Permissions::from_mode(0o755)).unwrap();
        let mut manifest = manifest();
        manifest.plan.request.prefix = prefix.parse().unwrap();
        let own = Own::read(scratch.path(), &manifest);
        let answer = r#"{"checks": [{"name": "x", "status": "passed"}]}"#;
        let runner =
            Scripted::new().on("probe/__main__.py", Answer::new().out(&format!("{{\"isolation\":{{}}}}\n{answer}")));
        let probe = Probe {
            manifest: &manifest,
            own: &own,
            only_as_nobody: false,
            scratch: scratch.path(),
            forbidden: &[],
            runner: &runner,
            reporter: &Silent,
        };
        let mut report = Report::default();
        fs_err::create_dir(scratch.path().join("moved")).unwrap();
        check(&probe, &scratch.path().join("moved"), &mut report).unwrap();
        let names: Vec<&str> = report.checks.iter().map(|check| check.name.as_str()).collect();
        assert!(names.starts_with(&["moved: x"]) && names.last().unwrap().starts_with("at its prefix"), "{names:?}");
        let request = |spec: &Spec| serde_json::from_str(spec.args[1].to_str().unwrap()).unwrap();
        let mut runs: Vec<Confinement> = runner.specs().iter().map(request).collect();
        // They run at once.
        runs.sort_by_key(|run| run.mounts.required);
        runs
    }

    #[test]
    fn a_moved_tree_runs_with_nothing_at_its_prefix() {
        for (prefix, is_hidden) in [("/var/lib", true), ("/var/no-such", false)] {
            let [moved, at_prefix] = &runs(prefix)[..] else { panic!() };
            assert_eq!(moved.mounts.hidden.contains(Path::new("/var")), is_hidden, "{moved:?}");
            assert!(!moved.mounts.required && moved.mounts.bound.is_empty());
            assert!(at_prefix.mounts.hidden.contains(Path::new("/var")) && at_prefix.mounts.required);
            assert_eq!(at_prefix.mounts.bound[0].1, Path::new(prefix));
        }
        // Nothing is mounted over what Python itself needs.
        assert_eq!(runs("/usr/lib").len(), 1);
        assert_eq!(directory_above(Path::new("/usr/local/python")), Some("/usr/local".into()));
        assert_eq!(directory_above(Path::new("/no-such/python")), None);
    }
}
