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
use crate::sys::process::{Runner, Spec, Stream};
use crate::sys::toolchain::{SEARCH_PATH, find_program};

/// The Python package that runs inside the built Python.
static PROBE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/stages/verify/probe");

/// The time limit of the whole probe, which also limits each check itself.
const LIMIT: Duration = Duration::from_mins(15);

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
/// namespace, if the system allows one.
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
    probe.run("moved", tree, &Place::Here, report)?;
    match probe.namespace(tree)? {
        Namespace::Works(place) => probe.run("at its prefix", compiled, &place, report),
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
    /// In a new mount namespace, which this command line enters.
    Namespace(Vec<OsString>),
}

/// Whether the tree can be at its prefix in a mount namespace.
enum Namespace {
    /// It can, in this place.
    Works(Place),
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

    /// Returns a place where the tree is at its prefix, without touching the real one: in a mount
    /// namespace an empty file system hides the first directory of the prefix, and the tree is bind
    /// mounted at the prefix.
    fn namespace(&self, tree: &Path) -> Result<Namespace> {
        const SCRIPT: &str = r#"
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
            let mut words: Vec<OsString> = vec![unshare.clone().into()];
            words.extend(options.iter().map(OsString::from));
            let entered = ["--mount", "--propagation", "private", "--", "/bin/sh", "-c", SCRIPT, "sh"];
            words.extend(entered.map(OsString::from));
            words.extend([top.clone().into_os_string(), tree.into(), compiled.into()]);
            let place = Place::Namespace(words);
            match self.runner.capture(&self.spec(&place, Path::new("/bin/true"))) {
                Ok(_) => return Ok(Namespace::Works(place)),
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
            Place::Namespace(words) => Spec::new(&words[0]).args(&words[1..]).arg(program),
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
            compiler: cc.split_whitespace().next().is_some_and(|program| find_program(program).is_some()),
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
