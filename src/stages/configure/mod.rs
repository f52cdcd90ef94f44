//! Configure: runs `./configure` in a patched tree, or restores its output.

mod cache;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::cache::ConfigureCache;
use super::patch::PatchedTree;
use super::recorder::{self, Recorder};
use super::{BuildContext, debug_paths};
use crate::domain::configure::ArgumentProblem;
use crate::domain::inputs::InputFinding;
use crate::domain::plan::BuildPlan;
use crate::error::{Error, Result};
use crate::sys::process::{Outcome, Spec, Stream};
use crate::sys::toolchain::find_program;

/// The linker's flags of extension modules. DT_RPATH, unlike DT_RUNPATH, also serves the bundled
/// libraries' own dependencies; `<prefix>/lib` is two directories above `lib-dynload`.
const MODULE_LINK_FLAGS: &str = "-Wl,--disable-new-dtags -Wl,-rpath,$ORIGIN/../..\n";

/// The only directory of pkg-config files that the build uses, relative to the source tree.
const PKG_CONFIG: &str = "../pkgconfig";

/// A configured tree.
#[derive(Debug)]
pub struct ConfiguredTree {
    root: PathBuf,
    epoch: u64,
    environment: BTreeMap<String, OsString>,
    recorder: Recorder,
    module_link: String,
}

impl ConfiguredTree {
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the recorder of the files that the compiler reads.
    pub(super) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Returns the environment of configure and make.
    pub(super) const fn environment(&self) -> &BTreeMap<String, OsString> {
        &self.environment
    }

    /// Returns the specification of a program that runs in the tree, in the build's environment.
    pub(super) fn spec(&self, program: &str) -> Spec {
        Spec::new(program).directory(&self.root).environment(self.environment.clone())
    }

    /// Returns the argument of make that links extension modules.
    pub(super) fn module_link(&self) -> &str {
        &self.module_link
    }
}

/// Runs configure with exactly the plan's environment and arguments, or restores its output from an earlier build with
/// the same inputs.
///
/// # Errors
/// [`Error::Command`] if configure, pkg-config or the linker fails; [`Error::ConfigureArgument`] for one of the user's
/// arguments that configure does not know; [`Error::Unconfirmed`] for a zip of the standard
/// library at the prefix; [`Error::UnplannedRead`] for a file that is not in the plan; [`Error::Io`] if a file cannot
/// be read or written.
pub fn configure(tree: &PatchedTree, context: &BuildContext<'_>) -> Result<ConfiguredTree> {
    let BuildContext { plan, store, work, log, .. } = *context;
    // In a response file `$ORIGIN` needs no quoting for make and the shell.
    let flags = work.join("module-link.rsp");
    fs_err::write(&flags, MODULE_LINK_FLAGS)?;
    if plan.request.policies.debug_files {
        let map = format!("-ffile-prefix-map={}={}\n", tree.root().display(), debug_paths::source_name(plan));
        fs_err::write(work.join(debug_paths::FILE), map)?;
    }
    refuse_library_in_prefix(plan)?;
    close_pkg_config(context)?;
    let planned = environment(tree, plan);
    let recorder = Recorder::create(plan, work, context.runner())?;
    let configured = ConfiguredTree {
        root: tree.root().to_owned(),
        epoch: tree.epoch(),
        environment: recorder.environment(&planned),
        recorder,
        module_link: plan.module_link.replace("{flags}", &format!("@{}", flags.display())),
    };
    let cache = ConfigureCache::new(tree, plan, &planned)?;
    if !cache.restore(store, work, log.reporter())? {
        // config.guess compiles a program in a temporary directory.
        let mut environment = configured.environment.clone();
        environment.insert("TMPDIR".into(), configured.recorder.temporary().into());
        let spec = configured.spec("./configure").args(&plan.configure).environment(environment);
        let mut unknown = None;
        log.run(&spec, |line| unknown = unknown.take().or_else(|| unknown_argument(line, plan)))?;
        if let Some(argument) = unknown {
            return Err(Error::ConfigureArgument { argument, problem: ArgumentProblem::Unknown });
        }
        configured.recorder.check(&plan.inputs, work)?;
        cache.keep(store, work)?;
    }
    fs_err::write(tree.root().join("Modules/Setup.local"), setup(plan))?;
    Ok(configured)
}

/// Returns the first of the user's arguments that a line of configure's output names as unknown. Configure itself only
/// warns, and a misspelt option would have no effect.
fn unknown_argument(line: &str, plan: &BuildPlan) -> Option<String> {
    let names = line.strip_prefix("configure: WARNING: unrecognized options: ")?;
    let is_unknown = |argument: &&String| names.split(", ").any(|name| argument.split('=').next() == Some(name));
    plan.request.policies.configure_arguments.iter().find(is_unknown).cloned()
}

/// Refuses a zip of the standard library at the prefix: the new interpreter searches it first, and would run its
/// modules during the build.
fn refuse_library_in_prefix(plan: &BuildPlan) -> Result<()> {
    let name = format!("lib/python{}.zip", plan.request.release.series().to_string().replace('.', ""));
    let path = plan.request.prefix.as_path().join(name);
    if !path.exists() {
        return Ok(());
    }
    let reason = "the interpreter that is built would import modules from it".into();
    Err(Error::Unconfirmed { findings: vec![InputFinding { path, reason, remedy: "remove it".into() }] })
}

/// Returns the text of `Modules/Setup.local`. CPython's `makesetup` reads it before its own lists, and the first line
/// of a module wins.
fn setup(plan: &BuildPlan) -> String {
    let builtin = plan.builtin.iter().map(|(name, source)| format!("{name} {source}\n"));
    let disabled = plan.disabled.iter().map(|name| format!("{name}\n"));
    // `make install` installs the file, so it has no empty section.
    let heading = (!plan.builtin.is_empty()).then(|| "*static*\n".to_owned());
    heading.into_iter().chain(builtin).chain(["*disabled*\n".to_owned()]).chain(disabled).collect()
}

/// Makes the directory with the pkg-config files of the plan's libraries and no others, so that other packages on the
/// host change nothing.
fn close_pkg_config(context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, work, .. } = *context;
    let directory = work.join("pkgconfig");
    fs_err::create_dir(&directory)?;
    let path = ("PATH", plan.environment["PATH"].as_str());
    let program = find_program("pkg-config").unwrap_or_else(|| "pkg-config".into());
    let query = |word: &str, name: &str| Spec::new(&program).args([word, name]).timeout(Duration::from_mins(1));
    let usual = query("--variable=pc_path", "pkg-config").environment([path]);
    let places = packaged(&context.runner().capture(&usual)?);
    for name in &plan.pkg_config {
        let mut place = String::new();
        let spec = query("--variable=pcfiledir", name).environment([path, ("PKG_CONFIG_LIBDIR", &places)]);
        let outcome = context.runner().run(&spec, &mut |stream, line| {
            if stream == Stream::Out {
                place.push_str(line);
            }
        })?;
        match outcome {
            Outcome::Exited(status) if status.success() && !place.is_empty() => {
                let file = format!("{name}.pc");
                let found = Path::new(&place).join(&file);
                recorder::check_file(&found, &plan.inputs, work)?;
                fs_err::os::unix::fs::symlink(found, directory.join(file))?;
            }
            // A library without such a file (bzip2 on Debian) is found by its header.
            Outcome::Exited(status) if status.code().is_some_and(|code| code < 128) => {}
            _ => {
                return Err(Error::Command {
                    command: spec.command_line(),
                    status: outcome.to_string(),
                    output: place,
                    log: None,
                });
            }
        }
    }
    Ok(())
}

/// Returns those of pkg-config's directories that belong to packages: a locally installed file has no version that a
/// plan could name.
fn packaged(places: &str) -> String {
    places.split(':').filter(|place| !place.starts_with("/usr/local/")).collect::<Vec<_>>().join(":")
}

fn environment(tree: &PatchedTree, plan: &BuildPlan) -> BTreeMap<String, OsString> {
    let mut environment: BTreeMap<String, OsString> =
        plan.environment.iter().map(|(name, value)| (name.clone(), value.into())).collect();
    environment.insert("SOURCE_DATE_EPOCH".into(), tree.epoch().to_string().into());
    environment.insert("PKG_CONFIG_LIBDIR".into(), PKG_CONFIG.into());
    if plan.request.policies.debug_files {
        let more = format!("-g {}", debug_paths::WORD);
        let flags = plan.environment.get("CFLAGS_NODIST").map_or(more.clone(), |flags| format!("{flags} {more}"));
        environment.insert("CFLAGS_NODIST".into(), flags.into());
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_local_has_a_section_for_what_is_built_in_if_anything_is() {
        let mut plan = crate::domain::plan::tests::plan();
        plan.disabled = vec!["_dbm".into(), "nis".into()];
        assert_eq!(setup(&plan), "*disabled*\n_dbm\nnis\n");
        plan.builtin = [("math".to_owned(), "mathmodule.c".to_owned())].into();
        assert_eq!(setup(&plan), "*static*\nmath mathmodule.c\n*disabled*\n_dbm\nnis\n");
    }

    #[test]
    fn an_argument_that_configure_does_not_know_is_found_in_its_warning() {
        let mut plan = crate::domain::plan::tests::plan();
        plan.request.policies.configure_arguments = vec!["--with-assertions".into(), "--with-dokstrings=no".into()];
        let warning = "configure: WARNING: unrecognized options: --enable-old, --with-dokstrings";
        assert_eq!(unknown_argument(warning, &plan).as_deref(), Some("--with-dokstrings=no"));
        // The recipe's own arguments are the recipe's business.
        assert_eq!(unknown_argument("configure: WARNING: unrecognized options: --enable-old", &plan), None);
        assert_eq!(unknown_argument("checking for --with-assertions... no", &plan), None);
    }

    #[test]
    fn local_pkg_config_files_are_not_used() {
        let debian = "/usr/local/lib/x86_64-linux-gnu/pkgconfig:/usr/local/lib/pkgconfig:/usr/local/share/pkgconfig:\
                      /usr/lib/x86_64-linux-gnu/pkgconfig:/usr/lib/pkgconfig:/usr/share/pkgconfig";
        let expected = "/usr/lib/x86_64-linux-gnu/pkgconfig:/usr/lib/pkgconfig:/usr/share/pkgconfig";
        assert_eq!(packaged(debian), expected);
    }
}
