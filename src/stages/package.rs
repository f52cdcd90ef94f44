//! Package: from a stripped prefix to a reproducible tarball with its manifest.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::BuildContext;
use super::staging::built_modules;
use super::strip::StrippedPrefix;
use crate::domain::artifact::{ArtifactName, Format, GlibcVersion};
use crate::domain::contents::Part;
use crate::domain::digest::{Digest, HashingWriter};
use crate::domain::manifest::{MANIFEST_PATH, Manifest, RUNTIME_PACKAGES_PATH, SUMS_PATH, Sizes};
use crate::domain::plan::{BuildPlan, LibraryPolicy};
use crate::error::Result;
use crate::sys::fs::{self, Kind};
use crate::sys::{archive, elf};

/// A tarball that nobody has verified yet.
#[derive(Debug)]
pub struct PackedArtifact {
    manifest: Manifest,
    tarball: PathBuf,
    digest: Digest,
    debug: Option<(PathBuf, Digest)>,
    build_directory: PathBuf,
}

impl PackedArtifact {
    /// What the artifact says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The tarball, in the work directory.
    #[must_use]
    pub fn tarball(&self) -> &Path {
        &self.tarball
    }

    /// The directory that it was built in.
    #[must_use]
    pub fn build_directory(&self) -> &Path {
        &self.build_directory
    }

    /// The SHA-256 of the tarball.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The tarball of debug files with its SHA-256, where one was kept.
    #[must_use]
    pub fn debug(&self) -> Option<(PathBuf, Digest)> {
        self.debug.clone()
    }
}

/// Writes the manifest, and packs.
///
/// # Errors
/// What the system answers.
pub fn package(stripped: &StrippedPrefix, context: &BuildContext<'_>) -> Result<PackedArtifact> {
    let BuildContext { plan, work, .. } = *context;
    let root = stripped.root();
    if let Some(message) = &plan.externally_managed {
        let text = format!("[externally-managed]\nError={}\n", message.trim_end().replace('\n', "\n "));
        fs_err::write(root.join(plan.stdlib()).join("EXTERNALLY-MANAGED"), text)?;
    }
    let libraries = stripped.libraries();
    if plan.request.policies.library_policy == LibraryPolicy::System {
        write_runtime_packages(root, &libraries.runtime_packages)?;
    }
    let floor = glibc_floor(root)?;
    let Inventory { sums, sizes, links } = inventory(root, plan)?;
    fs::write_in_place(&root.join(SUMS_PATH), &sums)?;
    let manifest = Manifest {
        name: ArtifactName::new(plan, floor),
        build_key: plan.build_key(),
        request_key: plan.request_key(),
        source_date_epoch: stripped.epoch(),
        glibc_floor: floor,
        modules: built_modules(root, plan)?.into_iter().collect(),
        builtin_modules: stripped.builtin_modules().to_vec(),
        libraries: libraries.bundled.clone(),
        runtime_packages: libraries.runtime_packages.clone(),
        sizes,
        links,
        sums: Digest::of(&sums),
        plan: plan.clone(),
    };
    fs_err::write(root.join(MANIFEST_PATH), manifest.to_json())?;
    let tarball = work.join(manifest.name.file(Format::Zst));
    let digest = pack(root, plan.request.prefix.name(), stripped.epoch(), &tarball)?;
    let debug = match stripped.debug_files() {
        None => None,
        Some(directory) => {
            let tarball = work.join(crate::store::debug_file(&manifest.name));
            let digest = pack(directory, plan.request.prefix.name(), stripped.epoch(), &tarball)?;
            Some((tarball, digest))
        }
    };
    Ok(PackedArtifact { manifest, tarball, digest, debug, build_directory: stripped.build_directory().to_owned() })
}

/// Writes the list of packages as a package manager's command line takes it: one a line.
fn write_runtime_packages(root: &Path, packages: &[String]) -> Result<()> {
    let lines: String = packages.iter().map(|package| format!("{package}\n")).collect();
    fs::write_in_place(&root.join(RUNTIME_PACKAGES_PATH), lines)
}

fn pack(root: &Path, top: &str, epoch: u64, tarball: &Path) -> Result<Digest> {
    let file = HashingWriter::new(std::io::BufWriter::new(fs_err::File::create(tarball)?));
    let (hashed, ()) = archive::encode(Format::Zst, file, |writer| archive::pack(root, top, epoch, writer))?;
    let (mut file, digest, _) = hashed.finish();
    file.flush()?;
    Ok(digest)
}

/// Writes the same tarball in another format.
///
/// # Errors
/// What the system answers.
pub fn repack(tarball: &Path, format: Format, to: &Path) -> Result<()> {
    let mut reader = archive::decoder(Format::Zst, fs_err::File::open(tarball)?)?;
    let file = std::io::BufWriter::new(fs_err::File::create(to)?);
    let (mut file, _) = archive::encode(format, file, |writer| Ok(std::io::copy(&mut reader, writer)?))?;
    Ok(file.flush()?)
}

/// The newest glibc symbol version that any ELF file needs.
fn glibc_floor(root: &Path) -> Result<GlibcVersion> {
    let mut floor = GlibcVersion::OLDEST;
    for entry in fs::walk(root)?.into_iter().filter(fs::Entry::is_file) {
        let path = root.join(&entry.path);
        if elf::is_elf(&path)? {
            floor = floor.max(elf::read(&path)?.glibc_floor.unwrap_or(floor));
        }
    }
    Ok(floor)
}

/// What a tree holds.
struct Inventory {
    /// The sums of all files, in `sha256sum`'s format.
    sums: String,
    sizes: Sizes,
    links: BTreeMap<String, String>,
}

fn inventory(root: &Path, plan: &BuildPlan) -> Result<Inventory> {
    use std::fmt::Write as _;
    let stdlib = PathBuf::from(plan.stdlib());
    let sizes = Sizes { files: 0, bytes: 0, parts: BTreeMap::new() };
    let mut inventory = Inventory { sums: String::new(), sizes, links: BTreeMap::new() };
    for entry in fs::walk(root)? {
        let name = entry.path.display().to_string();
        match entry.kind {
            Kind::File { size, .. } => {
                let digest = Digest::of_reader(fs_err::File::open(root.join(&entry.path))?)?;
                let _ = writeln!(inventory.sums, "{digest}  {name}");
                inventory.sizes.files += 1;
                inventory.sizes.bytes += size;
                let part = Part::of(&entry.path, &stdlib).in_manifest(&entry.path);
                *inventory.sizes.parts.entry(part.to_owned()).or_default() += size;
            }
            Kind::Symlink(target) => {
                inventory.links.insert(name, target.display().to_string());
            }
            Kind::Directory | Kind::Other => {}
        }
    }
    Ok(inventory)
}
