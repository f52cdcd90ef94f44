//! `pykeel train`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::TrainArgs;
use super::super::config::Config;
use super::super::timings::Recorder;
use super::{full_versions, print};
use crate::domain::digest::Digest;
use crate::domain::plan::{Flavor, Optimize};
use crate::domain::profile::{Profile, ProfileManifest};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::recipe::{self, Catalog, Pinned, ReleaseRecipe};
use crate::stages::train::Recorded;
use crate::sys::fs;

#[derive(Debug, Serialize)]
struct Output<'a> {
    /// The SHA-256 of the profile, by which `--profile` finds it in the store.
    digest: Digest,
    #[serde(serialize_with = "super::lossy")]
    path: PathBuf,
    /// The number of objects with data.
    objects: usize,
    /// Bytes.
    size: u64,
    manifest: &'a ProfileManifest,
    #[serde(serialize_with = "super::lossy_or_none")]
    saved: Option<PathBuf>,
}

pub(super) fn run(args: &TrainArgs, config: &Config) -> Result<u8> {
    let catalog = config.catalog()?;
    let recorder = Recorder::new(config, &args.flags, full_versions([&args.version], &catalog)?)?;
    let outcome = train(args, config, &catalog, &recorder);
    recorder.finish(outcome)
}

fn train(args: &TrainArgs, config: &Config, catalog: &Catalog, reporter: &Recorder<'_>) -> Result<u8> {
    let jobs = config.jobs()?;
    let pipeline = config.pipeline(catalog, reporter, &jobs);
    let recipes = match (args.save, &config.settings.recipes.value) {
        (true, None) => {
            let message = "`--save` needs `--recipes DIR`, the directory with the recipe to pin the profile in";
            return Err(Error::Usage(message.into()));
        }
        (true, Some(directory)) => Some(directory.as_path()),
        (false, _) => None,
    };
    let mut choices = config.choices(config.settings.prefix.value.clone(), args.configure.once(false), None)?;
    choices.optimize = Some(Optimize::Pgo);
    let options = config.build_options(&(&args.flags).into(), choices, vec![Flavor::Runtime])?;
    // It is held against pruning until it is saved.
    let (recipe, Recorded { profile, held: _held }) = pipeline.train(args.version, &options)?;
    let path = config.store.profile_path(profile.digest);
    let saved = recipes.map(|directory| save(directory, &recipe, &profile, config)).transpose()?;
    let output = Output {
        digest: profile.digest,
        objects: profile.data.len(),
        size: fs_err::metadata(&path)?.len(),
        path,
        manifest: &profile.manifest,
        saved,
    };
    print(config, &output, || {
        format!("sha256:{}\n{}\n", output.digest, output.saved.as_ref().unwrap_or(&output.path).display())
    })?;
    Ok(0)
}

/// Writes a profile into a directory of recipes, and pins it there.
fn save(directory: &Path, recipe: &ReleaseRecipe, profile: &Profile, config: &Config) -> Result<PathBuf> {
    let manifest = &profile.manifest;
    let compiler = manifest.compiler.to_string().replace(' ', "");
    // The name contains the digest, because another row may still use the file of an earlier profile.
    let (version, arch, digest) = (recipe.full_version(), manifest.target.arch(), profile.digest.short());
    let name = format!("{version}-{arch}-{compiler}-{digest}.tar.xz");
    let bytes = config
        .store
        .profile(profile.digest, &config.reporter)?
        .ok_or_else(|| Error::profile(profile.digest, "it is not in the store any more"))?;
    let file = directory.join(format!("{}.toml", recipe.version.series()));
    let text = match fs_err::read_to_string(&file) {
        Ok(text) => text,
        // It inherits all but the profile from the recipe compiled in.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("extends = \"{}\"\n", recipe.version.series())
        }
        Err(error) => return Err(error.into()),
    };
    let Pinned { text, unpinned } = recipe::pin(&text, &name, profile)
        .map_err(|reason| Error::Usage(format!("{} cannot be changed: {reason}", file.display())))?;
    let profiles = directory.join("profiles");
    let place = profiles.join(&name);
    fs::write_atomically(&place, &bytes)?;
    fs::write_atomically(&file, text.as_bytes())?;
    for name in unpinned {
        match fs_err::remove_file(profiles.join(name)) {
            // One that is compiled in.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    config.reporter.report(Event::Note(format!("{} is pinned in {}", place.display(), file.display())));
    Ok(place)
}
