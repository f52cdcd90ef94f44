//! Compares an artifact with its rebuild.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::inspect;
use crate::domain::artifact::Format;
use crate::domain::comparison::{Variables, compare, value_changes};
use crate::domain::contents::{Contents, Tarball};
use crate::domain::digest::{Digest, HashingReader};
use crate::domain::manifest::MANIFEST_PATH;
use crate::domain::rebuild::{Difference, DifferenceKind, EntryFacts, entry_differences, first_line};
use crate::error::{Error, Result};
use crate::stages::package::PackedArtifact;
use crate::sys::process::{Outcome, Runner, Spec};
use crate::sys::toolchain::{LOCAL_PATH, find_local_program};
use crate::sys::{archive, elf, fs};

/// The time limit for diffoscope.
const DIFFOSCOPE_TIMEOUT: Duration = Duration::from_mins(30);
/// The most differing fields of a manifest that are shown.
const MOST_FIELDS: usize = 20;

/// The comparison of an artifact with its rebuild.
#[derive(Debug)]
pub struct Compared {
    /// The SHA-256 of the rebuild's `.tar.zst`.
    pub digest: Digest,
    /// The differences; empty if the tarballs are identical.
    pub differences: Vec<Difference>,
    /// Two directories with only the files that differ, from the artifact and from the rebuild.
    files: Option<(PathBuf, PathBuf)>,
}

/// Compares the artifact at `given`, with its `contents`, and its rebuild. Both are unpacked in `work`.
///
/// # Errors
/// [`Error::NotAnArtifact`] if `contents` are not those of a tarball; [`Error::HostileArchive`],
/// [`Error::Damaged`], [`Error::Io`], [`Error::Interrupted`].
pub fn compare_with(given: &Path, contents: &Contents, rebuilt: &PackedArtifact, work: &Path) -> Result<Compared> {
    let digest = rebuilt.digest();
    let Some(tarball) = &contents.tarball else {
        return Err(Error::NotAnArtifact { path: given.to_owned(), reason: "it is not a tarball".into() });
    };
    let same = |differences| Compared { digest, differences, files: None };
    if tarball.sha256 == digest {
        return Ok(same(Vec::new()));
    }
    if stream_digest(given, tarball.format)? == stream_digest(rebuilt.tarball(), Format::Zst)? {
        return Ok(same(packing(tarball)));
    }
    let again = inspect::contents(rebuilt.tarball())?;
    // `sysconfig` variables differ only if files do.
    let none = Variables::new();
    let comparison = compare((contents, &none), (&again, &none));
    let places = [(given, tarball.format, "given"), (rebuilt.tarball(), Format::Zst, "again")]
        .map(|(tarball, format, name)| unpack(tarball, format, &work.join(name)));
    let [old, new] = places;
    let (old, new) = (old?, new?);

    let mut found: BTreeMap<String, Difference> = BTreeMap::new();
    for difference in entry_differences(&facts(given, tarball.format)?, &facts(rebuilt.tarball(), Format::Zst)?) {
        found.insert(difference.path.clone(), difference);
    }
    let (kept_old, kept_new) = (work.join("differences/artifact"), work.join("differences/rebuild"));
    for change in &comparison.files.changed {
        let path = Path::new(&change.after.path);
        let details = content_difference(path, &old, &new)?;
        keep(&old, &kept_old, path)?;
        keep(&new, &kept_new, path)?;
        let difference = found.entry(change.after.path.clone()).or_insert_with(|| Difference {
            path: change.after.path.clone(),
            kind: DifferenceKind::Content,
            details: Vec::new(),
        });
        difference.kind = DifferenceKind::Content;
        difference.details.splice(0..0, details);
    }
    if found.is_empty() {
        let details = vec!["the padding or the headers of the tar stream differ, and nothing that they say".into()];
        found.insert(".".into(), Difference { path: ".".into(), kind: DifferenceKind::Packing, details });
    }
    let files = (!comparison.files.changed.is_empty()).then_some((kept_old, kept_new));
    Ok(Compared { digest, differences: found.into_values().collect(), files })
}

/// Returns the difference of two tarballs with the same tar stream. In a format other than the store's the
/// stream is all there is to compare.
fn packing(tarball: &Tarball) -> Vec<Difference> {
    if tarball.format != Format::Zst {
        return Vec::new();
    }
    let details =
        vec!["the tar stream is the same to the byte, and was compressed by another program or setting".into()];
    vec![Difference { path: ".".into(), kind: DifferenceKind::Packing, details }]
}

fn stream_digest(tarball: &Path, format: Format) -> Result<Digest> {
    let mut reader = HashingReader::new(archive::decoder(format, fs_err::File::open(tarball)?)?);
    std::io::copy(&mut reader, &mut std::io::sink())?;
    Ok(reader.finish()?)
}

fn unpack(tarball: &Path, format: Format, into: &Path) -> Result<PathBuf> {
    fs_err::create_dir_all(into)?;
    archive::unpack(&tarball.display().to_string(), archive::decoder(format, fs_err::File::open(tarball)?)?, into)?;
    Ok(into.to_owned())
}

fn facts(tarball: &Path, format: Format) -> Result<Vec<EntryFacts>> {
    archive::facts(&tarball.display().to_string(), archive::decoder(format, fs_err::File::open(tarball)?)?)
}

/// Copies a file into a directory for diffoscope.
fn keep(tree: &Path, into: &Path, path: &Path) -> Result<()> {
    fs::copy_into_place(&tree.join(path), &into.join(path))
}

/// Describes where two versions of a file differ.
fn content_difference(path: &Path, old: &Path, new: &Path) -> Result<Vec<String>> {
    let (a, b) = (fs_err::read(old.join(path))?, fs_err::read(new.join(path))?);
    if path == Path::new(MANIFEST_PATH)
        && let (Ok(a), Ok(b)) = (serde_json::from_slice(&a), serde_json::from_slice(&b))
    {
        let changes = value_changes(a, b);
        let value =
            |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "none".into(), ToString::to_string);
        let line = |name: &str, before: String, after: String| {
            format!("{name} is {before} in the artifact, {after} in the rebuild")
        };
        let mut lines: Vec<String> = changes
            .iter()
            .take(MOST_FIELDS)
            .map(|change| line(&change.name, value(&change.before), value(&change.after)))
            .collect();
        if let Some(more) = changes.len().checked_sub(MOST_FIELDS).filter(|more| *more > 0) {
            lines.push(format!("and {more} more fields"));
        }
        return Ok(lines);
    }
    if elf::is_elf(&old.join(path))? && elf::is_elf(&new.join(path))? {
        return Ok(match elf::section_differences(&a, &b) {
            Ok(sections) if sections.is_empty() => vec![format!("outside of its sections, {}", first_byte(&a, &b))],
            Ok(sections) => sections,
            Err(reason) => vec![format!("{} (not a complete ELF file: {reason})", first_byte(&a, &b))],
        });
    }
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text: &&str| !text.contains('\0'));
    let line = text(&a).zip(text(&b)).and_then(|(a, b)| first_line(a, b));
    Ok(vec![line.unwrap_or_else(|| first_byte(&a, &b))])
}

fn first_byte(a: &[u8], b: &[u8]) -> String {
    let at = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let sizes = if a.len() == b.len() { String::new() } else { format!(" ({} bytes, {} bytes)", a.len(), b.len()) };
    format!("from byte {at} on{sizes}")
}

/// Runs diffoscope, which writes a text report about the files that differ. Returns the path of the report,
/// or `None` if diffoscope is not installed or no file differs.
///
/// # Errors
/// [`Error::Spawn`], [`Error::Command`] if it fails or writes no report, [`Error::Io`],
/// [`Error::Interrupted`].
pub fn diffoscope(compared: &Compared, report: &Path, runner: &dyn Runner) -> Result<Option<PathBuf>> {
    let (Some((old, new)), Some(program)) = (&compared.files, find_local_program("diffoscope")) else {
        return Ok(None);
    };
    let report = std::path::absolute(report)?;
    let mut option = OsString::from("--text=");
    option.push(&report);
    let spec = Spec::new(program).arg(option).arg("--exclude-directory-metadata=yes").timeout(DIFFOSCOPE_TIMEOUT);
    let spec = spec.arg(old).arg(new).variable("PATH", LOCAL_PATH).variable("TMPDIR", std::env::temp_dir());
    let mut said = Vec::new();
    let outcome = runner.run(&spec, &mut |_, line| said.push(line.to_owned()))?;
    // diffoscope exits with 1 if it found a difference.
    match outcome {
        Outcome::Exited(status) if status.code().is_some_and(|code| code < 2) && report.is_file() => Ok(Some(report)),
        outcome => Err(Error::Command {
            command: spec.command_line(),
            status: outcome.to_string(),
            output: said.join("\n"),
            log: None,
        }),
    }
}

/// Reads the contents of a tarball that is to be rebuilt.
///
/// # Errors
/// [`Error::NotATarball`] for a prefix; [`Error::Damaged`] if the build key does not follow from the plan; and
/// the errors of [`inspect::contents`].
pub fn given(path: &Path) -> Result<Contents> {
    if path.is_dir() {
        return Err(Error::NotATarball { path: path.to_owned() });
    }
    let contents = inspect::contents(path)?;
    let manifest = &contents.manifest;
    let key = manifest.plan.build_key();
    if manifest.build_key != key {
        let reason = format!("its manifest has the build key {}, and that of its plan is {key}", manifest.build_key);
        return Err(Error::Damaged { what: path.display().to_string(), reason });
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs;

    fn difference(name: &str, a: &[u8], b: &[u8]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        for (tree, bytes) in [(&old, a), (&new, b)] {
            fs::write_atomically(&tree.join(name), bytes).unwrap();
        }
        content_difference(Path::new(name), &old, &new).unwrap().join("; ")
    }

    #[test]
    fn a_difference_is_described_by_the_kind_of_file() {
        assert_eq!(difference("a.py", b"x\ny\n", b"x\nz\n"), "line 2: `y` in the artifact, `z` in the rebuild");
        assert_eq!(difference("a.pyc", b"\0\xffab", b"\0\xffac"), "from byte 3 on");
        assert_eq!(difference("a", b"\0", b"\0\0"), "from byte 1 on (1 bytes, 2 bytes)");
        let manifest = difference(MANIFEST_PATH, br#"{"sizes": {"bytes": 1}}"#, br#"{"sizes": {"bytes": 2}}"#);
        assert_eq!(manifest, "sizes.bytes is 1 in the artifact, 2 in the rebuild");
        assert!(difference("x.so", b"\x7fELF 1", b"\x7fELF 2").contains("not a complete ELF file"));
        let shell = fs_err::read("/bin/sh").unwrap();
        let mut other = shell.clone();
        other[48] ^= 1;
        assert_eq!(difference("x.so", &shell, &other), "outside of its sections, from byte 48 on");
    }
}
