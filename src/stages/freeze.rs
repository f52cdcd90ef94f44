//! Freeze: what an optimised build has in its tree before it is compiled: the profile's data
//! beside the objects that they are of, and the standard library's modules in frozen form.
//!
//! CPython's own Makefile links the programs that freeze modules out of the objects of the
//! interpreter: with link-time optimisation that takes longer than the interpreter itself. What they
//! write depends on the source alone, so they are built beside, without any optimisation, and what
//! they wrote is kept. It is never a part of a profile: frozen modules are code.

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

/// The options of the programs that freeze modules: what they write does not depend on them.
const HELPER_OPTIONS: &str = "CFLAGS_NODIST=-O0 -g0 -w";

/// A tree that can be compiled.
#[derive(Debug)]
pub struct FrozenTree {
    tree: LaunchedTree,
}

impl FrozenTree {
    /// The tree, which has now all that make needs.
    pub(super) fn into_tree(self) -> LaunchedTree {
        self.tree
    }
}

/// Puts the profile's data and the frozen modules into a tree. One that is built without a profile
/// stays as it is.
///
/// # Errors
/// What the compiler and the system answer.
pub fn freeze(tree: LaunchedTree, context: &BuildContext<'_>) -> Result<FrozenTree> {
    if let Optimisation::Profile(profile) = context.optimisation {
        if let Some(freeze) = context.recipe.shared.pgo.as_ref().and_then(|pgo| pgo.freeze.as_ref()) {
            frozen(&tree, freeze, context)?;
        }
        for (path, bytes) in &profile.data {
            fs::write_in_place(&tree.root().join(path), bytes)?;
        }
    }
    Ok(FrozenTree { tree })
}

/// The key of a source's frozen modules.
fn frozen_key(plan: &BuildPlan, freeze: &Freeze) -> Digest {
    Digest::of_json(&(
        "frozen modules",
        (plan.request.format, plan.request.release, plan.request.variant, &plan.source, &plan.patches),
        (&plan.configure, &plan.environment, &plan.toolchain),
        freeze,
    ))
}

/// Keeps the frozen modules that a whole build left in its tree, for the next build of the source.
///
/// # Errors
/// What the system answers.
pub fn keep_frozen(compiled: &Path, context: &BuildContext<'_>) -> Result<()> {
    let BuildContext { plan, recipe, store, work, .. } = *context;
    let Some(freeze) = recipe.shared.pgo.as_ref().and_then(|pgo| pgo.freeze.as_ref()) else { return Ok(()) };
    let files = written(compiled, freeze)?;
    store.keep_intermediate(frozen_key(plan, freeze), &packed(compiled, &files, work)?)
}

/// Puts the frozen modules into a tree: those of an earlier build of the same source on this
/// machine, or new ones.
fn frozen(tree: &LaunchedTree, freeze: &Freeze, context: &BuildContext<'_>) -> Result<()> {
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
    store.keep_intermediate(key, &packed(&beside, &files, work)?)?;
    put(&beside, &files, tree.root())?;
    fs::remove_tree(&beside)
}

/// The plan's arguments of make, with others in the place of those that optimise.
fn helper_arguments(plan: &BuildPlan) -> Vec<OsString> {
    let optimises = |word: &str| word.starts_with("CFLAGS_NODIST=") || word.starts_with("LDFLAGS_NODIST=");
    [HELPER_OPTIONS, "LDFLAGS_NODIST="]
        .into_iter()
        .chain(plan.make.iter().map(String::as_str).filter(|word| word.contains('=') && !optimises(word)))
        .map(OsString::from)
        .collect()
}

/// The files that were written in a tree, sorted.
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

/// Copies files of a tree into another. They are new there, and of one time: some are made of others,
/// and make has to take all of them for made.
fn put(from: &Path, files: &[PathBuf], to: &Path) -> Result<()> {
    let now = SystemTime::now();
    for file in files {
        let target = to.join(file);
        fs::write_in_place(&target, fs_err::read(from.join(file))?)?;
        fs_err::File::open(&target)?.file().set_modified(now)?;
    }
    Ok(())
}
