//! A toy for unit tests: a source archive of three files, a made-up plan, and a script in which configure and
//! make write what the stages expect of them. No program is run.

use std::path::{Path, PathBuf};

use super::compile::CompiledTree;
use super::staging::StagedPrefix;
use super::{BuildContext, compile, configure, fetch, freeze, launch, patch, staging, unpack};
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::domain::plan::BuildPlan;
use crate::domain::plan::tests::plan;
use crate::domain::profile::Optimisation;
use crate::error::Result;
use crate::event::{Event, Reporter, Silent};
use crate::recipe::{Catalog, ReleaseRecipe};
use crate::store::Store;
use crate::sys::distro::Distro;
use crate::sys::jobserver::JobServer;
use crate::sys::log::BuildLog;
use crate::sys::process::Spec;
use crate::sys::process::scripted::{Answer, Scripted};
use crate::sys::{archive, fs};

/// The time of the source's files, in seconds since 1970.
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// All that a build of the toy has, but its work directory.
pub(crate) struct Toy {
    directory: tempfile::TempDir,
    pub(crate) plan: BuildPlan,
    pub(crate) recipe: ReleaseRecipe,
    pub(crate) runner: Scripted,
    pub(crate) reporter: Recorder,
    pub(crate) store: Store,
    /// One with rpm, wherever the test runs: its database is read through the runner.
    distro: Distro,
    jobs: JobServer,
}

impl Toy {
    /// A toy whose make installs these files, given by their paths below the prefix, and a few that every
    /// Python has.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("store"));
        let catalog = Catalog::load(None).unwrap();
        let (_, mut recipe) = catalog.find("3.13.5".parse().unwrap()).unwrap();
        recipe.sums.xz = Some(keep_source(&store, directory.path()));
        recipe.sums.tgz = None;
        let mut plan = BuildPlan { source: recipe.sums, libraries: Vec::new(), ..plan() };
        plan.environment.insert("PATH".into(), "/usr/bin:/bin".into());
        Self {
            plan,
            recipe,
            runner: script(files),
            reporter: Recorder::default(),
            store,
            distro: Distro::parse("ID=fedora"),
            jobs: JobServer::new(1).unwrap(),
            directory,
        }
    }

    /// Adds a rule to the script.
    pub(crate) fn on(mut self, words: &str, answer: Answer) -> Self {
        self.runner = self.runner.on(words, answer);
        self
    }

    /// A place in the toy's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Calls `act` with the context of a build in a work directory of this name.
    pub(crate) fn build<T>(&self, name: &str, act: impl FnOnce(&BuildContext<'_>) -> T) -> T {
        let work = self.path(name);
        fs_err::create_dir_all(&work).unwrap();
        let log = BuildLog::create(self.path(&format!("{name}.log")), &self.runner, &self.reporter).unwrap();
        let Self { plan, recipe, distro, jobs, store, .. } = self;
        let (optimisation, work, log) = (&Optimisation::None, &*work, &log);
        act(&BuildContext { plan, recipe, optimisation, work, log, distro, jobs, store })
    }
}

/// Takes the toy through the stages up to a compiled tree.
pub(crate) fn compiled(context: &BuildContext<'_>) -> Result<CompiledTree> {
    let options = fetch::FetchOptions { offline: true, ..fetch::FetchOptions::default() };
    let source = fetch::fetch(context.recipe, &options, context.store, context.runner(), context.reporter()).unwrap();
    let tree = patch::apply(unpack::unpack(&source, context.work)?, &[])?;
    let tree = configure::configure(&tree, context)?;
    let tree = launch::launch(tree, Launcher::None, context)?;
    compile::compile(freeze::freeze(tree, context)?, context)
}

/// Takes the toy through the stages up to what make installed.
pub(crate) fn staged(context: &BuildContext<'_>) -> Result<StagedPrefix> {
    staging::stage(&compiled(context)?, context)
}

/// Puts the source archive into a store.
fn keep_source(store: &Store, directory: &Path) -> Digest {
    let tree = directory.join("source");
    for (name, text) in [("configure", "#!/bin/sh\n"), ("Modules/main.c", "int main;\n"), ("Lib/os.py", "pass\n")] {
        fs::write_in_place(&tree.join(name), text).unwrap();
    }
    let (bytes, ()) =
        archive::encode(Format::Xz, Vec::new(), |writer| archive::pack(&tree, "Python-3.13.5", EPOCH, writer)).unwrap();
    let slot = store.reserve_source(Digest::of(&bytes), &Silent).unwrap();
    fs_err::write(slot.part(), &bytes).unwrap();
    let digest = slot.digest();
    store.keep_source(slot).unwrap();
    digest
}

/// The scripted answers of a build's programs.
fn script(files: &[(&str, &[u8])]) -> Scripted {
    let files: Vec<_> = files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect();
    let makefile = |spec: &Spec| {
        fs_err::write(spec.directory.as_ref().unwrap().join("Makefile"), "CC=gcc\n").unwrap();
    };
    let install = move |spec: &Spec| {
        let argument = |word: &std::ffi::OsString| word.to_str()?.strip_prefix("DESTDIR=").map(PathBuf::from);
        let root = spec.args.iter().find_map(argument).unwrap().join("opt/myorg/python-3.13");
        for (name, content) in &files {
            fs::write_in_place(&root.join(name), content).unwrap();
        }
        fs::write_in_place(&root.join("bin/python3.13"), "#!/bin/false\n").unwrap();
        fs::write_in_place(&root.join("lib/python3.13/os.py"), "pass\n").unwrap();
        fs_err::create_dir_all(root.join("lib/python3.13/site-packages")).unwrap();
        fs_err::create_dir_all(root.join("lib/python3.13/lib-dynload")).unwrap();
    };
    Scripted::new()
        .on("pkg-config", Answer::new())
        .on("./configure", Answer::new().files(makefile))
        .on("make", Answer::new())
        .on(" install", Answer::new().files(install))
        .on("sys.builtin_module_names", Answer::new().out("sys\nbuiltins\n"))
        .on("strip ", Answer::new())
}

/// A reporter that records which stages began and ended.
#[derive(Default)]
pub(crate) struct Recorder {
    stages: std::sync::Mutex<Vec<String>>,
}

impl Recorder {
    /// The stages in order: `configure` when one began, `configure: failed` when it failed.
    pub(crate) fn stages(&self) -> Vec<String> {
        self.stages.lock().unwrap().clone()
    }
}

impl Reporter for Recorder {
    fn report(&self, event: Event) {
        let entry = match event {
            Event::Started { stage, .. } => stage.to_owned(),
            Event::Failed { stage, .. } => format!("{stage}: failed"),
            _ => return,
        };
        self.stages.lock().unwrap().push(entry);
    }

    fn task(&self, _: &str) -> Box<dyn Reporter + Send + '_> {
        Box::new(Silent)
    }
}
