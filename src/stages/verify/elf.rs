//! Checks of the ELF files: the machine, hardening, and that all needed libraries are in the prefix or
//! glibc.

use std::path::Path;

use super::Subject;
use super::hardening::Promises;
use super::report::Report;
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::plan::LibraryPolicy;
use crate::error::Result;
use crate::sys::distro::PackageChecksum;
use crate::sys::elf::{self, ElfFile};
use crate::sys::fs;

/// Checks the ELF files of a tree. Findings are in the report.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file cannot be read.
pub(super) fn check(subject: &Subject<'_>, report: &mut Report) -> Result<()> {
    let &Subject { prefix, manifest, own, .. } = subject;
    let plan = &manifest.plan;
    let modules = Path::new(&plan.stdlib()).join("lib-dynload");
    let mut findings = Findings::default();
    let mut promises = Promises::of(plan);
    let mut floor = None;
    for entry in fs::walk(prefix)?.into_iter().filter(fs::Entry::is_file) {
        // Files that were installed later are not checked.
        if !own.has(&entry.path) || !elf::is_elf(&prefix.join(&entry.path))? {
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
        findings
            .needed
            .extend(unresolved(&file, prefix, manifest).into_iter().map(|needed| format!("{name} needs {needed}")));
        if !manifest.libraries.iter().any(|library| entry.path == Path::new("lib").join(&library.soname)) {
            findings.linked_here(&name, &file, entry.path.starts_with(&modules));
            promises.check(&name, &file);
        }
    }
    report.add_findings("ELF files are for the target", &findings.machine);
    report.add_findings("needed libraries are in the prefix or glibc's", &findings.needed);
    report.add_findings("relative DT_RPATH on extension modules only", &findings.rpath);
    report.add_findings("RELRO, BIND_NOW, no executable stack, no W+X, no TEXTREL", &findings.hardening);
    let leaked = promises.leaked(prefix, Path::new(&plan.stdlib()))?;
    report.add_findings("no hardening flag among those for extension modules", &leaked);
    report.add_findings("PIE, stack protector, FORTIFY and branch protection as recorded", &promises.broken());
    report.add_findings("stripped", &findings.symbols);
    let floor = floor.map_or_else(|| "none".to_owned(), |floor| floor.to_string());
    let expected = manifest.glibc_floor.to_string();
    let wrong = (floor != expected).then(|| format!("it is {floor}, but the manifest says {expected}"));
    report.add_findings("glibc floor", wrong.as_slice());
    report.add_findings("bundled libraries are the package's", &bundled(prefix, manifest)?);
    Ok(())
}

/// The findings of each check.
#[derive(Default)]
struct Findings {
    machine: Vec<String>,
    needed: Vec<String>,
    rpath: Vec<String>,
    hardening: Vec<String>,
    symbols: Vec<String>,
}

impl Findings {
    /// Checks a file that the build linked, unlike a bundled library.
    fn linked_here(&mut self, name: &str, file: &ElfFile, is_module: bool) {
        if !file.runpath.is_empty() {
            self.rpath.push(format!("{name} has DT_RUNPATH {}", file.runpath.join(":")));
        }
        if is_module && file.rpath != ["$ORIGIN/../.."] {
            self.rpath.push(format!("{name} has DT_RPATH `{}`, not $ORIGIN/../..", file.rpath.join(":")));
        }
        if !is_module && !file.rpath.is_empty() {
            self.rpath.push(format!("{name} has DT_RPATH {}", file.rpath.join(":")));
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

/// Returns the bundled libraries that differ from the manifest's digest or the package's checksum.
fn bundled(prefix: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for library in &manifest.libraries {
        let path = prefix.join("lib").join(&library.soname);
        if !path.is_file() {
            findings.push(format!("lib/{} is missing", library.soname));
            continue;
        }
        if Digest::of_reader(fs_err::File::open(&path)?)? != library.sha256 {
            findings.push(format!("lib/{} is not the file of {} {}", library.soname, library.package, library.version));
        }
        let recorded = PackageChecksum::parse(&library.package_checksum);
        let found = recorded.as_ref().map(|recorded| recorded.of_file_as(&path)).transpose()?;
        if found.is_none() || found != recorded {
            findings.push(format!(
                "the checksum of lib/{} differs from that of its package {}",
                library.soname, library.package
            ));
        }
    }
    Ok(findings)
}
