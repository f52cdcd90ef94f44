//! Checks of the ELF files: the machine, hardening, that all needed libraries are in the prefix or glibc, and that
//! static libraries have native code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Subject;
use super::hardening::ExpectedHardening;
use super::report::Report;
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::{BuildPlan, LibraryPolicy};
use crate::error::Result;
use crate::sys::ar;
use crate::sys::distro::PackageChecksum;
use crate::sys::elf::{self, ElfFile};

/// Checks the ELF files of a tree. Findings are in the report.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file cannot be read.
pub(super) fn check(subject: &Subject<'_>, report: &mut Report) -> Result<()> {
    let Subject { prefix, manifest, own, entries, .. } = subject;
    let plan = &manifest.plan;
    let places = Places::new(plan);
    let copied: BTreeSet<PathBuf> = manifest.copied().map(|file| file.path).collect();
    let mut findings = Findings::default();
    let mut expected = ExpectedHardening::of(plan);
    let mut floor = None;
    for entry in entries.iter().filter(|entry| entry.is_file()) {
        // Files that were installed later are not checked.
        if !own.has(&entry.path) {
            continue;
        }
        if ar::is_archive(&prefix.join(&entry.path))? {
            findings.archive(&entry.path, &fs_err::read(prefix.join(&entry.path))?, plan);
        }
        if !elf::is_elf(&prefix.join(&entry.path))? {
            continue;
        }
        let name = entry.path.display().to_string();
        let file = match elf::read(&prefix.join(&entry.path)) {
            Ok(file) => file,
            Err(error) => {
                findings.machine.push(error.to_string());
                continue;
            }
        };
        floor = floor.max(file.glibc_floor);
        if file.machine != plan.request.target.elf_machine() {
            findings.machine.push(format!("{name} is for machine {}", file.machine));
        }
        // An object is linked into a program or a library first.
        if file.relocatable {
            continue;
        }
        findings
            .needed
            .extend(unresolved(&file, prefix, manifest).into_iter().map(|needed| format!("{name} needs {needed}")));
        if !copied.contains(&entry.path) {
            findings.linked_here(&name, &file, places.of(&entry.path));
            expected.check(&name, &prefix.join(&entry.path))?;
        }
    }
    findings.library(prefix, plan);
    report.add_findings("ELF files are for the target", &findings.machine);
    report.add_findings("needed libraries are in the prefix or glibc's", &findings.needed);
    report.add_findings("relative DT_RPATH on extension modules only", &findings.rpath);
    report.add_findings("libpython is what the plan says", &findings.libpython);
    report.add_findings("RELRO, BIND_NOW, no executable stack, no W+X, no TEXTREL", &findings.hardening);
    let leaked = expected.leaked(prefix, Path::new(&plan.stdlib()))?;
    report.add_findings("no hardening flag among those for extension modules", &leaked);
    report.add_findings("PIE, stack protector, FORTIFY and branch protection as recorded", &expected.broken());
    report.add_findings("stripped", &findings.symbols);
    let floor = floor.map_or_else(|| "none".to_owned(), |floor| floor.to_string());
    let expected = manifest.glibc_floor.to_string();
    let wrong = (floor != expected).then(|| format!("it is {floor}, but the manifest says {expected}"));
    report.add_findings("glibc floor", wrong.as_slice());
    report.add_findings("bundled libraries are the package's", &bundled(prefix, manifest)?);
    Ok(())
}

/// What is linked in a way of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It finds bundled libraries.
    Module,
    /// It finds a shared libpython.
    Program,
    /// The library of the stable ABI, which finds libpython.
    StableAbi,
    /// Everything else finds what the system's loader finds.
    Other,
}

impl Kind {
    /// The directories that a file of this kind searches: by DT_RPATH, which the libraries that it loads inherit, and by
    /// DT_RUNPATH.
    const fn searched(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Module => (&["$ORIGIN/../.."], &[]),
            Self::Program => (&[], &["$ORIGIN/../lib"]),
            Self::StableAbi => (&[], &["$ORIGIN"]),
            Self::Other => (&[], &[]),
        }
    }
}

/// Where the files of each kind are.
struct Places {
    modules: PathBuf,
    interpreter: PathBuf,
    shared: bool,
}

impl Places {
    fn new(plan: &BuildPlan) -> Self {
        Self {
            modules: Path::new(&plan.stdlib()).join("lib-dynload"),
            interpreter: plan.interpreter().into(),
            shared: plan.request.policies.shared,
        }
    }

    fn of(&self, path: &Path) -> Kind {
        if path.starts_with(&self.modules) {
            Kind::Module
        } else if self.shared && path == self.interpreter {
            Kind::Program
        } else if self.shared && path == Path::new("lib/libpython3.so") {
            Kind::StableAbi
        } else {
            Kind::Other
        }
    }
}

/// The findings of each check.
#[derive(Default)]
struct Findings {
    libpython: Vec<String>,
    machine: Vec<String>,
    needed: Vec<String>,
    rpath: Vec<String>,
    hardening: Vec<String>,
    symbols: Vec<String>,
}

impl Findings {
    /// Checks a file that the build linked, unlike a bundled library.
    fn linked_here(&mut self, name: &str, file: &ElfFile, kind: Kind) {
        let (rpath, runpath) = kind.searched();
        for (tag, is, wanted) in [("DT_RPATH", &file.rpath, rpath), ("DT_RUNPATH", &file.runpath, runpath)] {
            if is != wanted {
                self.rpath.push(format!("{name} has {tag} `{}`, not `{}`", is.join(":"), wanted.join(":")));
            }
        }
        let hardening = file.hardening;
        let wrong = [
            (!hardening.relro, "no RELRO"),
            (!hardening.bind_now, "no BIND_NOW"),
            (hardening.executable_stack, "an executable stack"),
            (hardening.writable_code, "a segment that is writable and executable"),
            (hardening.text_relocations, "text relocations"),
        ];
        self.hardening.extend(wrong.iter().filter(|(is, _)| *is).map(|(_, what)| format!("{name} has {what}")));
        if file.unstripped {
            self.symbols.push(format!("{name} has symbols or debug information"));
        }
    }
}

impl Findings {
    /// Checks the objects of a static library.
    fn archive(&mut self, path: &Path, bytes: &[u8], plan: &BuildPlan) {
        let name = path.display();
        let objects = match ar::objects(bytes) {
            Ok(objects) => objects,
            Err(reason) => {
                self.libpython.push(format!("{name}: {reason}"));
                return;
            }
        };
        let is_foreign =
            |object: &&ar::Object| object.machine != plan.request.target.elf_machine() || !object.relocatable;
        self.machine.extend(objects.iter().filter(is_foreign).map(|object| format!("{} in {name}", object.name)));
        if let Some(object) = objects.iter().find(|object| object.intermediate_code) {
            self.libpython.push(format!("{name} has intermediate code of the compiler, in {}", object.name));
        }
        let defines = |symbol: &str| objects.iter().any(|object| object.defines.iter().any(|name| name == symbol));
        if path.ends_with(static_library(plan)) && !defines("Py_RunMain") {
            self.libpython.push(format!("{name} has no native code of Py_RunMain"));
        }
    }

    /// Checks that libpython is there, in the form that the plan says, and in no other.
    fn library(&mut self, prefix: &Path, plan: &BuildPlan) {
        let shared = format!("lib/libpython{}.so", plan.short_version());
        let in_configuration = Path::new(&plan.configuration()).join(static_library(plan));
        let wanted = [
            (PathBuf::from(shared), plan.request.policies.shared),
            (Path::new("lib").join(static_library(plan)), plan.static_library),
            (in_configuration, plan.static_library),
        ];
        for (path, is_wanted) in wanted {
            if prefix.join(&path).is_file() != is_wanted {
                let what = if is_wanted { "is missing" } else { "is there" };
                self.libpython.push(format!("{} {what}", path.display()));
            }
        }
    }
}

/// The name of the static library.
fn static_library(plan: &BuildPlan) -> String {
    format!("libpython{}.a", plan.short_version())
}

/// Returns the libraries that a file needs and that are neither in the prefix nor the system's.
fn unresolved(file: &ElfFile, prefix: &Path, manifest: &Manifest) -> Vec<String> {
    let by_system = |soname: &str| {
        manifest.plan.request.policies.library_policy == LibraryPolicy::System
            && manifest.plan.libraries.iter().any(|library| library.soname == soname)
    };
    let resolved =
        |soname: &&String| elf::is_glibc(soname) || by_system(soname) || prefix.join("lib").join(soname).is_file();
    file.needed.iter().filter(|soname| !resolved(soname)).cloned().collect()
}

/// Returns the files of packages that differ from the manifest's digest or the package's checksum.
fn bundled(prefix: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in manifest.copied() {
        let (path, name) = (prefix.join(&file.path), file.path.display());
        if !path.is_file() {
            findings.push(format!("{name} is missing"));
            continue;
        }
        if Digest::of_reader(fs_err::File::open(&path)?)? != file.sha256 {
            findings.push(format!("{name} is not the file of {} {}", file.package, file.version));
        }
        let recorded = PackageChecksum::parse(file.package_checksum);
        let found = recorded.as_ref().map(|recorded| recorded.of_file_as(&path)).transpose()?;
        if found.is_none() || found != recorded {
            findings.push(format!("the checksum of {name} differs from that of its package {}", file.package));
        }
    }
    Ok(findings)
}
