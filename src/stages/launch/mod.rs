//! Launch: from a configured tree to one whose make starts the compiler through a launcher.
//!
//! Only make knows the launcher, from an argument that it records nowhere. So neither the plan nor the
//! installed files mention it. The build's environment is closed: a launcher gets the user's variables on
//! its list here, and no others.

mod variables;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::variables::{CCACHE, CCACHE_KEYS, DISTCC, ICECC, SCCACHE, forwarded};
use super::BuildContext;
use super::configure::ConfiguredTree;
use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::sys::process::{Runner, Spec};
use crate::sys::toolchain::find_program;

/// The arguments with which sccache prints the counts of its server.
const SCCACHE_COUNTS: &[&str] = &["--show-stats", "--stats-format", "json"];
/// The configuration file that ccache reads.
const CCACHE_CONFIGURATION: &str = "ccache.conf";
/// The file to which ccache writes the result of each compilation.
const CCACHE_RESULTS: &str = "ccache-results.log";

/// A configured tree, with the launcher that make uses.
#[derive(Debug)]
pub struct LaunchedTree {
    tree: ConfiguredTree,
    /// The arguments of make in addition to the plan's.
    arguments: Vec<OsString>,
    environment: BTreeMap<String, OsString>,
    counts: Counts,
}

/// Where a launcher counts its cache hits.
#[derive(Debug)]
enum Counts {
    /// There is no launcher.
    None,
    /// ccache writes a file for this build.
    Ccache(PathBuf),
    /// sccache's server counts for all its clients. These are its counts before this build.
    Sccache(CacheCounts),
}

/// The cache hits and misses of a launcher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct CacheCounts {
    hits: u64,
    misses: u64,
}

impl fmt::Display for CacheCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hits = if self.hits == 1 { "hit" } else { "hits" };
        let misses = if self.misses == 1 { "miss" } else { "misses" };
        write!(f, "{} {hits}, {} {misses}", self.hits, self.misses)
    }
}

impl LaunchedTree {
    pub(super) fn root(&self) -> &Path {
        self.tree.root()
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.tree.epoch()
    }

    /// A program in the tree, in the build's environment.
    pub(super) fn spec(&self, program: &str) -> Spec {
        self.tree.spec(program)
    }

    /// make, which starts the compiler through the launcher.
    pub(super) fn make(&self) -> Spec {
        let environment = self.tree.environment().iter().chain(&self.environment);
        self.tree
            .spec("make")
            .environment(environment.map(|(name, value)| (name.clone(), value.clone())))
            .args(&self.arguments)
    }

    /// The argument of make that links extension modules.
    pub(super) fn module_link(&self) -> &str {
        self.tree.module_link()
    }

    /// Returns the cache hits and misses as text; empty if the launcher does not count. A failure to read the
    /// counts does not fail the build: it is reported as [`Event::Detail`].
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(super) fn results(&self, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<String> {
        match self.counted(runner) {
            Err(error) if !matches!(error, Error::Interrupted(_)) => {
                reporter.report(Event::Detail(format!("cannot read the cache counts of the launcher: {error}")));
                Ok(String::new())
            }
            other => other,
        }
    }

    fn counted(&self, runner: &dyn Runner) -> Result<String> {
        let (launcher, counts) = match &self.counts {
            Counts::None => return Ok(String::new()),
            Counts::Ccache(path) => match fs_err::read_to_string(path) {
                Ok(text) => (Launcher::Ccache, ccache_counts(&text)),
                // ccache writes no file if the user disabled its statistics.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
                Err(error) => return Err(error.into()),
            },
            Counts::Sccache(before) => {
                let now = sccache_counts(&runner.capture(&asked("sccache", SCCACHE_COUNTS))?);
                // Another client may have reset the server's counts.
                let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
                let hits = since(now.hits, before.hits);
                let misses = since(now.misses, before.misses);
                (Launcher::Sccache, CacheCounts { hits, misses })
            }
        };
        Ok(format!("{launcher}: {counts}"))
    }
}

/// Sets up a launcher.
///
/// # Errors
/// [`Error::Spawn`] or [`Error::Command`] if the launcher fails, [`Error::Io`], [`Error::Interrupted`].
pub fn launch(tree: ConfiguredTree, launcher: Launcher, context: &BuildContext<'_>) -> Result<LaunchedTree> {
    let (plan, runner, reporter) = (context.plan, context.runner(), context.reporter());
    let mut ready = LaunchedTree { tree, arguments: Vec::new(), environment: BTreeMap::new(), counts: Counts::None };
    if launcher == Launcher::None {
        return Ok(ready);
    }
    let user: BTreeMap<String, OsString> =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    // A launcher compares only the compiler's driver, or its age. The digest covers all programs that compile.
    let toolchain = Digest::of_json(&plan.toolchain);
    (ready.environment, ready.counts) = if launcher == Launcher::Ccache {
        (ccache(&user, toolchain, context)?, Counts::Ccache(context.work.join(CCACHE_RESULTS)))
    } else {
        // The server runs in the user's own environment. A server that a compilation starts would end with make
        // and would not know the user's remote storage. This fails if a server runs already.
        let server = runner.run(&asked("sccache", &["--start-server"]), &mut |_, line| {
            reporter.report(Event::Detail(format!("sccache: {line}")));
        })?;
        reporter.report(Event::Detail(format!("sccache --start-server: {server}")));
        let before = runner.capture(&asked("sccache", SCCACHE_COUNTS))?;
        (sccache(&user, toolchain), Counts::Sccache(sccache_counts(&before)))
    };
    let makefile = fs_err::read_to_string(ready.root().join("Makefile"))?;
    let compiler = compiler(&makefile).or_else(|| plan.environment.get("CC").map(String::as_str)).unwrap_or("gcc");
    ready.arguments.push(format!("CC={launcher} {compiler}").into());
    reporter.report(Event::Detail(format!(
        "{launcher} is given {}",
        ready.environment.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    )));
    Ok(ready)
}

/// Returns the compiler as configure wrote it: for some series with arguments, such as `-pthread`.
fn compiler(makefile: &str) -> Option<&str> {
    makefile.lines().find_map(|line| line.strip_prefix("CC=")).map(str::trim).filter(|words| !words.is_empty())
}

/// Returns a command of a launcher, which runs in the user's own environment.
fn asked(program: &str, arguments: &[&str]) -> Spec {
    Spec::new(find_program(program).unwrap_or_else(|| program.into()))
        .args(arguments.iter().map(ToString::to_string))
        .timeout(Duration::from_mins(1))
}

/// Returns ccache's environment. Its home directory is not the user's, so the settings of the user's
/// configuration files are copied into a file that it names.
fn ccache(
    user: &BTreeMap<String, OsString>,
    toolchain: Digest,
    context: &BuildContext<'_>,
) -> Result<BTreeMap<String, OsString>> {
    let BuildContext { plan, work, .. } = *context;
    let shown = context.runner().capture(&asked("ccache", &["--show-config"]))?;
    let configuration = Configuration::read(&shown);
    let file = work.join(CCACHE_CONFIGURATION);
    fs_err::write(&file, &configuration.text)?;
    let mut environment = forwarded(user, &[CCACHE]);
    if let Some(directory) = &configuration.cache_directory {
        // make runs in another directory, so a relative path would lead elsewhere.
        environment.insert("CCACHE_DIR".into(), std::path::absolute(directory)?.into());
    }
    if configuration.starts("distcc") {
        environment.extend(forwarded(user, &[DISTCC]));
        if let Some(home) = user.get("HOME") {
            environment.entry("DISTCC_DIR".into()).or_insert_with(|| Path::new(home).join(".distcc").into());
        }
    }
    if configuration.starts("icecc") {
        environment.extend(forwarded(user, &[ICECC]));
        // This machine preprocesses sources completely: on another one `__DATE__` would be another day.
        environment.insert("ICECC_REMOTE_CPP".into(), "0".into());
    }
    environment.insert("CCACHE_CONFIGPATH".into(), file.into());
    environment.insert("CCACHE_COMPILERCHECK".into(), format!("string:{toolchain}").into());
    environment.insert("CCACHE_STATSLOG".into(), work.join(CCACHE_RESULTS).into());
    // Each build directory has another name. With debug information ccache would change the paths in it, and
    // so the bytes.
    if !plan.request.policies.debug_files {
        environment.insert("CCACHE_BASEDIR".into(), fs_err::canonicalize(work)?.into());
    }
    Ok(environment)
}

/// The configuration that ccache prints, in lines `(origin) key = value`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Configuration {
    cache_directory: Option<String>,
    /// The program through which ccache starts the compiler.
    prefix: String,
    /// The user's settings of the keys on the list, as a configuration file.
    text: String,
}

impl Configuration {
    fn read(shown: &str) -> Self {
        let mut configuration = Self::default();
        for line in shown.lines() {
            let Some((origin, setting)) = line.strip_prefix('(').and_then(|line| line.split_once(") ")) else {
                continue;
            };
            let Some((key, value)) = setting.split_once(" = ") else { continue };
            match key {
                "cache_dir" => configuration.cache_directory = Some(value.to_owned()),
                "prefix_command" => value.clone_into(&mut configuration.prefix),
                _ => {}
            }
            if origin.starts_with('/') && CCACHE_KEYS.contains(&key) {
                configuration.text.extend([key, " = ", value, "\n"]);
            }
        }
        configuration
    }

    /// Whether ccache starts the compiler through a program.
    fn starts(&self, program: &str) -> bool {
        self.prefix.split_whitespace().any(|word| Path::new(word).ends_with(program))
    }
}

/// Returns sccache's environment.
fn sccache(user: &BTreeMap<String, OsString>, toolchain: Digest) -> BTreeMap<String, OsString> {
    let mut environment = forwarded(user, &[SCCACHE]);
    environment.insert("SCCACHE_C_CUSTOM_CACHE_BUSTER".into(), toolchain.to_string().into());
    environment
}

/// Counts the results that ccache wrote. For each compilation it writes the source's name as a comment, and
/// its counters.
fn ccache_counts(text: &str) -> CacheCounts {
    let mut counts = CacheCounts::default();
    for line in text.lines() {
        match line {
            "direct_cache_hit" | "preprocessed_cache_hit" => counts.hits += 1,
            "cache_miss" => counts.misses += 1,
            _ => {}
        }
    }
    counts
}

/// Reads the counts of sccache's server, which are numbers for each language. A missing number is zero.
fn sccache_counts(text: &str) -> CacheCounts {
    let shown: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let sum = |name: &str| {
        let counts = shown["stats"][name]["counts"].as_object();
        counts.map_or(0, |counts| counts.values().filter_map(serde_json::Value::as_u64).sum())
    };
    CacheCounts { hits: sum("cache_hits"), misses: sum("cache_misses") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_as_hits_and_misses() {
        assert_eq!(CacheCounts { hits: 212, misses: 1 }.to_string(), "212 hits, 1 miss");
        assert_eq!(CacheCounts { hits: 1, misses: 0 }.to_string(), "1 hit, 0 misses");
    }

    #[test]
    fn the_compiler_is_the_makefiles() {
        assert_eq!(compiler("# a comment\nPREFIX_CC=x\nCC=\t\tgcc -pthread\nCXX=\t\tg++\n"), Some("gcc -pthread"));
        assert_eq!(compiler("CXX=g++\n"), None);
        assert_eq!(compiler("CC=\n"), None);
    }

    #[test]
    fn the_users_configuration_is_taken_where_it_changes_no_object() {
        let shown = "(default) absolute_paths_in_stderr = false\n\
                     (environment) cache_dir = /home/me/cache (mine)\n\
                     (/home/me/.config/ccache/ccache.conf) max_size = 20.0G\n\
                     (/home/me/.config/ccache/ccache.conf) sloppiness = system_headers, time_macros\n\
                     (/etc/ccache.conf) remote_storage = redis://cache.test\n\
                     (environment) prefix_command = distcc\n\
                     (default) umask = \n";
        let configuration = Configuration::read(shown);
        assert_eq!(configuration.cache_directory.as_deref(), Some("/home/me/cache (mine)"));
        assert!(configuration.starts("distcc") && !configuration.starts("icecc"));
        assert_eq!(configuration.text, "max_size = 20.0G\nremote_storage = redis://cache.test\n");
    }

    #[test]
    fn objects_are_counted() {
        let text = "# Objects/a.c\ncache_miss\ndirect_cache_miss\nlocal_storage_write\n# b.c\ndirect_cache_hit\n\
                    # c.c\npreprocessed_cache_hit\ndirect_cache_miss\n# -o python\ncalled_for_link\n";
        assert_eq!(ccache_counts(text), CacheCounts { hits: 2, misses: 1 });
        let text = r#"{"stats": {"compile_requests": 9, "cache_hits": {"counts": {"C/C++": 3, "Assembler": 1}},
                       "cache_misses": {"counts": {"C/C++": 2}}}}"#;
        assert_eq!(sccache_counts(text), CacheCounts { hits: 4, misses: 2 });
        assert_eq!(sccache_counts("{}"), CacheCounts::default());
    }
}
