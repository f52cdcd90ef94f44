//! Reads the contents of an artifact or an installed prefix. Nothing is unpacked, and only the manifest and
//! the `sysconfig` variables are kept in memory.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::domain::comparison::{Variables, is_sysconfig};
use crate::domain::contents::{Contents, File, Part, Tarball};
use crate::domain::digest::{Digest, HashingReader, HashingWriter};
use crate::domain::manifest::{MANIFEST_PATH, Manifest};
use crate::domain::sysconfig;
use crate::error::{Error, Result};
use crate::store::artifact;
use crate::sys::fs::{self, Kind};
use crate::sys::{archive, interrupt};

/// The most bytes of a file that are kept in memory. A manifest has 20,000, the variables 60,000.
const LARGEST_HELD: u64 = 16 << 20;

/// The files of a tree, before its manifest is parsed.
#[derive(Default)]
struct TreeFiles {
    files: Vec<(PathBuf, u64, Digest)>,
    links: u64,
    manifest: Option<Vec<u8>>,
    sysconfig: BTreeMap<PathBuf, Vec<u8>>,
}

impl TreeFiles {
    /// Hashes a file, and keeps its content if it is the manifest or has the variables.
    fn file(&mut self, path: PathBuf, reader: &mut dyn Read) -> io::Result<()> {
        let is_manifest = path == Path::new(MANIFEST_PATH);
        let mut hashing = HashingWriter::new(io::sink());
        if is_manifest || is_sysconfig(&path) {
            let mut content = Vec::new();
            reader.take(LARGEST_HELD).read_to_end(&mut content)?;
            io::copy(&mut content.as_slice(), &mut hashing)?;
            if is_manifest {
                self.manifest = Some(content);
            } else {
                self.sysconfig.insert(path.clone(), content);
            }
        }
        io::copy(reader, &mut hashing)?;
        let (_, sha256, size) = hashing.finish();
        self.files.push((path, size, sha256));
        Ok(())
    }

    fn contents(self, path: &Path, tarball: Option<Tarball>) -> Result<Contents> {
        let reason = || format!("it has no {MANIFEST_PATH}");
        let manifest = self.manifest.ok_or_else(|| Error::NotAnArtifact { path: path.to_owned(), reason: reason() })?;
        let manifest: Manifest = artifact::parse_manifest(&path.join(MANIFEST_PATH), &manifest)?;
        let stdlib = PathBuf::from(manifest.plan.stdlib());
        let file = |(path, size, sha256): (PathBuf, u64, Digest)| {
            let part = Part::of(&path, &stdlib);
            File { path, part, size, sha256 }
        };
        let mut files: Vec<File> = self.files.into_iter().map(file).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Contents { manifest, tarball, files, links: self.links, sysconfig: self.sysconfig })
    }
}

/// Reads the contents of a tarball or of an installed prefix.
///
/// # Errors
/// [`Error::NotAnArtifact`], [`Error::HostileArchive`], [`Error::Damaged`], [`Error::Io`],
/// [`Error::Interrupted`].
pub fn contents(path: &Path) -> Result<Contents> {
    if path.is_dir() { contents_of_prefix(path) } else { contents_of_tarball(path) }
}

fn contents_of_tarball(path: &Path) -> Result<Contents> {
    let format = artifact::format_of(path)?;
    let name = path.display().to_string();
    let size = fs_err::metadata(path)?.len();
    let mut hashing = HashingReader::new(io::BufReader::with_capacity(1 << 16, fs_err::File::open(path)?));
    let mut found = TreeFiles::default();
    let reader = archive::decoder(format, &mut hashing)?;
    found.links = archive::scan(&name, reader, |path, reader| Ok(found.file(path, reader)?))?;
    let sha256 = hashing.finish()?;
    found.contents(path, Some(Tarball { format, size, sha256 }))
}

fn contents_of_prefix(prefix: &Path) -> Result<Contents> {
    // Fails early: a directory that is not a prefix of pykeel can be large.
    artifact::read_manifest(prefix)?;
    let mut found = TreeFiles::default();
    for entry in fs::walk(prefix)? {
        interrupt::check()?;
        match entry.kind {
            Kind::File { .. } => {
                let path = prefix.join(&entry.path);
                let mut file = fs_err::File::open(&path)?;
                found.file(entry.path, &mut file)?;
            }
            Kind::Symlink(_) => found.links += 1,
            // Neither has a size.
            Kind::Directory | Kind::Other => {}
        }
    }
    found.contents(prefix, None)
}

/// Returns the `sysconfig` variables that CPython's build recorded.
///
/// # Errors
/// [`Error::Damaged`] if there is not exactly one `_sysconfigdata*.py`, or it is not a literal.
pub fn sysconfig(contents: &Contents) -> Result<Variables> {
    let name = &contents.manifest.name;
    let mut texts = contents.sysconfig.iter();
    let (Some((path, text)), None) = (texts.next(), texts.next()) else {
        let reason = format!("it has {} files _sysconfigdata*.py in its library, not one", contents.sysconfig.len());
        return Err(Error::Damaged { what: name.to_string(), reason });
    };
    sysconfig::parse(text)
        .map_err(|error| Error::Damaged { what: format!("{} of {name}", path.display()), reason: error.to_string() })
}
