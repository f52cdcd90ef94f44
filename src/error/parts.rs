//! The parts of errors, and their wording.

/// One reason why a source cannot be fetched from one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceAttempt {
    /// The URL or the directory.
    pub place: String,
    /// Why it failed.
    pub reason: String,
}

/// What can be done about a profile that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileRemedy {
    /// Use another profile, record one, or build without.
    Another,
    /// Build without, or write the recipe's `[pgo]`.
    WritePgo,
    /// Build with gcc, or without a profile.
    Gcc,
    /// Correct `training` in the recipe's `[pgo]`.
    Training,
    /// Put back the file that the recipe pins, or pin another.
    PinnedFile,
}

/// Why a build cannot have a flag that the user gives the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagProblem {
    /// It hides the warnings that show whether a profile matches.
    HidesWarnings,
    /// Its meaning depends on the processor of the machine that compiles.
    HostSpecific,
}

impl std::fmt::Display for FlagProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::HidesWarnings => "hides the compiler's warnings about functions that a profile does not match",
            Self::HostSpecific => {
                "means a different processor on each machine: one build key would have different bytes"
            }
        })
    }
}

/// `: WHY`, or nothing.
pub(super) fn because(why: Option<&str>) -> String {
    why.map(|why| format!(": {why}")).unwrap_or_default()
}

/// ` at PLACE`, or nothing.
pub(super) fn at(place: Option<&str>) -> String {
    place.map(|place| format!(" at {place}")).unwrap_or_default()
}

/// Each thing on a line of its own.
pub(super) fn each(things: &[impl std::fmt::Display]) -> String {
    things.iter().map(|thing| format!("\n{thing}")).collect()
}

/// The first of some findings, a line each, and how many more there are.
pub(super) fn first(findings: &[impl std::fmt::Display]) -> String {
    const SHOWN: usize = 20;
    let more = findings.len().saturating_sub(SHOWN);
    let rest = if more == 0 { String::new() } else { format!("\n  and {more} more") };
    each(&findings[..findings.len() - more]) + &rest
}

/// `_ssl (no openssl/ssl.h), _bz2 (no bzlib.h)`.
pub(super) fn reasons(modules: &[(String, String)]) -> String {
    modules.iter().map(|(name, why)| format!("{name} ({why})")).collect::<Vec<_>>().join(", ")
}

/// The versions that failed.
pub(super) fn versions<E>(failed: &[(String, E)]) -> String {
    failed.iter().map(|(version, _)| version.as_str()).collect::<Vec<_>>().join(", ")
}

/// `1 file`, `23 files`.
pub(super) fn counted(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

/// `SIGINT`.
pub(super) fn signal_name(signal: i32) -> &'static str {
    match signal {
        signal_hook::consts::SIGINT => "SIGINT",
        signal_hook::consts::SIGTERM => "SIGTERM",
        signal_hook::consts::SIGHUP => "SIGHUP",
        _ => "a signal",
    }
}
