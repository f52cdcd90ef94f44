//! Package: packs a stripped prefix as a reproducible tarball with its manifest.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::BuildContext;
use super::modules::built_modules;
use super::strip::StrippedPrefix;
use crate::domain::artifact::{ArtifactName, Format, GlibcVersion};
use crate::domain::contents::Part;
use crate::domain::digest::{Digest, HashingWriter};
use crate::domain::manifest::{MANIFEST_PATH, Manifest, RUNTIME_PACKAGES_PATH, SUMS_PATH, Sizes};
use crate::domain::plan::{BuildPlan, LibraryPolicy};
use crate::error::Result;
use crate::sys::fs::{self, Kind};
use crate::sys::{archive, elf};

/// A tarball that is not verified yet.
#[derive(Debug)]
pub struct PackedArtifact {
    manifest: Manifest,
    tarball: PathBuf,
    digest: Digest,
    debug: Option<(PathBuf, Digest)>,
    build_directory: PathBuf,
}

impl PackedArtifact {
    /// The manifest.
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

/// Writes the sums and the manifest, and packs the tarball, and one of debug files if there are any.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file cannot be read or written,
/// [`Error::Damaged`](crate::error::Error::Damaged) for an ELF file that cannot be parsed.
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
        compiled_in: stripped.compiled_in().clone(),
        libraries: libraries.bundled.clone(),
        loaded: libraries.loaded.clone(),
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

/// Writes the list of runtime packages, one a line.
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

/// Compresses the same tarball in another format.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if it cannot be read or written.
pub fn repack(tarball: &Path, format: Format, to: fs_err::File) -> Result<()> {
    recompress(tarball, Format::Zst, format, to)
}

/// Compresses a tarball of one format in another.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if it cannot be read or written.
pub fn recompress(tarball: &Path, from: Format, format: Format, to: fs_err::File) -> Result<()> {
    let mut reader = archive::decoder(from, fs_err::File::open(tarball)?)?;
    let file = std::io::BufWriter::new(to);
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

/// The files and links of a tree.
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

#[cfg(test)]
mod tests {
    use super::super::toy::{EPOCH, Toy, staged};
    use super::super::{bundle, relocate, strip};
    use super::*;
    use crate::sys::archive;

    const FILES: &[(&str, &[u8])] = &[
        ("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", b"ssl"),
        ("lib/python3.13/__pycache__/os.pyc", b"cache"),
        ("bin/pip", b"#!/opt/myorg/python-3.13/bin/python3.13\n"),
    ];

    fn packed(toy: &Toy, work: &str) -> PackedArtifact {
        toy.build(work, |context| {
            let bundled = bundle::bundle(staged(context).unwrap(), context).unwrap();
            let stripped = strip::strip(relocate::relocate(bundled, context).unwrap(), context).unwrap();
            package(&stripped, context).unwrap()
        })
    }

    #[test]
    fn a_tarball_has_what_the_manifest_says() {
        let mut toy = Toy::new(FILES);
        toy.plan.externally_managed = Some("Use a venv.".into());
        let packed = packed(&toy, "work");
        let into = toy.path("unpacked");
        fs_err::create_dir(&into).unwrap();
        let file = fs_err::File::open(packed.tarball()).unwrap();
        let unpacked = archive::unpack("x", archive::decoder(Format::Zst, file).unwrap(), &into).unwrap();
        assert_eq!((unpacked.top.as_str(), unpacked.newest), ("python-3.13", EPOCH));
        let manifest = packed.manifest();
        assert_eq!(fs_err::read_to_string(into.join(MANIFEST_PATH)).unwrap(), manifest.to_json());
        assert_eq!(packed.tarball().file_name().unwrap().to_str().unwrap(), manifest.name.file(Format::Zst));
        assert_eq!((manifest.build_key, manifest.source_date_epoch), (toy.plan.build_key(), EPOCH));
        assert_eq!(manifest.modules, ["_ssl"]);
        assert_eq!(manifest.builtin_modules, ["sys", "builtins"]);
        assert_eq!(manifest.links["bin/python"], "python3.13");
        let sums = fs_err::read_to_string(into.join(SUMS_PATH)).unwrap();
        assert_eq!(Digest::of(&sums), manifest.sums);
        assert_eq!(sums.lines().count() as u64, manifest.sizes.files);
        for line in sums.lines() {
            let (sum, path) = line.split_once("  ").unwrap();
            assert_eq!(Digest::of(fs_err::read(into.join(path)).unwrap()).to_string(), sum, "{path}");
        }
        assert!(sums.contains("  lib/python3.13/EXTERNALLY-MANAGED\n") && !sums.contains("__pycache__"), "{sums}");
    }

    #[test]
    fn the_bytes_do_not_depend_on_where_the_build_worked() {
        let toy = Toy::new(FILES);
        let (one, two) = (packed(&toy, "work"), packed(&toy, "another-place-with-a-longer-name"));
        assert_eq!(one.digest(), two.digest());
        assert_eq!(one.manifest(), two.manifest());
    }
}
