//! The text of a lock. The same content gives the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml_edit::{Array, InlineTable, Key, Value};

use crate::domain::digest::Digest;
use crate::domain::pykeel_lock::{LOCK_FORMAT, LockedArtifact, LockedInputs, LockedOptions, LockedRequest, PykeelLock};

/// The first lines of each lock.
const HEADER: &str = "\
# The Pythons of this project, written by the command lock of pykeel. Commit it, and read its changes in review:
# docs/lock.md of pykeel says what each line means.
";

/// Returns the text of a lock.
#[must_use]
pub fn render(lock: &PykeelLock) -> String {
    let mut text = format!("{HEADER}version = {LOCK_FORMAT}\n");
    for (request, artifact) in &lock.entries {
        entry(&mut Writer(&mut text), *request, artifact);
    }
    text
}

fn entry(to: &mut Writer<'_>, request: LockedRequest, artifact: &LockedArtifact) {
    let plan = &artifact.plan;
    to.section("[[artifact]]");
    to.line("request", request.version.to_string());
    to.line("flavor", request.flavor.to_string());
    to.line("target", request.target.to_string());
    to.line("release", artifact.version().to_string());
    to.line("sha256", artifact.digest.to_string());
    // TOML has integers of 64 bits with a sign.
    to.line("size", i64::try_from(artifact.size).unwrap_or(i64::MAX));
    to.line("manifest-sha256", artifact.manifest_digest.to_string());
    to.line("build-key", plan.build_key.to_string());
    to.line("request-key", plan.request_key.to_string());
    to.line("glibc-floor", artifact.glibc_floor.to_string());
    if !artifact.remotes.is_empty() {
        to.line("remotes", Array::from_iter(&artifact.remotes));
    }
    options(to, &plan.options);
    inputs(to, &plan.inputs);
    table(to, "libraries", &plan.libraries);
    table(to, "compiled-in", &artifact.compiled_in);
}

fn options(to: &mut Writer<'_>, options: &LockedOptions) {
    to.section("[artifact.options]");
    to.line("prefix", options.prefix.to_string());
    to.line("optimize", options.optimize.to_string());
    to.line("libraries", options.libraries.to_string());
    to.line("bytecode", options.bytecode.to_string());
    to.line("hardening", options.hardening.to_string());
    if options.shared {
        to.line("shared", true);
    }
    if options.debug_files {
        to.line("debug-files", true);
    }
    if let Some(profile) = options.profile {
        to.line("profile", profile.to_string());
    }
    if !options.configure_arguments.is_empty() {
        to.line("configure-arguments", Array::from_iter(&options.configure_arguments));
    }
    if !options.compiler_variables.is_empty() {
        to.line("compiler-variables", InlineTable::from_iter(&options.compiler_variables));
    }
}

fn inputs(to: &mut Writer<'_>, inputs: &LockedInputs) {
    to.section("[artifact.inputs]");
    to.line("compiler", inputs.compiler.as_str());
    to.line("glibc", inputs.glibc.as_str());
    let profile = inputs.profile.map(|profile| ("profile", profile));
    let digests: [(&str, Digest); 6] = [
        ("source", inputs.source),
        ("patches", inputs.patches),
        ("instructions", inputs.instructions),
        ("toolchain", inputs.toolchain),
        ("environment", inputs.environment),
        ("library-files", inputs.library_files),
    ];
    for (name, digest) in digests.into_iter().chain(profile) {
        to.line(name, digest.to_string());
    }
    to.line("format", i64::from(inputs.format));
}

fn table(to: &mut Writer<'_>, name: &str, versions: &BTreeMap<String, String>) {
    if versions.is_empty() {
        return;
    }
    to.section(&format!("[artifact.{name}]"));
    for (package, version) in versions {
        to.line(package, version.as_str());
    }
}

/// Writes lines of TOML.
struct Writer<'a>(&'a mut String);

impl Writer<'_> {
    fn section(&mut self, header: &str) {
        let _ = writeln!(self.0, "\n{header}");
    }

    fn line(&mut self, name: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        let _ = writeln!(self.0, "{} = {}", Key::new(name), value.to_string().trim());
    }
}
