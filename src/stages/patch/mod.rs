//! Patch: applies the patches of the recipe to upstream's source tree.

pub mod foreign;
mod hunk;
mod misfit;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use self::hunk::Left;
use super::unpack::SourceTree;
use crate::domain::digest::Digest;
use crate::error::{Error, Result};
use crate::recipe::PatchText;

/// A source tree with all patches of the recipe applied.
#[derive(Debug)]
pub struct PatchedTree {
    root: PathBuf,
    epoch: u64,
    patched: BTreeMap<PathBuf, Digest>,
}

impl PatchedTree {
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The files that were patched, with their new digests.
    pub(super) const fn patched(&self) -> &BTreeMap<PathBuf, Digest> {
        &self.patched
    }
}

/// Applies patches in order. Every hunk must fit exactly.
///
/// # Errors
/// [`Error::Patch`] with the file and the line that do not fit, [`Error::Io`] if a file cannot be read or written.
pub fn apply(tree: SourceTree, patches: &[PatchText]) -> Result<PatchedTree> {
    let (root, epoch) = tree.into_parts();
    let mut changed = BTreeMap::new();
    for patch in patches {
        for FileDiff { file, is_new, diff } in split(&patch.text).map_err(|reason| error(&patch.name, reason))? {
            let path = root.join(&file);
            let before = match fs_err::read_to_string(&path) {
                Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => None,
                before => Some(before?),
            };
            let name = file.display();
            if is_new == before.is_some() {
                let reason = format!("the source has {} file {name}", if is_new { "a" } else { "no" });
                return Err(error(&patch.name, reason));
            }
            let after = patched(before.as_deref().unwrap_or_default(), &diff)
                .map_err(|reason| error(&patch.name, format!("it does not fit {name}: {reason}")))?;
            // Files keep their times, or make would regenerate others from them.
            let modified =
                if is_new { UNIX_EPOCH + Duration::from_secs(epoch) } else { fs_err::metadata(&path)?.modified()? };
            fs_err::write(&path, &after)?;
            changed.insert(file, Digest::of(after));
            fs_err::OpenOptions::new().append(true).open(&path)?.file().set_modified(modified)?;
        }
    }
    Ok(PatchedTree { root, epoch, patched: changed })
}

fn error(name: &str, reason: impl Into<String>) -> Error {
    Error::Patch { name: name.to_owned(), reason: reason.into() }
}

fn patched(before: &str, diff: &str) -> Result<String, String> {
    let patch = diffy::Patch::from_str(diff).map_err(|error| error.to_string())?;
    diffy::apply(before, &patch).map_err(|error| misfit::explain(before, diff).unwrap_or_else(|| error.to_string()))
}

/// The part of a patch that is about one file.
#[derive(Debug)]
struct FileDiff {
    /// The path below the source tree.
    file: PathBuf,
    /// Whether the patch adds the file.
    is_new: bool,
    diff: String,
}

/// Splits a patch into the diffs of single files. The text before the first `---` line is prose.
fn split(text: &str) -> Result<Vec<FileDiff>, String> {
    let mut files: Vec<FileDiff> = Vec::new();
    let mut lines = text.lines().peekable();
    let mut left = Left::default();
    while let Some(line) = lines.next() {
        if !left.is_nothing() {
            // What is wrong with a hunk is said when it is applied.
            left = left.after(line).unwrap_or_default();
        } else if let Some(hunk) = Left::of(line).filter(|_| !files.is_empty()) {
            left = hunk;
        } else if line.starts_with("--- ")
            && let Some(target) = lines.peek().and_then(|next| next.strip_prefix("+++ "))
        {
            let is_new = line.trim_end() == "--- /dev/null";
            files.push(FileDiff { file: target_path(target)?, is_new, diff: String::new() });
        }
        if let Some(last) = files.last_mut() {
            last.diff.push_str(line);
            last.diff.push('\n');
        }
    }
    if files.is_empty() { Err("it has no `---` and `+++` lines".into()) } else { Ok(files) }
}

/// The path of a `+++ b/Lib/ssl.py` line, without its first directory.
fn target_path(target: &str) -> Result<PathBuf, String> {
    let name = target.split('\t').next().unwrap_or(target).trim_end();
    let path: PathBuf = Path::new(name).components().skip(1).collect();
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && path.file_name().is_some() {
        Ok(path)
    } else {
        Err(format!("`{name}` is not a path in the source tree"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "Why it exists.\n\n--- a/Lib/a.py\n+++ b/Lib/a.py\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n\
                         --- a/Lib/b.py\n+++ b/Lib/b.py\n@@ -1 +1,2 @@\n x\n+y\n";

    #[test]
    fn each_file_gets_its_part() {
        let files = split(PATCH).unwrap();
        assert_eq!(files.iter().map(|of| of.file.to_str().unwrap()).collect::<Vec<_>>(), ["Lib/a.py", "Lib/b.py"]);
        assert_eq!(patched("one\ntwo\nthree\n", &files[0].diff).unwrap(), "one\n2\nthree\n");
        assert_eq!(patched("x\n", &files[1].diff).unwrap(), "x\ny\n");
    }

    #[test]
    fn lines_of_a_hunk_are_no_start_of_another_file() {
        let text = "Why.\n\n--- a/x.sql\n+++ b/x.sql\n@@ -1,3 +1,3 @@\n one\n--- y\n+++ z\n three\n\
                    --- a/b\n+++ b/b\n@@ -1 +1,2 @@\n x\n+y\n";
        let files = split(text).unwrap();
        assert_eq!(files.iter().map(|of| of.file.to_str().unwrap()).collect::<Vec<_>>(), ["x.sql", "b"]);
        assert_eq!(patched("one\n-- y\nthree\n", &files[0].diff).unwrap(), "one\n++ z\nthree\n");
        assert_eq!(patched("x\n", &files[1].diff).unwrap(), "x\ny\n");
        // At the end of a hunk, too.
        let text = "--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n one\n--- y\n+++ z\n@@ -9 +9 @@\n-a\n+b\n";
        assert_eq!(split(text).unwrap().len(), 1);
        // The same patch from standard input.
        let again = split(&foreign::rewritten(&text.replace("a/", "").replace("b/", "")).unwrap()).unwrap();
        assert!(again.len() == 1 && again[0].file == Path::new("x.sql"), "{again:?}");
    }

    #[test]
    fn what_does_not_fit_is_not_guessed() {
        let files = split(PATCH).unwrap();
        assert!(patched("one\nTWO\nthree\n", &files[0].diff).is_err());
    }

    #[test]
    fn a_patch_can_add_a_file_and_replaces_none_by_it() {
        let apply_to = |files: &[(&str, &str)]| {
            let place = tempfile::tempdir().unwrap();
            for (file, text) in files {
                fs_err::write(place.path().join(file), text).unwrap();
            }
            let text = "--- /dev/null\n+++ b/new.h\n@@ -0,0 +1,2 @@\n+one\n+two\n".to_owned();
            let patches = [PatchText { name: "add".into(), text }];
            let tree = SourceTree::made_up(place.path().to_owned(), 1_700_000_000);
            apply(tree, &patches).map(|_| {
                let path = place.path().join("new.h");
                let time = fs_err::metadata(&path).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
                (fs_err::read_to_string(path).unwrap(), time.as_secs())
            })
        };
        assert_eq!(apply_to(&[]).unwrap(), ("one\ntwo\n".to_owned(), 1_700_000_000));
        let error = apply_to(&[("new.h", "one\n")]).unwrap_err().to_string();
        assert!(error.contains("the source has a file new.h"), "{error}");
    }

    #[test]
    fn a_patch_stays_in_the_tree() {
        for target in ["../../etc/passwd", "b/../../x", "/etc/passwd/..", "b"] {
            assert!(target_path(target).is_err(), "{target}");
        }
        assert!(split("no diff at all\n").is_err());
    }

    /// A text of upstream in the form of `tests/data/upstream-lines`, which `scripts/upstream-lines` writes.
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct UpstreamText {
        file: PathBuf,
        #[serde(rename = "sha256")]
        _sha256: crate::domain::digest::Digest,
        #[serde(rename = "origin")]
        _origin: String,
        releases: Vec<crate::domain::version::Release>,
        lines: String,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct UpstreamTexts {
        text: Vec<UpstreamText>,
    }

    const FINGERPRINT: usize = 4;

    fn fingerprint(line: &str) -> String {
        crate::domain::digest::Digest::of(line).to_string()[..FINGERPRINT].to_owned()
    }

    /// Applies a diff to a text of which only fingerprints are known: each hunk's own lines are put
    /// where the fingerprints say that upstream has them. That has to be one place.
    fn apply_to_fingerprints(diff: &str, fingerprints: &str) -> Result<(), String> {
        let digits: String = fingerprints.split_whitespace().collect();
        let known: Vec<&str> = (0..digits.len()).step_by(FINGERPRINT).map(|at| &digits[at..at + FINGERPRINT]).collect();
        let mut lines: Vec<String> = (0..known.len()).map(|number| format!("another line, {number}\n")).collect();
        let patch = diffy::Patch::from_str(diff).map_err(|error| error.to_string())?;
        for (number, hunk) in patch.hunks().iter().enumerate() {
            let before = hunk.lines().iter().filter_map(|line| match line {
                diffy::Line::Context(text) | diffy::Line::Delete(text) => Some(*text),
                diffy::Line::Insert(_) => None,
            });
            let before: Vec<&str> = before.collect();
            let wanted: Vec<String> = before.iter().map(|text| fingerprint(text.trim_end_matches('\n'))).collect();
            let places: Vec<usize> = known
                .windows(wanted.len())
                .enumerate()
                .filter(|(_, window)| *window == wanted)
                .map(|(at, _)| at)
                .collect();
            let [place] = places[..] else {
                return Err(format!("hunk {} has {} places in upstream's text", number + 1, places.len()));
            };
            for (line, text) in lines[place..].iter_mut().zip(before) {
                text.clone_into(line);
            }
        }
        patched(&lines.concat(), diff).map(|_| ())
    }

    fn upstream_texts(series: crate::domain::version::Series) -> Vec<UpstreamText> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/upstream-lines");
        let path = directory.join(format!("{series}.toml"));
        if path.exists() {
            toml::from_str::<UpstreamTexts>(&fs_err::read_to_string(path).unwrap()).unwrap().text
        } else {
            Vec::new()
        }
    }

    /// Files whose text nobody here has seen in any release of their series. The patched lines are the same in every
    /// release from 3.11.2 to 3.14.6.
    const UNSEEN: &[(&str, &str)] = &[
        ("3.15", "Modules/_cursesmodule.c"),
        ("3.15", "Modules/_hashopenssl.c"),
        ("3.15", "Modules/_ssl.c"),
        ("3.15", "Modules/getpath.py"),
        ("3.15", "Modules/readline.c"),
    ];

    #[test]
    fn the_own_patches_fit_every_release_whose_lines_are_known() {
        let catalog = crate::recipe::Catalog::load(None).unwrap();
        for recipe in catalog.recipes() {
            let texts = upstream_texts(recipe.series);
            for text in &texts {
                for release in &text.releases {
                    assert!(recipe.releases.iter().any(|row| row.version == *release), "no row for {release}");
                }
            }
            let newest = recipe.release(recipe.newest().unwrap(), crate::domain::version::Variant::Default).unwrap();
            // A build of the series tries its patches on the source itself.
            let is_built = recipe.releases.iter().any(|row| row.built);
            for patch in catalog.patches(&newest).unwrap() {
                for FileDiff { file, diff, .. } in split(&patch.text).unwrap().into_iter().filter(|of| !of.is_new) {
                    let of_file: Vec<_> = texts.iter().filter(|text| text.file == file).collect();
                    let is_unseen = UNSEEN
                        .iter()
                        .any(|(series, unseen)| recipe.series.to_string() == *series && file == Path::new(unseen));
                    assert!(
                        is_built || is_unseen || !of_file.is_empty(),
                        "{}: no lines of {} are known",
                        patch.name,
                        file.display()
                    );
                    for text in of_file {
                        if let Err(reason) = apply_to_fingerprints(&diff, &text.lines) {
                            panic!("{} does not fit {:?}: {reason}", patch.name, text.releases);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_patch_that_does_not_fit_is_known_by_fingerprints_alone() {
        let upstream = |lines: &[&str]| lines.iter().map(|line| fingerprint(line)).collect::<String>();
        let FileDiff { diff, .. } = split(PATCH).unwrap().swap_remove(0);
        let fits = |lines: &[&str]| apply_to_fingerprints(&diff, &upstream(lines));
        assert_eq!(fits(&["one", "two", "three"]), Ok(()));
        assert_eq!(fits(&["zero", "one", "two", "three", "four"]), Ok(()));
        assert!(fits(&["one", "2", "three"]).unwrap_err().contains("hunk 1 has 0 places"));
        let twice = fits(&["one", "two", "three", "one", "two", "three"]);
        assert!(twice.unwrap_err().contains("hunk 1 has 2 places"));
    }
}
