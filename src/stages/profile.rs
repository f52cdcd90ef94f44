//! Profiles: whose they are, whether a compiler can read them, and how they are packed. A profile
//! is data and never code: nothing but GCC's files of training data is taken from one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::preflight::Host;
use super::resolve::Choices;
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::plan::{BuildPlan, Optimize};
use crate::domain::profile::{
    CompilerFamily, CompilerVersion, DataVersion, PROFILE_FORMAT, PROFILE_MANIFEST, Profile, ProfileManifest,
};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::recipe::{Catalog, ReleaseRecipe};
use crate::store::{HeldProfile, Store};
use crate::sys::{archive, fs, gcov};

/// How a release is going to be optimised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Optimisation {
    /// Without a profile.
    None,
    /// As the instrumented build that records one.
    Instrumented(Data),
    /// With a profile.
    Profile(Box<Profile>),
}

impl fmt::Display for Optimisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("without a profile"),
            Self::Instrumented(_) => f.write_str("to record a profile"),
            Self::Profile(profile) => write!(f, "with profile {}", profile.digest.short()),
        }
    }
}

/// The compiler's side of training data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    compiler: CompilerVersion,
    version: DataVersion,
}

/// A profile that a user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedProfile {
    /// The SHA-256 of its archive.
    pub digest: Digest,
    /// The file; none if it is to be found in the store by its digest.
    pub file: Option<PathBuf>,
}

/// Chooses how a release is optimised: the profile that the user named, the one that the recipe
/// pins for the compiler, or training.
///
/// # Errors
/// [`Error::Profile`] where the compiler has no such data, or the profile cannot be used with it.
pub fn choose(
    recipe: &ReleaseRecipe,
    choices: &Choices,
    host: &Host<'_>,
    catalog: &Catalog,
    store: &dyn Store,
    reporter: &dyn Reporter,
) -> Result<Optimisation> {
    if choices.optimize(recipe, host.target) == Optimize::None {
        return match &choices.profile {
            None => Ok(Optimisation::None),
            Some(_) => Err(Error::Usage(
                "`--profile` is of no use with `optimize` set to none (`pykeel config` says where it is)".into(),
            )),
        };
    }
    if let Some((name, _)) = choices.compiler_word(&["-w"]) {
        return Err(Error::Usage(format!(
            "`-w` in {name} silences what the compiler says of functions that the profile does not fit: \
             leave it out, or build with `--optimize none`"
        )));
    }
    let data = data(recipe, host)?;
    let compiler = data.compiler;
    let profile = if let Some(named) = &choices.profile {
        let bytes = named_bytes(named, store, reporter)?;
        open(&named.digest.to_string(), &bytes)?
    } else if let Some(pinned) = recipe.pinned_profile(host.target, compiler) {
        open(&pinned.file, &catalog.profile(pinned)?)?
    } else {
        return Ok(Optimisation::Instrumented(data));
    };
    let manifest = &profile.manifest;
    let mismatch = |reason: String| Error::profile(profile.digest, reason);
    if manifest.data_version != data.version {
        return Err(mismatch(format!(
            "its data are of {} (version {}), and {compiler} reads version {} alone",
            manifest.compiler, manifest.data_version, data.version
        )));
    }
    if (manifest.target, manifest.variant) != (host.target, recipe.variant) {
        return Err(mismatch(format!(
            "it was recorded with Python {}{} on {}",
            manifest.release, manifest.variant, manifest.target
        )));
    }
    if manifest.release.series() != recipe.version.series() {
        return Err(mismatch(format!("it was recorded with Python {}", manifest.release)));
    }
    if manifest.release != recipe.version {
        reporter.report(Event::Note(format!(
            "the profile of Python {} is used for {}: functions that changed since go without",
            manifest.release,
            recipe.full_version()
        )));
    }
    Ok(Optimisation::Profile(Box::new(profile)))
}

/// Whether the store has a profile; one that the recipe pins, for whichever compiler, is put there.
///
/// # Errors
/// [`Error::Profile`] where a pinned one is missing or another, and what the store answers.
pub fn at_hand(
    digest: Digest,
    recipe: &ReleaseRecipe,
    catalog: &Catalog,
    store: &dyn Store,
    reporter: &dyn Reporter,
) -> Result<bool> {
    if let Some(pinned) = recipe.profiles.iter().find(|pinned| pinned.sha256 == digest) {
        store.keep_profile(&catalog.profile(pinned)?)?;
        return Ok(true);
    }
    Ok(store.profile(digest, reporter)?.is_some())
}

/// The training data that the compiler of a host writes and reads.
///
/// # Errors
/// [`Error::Profile`] where it has none, or the recipe does not say how to build with a profile.
pub fn data(recipe: &ReleaseRecipe, host: &Host<'_>) -> Result<Data> {
    let unusable = |reason: String, remedy: &str| Error::Profile {
        what: format!("for Python {}", recipe.full_version()),
        reason,
        remedy: remedy.to_owned(),
    };
    if recipe.pgo.is_none() {
        return Err(unusable(
            "the recipe has no [pgo] that says how to build with one".into(),
            "build with `--optimize none`, or write it: docs/recipes.md says what is in it",
        ));
    }
    let compiler = host.compiler.compiler_version()?;
    match host.compiler.data_version()? {
        Some(version) if compiler.family == CompilerFamily::Gcc => Ok(Data { compiler, version }),
        _ => Err(unusable(
            format!("the compiler is {compiler}, and pykeel has training data of gcc alone"),
            "build with gcc, or with `--optimize none`",
        )),
    }
}

/// Puts the profile that a user named by its file into the store, and keeps one that is there from
/// being pruned: whoever has the artifact later asks the store for what it was made with.
///
/// # Errors
/// [`Error::Profile`] where it has gone, or what the system answers.
pub fn hold_named(choices: &Choices, store: &dyn Store, reporter: &dyn Reporter) -> Result<Option<HeldProfile>> {
    match &choices.profile {
        None => Ok(None),
        Some(named) if named.file.is_some() => Ok(Some(store.keep_profile(&named_bytes(named, store, reporter)?)?)),
        Some(named) => {
            let held = store.hold_profile(named.digest, reporter)?;
            held.map(Some).ok_or_else(|| Error::profile(named.digest, NOT_STORED))
        }
    }
}

/// What is wrong with a profile that a store does not have.
const NOT_STORED: &str = "it is not in the store";

fn named_bytes(named: &NamedProfile, store: &dyn Store, reporter: &dyn Reporter) -> Result<Vec<u8>> {
    let Some(path) = &named.file else {
        return store.profile(named.digest, reporter)?.ok_or_else(|| Error::profile(named.digest, NOT_STORED));
    };
    let bytes = fs_err::read(path)?;
    let found = Digest::of(&bytes);
    if found == named.digest {
        return Ok(bytes);
    }
    Err(Error::DigestMismatch { what: path.display().to_string(), found, expected: named.digest })
}

/// Reads a profile's archive and checks all that is in it.
///
/// # Errors
/// [`Error::Profile`], or what is wrong with the archive.
pub fn open(name: &str, bytes: &[u8]) -> Result<Profile> {
    let wrong = |reason: String| Error::profile(name, reason);
    let mut data = BTreeMap::new();
    let links = archive::scan(name, archive::decoder(Format::Xz, bytes)?, |path, reader| {
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        data.insert(path, content);
        Ok(())
    })?;
    if links > 0 {
        return Err(wrong("it has a link in it".into()));
    }
    let manifest = data.remove(Path::new(PROFILE_MANIFEST));
    let manifest = manifest.ok_or_else(|| wrong(format!("it has no {PROFILE_MANIFEST}")))?;
    let manifest: ProfileManifest =
        serde_json::from_slice(&manifest).map_err(|error| wrong(format!("{PROFILE_MANIFEST}: {error}")))?;
    if manifest.format != PROFILE_FORMAT {
        return Err(wrong(format!("its format is {}, and this pykeel reads {PROFILE_FORMAT}", manifest.format)));
    }
    if data.is_empty() {
        return Err(wrong("it has no data".into()));
    }
    for (path, bytes) in &data {
        let of_gcc = path.extension().is_some_and(|extension| extension == "gcda");
        match gcov::data_version(bytes).filter(|_| of_gcc) {
            Some(version) if version == manifest.data_version => {}
            Some(version) => {
                let reason = format!("{} is of version {version}, not {}", path.display(), manifest.data_version);
                return Err(wrong(reason));
            }
            None => return Err(wrong(format!("{} is no training data of GCC", path.display()))),
        }
    }
    Ok(Profile { digest: Digest::of(bytes), manifest, data })
}

/// Packs what the training left in a build tree, and gives the profile with its archive. The bytes
/// depend on the data alone.
///
/// # Errors
/// That there are none, or what the system answers.
pub(super) fn pack(
    tree: &Path,
    work: &Path,
    plan: &BuildPlan,
    data: Data,
    training: &[Vec<String>],
    scripts: BTreeMap<String, Digest>,
    epoch: u64,
) -> Result<(Profile, Vec<u8>)> {
    let top = format!("profile-{}{}", plan.release, plan.variant);
    let directory = fs::temporary_directory_in(work, "profile-")?;
    for file in data_files(tree)? {
        fs::copy_into_place(&tree.join(&file), &directory.path().join(&file))?;
    }
    let flags = ["OPT", "CC", "CFLAGS", "CPPFLAGS", "LDFLAGS"].into_iter();
    let environment = flags.filter_map(|name| Some((name.to_owned(), plan.environment.get(name)?.clone())));
    let made = plan.make.iter().filter_map(|word| word.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned()));
    let manifest = ProfileManifest {
        format: PROFILE_FORMAT,
        release: plan.release,
        variant: plan.variant,
        target: plan.target,
        source: plan.source,
        patches: plan.patches.clone(),
        compiler: data.compiler,
        compiler_line: plan.toolchain.compiler.clone(),
        data_version: data.version,
        flags: environment.chain(made).collect(),
        training: training.to_vec(),
        scripts,
    };
    let json = serde_json::to_string_pretty(&manifest).map_err(std::io::Error::from)?;
    fs_err::write(directory.path().join(PROFILE_MANIFEST), json + "\n")?;
    let (bytes, ()) =
        archive::encode(Format::Xz, Vec::new(), |writer| archive::pack(directory.path(), &top, epoch, writer))?;
    // What cannot be read again is not kept.
    Ok((open(&top, &bytes)?, bytes))
}

/// The files of training data in a build tree, by their paths in it.
///
/// # Errors
/// What the system answers.
pub(super) fn data_files(tree: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::walk(tree)?.into_iter().filter(fs::Entry::is_file);
    Ok(entries.map(|entry| entry.path).filter(|path| path.extension().is_some_and(|name| name == "gcda")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::version::Variant;

    #[test]
    fn the_own_profiles_are_what_their_recipes_say() {
        let catalog = Catalog::load(None).unwrap();
        let mut seen = 0;
        for recipe in catalog.recipes() {
            for row in &recipe.releases {
                for variant in std::iter::once(Variant::Default).chain(recipe.variants.keys().copied()) {
                    let release = recipe.release(row, variant).unwrap();
                    for pinned in &release.profiles {
                        let profile = open(&pinned.file, &catalog.profile(pinned).unwrap()).unwrap();
                        let manifest = &profile.manifest;
                        assert_eq!(profile.digest, pinned.sha256);
                        assert_eq!((manifest.target, manifest.compiler), (pinned.target, pinned.compiler));
                        assert_eq!((manifest.variant, manifest.release.series()), (variant, recipe.series));
                        assert!(manifest.release <= release.version, "of an earlier release, or of the same");
                        let pgo = release.pgo.as_ref().unwrap();
                        assert!(profile.data.contains_key(&pgo.evaluation_data), "{}", pinned.file);
                        // The script that it was trained with is the one that is here.
                        for (name, sum) in &manifest.scripts {
                            assert_eq!(Digest::of(&catalog.training_scripts().unwrap()[name]), *sum, "{}", pinned.file);
                        }
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen >= 1);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        assert!(open("x", b"").is_err());
        assert!(open("x", b"\xfd7zXZ\x00 and no more").is_err());
        let (bytes, ()) = archive::encode(Format::Xz, Vec::new(), |writer| {
            let tree = tempfile::tempdir()?;
            fs_err::write(tree.path().join(PROFILE_MANIFEST), "{}")?;
            archive::pack(tree.path(), "x", 0, writer)
        })
        .unwrap();
        let error = open("x", &bytes).unwrap_err().to_string();
        assert!(error.contains("profile.json: missing field"), "{error}");
    }
}
