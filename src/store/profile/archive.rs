//! The archive of a profile: packing it, and checking what is in one. A profile is data, never code: only
//! GCC's files of training data are accepted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::plan::BuildPlan;
use crate::domain::profile::{PROFILE_FORMAT, PROFILE_MANIFEST, Profile, ProfileManifest, TrainingData};
use crate::error::{Error, Result};
use crate::sys::{archive, fs, gcov};

/// Reads a profile's archive and checks everything in it.
///
/// # Errors
/// [`Error::Profile`] if its content is not a profile that this version reads; [`Error::HostileArchive`],
/// [`Error::Damaged`] or [`Error::Io`] if it cannot be unpacked.
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

/// The data of a training run in a build tree, and how it was recorded.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// The build tree with the `.gcda` files.
    pub tree: &'a Path,
    /// The plan of the instrumented build.
    pub plan: &'a BuildPlan,
    /// The compiler, and the version of its training data.
    pub data: TrainingData,
    /// The arguments of each training run.
    pub training: &'a [Vec<String>],
    /// The SHA-256 of the scripts that the training runs used, by file name.
    pub scripts: &'a BTreeMap<String, Digest>,
    /// The time stamp of every file in the archive, in seconds since 1970.
    pub epoch: u64,
}

/// Packs a recording, and returns the profile with its archive. `work` is a directory for temporary files.
/// The bytes depend on the recording alone.
///
/// # Errors
/// [`Error::Profile`] if there is no training data or it cannot be read back, [`Error::Io`] if a file cannot
/// be read or written.
pub fn pack(recording: Recording<'_>, work: &Path) -> Result<(Profile, Vec<u8>)> {
    let Recording { tree, plan, data, training, scripts, epoch } = recording;
    let top = format!("profile-{}{}", plan.request.release, plan.request.variant);
    let directory = fs::temporary_directory_in(work, "profile-")?;
    for file in data_files(tree)? {
        fs::copy_into_place(&tree.join(&file), &directory.path().join(&file))?;
    }
    let manifest = ProfileManifest {
        format: PROFILE_FORMAT,
        release: plan.request.release,
        variant: plan.request.variant,
        target: plan.request.target,
        source: plan.source,
        patches: plan.patches.clone(),
        compiler: data.compiler,
        compiler_line: plan.toolchain.compiler.clone(),
        data_version: data.version,
        flags: flags(plan),
        training: training.to_vec(),
        scripts: scripts.clone(),
    };
    let json = serde_json::to_string_pretty(&manifest).map_err(std::io::Error::from)?;
    fs_err::write(directory.path().join(PROFILE_MANIFEST), json + "\n")?;
    let (bytes, ()) =
        archive::encode(Format::Xz, Vec::new(), |writer| archive::pack(directory.path(), &top, epoch, writer))?;
    // A profile that cannot be read back is not kept.
    Ok((open(&top, &bytes)?, bytes))
}

/// The flags that a plan's interpreter is compiled with.
fn flags(plan: &BuildPlan) -> BTreeMap<String, String> {
    let names = ["OPT", "CC", "CFLAGS", "CFLAGS_NODIST", "CPPFLAGS", "LDFLAGS", "LDFLAGS_NODIST"].into_iter();
    let environment = names.filter_map(|name| Some((name.to_owned(), plan.environment.get(name)?.clone())));
    let mut flags: BTreeMap<String, String> = environment.collect();
    let made = plan.make.iter().filter_map(|word| word.split_once('=')).filter(|(name, _)| *name != "PYTHON_FOR_BUILD");
    for (name, value) in made {
        // The Makefile puts these after what configure was given. Other variables it replaces.
        match flags.get_mut(name) {
            Some(given) if name.ends_with("_NODIST") => *given = format!("{given} {value}"),
            _ => drop(flags.insert(name.to_owned(), value.to_owned())),
        }
    }
    flags
}

/// The files of training data in a build tree, by their paths in it.
///
/// # Errors
/// [`Error::Io`] if the tree cannot be read.
pub fn data_files(tree: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::walk(tree)?.into_iter().filter(fs::Entry::is_file);
    Ok(entries.map(|entry| entry.path).filter(|path| path.extension().is_some_and(|name| name == "gcda")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures;

    #[test]
    fn the_flags_of_hardening_are_recorded_with_those_of_the_training() {
        let mut plan = fixtures::manifest().plan;
        plan.environment = [("CC", "gcc"), ("CFLAGS_NODIST", "-fPIE"), ("HOME", "/nonexistent"), ("OPT", "-O3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let make = ["-o", "x", "CFLAGS_NODIST=-fprofile-generate", "LDFLAGS_NODIST=-lgcov", "OPT=-O2"];
        plan.make = make.map(str::to_owned).to_vec();
        let found: Vec<String> = flags(&plan).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = ["CC=gcc", "CFLAGS_NODIST=-fPIE -fprofile-generate", "LDFLAGS_NODIST=-lgcov", "OPT=-O2"];
        assert_eq!(found, expected);
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
