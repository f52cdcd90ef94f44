//! A lock as written, and the way from there to a [`PykeelLock`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::artifact::GlibcVersion;
use crate::domain::digest::Digest;
use crate::domain::plan::{Bytecode, Flavor, Hardening, LibraryPolicy, Optimize};
use crate::domain::prefix::PrefixTemplate;
use crate::domain::pykeel_lock::{
    LOCK_FORMAT, LockedArtifact, LockedInputs, LockedOptions, LockedPlan, LockedRequest, MOST_REMOTES, PykeelLock,
    answers,
};
use crate::domain::target::Target;
use crate::domain::version::{Selector, VersionRequest};
use crate::error::Mistake;
use crate::store::remote::Address;

/// How the lines begin that git writes around what it cannot merge.
const CONFLICT: [&str; 4] = ["<<<<<<< ", "||||||| ", "=======", ">>>>>>> "];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(default)]
    artifact: Vec<Artifact>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Artifact {
    request: Spanned<VersionRequest>,
    flavor: Flavor,
    target: Target,
    release: Spanned<VersionRequest>,
    sha256: Spanned<Digest>,
    size: u64,
    manifest_sha256: Digest,
    build_key: Digest,
    request_key: Digest,
    glibc_floor: GlibcVersion,
    #[serde(default)]
    remotes: Vec<Spanned<String>>,
    options: Options,
    inputs: Inputs,
    #[serde(default)]
    libraries: BTreeMap<String, String>,
    #[serde(default)]
    compiled_in: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Options {
    prefix: PrefixTemplate,
    optimize: Optimize,
    libraries: LibraryPolicy,
    bytecode: Bytecode,
    hardening: Hardening,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    debug_files: bool,
    profile: Option<Digest>,
    #[serde(default)]
    configure_arguments: Vec<String>,
    #[serde(default)]
    compiler_variables: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Inputs {
    format: u32,
    compiler: String,
    glibc: String,
    source: Digest,
    profile: Option<Digest>,
    patches: Digest,
    toolchain: Digest,
    environment: Digest,
    library_files: Digest,
    instructions: Digest,
}

/// Parses the text of a lock; `file` is its name for messages.
///
/// # Errors
/// [`Mistake`] for the first mistake, with its place.
pub fn parse(file: &str, text: &str) -> Result<PykeelLock, Mistake> {
    let at = |offset: usize, message: String| Mistake::at(file, text, offset, message);
    refuse_conflicts(file, text)?;
    let place = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    let table = DeTable::parse(text).map_err(|error| at(place(&error), error.message().trim().to_owned()))?;
    // First, because another format has other keys.
    if let Some((_, version)) = table.get_ref().get_key_value("version")
        && let DeValue::Integer(number) = version.get_ref()
        && number.to_string() != LOCK_FORMAT.to_string()
    {
        let message = format!("the lock has format {number}, and this pykeel reads format {LOCK_FORMAT} only");
        return Err(at(version.span().start, message));
    }
    let document = Document::deserialize(toml::Deserializer::from(table))
        .map_err(|error| at(place(&error), error.message().trim().to_owned()))?;
    let mut lock = PykeelLock::default();
    let mut places: BTreeMap<LockedRequest, usize> = BTreeMap::new();
    let mut keys: BTreeMap<Digest, (Digest, usize)> = BTreeMap::new();
    let line_of = |offset: usize| Mistake::at(file, text, offset, "").line;
    for written in document.artifact {
        let (place, place_of_digest) = (written.request.span().start, written.sha256.span().start);
        let (request, artifact) = written.checked().map_err(|(offset, message)| at(offset, message))?;
        if let Some(first) = places.insert(request, place) {
            return Err(at(place, format!("{request} is there twice, first in line {}", line_of(first))));
        }
        match keys.insert(artifact.digest, (artifact.plan.build_key, place_of_digest)) {
            Some((key, first)) if key != artifact.plan.build_key => {
                let message = format!("line {} has this digest with another build key", line_of(first));
                return Err(at(place_of_digest, message));
            }
            _ => {}
        }
        lock.entries.insert(request, artifact);
    }
    Ok(lock)
}

/// Refuses what git left of two versions. TOML's own error would be about a character.
fn refuse_conflicts(file: &str, text: &str) -> Result<(), Mistake> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let plain = line.trim_end();
        let is_marker = |marker: &str| if marker.ends_with(' ') { plain.starts_with(marker) } else { plain == marker };
        if CONFLICT.into_iter().any(is_marker) {
            return Err(Mistake::at(file, text, offset, "a merge conflict is not resolved: keep one of its sides"));
        }
        offset += line.len();
    }
    Ok(())
}

/// The remotes of an entry, each of which is one that a lock may name; or the offset of what is wrong and why.
fn remotes(written: Vec<Spanned<String>>) -> Result<BTreeSet<String>, (usize, String)> {
    let mut remotes = BTreeSet::new();
    for (number, address) in written.into_iter().enumerate() {
        let place = address.span().start;
        if number == MOST_REMOTES {
            return Err((place, format!("an entry has more than {MOST_REMOTES} remotes")));
        }
        let address = address.into_inner();
        Address::of_lock(&address).map_err(|error| (place, error.to_string()))?;
        if !remotes.insert(address) {
            return Err((place, "the remote is there twice".into()));
        }
    }
    Ok(remotes)
}

impl Artifact {
    /// The entry, or the offset of what contradicts itself and why.
    fn checked(self) -> Result<(LockedRequest, LockedArtifact), (usize, String)> {
        let (request, release) = (*self.request.get_ref(), *self.release.get_ref());
        let wrong = |message: String| Err((self.release.span().start, message));
        let Selector::Release(number) = release.selector else {
            return wrong(format!("`{release}` is not a release such as 3.13.5"));
        };
        if !answers(request, number, release.variant) {
            return wrong(format!("{release} is not what {request} can mean"));
        }
        let remotes = remotes(self.remotes)?;
        let Options { prefix, optimize, libraries, bytecode, hardening, shared, .. } = self.options;
        let inputs = self.inputs;
        let plan = LockedPlan {
            release: number,
            variant: release.variant,
            build_key: self.build_key,
            request_key: self.request_key,
            options: LockedOptions {
                prefix,
                optimize,
                libraries,
                bytecode,
                hardening,
                shared,
                debug_files: self.options.debug_files,
                profile: self.options.profile,
                configure_arguments: self.options.configure_arguments,
                compiler_variables: self.options.compiler_variables,
            },
            inputs: LockedInputs {
                format: inputs.format,
                compiler: inputs.compiler,
                glibc: inputs.glibc,
                source: inputs.source,
                profile: inputs.profile,
                patches: inputs.patches,
                toolchain: inputs.toolchain,
                environment: inputs.environment,
                library_files: inputs.library_files,
                instructions: inputs.instructions,
            },
            libraries: self.libraries,
        };
        let artifact = LockedArtifact {
            digest: self.sha256.into_inner(),
            size: self.size,
            manifest_digest: self.manifest_sha256,
            glibc_floor: self.glibc_floor,
            remotes,
            plan,
            compiled_in: self.compiled_in,
        };
        Ok((LockedRequest { version: request, flavor: self.flavor, target: self.target }, artifact))
    }
}
