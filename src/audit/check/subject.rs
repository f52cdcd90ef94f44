//! An image with everything that several rules need to know of it.

use super::image::{Image, Tree};
use super::index::Index;
use super::linker::Linker;
use super::packages::Packages;
use super::python::{Environment, Python, Venv};
use super::user::User;
use crate::domain::version::{Release, Series};

/// What is known of a series of Python from its recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSeries {
    /// The series.
    pub series: Series,
    /// Its newest release.
    pub newest: Release,
    /// The day, month or year after which it gets no fixes: `2029-10`.
    pub end_of_life: Option<String>,
}

/// What an image is judged by.
#[derive(Debug, Default)]
pub struct Standards {
    /// The series of Python that are known.
    pub series: Vec<KnownSeries>,
    /// Today: `2026-11-27`.
    pub today: String,
    /// The packages that the distribution offers, if somebody gave its lists.
    pub index: Option<Index>,
    /// The user that a root file system is judged for, or instead of the image's.
    pub user: Option<String>,
}

/// An image that is judged.
pub struct Subject<'a> {
    /// The image.
    pub image: &'a Image,
    /// Its files.
    pub tree: &'a Tree,
    /// What it is judged by.
    pub standards: &'a Standards,
    /// The user that it runs as, if that is known.
    pub user: Option<User>,
    /// Its Pythons.
    pub pythons: Vec<Python>,
    /// Its virtual environments.
    pub venvs: Vec<Venv>,
    /// What each of those imports from.
    pub environments: Vec<Environment>,
    /// The packages of its distribution.
    pub packages: Packages,
    /// The search for libraries.
    pub linker: Linker<'a>,
}

impl<'a> Subject<'a> {
    /// Finds out what the rules need to know.
    #[must_use]
    pub fn new(image: &'a Image, standards: &'a Standards) -> Self {
        let tree = &image.tree;
        let config = image.config.as_ref();
        let pythons = Python::find_all(tree);
        let venvs = Venv::find_all(tree, &pythons);
        let search = config.and_then(|config| config.environment.get("PYTHONPATH")).map(String::as_str);
        let environments = Environment::find_all(tree, &pythons, &venvs, search);
        let written = standards.user.as_deref().or(config.map(|config| config.user.as_str()));
        Self {
            image,
            tree,
            standards,
            user: written.map(|written| User::find(tree, written)),
            pythons,
            venvs,
            environments,
            packages: Packages::read(tree),
            linker: Linker::new(tree, config),
        }
    }

    /// Whether the distribution's package manager knows a file, so that the distribution keeps it up to date.
    #[must_use]
    pub fn is_of_distribution(&self, path: &str) -> bool {
        self.packages.owner(path).is_some()
    }

    /// The directories of programs: those of PATH, of the Pythons and of the virtual environments, by their real paths.
    #[must_use]
    pub fn program_directories(&self) -> Vec<String> {
        let usual = self.image.config.clone().unwrap_or_default();
        let of_path = usual.search_path().into_iter().map(str::to_owned).collect::<Vec<_>>();
        let pythons = self.pythons.iter().map(|python| format!("{}/bin", python.prefix));
        let venvs = self.venvs.iter().map(|venv| format!("{}/bin", venv.root));
        let mut directories = Vec::new();
        for directory in of_path.into_iter().chain(pythons).chain(venvs) {
            if let Some(real) = self.tree.real(&directory).filter(|real| !directories.contains(real)) {
                directories.push(real);
            }
        }
        directories
    }

    /// Whether a path is below a directory of packages, where wheels bring what they like.
    #[must_use]
    pub fn is_of_a_wheel(&self, path: &str) -> bool {
        path.contains("-packages/") && self.packages.owner(path).is_none()
    }

    /// Whether a path belongs to a Python: below its standard library, or next to it under a prefix that only it has.
    #[must_use]
    pub fn python_of(&self, path: &str) -> Option<&Python> {
        self.pythons.iter().find(|python| {
            let is_below = |directory: &str| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
            is_below(&python.stdlib)
                || (!["", "/usr", "/usr/local"].contains(&python.prefix.as_str()) && is_below(&python.prefix))
        })
    }
}
