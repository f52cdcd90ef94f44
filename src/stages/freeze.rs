//! Freeze: puts the data of the profile and the frozen modules of the standard library into the tree of an
//! optimised build, before it is compiled.
//!
//! CPython's own Makefile links the programs that freeze modules from the objects of the interpreter. With
//! link-time optimisation that takes longer than linking the interpreter. The output of these programs depends
//! on the source alone, so they are built in a copy of the tree without any optimisation, and the store keeps
//! the output. It is never part of a profile: frozen modules are code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::{Glob, GlobSetBuilder};

use super::BuildContext;
use super::dropped::invalid;
use super::launch::LaunchedTree;
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::plan::{BuildPlan, PlannedFreeze};
use crate::domain::profile::Optimisation;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::sys::{archive, fs};

/// The compiler options for the programs that freeze modules. Their output does not depend on them.
const HELPER_OPTIONS: &str = "CFLAGS_NODIST=-O0 -g0 -w";

/// A tree with everything that make needs.
#[derive(Debug)]
pub struct FrozenTree {
    tree: LaunchedTree,
}

impl FrozenTree {
    /// The tree.
    pub(super) fn into_tree(self) -> LaunchedTree {
        self.tree
    }
}

/// Puts the data of the profile and the frozen modules into a tree. Without a profile the tree stays as it is.
///
/// # Errors
/// [`Error::Command`] if make fails, [`Error::Damaged`] if it wrote no frozen modules, [`Error::Io`] if a file
/// cannot be read or written.
pub fn freeze(tree: LaunchedTree, context: &BuildContext<'_>) -> Result<FrozenTree> {
    if let Optimisation::Profile(profile) = context.optimisation {
        if let Some(freeze) = &context.plan.freeze {
            frozen(&tree, freeze, context)?;
        }
        for (path, bytes) in &profile.data {
            fs::write_in_place(&tree.root().join(path), bytes)?;
        }
    }
    Ok(FrozenTree { tree })
}

/// The key of the frozen modules of a source.
fn frozen_key(plan: &BuildPlan, freeze: &PlannedFreeze) -> Digest {
    Digest::of_json(&(
        "frozen modules",
        (plan.request.format, plan.request.release, plan.request.variant, &plan.source, &plan.patches),
        (&plan.configure, &plan.environment, &plan.toolchain),
        freeze,
    ))
}

/// Keeps the frozen modules in the tree of a complete build, for the next build of the same source.
///
/// # Errors
/// [`Error::Damaged`] if there are none, [`Error::Io`] if they cannot be read or kept.
pub fn keep_frozen(compiled: &Path, context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, recipe, store, work, .. } = *context;
    let Some(freeze) = recipe.shared.pgo.as_ref().and_then(|pgo| pgo.freeze.as_ref()) else { return Ok(()) };
    let files = written(compiled, freeze)?;
    store.keep_intermediate(frozen_key(plan, freeze), &packed(compiled, &files, work)?)
}

/// Puts the frozen modules into a tree: those of an earlier build of the same source, or new ones.
fn frozen(tree: &LaunchedTree, freeze: &PlannedFreeze, context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, store, jobs, work, log, .. } = *context;
    let key = frozen_key(plan, freeze);
    if let Some(bytes) = store.intermediate(key, log.reporter())? {
        log.reporter().report(Event::Detail("cache hit: the frozen modules of an earlier build are used".into()));
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
    tree.recorder().check(&plan.inputs, work)?;
    store.keep_intermediate(key, &packed(&beside, &files, work)?)?;
    put(&beside, &files, tree.root())?;
    fs::remove_tree(&beside)
}

/// The plan's arguments of make, without those that optimise.
fn helper_arguments(plan: &BuildPlan) -> Vec<OsString> {
    let optimises = |word: &str| word.starts_with("CFLAGS_NODIST=") || word.starts_with("LDFLAGS_NODIST=");
    [HELPER_OPTIONS, "LDFLAGS_NODIST="]
        .into_iter()
        .chain(plan.make.iter().map(String::as_str).filter(|word| word.contains('=') && !optimises(word)))
        .map(OsString::from)
        .collect()
}

/// The frozen modules in a tree, sorted.
fn written(root: &Path, freeze: &PlannedFreeze) -> Result<Vec<PathBuf>> {
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

/// Copies files of a tree to another. All get the current time: some are made from others, and make must
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
