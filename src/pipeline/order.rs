//! The stages in order, in the four parts that pipelines are made of.

use crate::domain::launcher::Launcher;
use crate::error::Result;
use crate::recipe::PatchText;
use crate::stages::compile::{self, CompiledTree};
use crate::stages::fetch::{self, FetchOptions, VerifiedSource};
use crate::stages::launch::{self, LaunchedTree};
use crate::stages::package::{self, PackedArtifact};
use crate::stages::staging::{self, StagedPrefix};
use crate::stages::{BuildContext, bundle, configure, freeze, patch, pip, publish, relocate, strip, unpack, verify};
use crate::store::{EntryLock, StoredArtifact};

/// From the source to a tree that make can build. The caller keeps the source, which is not pruned meanwhile.
pub(super) fn configured(
    context: &BuildContext<'_>,
    patches: &[PatchText],
    options: &FetchOptions,
    launcher: Launcher,
) -> Result<(VerifiedSource, LaunchedTree)> {
    let BuildContext { recipe, work, store, .. } = *context;
    let source = context.stage(
        "fetch",
        format!("the source of Python {}", recipe.version),
        || fetch::fetch(recipe, options, store, context.runner(), context.reporter()),
        |source| source.name().to_owned(),
    )?;
    let _slot = context.jobs.slot()?;
    let tree = context.stage("unpack", source.name(), || unpack::unpack(&source, work), silent)?;
    let count = |_: &_| format!("{} patches", patches.len());
    let tree = context.stage("patch", "", || patch::apply(tree, patches), count)?;
    let tree = context.stage("configure", "", || configure::configure(&tree, context), silent)?;
    let tree = launch::launch(tree, launcher, context)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::stages::toy::Toy;
    use crate::sys::process::scripted::Answer;

    const FILES: &[(&str, &[u8])] =
        &[("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", b"not an ELF file")];

    /// All stages that run no Python: those after `package` need a real one.
    fn run(toy: &Toy, work: &str) -> Result<PackedArtifact> {
        toy.build(work, |context| {
            let fetch = FetchOptions { offline: true, ..FetchOptions::default() };
            let (_source, tree) = configured(context, &[], &fetch, Launcher::None)?;
            let tree = compiled(context, tree)?;
            packed(context, installed(context, &tree)?)
        })
    }

    /// The programs that were run, each by its name and its last word.
    fn programs(toy: &Toy) -> Vec<String> {
        toy.runner.specs().iter().map(crate::sys::process::Spec::name).collect()
    }

    #[test]
    fn the_stages_go_in_order_and_each_runs_its_programs() {
        let toy = Toy::new(FILES);
        let one = run(&toy, "work").unwrap();
        let stages = [
            "fetch",
            "unpack",
            "patch",
            "configure",
            "freeze",
            "compile",
            "stage",
            "bundle",
            "relocate",
            "strip",
            "package",
        ];
        assert_eq!(toy.reporter.stages(), stages);
        let made = ["make all", "make install", "python3.13", "strip"];
        let before = ["pkg-config pkg-config", "configure"];
        assert_eq!(programs(&toy), before.iter().chain(&made).copied().collect::<Vec<_>>());

        // Configure's output is restored in the next build, which gives the same bytes.
        let two = run(&toy, "again").unwrap();
        assert_eq!(programs(&toy)[6..], [&before[..1], &made[..]].concat());
        assert_eq!(one.digest(), two.digest());
    }

    #[test]
    fn pip_comes_before_the_libraries_that_it_may_need() {
        let mut toy = Toy::new(FILES).on("ensurepip", Answer::new());
        toy.plan.pip = true;
        run(&toy, "work").unwrap();
        assert_eq!(toy.reporter.stages()[6..9], ["stage", "pip", "bundle"]);
        assert!(programs(&toy).contains(&"python3.13 -m ensurepip".to_owned()));
    }

    #[test]
    fn a_stage_that_fails_is_the_last() {
        let toy = Toy::new(FILES).on(" all", Answer::new().err("a.c:1:1: error: no\n").code(2));
        assert!(matches!(run(&toy, "work"), Err(Error::Command { .. })));
        assert_eq!(toy.reporter.stages()[5..], ["compile", "compile: failed"]);
        assert_eq!(programs(&toy).last().unwrap(), "make all");
    }
}
