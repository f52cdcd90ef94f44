//! Stage: runs `make install` into a staging directory, and checks that every module of the recipe was built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::compile::CompiledTree;
use super::modules::built_modules;
use super::{BuildContext, compiled_in, libpython};
use crate::domain::plan::BuildPlan;
use crate::error::{Error, Result};
use crate::sys::process::Spec;
use crate::sys::{elf, fs};

/// A prefix in the staging directory, never the real one.
#[derive(Debug)]
pub struct StagedPrefix {
    root: PathBuf,
    epoch: u64,
    builtin_modules: Vec<String>,
    /// The versions of the libraries of which the source has a copy.
    compiled_in: BTreeMap<String, Option<String>>,
    /// The work directory, which no file of the prefix may mention.
    build_directory: PathBuf,
}

impl StagedPrefix {
    /// The directory with the content of the prefix.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn builtin_modules(&self) -> &[String] {
        &self.builtin_modules
    }

    pub(super) const fn compiled_in(&self) -> &BTreeMap<String, Option<String>> {
        &self.compiled_in
    }

    pub(super) fn build_directory(&self) -> &Path {
        &self.build_directory
    }

    /// A copy for another flavor.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be copied.
    pub fn copy(&self, to: &Path) -> Result<Self> {
        fs::copy_tree(&self.root, to)?;
        Ok(Self {
            root: to.to_owned(),
            epoch: self.epoch,
            builtin_modules: self.builtin_modules.clone(),
            compiled_in: self.compiled_in.clone(),
            build_directory: self.build_directory.clone(),
        })
    }
}

/// Installs into a staging directory.
///
/// # Errors
/// [`Error::Command`] if make or the interpreter fails; [`Error::MissingModules`] and [`Error::UnlistedModules`]
/// if the modules are not those of the plan; [`Error::Io`].
pub fn stage(tree: &CompiledTree, context: &BuildContext<'_>) -> Result<StagedPrefix> {
    let BuildContext { plan, work, log, .. } = *context;
    let destdir = work.join("staging");
    let install = tree.make(plan).args(&plan.install).arg(format!("DESTDIR={}", destdir.display())).arg("install");
    log.run(&install, |_| {})?;
    let root = plan.request.prefix.below(&destdir);
    if plan.static_library {
        libpython::complete(&root, tree, context)?;
    }
    let builtin_modules = builtin_modules(&root, context)?;
    check_modules(&root, tree, &builtin_modules, context)?;
    let compiled_in = compiled_in::read(tree.root(), &needed(&root, plan)?)?;
    Ok(StagedPrefix { root, epoch: tree.epoch(), builtin_modules, compiled_in, build_directory: work.to_owned() })
}

/// The sonames that the interpreter, libpython and the extension modules need.
fn needed(root: &Path, plan: &BuildPlan) -> Result<BTreeSet<String>> {
    let directories = [root.join("bin"), root.join("lib"), root.join(plan.stdlib()).join("lib-dynload")];
    let mut sonames = BTreeSet::new();
    for directory in directories {
        for entry in fs_err::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && elf::is_elf(&entry.path())? {
                sonames.extend(elf::read(&entry.path())?.needed);
            }
        }
    }
    Ok(sonames)
}

fn check_modules(root: &Path, tree: &CompiledTree, builtin: &[String], context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, recipe, log, .. } = *context;
    let built = built_modules(root, plan)?;
    let missing: Vec<&String> = plan
        .modules
        .iter()
        .filter(|name| !built.contains(*name))
        .chain(plan.builtin.keys().filter(|name| !builtin.contains(name)))
        .collect();
    if !missing.is_empty() {
        let family = context.distro.family;
        let packages: BTreeSet<String> = recipe
            .shared
            .libraries
            .iter()
            .filter(|library| library.modules.iter().any(|name| missing.contains(&name)))
            .map(|library| family.name(&library.debian, &library.fedora).clone())
            .collect();
        return Err(Error::MissingModules {
            modules: missing.into_iter().map(|name| (name.clone(), tree.reason(name))).collect(),
            packages: packages.into_iter().collect(),
            log: log.path().to_owned(),
        });
    }
    let unlisted: Vec<String> = built.into_iter().filter(|name| !plan.modules.contains(name)).collect();
    if unlisted.is_empty() {
        return Ok(());
    }
    Err(Error::UnlistedModules {
        modules: unlisted,
        recipe: format!("the recipe of {}", plan.request.release.series()),
    })
}

fn builtin_modules(root: &Path, context: &BuildContext<'_>) -> Result<Vec<String>> {
    let spec = Spec::new(root.join(context.plan.interpreter()))
        .args(["-I", "-S", "-B", "-c", "import sys; print(*sys.builtin_module_names, sep='\\n')"])
        .environment([("LC_ALL", "C.UTF-8")]);
    Ok(context.runner().capture(&spec)?.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::super::toy::{Toy, compiled, staged};
    use super::*;
    use crate::sys::process::scripted::Answer;

    const SSL: (&str, &[u8]) = ("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", b"ssl");
    const LZMA: (&str, &[u8]) = ("lib/python3.13/lib-dynload/_lzma.cpython-313-x86_64-linux-gnu.so", b"lzma");

    #[test]
    fn make_installs_into_the_staging_directory_with_the_arguments_it_compiled_with() {
        let mut toy = Toy::new(&[SSL]);
        toy.plan.make = vec!["PROFILE_TASK=".into()];
        toy.plan.install = vec!["ENSUREPIP=no".into()];
        let (root, builtin) = toy.build("work", |context| {
            let staged = staged(context).unwrap();
            (staged.root().to_owned(), staged.builtin_modules().to_vec())
        });
        let destdir = toy.path("work/staging");
        assert_eq!(root, destdir.join("opt/myorg/python-3.13"));
        assert_eq!(builtin, ["sys", "builtins"]);
        let specs = toy.runner.specs();
        let make: Vec<_> = specs.iter().filter(|spec| spec.program == Path::new("make")).collect();
        let [all, install] = &make[..] else { panic!("{make:?}") };
        let shared = install.args.len() - 3;
        assert_eq!(install.args[..shared], all.args[..shared]);
        assert!(install.args.contains(&"PROFILE_TASK=".into()));
        let last = ["ENSUREPIP=no".into(), format!("DESTDIR={}", destdir.display()), "install".into()];
        assert_eq!(install.args[shared..], last.map(std::ffi::OsString::from));
        // The user's environment is not passed on.
        assert_eq!(install.environment["SOURCE_DATE_EPOCH"], *super::super::toy::EPOCH.to_string());
        assert!(!install.environment.contains_key("USER"));
    }

    #[test]
    fn a_missing_module_is_an_error_with_the_reason_that_make_gave() {
        let toy = Toy::new(&[]).on(" all", Answer::new().out("Failed to build these modules:\n_ssl\n"));
        match toy.build("work", staged) {
            Err(Error::MissingModules { modules, packages, log }) => {
                assert_eq!(modules, [("_ssl".to_owned(), "it did not compile".to_owned())]);
                assert_eq!(packages.len(), 1, "{packages:?}");
                assert_eq!(log, toy.path("work.log"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_module_that_is_not_linked_into_the_interpreter_is_missing() {
        let mut toy = Toy::new(&[SSL]);
        toy.plan.builtin = [("math".to_owned(), "mathmodule.c".to_owned())].into();
        let error = toy.build("work", staged).unwrap_err();
        assert!(matches!(&error, Error::MissingModules { modules, .. } if modules[0].0 == "math"), "{error:?}");
    }

    #[test]
    fn a_module_that_the_recipe_does_not_list_is_an_error() {
        let toy = Toy::new(&[SSL, LZMA]);
        let error = toy.build("work", staged).unwrap_err();
        assert!(matches!(&error, Error::UnlistedModules { modules, .. } if modules == &["_lzma"]), "{error:?}");
    }

    #[test]
    fn a_make_that_fails_is_shown_with_its_error_and_the_log() {
        let said = "gcc -c a.c\na.c:1:1: error: no\nmake: *** [a.o] Error 1\n";
        let toy = Toy::new(&[SSL]).on(" install", Answer::new().err(said).code(2));
        match toy.build("work", |context| stage(&compiled(context).unwrap(), context)) {
            Err(Error::Command { status, output, log, .. }) => {
                assert_eq!((status.as_str(), log), ("exit status 2", Some(toy.path("work.log"))));
                assert!(output.contains("a.c:1:1: error: no"), "{output}");
            }
            other => panic!("{other:?}"),
        }
        assert!(fs_err::read_to_string(toy.path("work.log")).unwrap().contains(said));
    }
}
