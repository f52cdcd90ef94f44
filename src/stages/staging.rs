//! Stage: `make install` of a compiled tree into a staging directory, and the check that every
//! module of the recipe came out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::BuildContext;
use super::compile::CompiledTree;
use crate::domain::plan::BuildPlan;
use crate::error::{Error, Result};
use crate::sys::distro::{Distro, Family};
use crate::sys::fs;
use crate::sys::process::Spec;

/// What `make install` left in the staging directory: never the real prefix.
#[derive(Debug)]
pub struct StagedPrefix {
    root: PathBuf,
    epoch: u64,
    builtin_modules: Vec<String>,
    /// The directories of the build, which nothing under the prefix may mention.
    build_directory: PathBuf,
}

impl StagedPrefix {
    /// Where the prefix's content lies.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn builtin_modules(&self) -> &[String] {
        &self.builtin_modules
    }

    pub(super) fn build_directory(&self) -> &Path {
        &self.build_directory
    }

    /// A copy for another flavor.
    ///
    /// # Errors
    /// What the system answers.
    pub fn copy(&self, to: &Path) -> Result<Self> {
        fs::copy_tree(&self.root, to)?;
        Ok(Self {
            root: to.to_owned(),
            epoch: self.epoch,
            builtin_modules: self.builtin_modules.clone(),
            build_directory: self.build_directory.clone(),
        })
    }
}

/// Installs into a staging directory.
///
/// # Errors
/// What make answers; [`Error::MissingModules`]; [`Error::UnlistedModules`].
pub fn stage(tree: &CompiledTree, context: &BuildContext<'_>) -> Result<StagedPrefix> {
    let BuildContext { plan, work, log, .. } = *context;
    let destdir = work.join("staging");
    let install = tree.make(plan).args(&plan.install).arg(format!("DESTDIR={}", destdir.display())).arg("install");
    log.run(&install, |_| {})?;
    let root = plan.request.prefix.below(&destdir);
    let builtin_modules = builtin_modules(&root, context)?;
    check_modules(&root, tree, &builtin_modules, context)?;
    Ok(StagedPrefix { root, epoch: tree.epoch(), builtin_modules, build_directory: work.to_owned() })
}

/// The names of the extension modules in a tree's `lib-dynload`.
///
/// # Errors
/// What the system answers.
pub(super) fn built_modules(root: &Path, plan: &BuildPlan) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs_err::read_dir(root.join(plan.stdlib()).join("lib-dynload"))? {
        let file = PathBuf::from(entry?.file_name());
        if file.extension().is_some_and(|extension| extension == "so") {
            let name = file.to_string_lossy();
            names.insert(name.split('.').next().unwrap_or_default().to_owned());
        }
    }
    Ok(names)
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
        let family = Distro::read(Path::new("/")).family;
        let packages: BTreeSet<String> = recipe
            .shared
            .libraries
            .iter()
            .filter(|library| library.modules.iter().any(|name| missing.contains(&name)))
            .map(|library| match family {
                Family::Fedora => library.fedora.clone(),
                Family::Debian | Family::Other => library.debian.clone(),
            })
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
