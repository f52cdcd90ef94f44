//! The static library of libpython, in the `builder` flavor: native code that any compiler can link, and complete.

use std::path::{Path, PathBuf};

use super::BuildContext;
use super::compile::CompiledTree;
use crate::error::Result;
use crate::sys::fs;
use crate::sys::process::Spec;

/// Replaces the static library that make installed in a staged prefix, where it is of no use to others.
///
/// # Errors
/// [`Error::Command`](crate::error::Error::Command) if make or ar fails;
/// [`Error::UnplannedRead`](crate::error::Error::UnplannedRead); [`Error::Io`](crate::error::Error::Io).
pub(super) fn complete(root: &Path, tree: &CompiledTree, context: &BuildContext<'_>) -> Result<()> {
    let plan = context.plan;
    let name = format!("libpython{}.a", plan.short_version());
    let archives = module_archives(tree, context)?;
    if plan.profile.is_some() {
        compile_native(&name, &archives, tree, context)?;
    } else if archives.is_empty() {
        return Ok(());
    }
    let library = tree.root().join(&name);
    for archive in &archives {
        add(&tree.root().join(archive), &library, context)?;
    }
    let installed = root.join(plan.configuration()).join(&name);
    fs_err::remove_file(&installed)?;
    fs_err::copy(library, &installed)?;
    Ok(())
}

/// Compiles the static library and other archives once more, to native code. The objects of the interpreter have only
/// the compiler's intermediate code; that of the interpreter itself is done with.
fn compile_native(name: &str, archives: &[PathBuf], tree: &CompiledTree, context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, recipe, jobs, log, .. } = *context;
    let Some(pgo) = &recipe.shared.pgo else { return Ok(()) };
    for entry in fs::walk(tree.root())?.into_iter().filter(fs::Entry::is_file) {
        if entry.path.extension().is_some_and(|extension| extension == "o") || entry.path == Path::new(name) {
            fs_err::remove_file(tree.root().join(entry.path))?;
        }
    }
    // The last of several values of a variable counts.
    let options = [format!("CFLAGS_NODIST={}", pgo.static_library), "LDFLAGS_NODIST=".to_owned()];
    log.run(&tree.make(plan).jobs(jobs).args(options).arg(name).args(archives), |_| {})?;
    tree.check_reads(context)
}

/// Returns the archives of the source tree that the interpreter is linked with, for the modules that are built in: expat
/// for `pyexpat`. CPython's own static library lacks them.
fn module_archives(tree: &CompiledTree, context: &BuildContext<'_>) -> Result<Vec<PathBuf>> {
    const PRINT: &str = "--eval=pykeel-print: ; @echo 'modlibs: $(MODLIBS)'";
    let spec = tree.make(context.plan).args(["--silent", "--no-print-directory", PRINT, "pykeel-print"]);
    Ok(named_archives(&context.runner().capture(&spec)?))
}

fn named_archives(output: &str) -> Vec<PathBuf> {
    let words = output.lines().filter_map(|line| line.strip_prefix("modlibs: ")).flat_map(str::split_whitespace);
    let mut archives: Vec<PathBuf> = Vec::new();
    for archive in words.filter(|word| !word.starts_with(['-', '/'])).map(PathBuf::from) {
        let is_archive = archive.extension().is_some_and(|extension| extension == "a");
        if is_archive && !archives.contains(&archive) {
            archives.push(archive);
        }
    }
    archives
}

/// Adds the objects of an archive to a library.
fn add(archive: &Path, library: &Path, context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { work, log, .. } = *context;
    let place = fs::temporary_directory_in(work, "objects-")?;
    let ar = |words: &[&Path]| Spec::new(context.tool("ar")).args(words).directory(place.path());
    log.run(&ar(&[Path::new("x"), archive]), |_| {})?;
    let mut objects: Vec<PathBuf> = fs::walk(place.path())?.into_iter().map(|entry| entry.path).collect();
    objects.sort();
    let mut words = vec![Path::new("qcsD"), library];
    words.extend(objects.iter().map(PathBuf::as_path));
    log.run(&ar(&words), |_| {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_of_the_tree_are_added_once_and_libraries_of_the_system_are_not() {
        let line =
            "make: warning\nmodlibs:   Modules/expat/libexpat.a -lm   /usr/lib/libx.a -la Modules/expat/libexpat.a\n";
        assert_eq!(named_archives(line), [PathBuf::from("Modules/expat/libexpat.a")]);
        assert!(named_archives("modlibs: \n").is_empty());
        assert!(named_archives("").is_empty());
    }
}
