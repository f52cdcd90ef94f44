//! The recipes that are there: those compiled in, and those of a directory laid over them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::checked::Recipe;
use super::{Patch, PinnedProfile, ReleaseRecipe, ReleaseRow};
use crate::domain::digest::Digest;
use crate::domain::version::{Release, Selector, Series, Variant, VersionRequest};
use crate::error::{Error, Mistake, ProfileRemedy, Result};

static RECIPES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/recipes");
static PATCHES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/patches");

/// The text of the recipe of a series that is compiled in.
#[must_use]
pub fn compiled_in(series: Series) -> Option<String> {
    RECIPES.get_file(format!("{series}.toml"))?.contents_utf8().map(str::to_owned)
}

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

/// All recipes, by series.
#[derive(Debug)]
pub struct Catalog {
    recipes: BTreeMap<Series, Recipe>,
    overlay: Option<PathBuf>,
}

impl Catalog {
    /// Reads the recipes compiled in and, over them, the `*.toml` of a directory. A recipe of the
    /// directory replaces the one of its series.
    ///
    /// # Errors
    /// The first mistake in a recipe, or a file that cannot be read.
    pub fn load(overlay: Option<&Path>) -> Result<Self> {
        let mut catalog = Self { recipes: BTreeMap::new(), overlay: overlay.map(Path::to_owned) };
        for file in RECIPES.files().filter(|file| is_recipe(file.path())) {
            let name = format!("recipes/{}", file.path().display());
            let text = file.contents_utf8().ok_or_else(|| not_utf8(&name))?;
            catalog.add(&name, text)?;
        }
        if let Some(directory) = overlay {
            let entries = fs_err::read_dir(directory).map_err(Error::Unreadable)?;
            let mut files: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
            files.sort_unstable();
            for path in files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
                let series = catalog.add_file(&path)?;
                // Else one could replace the recipe of another series unseen.
                if path.file_stem().and_then(|stem| stem.to_str()) != Some(series.to_string().as_str()) {
                    return Err(Mistake {
                        file: path.display().to_string(),
                        line: 1,
                        column: 1,
                        message: format!("the recipe of Python {series} has to be named {series}.toml"),
                    }
                    .into());
                }
            }
        }
        Ok(catalog)
    }

    /// Reads one recipe file and checks it, its patches and profiles included.
    ///
    /// # Errors
    /// The first mistake in it, or that it cannot be read.
    pub fn check_file(&mut self, path: &Path) -> Result<Series> {
        // Its patches stand beside it, or where the crate's own do.
        self.overlay = path.parent().map(Path::to_owned);
        let series = self.add_file(path)?;
        let recipe = self.recipes.get(&series);
        for profile in recipe.into_iter().flat_map(Recipe::profiles) {
            self.pinned(profile).map_err(|message| {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                super::mistake(&path.display().to_string(), &text, profile.offset, message)
            })?;
        }
        Ok(series)
    }

    fn add_file(&mut self, path: &Path) -> Result<Series> {
        let name = path.display().to_string();
        let text = String::from_utf8(fs_err::read(path).map_err(Error::Unreadable)?).map_err(|_| not_utf8(&name))?;
        self.add(&name, &text)
    }

    fn add(&mut self, name: &str, text: &str) -> Result<Series> {
        let recipe = Recipe::parse(name, text)?;
        for patch in recipe.patches() {
            self.patch(patch).map_err(|message| super::mistake(name, text, patch.offset, message))?;
        }
        let series = recipe.series;
        self.recipes.insert(series, recipe);
        Ok(series)
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
    /// That one is missing or has another digest.
    pub fn patches(&self, recipe: &ReleaseRecipe) -> Result<Vec<PatchText>> {
        let text = |patch: &Patch| {
            let text = self.patch(patch).map_err(|reason| Error::Patch { name: patch.file.clone(), reason })?;
            Ok(PatchText { name: patch.file.clone(), text })
        };
        recipe.patches.iter().map(text).collect()
    }

    /// The scripts that training runs, by their names: those of the overlay's `training/` over those
    /// compiled in.
    ///
    /// # Errors
    /// What the system answers.
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

    /// Up to three versions that are there and near to what was asked for.
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

fn is_recipe(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
        && path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.parse::<Series>().is_ok())
}

fn not_utf8(file: &str) -> Mistake {
    Mistake { file: file.to_owned(), line: 1, column: 1, message: "the file is not UTF-8".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recipes compiled in, with their texts.
    fn texts() -> impl Iterator<Item = (Series, &'static str)> {
        let text = |file: &'static include_dir::File<'_>| {
            let series = file.path().file_stem().and_then(|stem| stem.to_str()).expect("a name").parse();
            (series.expect("a series"), file.contents_utf8().expect("UTF-8"))
        };
        RECIPES.files().filter(|file| is_recipe(file.path())).map(text)
    }

    #[test]
    fn every_recipe_is_sound_and_lists_its_releases_in_order() {
        let catalog = Catalog::load(None).unwrap();
        for (series, text) in texts() {
            let recipe = catalog.get(series).unwrap();
            assert!(recipe.end_of_life.is_some(), "{series}");
            let rows = text.lines().filter_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
            let versions: Vec<Release> = rows.map(|version| version.parse().unwrap()).collect();
            assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{series}: {versions:?}");
            assert_eq!(versions, recipe.releases.iter().map(|row| row.version).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_patch_that_is_there_belongs_to_a_recipe() {
        let catalog = Catalog::load(None).unwrap();
        let used: Vec<&str> =
            catalog.recipes().flat_map(|recipe| recipe.patches().iter().map(|patch| patch.file.as_str())).collect();
        for directory in PATCHES.dirs() {
            for file in directory.files() {
                let name = file.path().to_str().unwrap();
                assert!(used.contains(&name), "no recipe uses patches/{name}");
                let text = file.contents_utf8().unwrap();
                let prose = text.split("--- a/").next().unwrap_or_default();
                assert!(prose.lines().filter(|line| !line.is_empty()).count() > 1, "{name} does not say why it exists");
            }
        }
    }

    #[test]
    fn a_sum_is_of_one_release_alone() {
        let mut seen = BTreeMap::new();
        for recipe in Catalog::load(None).unwrap().recipes() {
            for row in &recipe.releases {
                for sum in [row.sums.xz, row.sums.tgz].into_iter().flatten() {
                    assert_eq!(seen.insert(sum, row.version), None, "{} has the sum of another", row.version);
                }
            }
        }
    }
}
