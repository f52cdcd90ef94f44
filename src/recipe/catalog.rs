//! The recipes that are there: those compiled in, and those of a directory laid over them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::document::{self, Checked};
use super::files::{Files, RECIPES, stem};
use super::place::Layers;
use super::render::render;
use super::{Patch, PinnedProfile, Recipe, ReleaseRecipe, ReleaseRow};
use crate::domain::digest::Digest;
use crate::domain::plan::PlannedPatch;
use crate::domain::version::{Release, Selector, Series, Variant, VersionRequest};
use crate::error::{Error, Mistake, ProfileRemedy, Result};

pub(super) static PATCHES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/patches");

/// Where the scripts of training are, below the recipes.
const TRAINING: &str = "training";

/// A patch that was read and has the digest that its recipe names.
#[derive(Debug, Clone)]
pub struct PatchText {
    /// `3.13/name.patch`.
    pub name: String,
    /// The unified diff.
    pub text: String,
}

impl PatchText {
    /// Returns the patch as a plan names it.
    #[must_use]
    pub fn planned(&self) -> PlannedPatch {
        PlannedPatch { name: self.name.clone(), sha256: Digest::of(&self.text) }
    }
}

/// All recipes, by series.
#[derive(Debug)]
pub struct Catalog {
    recipes: BTreeMap<Series, Recipe>,
    files: Files,
    overlay: Option<PathBuf>,
}

/// Reads one recipe file and checks it, its patches and profiles included. What it extends, and its
/// patches and profiles, stand beside it or are compiled in. A file that series extend is checked with
/// each of them.
///
/// # Errors
/// [`Error::Mistake`] for the first mistake, [`Error::Unreadable`] if the file cannot be read.
pub fn check_file(path: &Path) -> Result<Vec<Recipe>> {
    fs_err::metadata(path).map_err(Error::Unreadable)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = Files::read(Some(directory))?;
    let catalog = Catalog { recipes: BTreeMap::new(), files, overlay: Some(directory.to_owned()) };
    let (name, file) = (stem(path), directory.join(path.file_name().unwrap_or_default()).display().to_string());
    if !catalog.files.overlaid().any(|(_, other)| other == file) {
        return Err(Mistake::at(&file, "", 0, "it is not named as a recipe file is: X.Y.toml or NAME.toml").into());
    }
    let is_whole = catalog.files.merged(&name)?.0.get_ref().contains_key("series");
    let candidates =
        if is_whole { vec![name.as_str()] } else { catalog.files.series().map(|(name, _)| name).collect() };
    let mut recipes = Vec::new();
    for name in candidates {
        let (checked, layers) = catalog.checked(name)?;
        if !layers.files().any(|other| other == file) {
            continue;
        }
        for (profile, place) in checked.recipe.profiles.iter().zip(&checked.profiles) {
            catalog.pinned(profile).map_err(|message| layers.mistake(*place, message))?;
        }
        recipes.push(checked.recipe);
    }
    if recipes.is_empty() {
        return Err(unused(&file).into());
    }
    Ok(recipes)
}

impl Catalog {
    /// Reads the recipes compiled in and, over them, the `*.toml` of a directory. A file of the
    /// directory takes the place of the one of its name, and may extend that one.
    ///
    /// # Errors
    /// [`Error::Mistake`] for the first mistake in a recipe, [`Error::Unreadable`] for a file that cannot be read.
    pub fn load(overlay: Option<&Path>) -> Result<Self> {
        let files = Files::read(overlay)?;
        let mut catalog = Self { recipes: BTreeMap::new(), files, overlay: overlay.map(Path::to_owned) };
        let mut used = BTreeSet::new();
        let mut recipes = BTreeMap::new();
        for (name, series) in catalog.files.series() {
            let (checked, layers) = catalog.checked(name)?;
            if checked.recipe.series != series {
                return Err(misnamed(layers.file(), &checked.recipe.series.to_string()).into());
            }
            used.extend(layers.files().map(str::to_owned));
            recipes.insert(series, checked.recipe);
        }
        // One that no series extends would change nothing, unseen.
        if let Some((name, file)) = catalog.files.overlaid().find(|(_, file)| !used.contains(*file)) {
            let table = catalog.files.merged(name)?.0;
            let series = table.get_ref().get("series").and_then(|series| series.get_ref().as_str());
            return Err(series.map_or_else(|| unused(file), |series| misnamed(file, series)).into());
        }
        catalog.recipes = recipes;
        Ok(catalog)
    }

    /// Returns the whole recipe of a series as the text of one file that extends nothing.
    ///
    /// # Errors
    /// [`Error::Mistake`] for a series without a recipe.
    pub fn resolved(&self, series: Series) -> Result<String> {
        Ok(render(self.files.merged(&series.to_string())?.0.get_ref()))
    }

    /// The recipe of a name, its patches compared with their digests, and the files it is made of.
    fn checked(&self, name: &str) -> std::result::Result<(Checked, Layers<'_>), Mistake> {
        let (table, layers) = self.files.merged(name)?;
        let checked = document::check(table, &layers)?;
        for (patch, place) in checked.recipe.shared.patches.iter().zip(&checked.patches) {
            self.patch(patch).map_err(|message| layers.mistake(*place, message))?;
        }
        Ok((checked, layers))
    }

    /// The bytes of a patch, checked against its digest.
    fn patch(&self, patch: &Patch) -> std::result::Result<String, String> {
        let bytes = self
            .overlay_patch(&patch.file)?
            .or_else(|| PATCHES.get_file(&patch.file).map(|file| file.contents().to_vec()));
        let bytes = bytes.ok_or_else(|| format!("there is no patch patches/{}", patch.file))?;
        let found = Digest::of(&bytes);
        if found != patch.sha256 {
            return Err(format!("patches/{} has the SHA-256 {found}, not {}", patch.file, patch.sha256));
        }
        String::from_utf8(bytes).map_err(|_| format!("patches/{} is not UTF-8", patch.file))
    }

    /// A patch of the overlay: `DIR/patches/…`, or `DIR/../patches/…` as in this project's tree.
    fn overlay_patch(&self, file: &str) -> std::result::Result<Option<Vec<u8>>, String> {
        let Some(directory) = &self.overlay else { return Ok(None) };
        for candidate in [directory.join("patches").join(file), directory.join("../patches").join(file)] {
            if candidate.is_file() {
                return fs_err::read(candidate).map(Some).map_err(|error| error.to_string());
            }
        }
        Ok(None)
    }

    /// The patches of a release, read and checked.
    ///
    /// # Errors
    /// [`Error::Patch`] if one is missing or has another digest.
    pub fn patches(&self, recipe: &ReleaseRecipe) -> Result<Vec<PatchText>> {
        let text = |patch: &Patch| {
            let text = self.patch(patch).map_err(|reason| Error::Patch { name: patch.file.clone(), reason })?;
            Ok(PatchText { name: patch.file.clone(), text })
        };
        recipe.shared.patches.iter().map(text).collect()
    }

    /// Returns the scripts that training runs, by their names. Those of the overlay's `training/` replace those
    /// compiled in.
    ///
    /// # Errors
    /// [`Error::Io`] if one of the overlay cannot be read.
    pub fn training_scripts(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut scripts = BTreeMap::new();
        for file in RECIPES.get_dir(TRAINING).into_iter().flat_map(Dir::files) {
            let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            scripts.insert(name, file.contents().to_vec());
        }
        let overlaid = self.overlay.as_ref().map(|directory| directory.join(TRAINING)).filter(|path| path.is_dir());
        for entry in overlaid.map(fs_err::read_dir).transpose()?.into_iter().flatten() {
            let entry = entry?;
            if !entry.path().is_file() {
                continue;
            }
            scripts.insert(entry.file_name().to_string_lossy().into_owned(), fs_err::read(entry.path())?);
        }
        Ok(scripts)
    }

    /// The bytes of a pinned profile: of the overlay's `profiles/`, or compiled in.
    ///
    /// # Errors
    /// [`Error::Profile`]: it is missing or has another digest.
    pub fn profile(&self, pinned: &PinnedProfile) -> Result<Cow<'static, [u8]>> {
        self.pinned(pinned).map_err(|reason| Error::Profile {
            what: pinned.file.clone(),
            reason,
            remedy: ProfileRemedy::PinnedFile,
        })
    }

    fn pinned(&self, pinned: &PinnedProfile) -> std::result::Result<Cow<'static, [u8]>, String> {
        let name = Path::new("profiles").join(&pinned.file);
        let overlaid = self.overlay.as_ref().map(|directory| directory.join(&name)).filter(|path| path.is_file());
        // The overlay's may be an older one of the same name.
        let mut candidates: Vec<(String, Cow<'static, [u8]>)> = Vec::new();
        if let Some(path) = overlaid {
            let bytes = fs_err::read(&path).map_err(|error| error.to_string())?;
            candidates.push((path.display().to_string(), bytes.into()));
        }
        if let Some(file) = RECIPES.get_file(&name) {
            candidates.push(("the one compiled in".to_owned(), file.contents().into()));
        }
        let mut others = Vec::new();
        for (name, bytes) in candidates {
            let found = Digest::of(&bytes);
            if found == pinned.sha256 {
                return Ok(bytes);
            }
            others.push(format!("{name} has {found}"));
        }
        let found = if others.is_empty() { "there is none".to_owned() } else { others.join(", ") };
        Err(format!("its SHA-256 is to be {}, and {found}", pinned.sha256))
    }

    /// Every recipe, oldest series first.
    #[must_use]
    pub fn recipes(&self) -> impl DoubleEndedIterator<Item = &Recipe> {
        self.recipes.values()
    }

    /// The recipe of a series.
    #[must_use]
    pub fn get(&self, series: Series) -> Option<&Recipe> {
        self.recipes.get(&series)
    }

    /// The recipe and the release that a request means.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] with the nearest versions there are.
    pub fn find(&self, request: VersionRequest) -> Result<(&Recipe, ReleaseRecipe)> {
        let found = match request.selector {
            Selector::Latest => self.latest(),
            Selector::Series(series) => self.get(series).and_then(|recipe| Some((recipe, recipe.newest()?))),
            Selector::Release(release) => self
                .get(release.series())
                .and_then(|recipe| Some((recipe, recipe.releases.iter().find(|row| row.version == release)?))),
        };
        let unknown = || Error::UnknownVersion { request: request.to_string(), nearest: self.nearest(request) };
        let (recipe, row) = found.ok_or_else(unknown)?;
        let release = recipe.release(row, request.variant).ok_or_else(|| Error::NoVariant {
            series: recipe.series,
            variant: request.variant,
            file: recipe.file.clone(),
        })?;
        Ok((recipe, release))
    }

    /// The newest series that has a release which is not a pre-release.
    fn latest(&self) -> Option<(&Recipe, &ReleaseRow)> {
        self.recipes
            .values()
            .rev()
            .filter_map(|recipe| Some((recipe, recipe.newest()?)))
            .find(|(_, row)| !row.version.is_pre_release())
    }

    /// Returns up to three versions with a recipe that are near to a request.
    fn nearest(&self, request: VersionRequest) -> Vec<String> {
        let variant = request.variant;
        match request.selector {
            Selector::Latest => Vec::new(),
            Selector::Release(release) if self.recipes.contains_key(&release.series()) => {
                self.nearest_releases(release).into_iter().map(|near| format!("{near}{variant}")).collect()
            }
            Selector::Release(release) => self.nearest_series(release.series(), variant),
            Selector::Series(series) => self.nearest_series(series, variant),
        }
    }

    fn nearest_releases(&self, release: Release) -> Vec<Release> {
        let rows = self.get(release.series()).map(|recipe| &recipe.releases[..]).unwrap_or_default();
        let mut releases: Vec<_> = rows.iter().map(|row| row.version).collect();
        releases.sort_by_key(|near| (near.micro().abs_diff(release.micro()), *near));
        releases.truncate(3);
        releases.sort_unstable();
        releases
    }

    fn nearest_series(&self, series: Series, variant: Variant) -> Vec<String> {
        let distance = |near: &Series| {
            i32::from(near.major.abs_diff(series.major)) * 1000 + i32::from(near.minor.abs_diff(series.minor))
        };
        let mut all: Vec<_> = self.recipes.keys().copied().collect();
        all.sort_by_key(distance);
        all.truncate(3);
        all.sort_unstable();
        all.iter().map(|near| format!("{near}{variant}")).collect()
    }
}

fn misnamed(file: &str, series: &str) -> Mistake {
    Mistake::at(file, "", 0, format!("the recipe of Python {series} has to be named {series}.toml"))
}

fn unused(file: &str) -> Mistake {
    Mistake::at(file, "", 0, "it has no `series`, and no recipe extends it, so it changes nothing")
}
