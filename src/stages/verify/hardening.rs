//! Checks that the recorded hardening flags are in the code of everything that the build linked, and not among the flags
//! with which users build extension modules.

use std::collections::BTreeSet;
use std::path::Path;

use crate::domain::comparison::is_sysconfig;
use crate::domain::plan::{BuildPlan, Hardening};
use crate::domain::sysconfig::{self, Value};
use crate::domain::version::Variant;
use crate::error::Result;
use crate::sys::elf::Compiled;

/// Exported functions of every series that have a list of arguments (`va_list`) on the stack, which the stack protector
/// guards.
const PROTECTED: &[&str] = &["Py_BuildValue", "PyErr_Format", "PyUnicode_FromFormat", "PyObject_CallFunction"];

/// Extension modules of every series that have arrays on the stack, which the stack protector guards.
const PROTECTED_MODULES: &[&str] = &[
    "_ctypes",
    "_decimal",
    "_elementtree",
    "_hashlib",
    "_pickle",
    "_socket",
    "_sqlite3",
    "_ssl",
    "binascii",
    "mmap",
    "pyexpat",
    "readline",
    "select",
    "unicodedata",
    "zlib",
];
/// Those of them that call functions of the C library which FORTIFY replaces.
const FORTIFIED_MODULES: &[&str] = &["_ctypes", "_decimal", "_ssl"];

/// The variables of `sysconfig` with which tools build extension modules.
const OF_EXTENSIONS: &[&str] = &[
    "BASECFLAGS",
    "BLDSHARED",
    "CC",
    "CCSHARED",
    "CFLAGS",
    "CPPFLAGS",
    "CXX",
    "LDCXXSHARED",
    "LDFLAGS",
    "LDSHARED",
    "LINKFORSHARED",
    "OPT",
    "PY_CFLAGS",
    "PY_CPPFLAGS",
    "PY_LDFLAGS",
];

/// Flags that configure itself gives debug builds and extension modules for them, where it supports perf (3.12 and
/// later).
const OF_DEBUG_BUILDS: &[&str] = &["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"];

/// A property that flags give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Measure {
    PositionIndependent,
    StackProtector,
    Fortify,
    BranchProtection,
}

/// The beginnings of flags of the compiler, and what each gives.
const FLAGS: &[(&str, Measure)] = &[
    ("-fstack-protector", Measure::StackProtector),
    ("-D_FORTIFY_SOURCE=", Measure::Fortify),
    ("-fcf-protection", Measure::BranchProtection),
    ("-mbranch-protection", Measure::BranchProtection),
];

/// What the plan's flags leave in files.
pub(super) struct ExpectedHardening {
    measures: BTreeSet<Measure>,
    /// The flags that must not reach extension modules, as words.
    words: Vec<String>,
    /// Whether a file had one of the known functions.
    seen: bool,
    findings: Vec<String>,
}

impl ExpectedHardening {
    pub(super) fn of(plan: &BuildPlan) -> Self {
        let hardened = plan.request.policies.hardening == Hardening::Full;
        let variables = ["CFLAGS_NODIST", "LDFLAGS_NODIST"].iter().filter_map(|name| plan.environment.get(*name));
        let own = |word: &&str| plan.request.variant != Variant::Debug || !OF_DEBUG_BUILDS.contains(word);
        let words: Vec<String> =
            variables.flat_map(|text| text.split_whitespace()).filter(own).map(str::to_owned).collect();
        let mut measures = BTreeSet::new();
        if hardened {
            let given = |start: &str| words.iter().any(|word| word.starts_with(start));
            measures.extend(FLAGS.iter().filter(|(start, _)| given(start)).map(|(_, measure)| *measure));
            let makes_pie = plan.make.iter().flat_map(|word| word.split_whitespace()).any(|word| word == "-pie");
            measures.extend(makes_pie.then_some(Measure::PositionIndependent));
        }
        Self { measures, words, seen: false, findings: Vec::new() }
    }

    fn has(&self, measure: Measure) -> bool {
        self.measures.contains(&measure)
    }

    /// Compares a file that the build linked with what is expected.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be read, [`Error::Damaged`](crate::error::Error::Damaged) if
    /// it is not an ELF file.
    pub(super) fn check(&mut self, name: &str, path: &Path) -> Result<()> {
        if self.measures.is_empty() {
            return Ok(());
        }
        let file = Compiled::read(path)?;
        let Compiled { position_dependent, without_landing_pad, .. } = &file;
        if self.has(Measure::PositionIndependent) && *position_dependent {
            self.findings.push(format!("{name} is not a position-independent executable"));
        }
        if self.has(Measure::BranchProtection) && !without_landing_pad.is_empty() {
            let (first, count) = (&without_landing_pad[0], without_landing_pad.len());
            self.findings.push(format!("{name} has {count} exported functions without branch protection: {first}, …"));
        }
        if let Some(module) = module_name(name) {
            let is_one_of = |modules: &[&str]| modules.contains(&module);
            if self.has(Measure::StackProtector) && is_one_of(PROTECTED_MODULES) && !file.stack_protected {
                self.findings.push(format!("{name} has no stack protector"));
            }
            if self.has(Measure::Fortify) && is_one_of(FORTIFIED_MODULES) && !file.fortified {
                self.findings.push(format!("{name} calls no function of FORTIFY"));
            }
        }
        let known = PROTECTED.iter().filter_map(|function| Some((function, file.is_protected(function)?)));
        for (function, is_protected) in known {
            self.seen = true;
            if self.has(Measure::StackProtector) && !is_protected {
                self.findings.push(format!("{name} has no stack protector in {function}"));
            }
            if self.has(Measure::Fortify) && !file.fortified {
                self.findings.push(format!("{name} calls no function of FORTIFY"));
            }
        }
        Ok(())
    }

    /// Returns what was not found in the files.
    pub(super) fn broken(mut self) -> Vec<String> {
        if self.has(Measure::StackProtector) && !self.seen {
            self.findings.push(format!("no file exports {}", PROTECTED[0]));
        }
        self.findings.dedup();
        self.findings
    }

    /// Returns the hardening flags among those with which users build extension modules. RELRO and BIND_NOW are
    /// distributions' defaults too, and do no harm.
    pub(super) fn leaked(&self, prefix: &Path, stdlib: &Path) -> Result<Vec<String>> {
        let mut findings = Vec::new();
        for entry in fs_err::read_dir(prefix.join(stdlib))? {
            let entry = entry?;
            if !is_sysconfig(&stdlib.join(entry.file_name())) {
                continue;
            }
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let variables = match sysconfig::parse(&fs_err::read(&path)?) {
                Ok(variables) => variables,
                Err(error) => {
                    findings.push(format!("{name}: {error}"));
                    continue;
                }
            };
            for variable in OF_EXTENSIONS {
                let Some(Value::Text(text)) = variables.get(*variable) else { continue };
                let leaked = text.split_whitespace().find(|word| self.words.iter().any(|flag| flag == word));
                findings.extend(leaked.map(|word| format!("{variable} of {name} has {word}")));
            }
        }
        Ok(findings)
    }
}

/// The name of an extension module by its file: `_ssl` for `lib/python3.13/lib-dynload/_ssl.cpython-….so`.
fn module_name(file: &str) -> Option<&str> {
    file.split_once("/lib-dynload/")?.1.split('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::tests::plan;
    use crate::recipe::Catalog;

    #[test]
    fn every_series_promises_all_of_it() {
        let catalog = Catalog::load(None).unwrap();
        for recipe in catalog.recipes() {
            let release = recipe.release(recipe.newest().unwrap(), Variant::Default).unwrap();
            let hardening = &release.shared.hardening;
            let mut plan = plan();
            let target = plan.request.target;
            plan.environment.insert("CFLAGS_NODIST".into(), hardening.compiler_options(target));
            plan.make.extend(hardening.make.clone());
            let expected = ExpectedHardening::of(&plan);
            assert_eq!(expected.measures.len(), 4, "{}: {:?}", recipe.series, expected.measures);
            plan.request.policies.hardening = Hardening::None;
            assert!(ExpectedHardening::of(&plan).measures.is_empty());
        }
    }

    /// What is found in a module of one function, compiled with flags, that should be hardened.
    fn found_in_module(module: &str, flags: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let (source, output) = (directory.path().join("a.c"), directory.path().join("a.so"));
        let text = "#include <string.h>\nchar f(const char *from, unsigned long length) {\n\
                    char array[64]; memcpy(array, from, length); return array[length & 7]; }\n";
        fs_err::write(&source, text).unwrap();
        let mut command = std::process::Command::new("gcc");
        command.args(["-shared", "-fPIC", "-O2", "-U_FORTIFY_SOURCE", "-o"]).arg(&output).arg(&source).args(flags);
        assert!(command.status().unwrap().success());
        let mut plan = plan();
        plan.environment.insert("CFLAGS_NODIST".into(), "-fstack-protector-strong -D_FORTIFY_SOURCE=2".into());
        let mut expected = ExpectedHardening::of(&plan);
        expected
            .check(&format!("lib/python3.13/lib-dynload/{module}.cpython-313-x86_64-linux-gnu.so"), &output)
            .unwrap();
        expected.findings
    }

    #[test]
    fn every_module_with_arrays_has_to_be_protected() {
        let (protector, fortify) = ("-fstack-protector-strong", "-D_FORTIFY_SOURCE=2");
        assert_eq!(found_in_module("_ssl", &[protector, fortify]), [""; 0]);
        let [finding] = &found_in_module("_ssl", &["-fno-stack-protector", fortify])[..] else { panic!() };
        assert!(finding.contains("/_ssl.") && finding.ends_with("has no stack protector"), "{finding}");
        let [finding] = &found_in_module("_ssl", &[protector])[..] else { panic!() };
        assert!(finding.ends_with("calls no function of FORTIFY"), "{finding}");
        assert_eq!(found_in_module("_socket", &[protector]), [""; 0]);
        assert_eq!(found_in_module("ours", &["-fno-stack-protector"]), [""; 0]);
    }

    #[test]
    fn a_flag_that_leaks_into_sysconfig_is_found() {
        let tree = tempfile::tempdir().unwrap();
        let text =
            "build_time_vars = {'CFLAGS': '-O3 -fcf-protection', 'CONFIGURE_CFLAGS_NODIST': '-fcf-protection'}\n";
        crate::sys::fs::write_in_place(&tree.path().join("lib/python3.13/_sysconfigdata__x.py"), text).unwrap();
        let mut plan = plan();
        plan.environment.insert("CFLAGS_NODIST".into(), "-fcf-protection".into());
        let leaked = ExpectedHardening::of(&plan).leaked(tree.path(), Path::new("lib/python3.13")).unwrap();
        assert_eq!(leaked, ["CFLAGS of _sysconfigdata__x.py has -fcf-protection"]);
    }

    #[test]
    fn frame_pointers_of_debug_builds_are_configures_own() {
        let tree = tempfile::tempdir().unwrap();
        let text = "build_time_vars = {'BASECFLAGS': '-fno-omit-frame-pointer'}\n";
        crate::sys::fs::write_in_place(&tree.path().join("lib/python3.13/_sysconfigdata_d_x.py"), text).unwrap();
        let mut plan = plan();
        plan.environment.insert("CFLAGS_NODIST".into(), "-fcf-protection -fno-omit-frame-pointer".into());
        let leaked =
            |plan: &BuildPlan| ExpectedHardening::of(plan).leaked(tree.path(), Path::new("lib/python3.13")).unwrap();
        assert_eq!(leaked(&plan), ["BASECFLAGS of _sysconfigdata_d_x.py has -fno-omit-frame-pointer"]);
        plan.request.variant = Variant::Debug;
        assert_eq!(leaked(&plan), [""; 0]);
    }
}
