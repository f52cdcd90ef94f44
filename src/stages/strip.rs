//! Strip: removes what a flavor does not keep, and strips ELF files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use globset::GlobSet;

use super::BuildContext;
use super::dropped::patterns;
use super::relocate::RelocatedPrefix;
use super::staging::StagedPrefix;
use crate::domain::manifest::{self, Libraries};
use crate::domain::plan::Bytecode;
use crate::error::Result;
use crate::sys::fs::{self, Kind};
use crate::sys::log::BuildLog;
use crate::sys::process::Spec;
use crate::sys::{ar, elf};

/// A prefix with only what the flavor keeps.
#[derive(Debug)]
pub struct StrippedPrefix {
    staged: StagedPrefix,
    libraries: Libraries,
    debug_files: Option<PathBuf>,
}

impl StrippedPrefix {
    pub(super) fn root(&self) -> &Path {
        self.staged.root()
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.staged.epoch()
    }

    pub(super) fn builtin_modules(&self) -> &[String] {
        self.staged.builtin_modules()
    }

    pub(super) const fn compiled_in(&self) -> &BTreeMap<String, Option<String>> {
        self.staged.compiled_in()
    }

    pub(super) fn build_directory(&self) -> &Path {
        self.staged.build_directory()
    }

    pub(super) const fn libraries(&self) -> &Libraries {
        &self.libraries
    }

    pub(super) fn debug_files(&self) -> Option<&Path> {
        self.debug_files.as_deref()
    }
}

/// Removes the files of the plan's patterns, strips the ELF files that this build linked, and writes bytecode
/// caches if the plan has them.
///
/// # Errors
/// [`Error::Command`](crate::error::Error::Command) if `strip`, `objcopy` or the interpreter fails,
/// [`Error::Pattern`](crate::error::Error::Pattern) for a pattern that is not a glob,
/// [`Error::Io`](crate::error::Error::Io) if a file cannot be read or removed.
pub fn strip(relocated: RelocatedPrefix, context: &BuildContext<'_>) -> Result<StrippedPrefix> {
    let BuildContext { plan, log, .. } = *context;
    let (staged, libraries) = relocated.into_parts();
    let root = staged.root().to_owned();
    remove(&root, &patterns(&plan.strip)?)?;
    remove_empty_directories(&root)?;
    let files = linked_here(&root, &libraries)?;
    let debug_files =
        if plan.request.policies.debug_files { Some(keep_debug_files(&root, &files, context)?) } else { None };
    run_tool(&context.tool("strip"), &["--strip-unneeded"], &files, &root, log)?;
    let archives = archives(&root)?;
    if !archives.is_empty() {
        run_tool(&context.tool("strip"), ARCHIVE_OPTIONS, &archives, &root, log)?;
    }
    if let Some(directory) = &debug_files {
        link_debug_files(&root, &files, directory, context)?;
    }
    if plan.request.policies.bytecode == Bytecode::UncheckedHash {
        compile_bytecode(&root, context)?;
    }
    Ok(StrippedPrefix { staged, libraries, debug_files })
}

fn remove(root: &Path, patterns: &GlobSet) -> Result<()> {
    let mut removed: Option<PathBuf> = None;
    for entry in fs::walk(root)? {
        if removed.as_ref().is_some_and(|directory| entry.path.starts_with(directory))
            || !patterns.is_match(&entry.path)
        {
            continue;
        }
        let path = root.join(&entry.path);
        if entry.kind == Kind::Directory {
            fs::remove_tree(&path)?;
            removed = Some(entry.path);
        } else {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes empty directories. Those that CPython installs empty have no purpose either, but for `site-packages`.
fn remove_empty_directories(root: &Path) -> Result<()> {
    for entry in fs::walk(root)?.into_iter().rev() {
        let path = root.join(&entry.path);
        let kept = entry.path.file_name().is_some_and(|name| name == "site-packages");
        if entry.kind == Kind::Directory && !kept && fs_err::read_dir(&path)?.next().is_none() {
            fs_err::remove_dir(path)?;
        }
    }
    Ok(())
}

/// The options of `strip` for static libraries. What the compiler wrote for its own link-time optimisation goes: another
/// compiler cannot read it, and native code is there as well.
const ARCHIVE_OPTIONS: &[&str] = &[
    "--strip-unneeded",
    "--enable-deterministic-archives",
    "--remove-section=.gnu.lto_*",
    "--remove-section=.gnu.debuglto_*",
    "--strip-symbol=__gnu_lto_v1",
];

/// The static libraries.
fn archives(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::walk(root)?.into_iter().filter(fs::Entry::is_file) {
        let named = entry.path.extension().is_some_and(|extension| extension == "a");
        if named && ar::is_archive(&root.join(&entry.path))? {
            files.push(entry.path);
        }
    }
    Ok(files)
}

/// The ELF files that this build linked: all except what was copied from packages, which is never changed, and objects.
fn linked_here(root: &Path, libraries: &Libraries) -> Result<Vec<PathBuf>> {
    let copied: BTreeSet<PathBuf> =
        manifest::copied(&libraries.bundled, &libraries.loaded).map(|file| file.path).collect();
    let mut files = Vec::new();
    for entry in fs::walk(root)?.into_iter().filter(fs::Entry::is_file) {
        let bundled = copied.contains(&entry.path);
        let path = root.join(&entry.path);
        let is_object = entry.path.extension().is_some_and(|extension| extension == "o");
        if !bundled && !is_object && elf::is_elf(&path)? {
            files.push(entry.path);
        }
    }
    Ok(files)
}

fn run_tool(tool: &Path, args: &[&str], files: &[PathBuf], root: &Path, log: &BuildLog<'_>) -> Result<()> {
    let spec = Spec::new(tool).args(args.iter().map(ToString::to_string)).args(files).directory(root);
    log.run(&spec, |_| {})
}

/// The path of a file's debug information, relative to the directory of debug files.
fn debug_name(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".debug");
    name.into()
}

fn keep_debug_files(root: &Path, files: &[PathBuf], context: &BuildContext<'_>) -> Result<PathBuf> {
    let objcopy = context.tool("objcopy");
    let mut name = root.file_name().unwrap_or_default().to_owned();
    name.push(".debug");
    let directory = root.with_file_name(name);
    for file in files {
        let kept = directory.join(debug_name(file));
        fs_err::create_dir_all(kept.parent().unwrap_or(&directory))?;
        run_tool(&objcopy, &["--only-keep-debug"], &[file.clone(), kept], root, context.log)?;
    }
    Ok(directory)
}

/// Records in each file the name and checksum of its debug file, `x.so.debug`, for debuggers.
fn link_debug_files(root: &Path, files: &[PathBuf], directory: &Path, context: &BuildContext<'_>) -> Result<()> {
    let objcopy = context.tool("objcopy");
    for file in files {
        let link = format!("--add-gnu-debuglink={}", directory.join(debug_name(file)).display());
        run_tool(&objcopy, &[&link], std::slice::from_ref(file), root, context.log)?;
    }
    Ok(())
}

/// Compiles in one process, in sorted order, at level 0 and without time stamps: the bytes are the same
/// everywhere.
const COMPILE_SCRIPT: &str = "\
import os, py_compile, sys
root, prefix = sys.argv[1:]
for directory, names, files in os.walk(os.path.join(root, 'lib')):
    names.sort()
    for name in sorted(files):
        if name.endswith('.py'):
            path = os.path.join(directory, name)
            py_compile.compile(path, dfile=prefix + path[len(root):], doraise=True, optimize=0,
                               invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
";

fn compile_bytecode(root: &Path, context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, log, .. } = *context;
    let spec = Spec::new(root.join(plan.interpreter()))
        .args(["-I", "-S", "-c", COMPILE_SCRIPT])
        .arg(root)
        .arg(plan.request.prefix.as_str())
        .environment([("LC_ALL", "C.UTF-8"), ("PYTHONHASHSEED", "0")]);
    log.run(&spec, |_| {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        let set = patterns(&["lib/python3.13/test".into(), "bin/idle3*".into(), "**/*.a".into()]).unwrap();
        for path in ["lib/python3.13/test", "bin/idle3.13", "lib/x/y.a", "lib/a/__pycache__", "lib/__pycache__/a.pyc"] {
            assert!(set.is_match(path), "{path}");
        }
        for path in ["lib/python3.13/unittest", "bin/x/idle3", "lib/a.py"] {
            assert!(!set.is_match(path), "{path}");
        }
    }

    #[test]
    fn what_is_matched_goes_and_what_it_empties() {
        let root = tempfile::tempdir().unwrap();
        for file in ["lib/test/a.py", "lib/other/only/x.pyc", "lib/keep.py", "lib/site-packages/.x"] {
            let path = root.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        remove(root.path(), &patterns(&["lib/test".into(), "**/.x".into()]).unwrap()).unwrap();
        remove_empty_directories(root.path()).unwrap();
        let left: Vec<_> = fs::walk(root.path()).unwrap().into_iter().map(|entry| entry.path).collect();
        assert_eq!(left, [Path::new("lib"), Path::new("lib/keep.py"), Path::new("lib/site-packages")]);
    }
}
