//! The stages in order, in the four parts that pipelines are made of.

use super::BuildOptions;
use crate::error::Result;
use crate::recipe::PatchText;
use crate::stages::compile::{self, CompiledTree};
use crate::stages::fetch::{self, VerifiedSource};
use crate::stages::launch::{self, LaunchedTree};
use crate::stages::package::{self, PackedArtifact};
use crate::stages::staging::{self, StagedPrefix};
use crate::stages::{BuildContext, bundle, configure, freeze, patch, pip, publish, relocate, strip, unpack, verify};
use crate::store::{EntryLock, StoredArtifact};

/// From the source to a tree that make can build. The caller keeps the source, which is not pruned meanwhile.
pub(super) fn configured(
    context: &BuildContext<'_>,
    patches: &[PatchText],
    options: &BuildOptions,
) -> Result<(VerifiedSource, LaunchedTree)> {
    let BuildContext { recipe, work, store, .. } = *context;
    let source = context.stage(
        "fetch",
        format!("the source of Python {}", recipe.version),
        || fetch::fetch(recipe, &options.fetch, store, context.runner(), context.reporter()),
        |source| source.name().to_owned(),
    )?;
    let _slot = context.jobs.slot()?;
    let tree = context.stage("unpack", source.name(), || unpack::unpack(&source, work), silent)?;
    let count = |_: &_| format!("{} patches", patches.len());
    let tree = context.stage("patch", "", || patch::apply(tree, patches), count)?;
    let tree = context.stage("configure", "", || configure::configure(&tree, context), silent)?;
    let tree = launch::launch(tree, options.launcher(recipe), context)?;
    Ok((source, tree))
}

/// From there to a tree in which everything is compiled.
pub(super) fn compiled(context: &BuildContext<'_>, tree: LaunchedTree) -> Result<CompiledTree> {
    let with = context.optimisation.to_string();
    let tree = context.stage("freeze", with, || freeze::freeze(tree, context), silent)?;
    let jobs = format!("with {} jobs", context.jobs.slots());
    let results = |tree: &CompiledTree| tree.launcher_results().to_owned();
    context.stage("compile", jobs, || compile::compile(tree, context), results)
}

/// From there to what `make install` leaves in the staging directory.
pub(super) fn installed(context: &BuildContext<'_>, tree: &CompiledTree) -> Result<StagedPrefix> {
    let modules = |_: &_| format!("{} extension modules", context.plan.modules.len());
    context.stage("stage", "", || staging::stage(tree, context), modules)
}

/// From there to the tarball of one flavor.
pub(super) fn packed(context: &BuildContext<'_>, prefix: StagedPrefix) -> Result<PackedArtifact> {
    let flavor = context.plan.request.flavor.name();
    let prefix =
        if context.plan.pip { context.stage("pip", flavor, || pip::install(prefix, context), silent)? } else { prefix };
    let libraries = |prefix: &bundle::BundledPrefix| format!("{} libraries", prefix.libraries().len());
    let prefix = context.stage("bundle", flavor, || bundle::bundle(prefix, context), libraries)?;
    let prefix = context.stage("relocate", flavor, || relocate::relocate(prefix, context), silent)?;
    let prefix = context.stage("strip", flavor, || strip::strip(prefix, context), silent)?;
    let name = |packed: &PackedArtifact| packed.manifest().name.to_string();
    context.stage("package", flavor, || package::package(&prefix, context), name)
}

/// From there to the store.
pub(super) fn published(context: &BuildContext<'_>, packed: PackedArtifact, lock: EntryLock) -> Result<StoredArtifact> {
    let flavor = context.plan.request.flavor.name();
    let (runner, reporter) = (context.runner(), context.reporter());
    let checks = |verified: &verify::VerifiedArtifact| verified.report().summary();
    let verified = context.stage("verify", flavor, || verify::verify(packed, runner, reporter), checks)?;
    context.stage("publish", flavor, || publish::publish(&verified, lock, context.store), silent)
}

/// The summary of a stage whose result has nothing to count.
fn silent<T>(_: &T) -> String {
    String::new()
}
