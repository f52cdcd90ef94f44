//! Freeze: puts into the tree of an optimised build what it needs before it is compiled: the profile's data
//! beside the objects, and the frozen modules of the standard library.
//!
//! CPython's own Makefile links the programs that freeze modules from the objects of the interpreter. With
//! link-time optimisation that takes longer than the interpreter itself. Their output depends on the source
//! only, so they are built separately, without optimisation, and their output is cached. It is never part of
//! a profile, because frozen modules are code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::{Glob, GlobSetBuilder};

use super::BuildContext;
use super::dropped::invalid;
use super::launch::LaunchedTree;
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::plan::BuildPlan;
use crate::domain::profile::Optimisation;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::recipe::Freeze;
use crate::sys::{archive, fs};

/// The compiler options of the programs that freeze modules. The output of these programs does not depend on
/// them.
const HELPER_OPTIONS: &str = "CFLAGS_NODIST=-O0 -g0 -w";

/// A tree that can be compiled.
#[derive(Debug)]
pub struct FrozenTree {
    tree: LaunchedTree,
}

impl FrozenTree {
    /// The tree, with everything that make needs.
    pub(super) fn into_tree(self) -> LaunchedTree {
        self.tree
    }
}

/// Puts the profile's data and the frozen modules into a tree. A tree that is built without a profile does not
/// change.
///
/// # Errors
/// [`Error::Command`] if the compiler fails, [`Error::Io`],
/// [`Error::Interrupted`].
pub fn freeze(tree: LaunchedTree, context: &BuildContext<'_>) -> Result<FrozenTree> {
    if let Optimisation::Profile(profile) = context.optimisation {
        if let Some(freeze) = context.recipe.pgo.as_ref().and_then(|pgo| pgo.freeze.as_ref()) {
            frozen(&tree, freeze, context)?;
        }
        for (path, bytes) in &profile.data {
            fs::write_in_place(&tree.root().join(path), bytes)?;
        }
    }
    Ok(FrozenTree { tree })
}

/// Returns the cache key of a source's frozen modules.
fn frozen_key(plan: &BuildPlan, freeze: &Freeze) -> Digest {
    Digest::of_json(&(
        "frozen modules",
        (plan.request.format, plan.request.release, plan.request.variant, &plan.source, &plan.patches),
        (&plan.configure, &plan.environment, &plan.toolchain),
        freeze,
    ))
}

/// Caches the frozen modules of a complete build for the next build of the source.
///
/// # Errors
/// [`Error::Io`].
pub fn keep_frozen(compiled: &Path, context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, recipe, store, work, .. } = *context;
    let Some(freeze) = recipe.pgo.as_ref().and_then(|pgo| pgo.freeze.as_ref()) else { return Ok(()) };
    let files = written(compiled, freeze)?;
    store.keep_intermediate(frozen_key(plan, freeze), &packed(compiled, &files, work)?)
}

/// Puts the frozen modules into a tree: restores those of an earlier build of the same source on this machine, or
/// makes new ones.
fn frozen(tree: &LaunchedTree, freeze: &Freeze, context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, store, jobs, work, log, .. } = *context;
    let key = frozen_key(plan, freeze);
    if let Some(bytes) = store.intermediate(key, log.reporter())? {
        log.reporter().report(Event::Detail("the frozen modules are those of an earlier build".into()));
        let place = fs::temporary_directory_in(work, "frozen-")?;
        archive::unpack("the frozen modules", archive::decoder(Format::Zst, &bytes[..])?, place.path())?;
        let files: Vec<PathBuf> =
            fs::walk(place.path())?.into_iter().filter(fs::Entry::is_file).map(|entry| entry.path).collect();
        return put(place.path(), &files, tree.root());
    }
    let beside = work.join("freeze");
    fs::copy_tree(tree.root(), &beside)?;
    let make = tree.make().directory(&beside).jobs(jobs).args(helper_arguments(plan)).args(&freeze.targets);
    log.run(&make, |_| {})?;
    let files = written(&beside, freeze)?;
    store.keep_intermediate(key, &packed(&beside, &files, work)?)?;
    put(&beside, &files, tree.root())?;
    fs::remove_tree(&beside)
}

/// Returns the plan's arguments of make, with others instead of the ones that optimise.
fn helper_arguments(plan: &BuildPlan) -> Vec<OsString> {
    let optimises = |word: &str| word.starts_with("CFLAGS_NODIST=") || word.starts_with("LDFLAGS_NODIST=");
    [HELPER_OPTIONS, "LDFLAGS_NODIST="]
        .into_iter()
        .chain(plan.make.iter().map(String::as_str).filter(|word| word.contains('=') && !optimises(word)))
        .map(OsString::from)
        .collect()
}

/// Returns the files that match the globs in a tree, sorted.
fn written(root: &Path, freeze: &Freeze) -> Result<Vec<PathBuf>> {
    let mut globs = GlobSetBuilder::new();
    for pattern in &freeze.writes {
        globs.add(Glob::new(pattern).map_err(|error| invalid(&error))?);
    }
    let globs = globs.build().map_err(|error| invalid(&error))?;
    let files = fs::walk(root)?.into_iter().filter(|entry| entry.is_file() && globs.is_match(&entry.path));
    let files: Vec<PathBuf> = files.map(|entry| entry.path).collect();
    if files.is_empty() {
        let what = root.display().to_string();
        return Err(Error::Damaged { what, reason: format!("make wrote no {}", freeze.writes.join(", ")) });
    }
    Ok(files)
}

fn packed(root: &Path, files: &[PathBuf], work: &Path) -> Result<Vec<u8>> {
    let directory = fs::temporary_directory_in(work, "frozen-")?;
    put(root, files, directory.path())?;
    Ok(archive::encode(Format::Zst, Vec::new(), |writer| archive::pack(directory.path(), "frozen", 0, writer))?.0)
}

/// Copies files of a tree into another. There all get the same new time: some are made from others, and make must
/// consider all of them up to date.
fn put(from: &Path, files: &[PathBuf], to: &Path) -> Result<()> {
    let now = SystemTime::now();
    for file in files {
        let target = to.join(file);
        fs::write_in_place(&target, fs_err::read(from.join(file))?)?;
        fs_err::File::open(&target)?.file().set_modified(now)?;
    }
    Ok(())
}
