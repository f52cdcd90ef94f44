//! What the Python does: runs `probe.py` through it, moved and at its prefix.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::report::{Report, Status};
use super::tree::Own;
use crate::domain::manifest::Manifest;
use crate::domain::plan::Flavor;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::sys::process::{Runner, Spec, Stream};
use crate::sys::toolchain::{SEARCH_PATH, find_program};

const PROBE: &str = include_str!("probe.py");

/// How long all checks of the probe may take; it limits each of them itself.
const LIMIT: Duration = Duration::from_mins(15);

/// What the probe is asked.
#[derive(Debug, Serialize)]
struct Request<'a> {
    prefix: &'a Path,
    compiled_prefix: &'a str,
    modules: &'a [String],
    scripts: Vec<String>,
    flavor: Flavor,
    scratch: &'a Path,
    tls_cert: &'a Path,
    tls_key: &'a Path,
    compiler: bool,
    forbidden: &'a [String],
}

/// What it answers.
#[derive(Debug, Deserialize)]
struct Answer {
    checks: Vec<AnsweredCheck>,
}

#[derive(Debug, Deserialize)]
struct AnsweredCheck {
    name: String,
    status: String,
    #[serde(default)]
    detail: String,
}

/// Runs the probe on a tree where it is, and at its prefix if it is elsewhere and a namespace of
/// its own can be had.
///
/// # Errors
/// That it cannot be started; what it finds is in the report.
pub(super) fn check(probe: &Probe<'_>, tree: &Path, report: &mut Report) -> Result<()> {
    probe.prepare()?;
    let compiled = probe.manifest.plan.request.prefix.as_path();
    if tree == compiled {
        return probe.run("at its prefix", tree, &Place::Here, report);
    }
    probe.run("moved", tree, &Place::Here, report)?;
    match probe.namespace(tree)? {
        Ok(place) => probe.run("at its prefix", compiled, &place, report),
        Err(reason) => {
            report.add("at its prefix", Status::Skipped(reason));
            Ok(())
        }
    }
}

/// Where the probe runs.
enum Place {
    /// On this system as it is.
    Here,
    /// In a mount namespace of its own, entered by these words.
    Namespace(Vec<OsString>),
}

/// What the probe is about and runs with.
pub(super) struct Probe<'a> {
    pub manifest: &'a Manifest,
    pub own: &'a Own,
    /// A directory for what the checks write.
    pub scratch: &'a Path,
    /// Texts that nothing may mention.
    pub forbidden: &'a [String],
    pub runner: &'a dyn Runner,
    pub reporter: &'a dyn Reporter,
}

impl Probe<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Writes the probe, and a certificate for the loopback that is made for this run.
    fn prepare(&self) -> Result<()> {
        fs_err::write(self.file("probe.py"), PROBE)?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let failed = |error: rcgen::Error| Error::Damaged {
            what: "the certificate for the TLS check".into(),
            reason: error.to_string(),
        };
        let mut params = rcgen::CertificateParams::new(names).map_err(failed)?;
        // A machine whose clock was never set has Python all the same.
        params.not_before = rcgen::date_time_ymd(1970, 1, 1);
        let key = rcgen::KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        fs_err::write(self.file("cert.pem"), certificate.pem())?;
        fs_err::write(self.file("key.pem"), key.serialize_pem())?;
        Ok(())
    }

    /// How to see the tree at its prefix without touching the real one: a namespace where the
    /// prefix's first directory is an empty file system and the tree is mounted at the prefix.
    fn namespace(&self, tree: &Path) -> Result<Result<Place, String>> {
        const SCRIPT: &str = r#"
mount -t tmpfs none "$1" && mkdir -p "$3" && mount --bind "$2" "$3" && shift 3 && exec "$@""#;
        let compiled = self.manifest.plan.request.prefix.as_path();
        let top: PathBuf = compiled.iter().take(2).collect();
        if !top.is_dir() {
            return Ok(Err(format!("there is no {} to mount over", top.display())));
        }
        if tree.starts_with(&top) || self.scratch.starts_with(&top) {
            return Ok(Err(format!("the tree itself is below {}", top.display())));
        }
        let Some(unshare) = find_program("unshare") else { return Ok(Err("there is no `unshare` here".into())) };
        let mut words: Vec<OsString> = vec![unshare.into()];
        if !rustix::process::geteuid().is_root() {
            words.extend(["--user", "--map-root-user"].map(OsString::from));
        }
        words.extend(["--mount", "--propagation", "private", "--", "/bin/sh", "-c", SCRIPT, "sh"].map(OsString::from));
        words.extend([top.into_os_string(), tree.into(), compiled.into()]);
        let place = Place::Namespace(words);
        // Containers usually forbid it; the answer to a trial says so.
        let trial = self.spec(&place, Path::new("/bin/true"));
        Ok(match self.runner.capture(&trial) {
            Ok(_) => Ok(place),
            Err(Error::Command { output, .. }) => Err(output),
            Err(error) => return Err(error),
        })
    }

    fn spec(&self, place: &Place, program: &Path) -> Spec {
        let spec = match place {
            Place::Here => Spec::new(program),
            Place::Namespace(words) => Spec::new(&words[0]).args(&words[1..]).arg(program),
        };
        spec.directory(self.scratch)
            .environment([("PATH", SEARCH_PATH), ("LC_ALL", "C.UTF-8"), ("HOME", "/nonexistent")])
            .timeout(LIMIT)
    }

    fn run(&self, name: &str, prefix: &Path, place: &Place, report: &mut Report) -> Result<()> {
        let plan = &self.manifest.plan;
        let scratch = crate::sys::fs::temporary_directory_in(self.scratch, "probe-")?;
        let cc = plan.environment.get("CC").map_or("gcc", String::as_str);
        let request = Request {
            prefix,
            compiled_prefix: plan.request.prefix.as_str(),
            modules: &self.manifest.modules,
            scripts: self.own.names_in("bin"),
            flavor: plan.request.flavor,
            scratch: scratch.path(),
            tls_cert: &self.file("cert.pem"),
            tls_key: &self.file("key.pem"),
            compiler: cc.split_whitespace().next().is_some_and(|program| find_program(program).is_some()),
            forbidden: self.forbidden,
        };
        let file = self.file("request.json");
        fs_err::write(&file, serde_json::to_vec(&request).map_err(std::io::Error::from)?)?;
        let spec =
            self.spec(place, &prefix.join(plan.interpreter())).args(["-I", "-B"]).arg(self.file("probe.py")).arg(&file);
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

fn status(status: &str, detail: String) -> Status {
    match status {
        "passed" => Status::Passed,
        "skipped" => Status::Skipped(detail),
        _ => Status::Failed(detail),
    }
}
