//! Compile: make and `make install` into a staging directory, and the check that every module of
//! the recipe came out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::configure::ConfiguredTree;
use crate::domain::plan::BuildPlan;
use crate::error::{Error, Result};
use crate::event::{Event, Unit};
use crate::recipe::ReleaseRecipe;
use crate::sys::distro::{Distro, Family};
use crate::sys::fs;
use crate::sys::jobserver::JobServer;
use crate::sys::log::BuildLog;
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

/// Compiles and stages.
///
/// # Errors
/// The first compiler error; [`Error::MissingModules`]; [`Error::UnlistedModules`].
pub fn compile(
    tree: &ConfiguredTree,
    plan: &BuildPlan,
    recipe: &ReleaseRecipe,
    jobs: &JobServer,
    work: &Path,
    log: &mut BuildLog<'_>,
) -> Result<StagedPrefix> {
    let mut report = ModuleReport::default();
    let mut steps = 0;
    let make = tree.spec("make").jobs(jobs).args(&plan.make).arg(tree.module_link());
    let reporter = log.reporter();
    log.run(&make.arg("all"), |line| {
        report.line(line);
        if line.contains(" -c ") {
            steps += 1;
            reporter.report(Event::Progress { done: steps, total: None, unit: Unit::Steps });
        }
    })?;
    let destdir = work.join("staging");
    let install = tree
        .spec("make")
        .args(&plan.install)
        .arg(tree.module_link())
        .arg(format!("DESTDIR={}", destdir.display()))
        .arg("install");
    log.run(&install, |_| {})?;
    let root = plan.prefix.below(&destdir);
    check_modules(&root, plan, recipe, &report, log.path())?;
    let builtin_modules = builtin_modules(&root, plan, log)?;
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

fn check_modules(
    root: &Path,
    plan: &BuildPlan,
    recipe: &ReleaseRecipe,
    report: &ModuleReport,
    log: &Path,
) -> Result<()> {
    let built = built_modules(root, plan)?;
    let missing: Vec<&String> = plan.modules.iter().filter(|name| !built.contains(*name)).collect();
    if !missing.is_empty() {
        let family = Distro::read(Path::new("/")).family;
        let packages: BTreeSet<String> = recipe
            .libraries
            .iter()
            .filter(|library| library.modules.iter().any(|name| missing.contains(&name)))
            .map(|library| match family {
                Family::Fedora => library.fedora.clone(),
                Family::Debian | Family::Other => library.debian.clone(),
            })
            .collect();
        return Err(Error::MissingModules {
            modules: missing.into_iter().map(|name| (name.clone(), report.reason(name))).collect(),
            packages: packages.into_iter().collect(),
            log: log.to_owned(),
        });
    }
    let unlisted: Vec<String> = built.into_iter().filter(|name| !plan.modules.contains(name)).collect();
    if unlisted.is_empty() {
        return Ok(());
    }
    Err(Error::UnlistedModules { modules: unlisted, recipe: format!("the recipe of {}", plan.release.series()) })
}

fn builtin_modules(root: &Path, plan: &BuildPlan, log: &BuildLog<'_>) -> Result<Vec<String>> {
    let spec = Spec::new(root.join(plan.interpreter()))
        .args(["-I", "-S", "-B", "-c", "import sys; print(*sys.builtin_module_names, sep='\\n')"])
        .environment([("LC_ALL", "C.UTF-8")]);
    Ok(log.runner().capture(&spec)?.lines().map(str::to_owned).collect())
}

/// What CPython's own check says of modules that are not there.
#[derive(Debug, Default)]
struct ModuleReport {
    section: Option<&'static str>,
    reasons: Vec<(String, &'static str)>,
}

impl ModuleReport {
    /// The headings of the report, up to 3.11 (`setup.py`) and from 3.12 on
    /// (`Tools/build/check_extension_modules.py`), and what each means.
    const SECTIONS: &[(&str, &str)] = &[
        ("The necessary bits to build these optional modules were not found", "a header or library was not found"),
        ("Failed to build these modules", "it did not compile"),
        ("could not be imported", "it compiled and could not be imported"),
    ];

    fn line(&mut self, line: &str) {
        if let Some((_, meaning)) = Self::SECTIONS.iter().find(|(heading, _)| line.contains(heading)) {
            self.section = Some(meaning);
            return;
        }
        let Some(meaning) = self.section else { return };
        let names: Vec<_> = line.split_whitespace().collect();
        let is_list =
            !names.is_empty() && names.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        if is_list {
            self.reasons.extend(names.into_iter().map(|name| (name.to_owned(), meaning)));
        } else {
            self.section = None;
        }
    }

    fn reason(&self, name: &str) -> String {
        let found = self.reasons.iter().find(|(module, _)| module == name);
        found.map_or("make did not build it", |(_, meaning)| meaning).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpythons_report_says_why_a_module_is_missing() {
        let text = "Checked 112 modules (33 built-in, 61 shared, 1 n/a on linux-x86_64, 15 disabled, 2 missing, 0 failed)\n\
                    The necessary bits to build these optional modules were not found:\n\
                    _dbm                  _ssl                                         \n\
                    To find the necessary bits, look in configure.ac and config.log.\n\
                    \n\
                    Following modules built successfully but were removed because they could not be imported:\n\
                    _curses\n\
                    \n\
                    Failed to build these modules:\n\
                    _lzma\n";
        let mut report = ModuleReport::default();
        text.lines().for_each(|line| report.line(line));
        assert_eq!(report.reason("_ssl"), "a header or library was not found");
        assert_eq!(report.reason("_curses"), "it compiled and could not be imported");
        assert_eq!(report.reason("_lzma"), "it did not compile");
        assert_eq!(report.reason("_uuid"), "make did not build it");
    }
}
