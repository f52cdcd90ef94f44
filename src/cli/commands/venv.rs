//! `pykeel venv`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::super::args::VenvArgs;
use super::super::config::Config;
use super::places::Places;
use super::{place_name, print};
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result, VenvError};
use crate::event::{Event, Reporter as _};
use crate::report::text::{human, shown};
use crate::sys::log::BuildLog;
use crate::sys::process::System;
use crate::venv::{self, Environment, Lacking, Lock, Missing, Repaired, Request};

pub(super) fn run(args: &VenvArgs, config: &Config) -> Result<u8> {
    let lock = Lock::open(&args.lock)?;
    let prefix = prefix(&args.python, config)?;
    let wheels = args.wheels.as_deref().map(std::path::absolute).transpose()?;
    if let (true, Lock::Pylock(path)) = (wheels.is_some() || args.repair.is_some(), &lock) {
        return Err(VenvError::NotForPip { path: path.clone() }.into());
    }
    let runtime = args.runtime_root.as_deref().map(fs_err::canonicalize).transpose()?;
    let request = Request {
        lock: &lock,
        prefix: &prefix,
        at: &args.at,
        wheels: wheels.as_deref(),
        repair: args.repair,
        runtime: runtime.as_deref(),
        force: args.force,
    };
    let reporter = &config.reporter;
    let log = BuildLog::create(config.store.log(&log_name(&args.at))?, &System, reporter)?;
    let environment = venv::make(&request, &log)?;
    match (&environment.lacking, &runtime) {
        (Some(lacking), Some(root)) => {
            for line in warnings(lacking, root) {
                reporter.report(Event::Warning(line));
            }
        }
        _ => reporter.report(Event::Note(
            "what the packages need of the runtime image was not checked: `--runtime-root DIR` names its root".into(),
        )),
    }
    if args.repair.is_some() && runtime.is_none() {
        let text = "without the root of the runtime image, wheels still need libstdc++, libz and the like of it".into();
        reporter.report(Event::Note(text));
    }
    print(config, &environment, || text(&environment))?;
    Ok(0)
}

/// The prefix of a version, or the directory itself.
fn prefix(python: &Path, config: &Config) -> Result<PathBuf> {
    match python.to_str().map(str::parse::<VersionRequest>) {
        Some(Ok(request)) => {
            let places = Places::new(None, None, config)?;
            let destination = places.version(request)?;
            match destination.open()? {
                Some(_) => Ok(destination.path()),
                None => Err(places.not_installed(Some(request), Some(&destination))?),
            }
        }
        _ if python.is_dir() => Ok(fs_err::canonicalize(python)?),
        _ => Err(Error::Usage(format!("--python: {} is neither a version nor a directory", python.display()))),
    }
}

/// The name of the log of an environment.
fn log_name(at: &Path) -> String {
    let name: Vec<_> = at.iter().skip(1).map(|part| part.to_string_lossy()).collect();
    format!("venv-{}", name.join("-"))
}

fn warnings(lacking: &Lacking, root: &Path) -> Vec<String> {
    let place = place_name(root);
    let mut lines: Vec<String> = lacking
        .libraries
        .iter()
        .map(|missing| {
            let Missing { soname, version, needed_by, package } = missing;
            let package = package.as_ref().map(|name| format!(", of the package {name}")).unwrap_or_default();
            let what = match version {
                Some(version) => format!("a {soname} without {version}"),
                None => format!("no {soname}{package}"),
            };
            shown(&format!("{place} has {what}, which {needed_by} needs"))
        })
        .collect();
    lines.extend(lacking.install.as_ref().map(|line| format!("install there: {line}")));
    lines
}

fn text(environment: &Environment) -> String {
    let Environment { path, python, packages, size, files, .. } = environment;
    let mut text = String::new();
    for package in packages {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{}", shown(package));
    }
    for Repaired { wheel, granted } in &environment.repaired {
        let granted = if granted.is_empty() { String::new() } else { format!(", with {}", granted.join(", ")) };
        let _ = writeln!(text, "repaired {}{granted}", shown(wheel));
    }
    let count = packages.len();
    text + &format!("{}: {count} packages, {files} files, {}, for Python {python}\n", path.display(), human(*size))
}
