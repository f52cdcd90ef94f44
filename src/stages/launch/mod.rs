//! Launch: sets up the compiler launcher (ccache or sccache) with which make starts the compiler.
//!
//! Only make's environment names the launcher, for the script that starts the compiler (`recorder`): the plan and the
//! installed files do not mention it. The build's environment is closed, so a launcher gets only those variables of
//! the user that are on its list in `variables`.

mod variables;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::variables::{CCACHE, CCACHE_KEYS, DISTCC, ICECC, SCCACHE, forwarded};
use super::BuildContext;
use super::configure::ConfiguredTree;
use super::recorder::{self, Recorder};
use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::domain::plan::BuildPlan;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::sys::process::{Runner, Spec, of_user};
use crate::sys::toolchain::{LOCAL_PATH, find_local_program};

/// The arguments with which sccache's client shows the counts of its server.
const SCCACHE_COUNTS: &[&str] = &["--show-stats", "--stats-format", "json"];
/// The configuration file that ccache reads.
const CCACHE_CONFIGURATION: &str = "ccache.conf";
/// The file to which ccache writes the result of each compilation.
const CCACHE_RESULTS: &str = "ccache-results.log";

/// A configured tree with its launcher.
#[derive(Debug)]
pub struct LaunchedTree {
    tree: ConfiguredTree,
    /// The arguments of make besides the plan's.
    arguments: Vec<OsString>,
    environment: BTreeMap<String, OsString>,
    counts: Counts,
}

/// Where a launcher counts its cache hits.
#[derive(Debug)]
enum Counts {
    /// Nowhere.
    None,
    /// In a file of this build.
    Ccache(PathBuf),
    /// In its server, which counts for all builds: the counts before this one.
    Sccache(Objects),
}

/// The cache hits and misses of a launcher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Objects {
    hits: u64,
    misses: u64,
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

    /// Returns the recorder of the files that the compiler reads.
    pub(super) const fn recorder(&self) -> &Recorder {
        self.tree.recorder()
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

    /// Returns the cache hits and misses in a few words; empty if the launcher does not count. Counts that cannot be read
    /// are no error, because everything is compiled.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(super) fn results(&self, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<String> {
        match self.counted(runner) {
            Err(error) if !matches!(error, Error::Interrupted(_)) => {
                reporter.report(Event::Detail(format!("the statistics of the launcher are not available: {error}")));
                Ok(String::new())
            }
            other => other,
        }
    }

    fn counted(&self, runner: &dyn Runner) -> Result<String> {
        let (launcher, objects) = match &self.counts {
            Counts::None => return Ok(String::new()),
            Counts::Ccache(path) => match fs_err::read_to_string(path) {
                Ok(text) => (Launcher::Ccache, ccache_objects(&text)),
                // ccache writes none if the user turned its statistics off.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
                Err(error) => return Err(error.into()),
            },
            Counts::Sccache(before) => {
                let now = sccache_objects(&runner.capture(&query("sccache", SCCACHE_COUNTS))?);
                // Another process may have reset the counts of the server.
                let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
                let objects = Objects { hits: since(now.hits, before.hits), misses: since(now.misses, before.misses) };
                (Launcher::Sccache, objects)
            }
        };
        let Objects { hits, misses } = objects;
        Ok(format!("{launcher}: {}, {}", counted(hits, "hit", "hits"), counted(misses, "miss", "misses")))
    }
}

/// Sets up a launcher. With [`Launcher::None`] the tree stays as it is.
///
/// # Errors
/// [`Error::Command`] or [`Error::Spawn`] if the launcher fails to print its configuration or its counts,
/// [`Error::Io`] if a file cannot be read or written.
pub fn launch(tree: ConfiguredTree, launcher: Launcher, context: &BuildContext<'_>) -> Result<LaunchedTree> {
    let (plan, runner, reporter) = (context.plan, context.runner(), context.reporter());
    let mut ready = LaunchedTree { tree, arguments: Vec::new(), environment: BTreeMap::new(), counts: Counts::None };
    if plan.inputs.driver_by_path {
        ready.arguments.push(recorded_compiler(&ready, plan)?);
    }
    if launcher == Launcher::None {
        return Ok(ready);
    }
    let user = of_user(std::env::vars_os());
    // A launcher identifies the compiler by its driver, or by the age of that: this covers all its programs.
    let toolchain = Digest::of_json(&plan.toolchain);
    (ready.environment, ready.counts) = if launcher == Launcher::Ccache {
        (ccache(&user, toolchain, context)?, Counts::Ccache(context.work.join(CCACHE_RESULTS)))
    } else {
        // The server runs in the user's own environment. One that a compilation starts would end with make and
        // would not know the user's cache. If a server is running, this fails.
        let server = runner.run(&query("sccache", &["--start-server"]), &mut |_, line| {
            reporter.report(Event::Detail(format!("sccache: {line}")));
        })?;
        reporter.report(Event::Detail(format!("sccache --start-server: {server}")));
        let before = runner.capture(&query("sccache", SCCACHE_COUNTS))?;
        (sccache(&user, toolchain), Counts::Sccache(sccache_objects(&before)))
    };
    reporter.report(Event::Detail(format!(
        "{launcher} is given {}",
        ready.environment.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    )));
    let program = find_local_program(&launcher.to_string()).unwrap_or_else(|| launcher.to_string().into());
    ready.environment.insert(recorder::LAUNCHER.to_owned(), program.into());
    Ok(ready)
}

/// Returns the argument of make that replaces a compiler that is named by its path with the recorder's script.
fn recorded_compiler(tree: &LaunchedTree, plan: &BuildPlan) -> Result<OsString> {
    let makefile = fs_err::read_to_string(tree.root().join("Makefile"))?;
    let words = compiler(&makefile).or_else(|| plan.environment.get("CC").map(String::as_str)).unwrap_or_default();
    let rest = words.split_once(' ').map_or("", |(_, rest)| rest);
    Ok(format!("CC={} {rest}", tree.recorder().script().display()).trim_end().into())
}

/// Returns the compiler in the Makefile. In some series it has arguments, such as `-pthread`.
fn compiler(makefile: &str) -> Option<&str> {
    makefile.lines().find_map(|line| line.strip_prefix("CC=")).map(str::trim).filter(|words| !words.is_empty())
}

/// Returns a launcher that runs in the user's own environment, because its settings and its cache are the user's. The
/// search path is not, and the loader is not told to load anything.
fn query(program: &str, arguments: &[&str]) -> Spec {
    Spec::new(find_local_program(program).unwrap_or_else(|| program.into()))
        .args(arguments.iter().map(ToString::to_string))
        .environment(of_user(std::env::vars_os()))
        .variable("PATH", LOCAL_PATH)
        .timeout(Duration::from_mins(1))
}

/// Returns ccache's environment. Its home directory is not the user's, so the settings of the user's configuration files
/// are copied to a file in the work directory.
fn ccache(
    user: &BTreeMap<String, OsString>,
    toolchain: Digest,
    context: &BuildContext<'_>,
) -> Result<BTreeMap<String, OsString>> {
    let BuildContext { plan, work, .. } = *context;
    let shown = context.runner().capture(&query("ccache", &["--show-config"]))?;
    let configuration = Configuration::read(&shown);
    let file = work.join(CCACHE_CONFIGURATION);
    fs_err::write(&file, &configuration.text)?;
    let mut environment = forwarded(user, &[CCACHE]);
    if let Some(directory) = &configuration.cache_directory {
        // make runs in another directory than this process.
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
        // Sources are preprocessed on this machine: on another, `__DATE__` could be another day.
        environment.insert("ICECC_REMOTE_CPP".into(), "0".into());
    }
    environment.insert("CCACHE_CONFIGPATH".into(), file.into());
    environment.insert("CCACHE_COMPILERCHECK".into(), format!("string:{toolchain}").into());
    environment.insert("CCACHE_STATSLOG".into(), work.join(CCACHE_RESULTS).into());
    // Each build has a work directory of another name. With debug files, the compiler maps its name, and ccache
    // must not rewrite paths as well: the bytes would differ.
    if !plan.request.policies.debug_files {
        environment.insert("CCACHE_BASEDIR".into(), fs_err::canonicalize(work)?.into());
    }
    Ok(environment)
}

/// The output of `ccache --show-config`: lines `(origin) key = value`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Configuration {
    cache_directory: Option<String>,
    /// The program through which ccache starts the compiler.
    prefix: String,
    /// The settings of the user's files whose keys are on the list, as the text of a file.
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

    /// Whether ccache starts the compiler through this program.
    fn starts(&self, program: &str) -> bool {
        self.prefix.split_whitespace().any(|word| Path::new(word).ends_with(program))
    }
}

/// sccache's environment.
fn sccache(user: &BTreeMap<String, OsString>, toolchain: Digest) -> BTreeMap<String, OsString> {
    let mut environment = forwarded(user, &[SCCACHE]);
    environment.insert("SCCACHE_C_CUSTOM_CACHE_BUSTER".into(), toolchain.to_string().into());
    environment
}

/// Counts hits and misses in ccache's statistics log: for each compilation the source's name as a comment, then
/// the counters that it raised.
fn ccache_objects(text: &str) -> Objects {
    let mut objects = Objects::default();
    for line in text.lines() {
        match line {
            "direct_cache_hit" | "preprocessed_cache_hit" => objects.hits += 1,
            "cache_miss" => objects.misses += 1,
            _ => {}
        }
    }
    objects
}

/// Reads the counts of sccache's server, which are numbers for each language. A missing one is zero.
fn sccache_objects(text: &str) -> Objects {
    let shown: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let sum = |name: &str| {
        let counts = shown["stats"][name]["counts"].as_object();
        counts.map_or(0, |counts| counts.values().filter_map(serde_json::Value::as_u64).sum())
    };
    Objects { hits: sum("cache_hits"), misses: sum("cache_misses") }
}

/// `1 hit`, `212 hits`.
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_launcher_is_not_looked_for_on_the_users_path() {
        assert_eq!(query("ccache", &[]).environment["PATH"], LOCAL_PATH);
    }

    #[test]
    fn objects_are_counted() {
        let text = "# Objects/a.c\ncache_miss\ndirect_cache_miss\nlocal_storage_write\n# b.c\ndirect_cache_hit\n\
                    # c.c\npreprocessed_cache_hit\ndirect_cache_miss\n# -o python\ncalled_for_link\n";
        assert_eq!(ccache_objects(text), Objects { hits: 2, misses: 1 });
        let text = r#"{"stats": {"compile_requests": 9, "cache_hits": {"counts": {"C/C++": 3, "Assembler": 1}},
                       "cache_misses": {"counts": {"C/C++": 2}}}}"#;
        assert_eq!(sccache_objects(text), Objects { hits: 4, misses: 2 });
        assert_eq!(sccache_objects("{}"), Objects::default());
    }
}
