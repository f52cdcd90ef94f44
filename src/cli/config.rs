//! What arguments and environment come to.

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::PathBuf;

use super::args::{ChoiceArgs, Global, HowArgs};
use super::reporter::CliReporter;
use crate::domain::plan::Flavor;
use crate::domain::prefix::Prefix;
use crate::error::{Error, Result};
use crate::pipeline::BuildOptions;
use crate::recipe::Catalog;
use crate::stages::fetch::{FetchOptions, Mirror};
use crate::stages::resolve::Choices;
use crate::store::LocalStore;
use crate::sys::http::Limits;

/// The variables of the user that decide what a compiler makes.
const COMPILER_VARIABLES: [&str; 4] = ["CC", "CFLAGS", "CPPFLAGS", "LDFLAGS"];

/// What a command acts on.
pub(super) struct Config {
    /// The store.
    pub store: LocalStore,
    /// Takes events and draws them.
    pub reporter: CliReporter,
    /// Whether the result is printed as JSON.
    pub json: bool,
    recipes: Option<PathBuf>,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no place for a store.
    pub(super) fn new(global: &Global) -> Result<Self> {
        Ok(Self {
            store: LocalStore::new(store_root(global)?),
            reporter: CliReporter::new(global),
            json: global.json,
            recipes: global.recipes.clone(),
        })
    }

    /// The recipes.
    ///
    /// # Errors
    /// The first mistake in one.
    pub(super) fn catalog(&self) -> Result<Catalog> {
        Catalog::load(self.recipes.as_deref())
    }

    /// What the user chose.
    ///
    /// # Errors
    /// [`Error::Usage`] for a variable that is not UTF-8: it would have to be in the plan.
    pub(super) fn choices(args: &ChoiceArgs, prefix: Option<Prefix>, debug_files: bool) -> Result<Choices> {
        let mut compiler_variables = BTreeMap::new();
        for name in COMPILER_VARIABLES {
            match std::env::var(name) {
                Ok(value) if !value.trim().is_empty() => drop(compiler_variables.insert(name.to_owned(), value)),
                Ok(_) | Err(VarError::NotPresent) => {}
                Err(error @ VarError::NotUnicode(_)) => return Err(Error::Usage(format!("{name}: {error}"))),
            }
        }
        Ok(Choices {
            prefix,
            optimize: args.optimize,
            bytecode: args.bytecode,
            library_policy: args.libraries,
            debug_files,
            compiler_variables,
        })
    }

    /// How to build.
    ///
    /// # Errors
    /// [`Error::Usage`] for a mirror that cannot be used.
    pub(super) fn build_options(args: &HowArgs, choices: Choices, flavors: Vec<Flavor>) -> Result<BuildOptions> {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let mirrors = args.mirror.iter().map(|mirror| Mirror::parse(mirror)).collect::<Result<_>>()?;
        Ok(BuildOptions {
            choices,
            flavors,
            fetch: FetchOptions { mirrors, offline: args.offline, limits: Limits::default() },
            jobs: args.jobs.map_or_else(processors, usize::from),
            install_deps: args.install_deps,
            allow_eol: args.allow_eol,
            keep_build: args.keep_build,
            work_elsewhere: vec![std::env::temp_dir(), "/var/tmp".into(), "/tmp".into()],
        })
    }
}

/// The store: named, or in the user's cache directory.
fn store_root(global: &Global) -> Result<PathBuf> {
    let absolute = |path: PathBuf| std::path::absolute(&path).map_err(Error::from);
    if let Some(root) = &global.store {
        return absolute(root.clone());
    }
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // The XDG base directory specification: a relative path counts as none.
    let cache = directory("XDG_CACHE_HOME").or_else(|| directory("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("pykeel")).ok_or_else(|| {
        Error::Usage(
            "there is no place for the store: neither XDG_CACHE_HOME nor HOME is set, and no `--store DIR` is given"
                .into(),
        )
    })
}
