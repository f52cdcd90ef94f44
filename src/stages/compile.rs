//! Compile: runs make, and reads what its output says of modules and of the profile.

use std::collections::BTreeSet;
use std::path::Path;

use super::BuildContext;
use super::freeze::FrozenTree;
use super::launch::LaunchedTree;
use crate::domain::plan::BuildPlan;
use crate::error::{Error, Result};
use crate::event::{Event, Unit};
use crate::recipe::Pgo;
use crate::sys::process::Spec;

/// A tree in which everything is compiled.
#[derive(Debug)]
pub struct CompiledTree {
    tree: LaunchedTree,
    modules: ModuleReport,
    launcher: String,
}

impl CompiledTree {
    /// Returns the root of the tree.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.tree.root()
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.tree.epoch()
    }

    /// A program in the tree, in the build's environment.
    pub(super) fn spec(&self, program: &str) -> Spec {
        self.tree.spec(program)
    }

    /// Compares every file that was read since the compilation with the plan.
    pub(super) fn check_reads(&self, context: &BuildContext<'_>) -> Result<()> {
        self.tree.recorder().check(&context.plan.inputs, context.work)
    }

    /// Returns make with the arguments of the compilation. With others, `make install` would build some files again.
    pub(super) fn make(&self, plan: &BuildPlan) -> Spec {
        make(&self.tree, plan)
    }

    /// Returns the launcher's cache hits and misses in a few words; empty without a launcher.
    #[must_use]
    pub fn launcher_results(&self) -> &str {
        &self.launcher
    }

    /// Returns why a module is missing.
    pub(super) fn reason(&self, module: &str) -> String {
        self.modules.reason(module)
    }
}

/// Compiles, and compares every file that was read with the plan.
///
/// # Errors
/// [`Error::Command`] with the first compiler error; [`Error::ProfileMismatch`]; [`Error::UnplannedRead`];
/// [`Error::Io`] if a record cannot be read.
pub fn compile(frozen: FrozenTree, context: &BuildContext<'_>) -> Result<CompiledTree> {
    let BuildContext { plan, recipe, jobs, log, .. } = *context;
    let tree = frozen.into_tree();
    let mut modules = ModuleReport::default();
    let mut profile = ProfileReport::default();
    let mut steps = 0;
    let make = make(&tree, plan).jobs(jobs).arg("all");
    let reporter = log.reporter();
    log.run(&make, |line| {
        modules.line(line);
        profile.line(line);
        if line.contains(" -c ") {
            steps += 1;
            reporter.report(Event::Progress { done: steps, total: None, unit: Unit::Steps });
        }
    })?;
    if let (Some(digest), Some(pgo)) = (plan.profile, &recipe.shared.pgo) {
        if let Some(reason) = profile.mismatch(pgo) {
            return Err(Error::ProfileMismatch {
                profile: digest.to_string(),
                reason,
                examples: profile.examples,
                log: log.path().to_owned(),
            });
        }
        reporter.report(Event::Detail(profile.summary()));
    }
    tree.recorder().check(&plan.inputs, context.work)?;
    let launcher = tree.results(log.runner(), reporter)?;
    Ok(CompiledTree { tree, modules, launcher })
}

fn make(tree: &LaunchedTree, plan: &BuildPlan) -> Spec {
    tree.make().args(&plan.make).arg(tree.module_link())
}

/// The compiler's warnings about the profile.
#[derive(Debug, Default)]
struct ProfileReport {
    /// Functions whose data are of another source.
    dropped: BTreeSet<String>,
    /// Objects that have no data.
    missing: BTreeSet<String>,
    /// Data that the compiler cannot read.
    ignored: BTreeSet<String>,
    /// Functions that are not in the data of their object: new ones, if the profile is of an earlier release.
    unknown: BTreeSet<String>,
    /// The first warnings.
    examples: Vec<String>,
}

impl ProfileReport {
    /// How many warnings are shown.
    const EXAMPLES: usize = 5;

    /// Reads the warnings of `gcc/coverage.cc`, the same from GCC 9 to 14. The compiler's quotation marks depend on the
    /// locale.
    fn line(&mut self, line: &str) {
        let Some((_, warning)) = line.split_once("warning: ").or_else(|| line.split_once("error: ")) else { return };
        let quoted = |text: &str| text.split(['\u{2018}', '\u{2019}', '\'']).nth(1).unwrap_or_default().to_owned();
        let file = line.split(':').next().unwrap_or_default();
        let function = || format!("{file}: {}", quoted(warning));
        let known = if warning.contains("does not match its profile data") {
            self.dropped.insert(function())
        } else if warning.contains(" not found in profile data") {
            self.unknown.insert(function())
        } else if warning.contains("profile count data file not found") {
            self.missing.insert(quoted(warning))
        } else if warning.contains(" is version ") && warning.contains(", expected version ") {
            self.ignored.insert(quoted(warning))
        } else {
            return;
        };
        if known && self.examples.len() < Self::EXAMPLES {
            self.examples.push(line.to_owned());
        }
    }

    /// Returns why the profile does not match the source, or `None` if it does.
    fn mismatch(&self, pgo: &Pgo) -> Option<String> {
        let data = pgo.evaluation_data.display().to_string();
        let of_loop = |name: &&String| name.ends_with(&format!(": {}", pgo.evaluation_loop));
        if !self.ignored.is_empty() {
            return Some(format!("the compiler ignores its data ({} files)", self.ignored.len()));
        }
        if self.dropped.iter().any(|name| of_loop(&name)) {
            return Some(format!("its data for the evaluation loop ({}) is of another source", pgo.evaluation_loop));
        }
        if self.unknown.iter().any(|name| of_loop(&name)) {
            return Some(format!("its data lacks the evaluation loop ({})", pgo.evaluation_loop));
        }
        if self.missing.iter().any(|path| path.ends_with(&data)) {
            return Some(format!("it has no data for the evaluation loop ({data})"));
        }
        if self.dropped.len() > pgo.max_dropped {
            let (dropped, max) = (self.dropped.len(), pgo.max_dropped);
            return Some(format!("its data for {dropped} functions is of another source; the recipe allows {max}"));
        }
        if self.missing.len() > pgo.max_missing {
            let (missing, max) = (self.missing.len(), pgo.max_missing);
            return Some(format!("it has no data for {missing} objects; the recipe allows {max}"));
        }
        None
    }

    fn summary(&self) -> String {
        format!(
            "the profile has no data for {} objects and {} functions; its data for {} functions is of another source",
            self.missing.len(),
            self.unknown.len(),
            self.dropped.len()
        )
    }
}

/// The report of CPython's own check about missing modules.
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

    fn pgo() -> Pgo {
        Pgo {
            compile: String::new(),
            link: String::new(),
            instrument: String::new(),
            static_library: String::new(),
            make: Vec::new(),
            freeze: None,
            training: Vec::new(),
            evaluation_data: "Python/ceval.gcda".into(),
            evaluation_loop: "_PyEval_EvalFrameDefault".into(),
            max_dropped: 1,
            max_missing: 1,
        }
    }

    fn mismatch(lines: &[&str]) -> Option<String> {
        let mut report = ProfileReport::default();
        for line in lines {
            report.line(line);
        }
        report.mismatch(&pgo())
    }

    #[test]
    fn a_profile_that_mostly_fits_is_of_use() {
        let lines = [
            "Objects/a.c:1:1: warning: the control flow of function ‘f’ does not match its profile data (counter ‘arcs’) [-Wcoverage-mismatch]",
            "Objects/a.c:1:1: warning: the control flow of function ‘f’ does not match its profile data (counter ‘topn’) [-Wcoverage-mismatch]",
            "./Modules/grp.c:9:1: warning: ‘/b/Modules/grp.gcda’ profile count data file not found [-Wmissing-profile]",
            "Objects/a.c:7:9: warning: unused variable ‘x’ [-Wunused-variable]",
        ];
        assert_eq!(mismatch(&lines), None);
    }

    #[test]
    fn too_many_functions_or_objects_without_data_are_a_mismatch() {
        let dropped = |name: &str| {
            format!(
                "a.c:1:1: warning: number of counters in profile data for function '{name}' does not match its profile data (counter 'arcs', expected 2 and have 3)"
            )
        };
        assert_eq!(mismatch(&[&dropped("f")]), None);
        assert!(mismatch(&[&dropped("f"), &dropped("g")]).unwrap().contains("2 functions"));
        let missing = |name: &str| format!("a.c:1:1: warning: '/b/{name}' profile count data file not found");
        assert!(mismatch(&[&missing("a.gcda"), &missing("b.gcda")]).unwrap().contains("2 objects"));
    }

    #[test]
    fn the_evaluation_loop_alone_makes_it_useless() {
        let dropped = "Python/ceval.c:1:1: error: the control flow of function ‘_PyEval_EvalFrameDefault’ does not match its profile data (counter ‘arcs’)";
        assert!(mismatch(&[dropped]).unwrap().contains("evaluation loop"));
        let missing = "Python/ceval.c:1:1: warning: ‘/b/Python/ceval.gcda’ profile count data file not found";
        assert!(mismatch(&[missing]).unwrap().contains("evaluation loop"));
        let other = "a.c:1:1: warning: ‘/b/a.gcda’ is version ‘B42*’, expected version ‘B22*’";
        assert!(mismatch(&[other]).unwrap().contains("the compiler ignores its data"));
    }
}
