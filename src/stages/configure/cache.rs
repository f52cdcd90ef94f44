//! The configure cache: the output of configure from an earlier build with the same inputs. Configure takes a quarter
//! of the time of an optimised build, on one processor.
//!
//! A restored tree is identical to a configured one: the key covers everything that configure reads. Only the path of
//! the tree differs between builds, and it is replaced.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::plan::BuildPlan;
use crate::error::Result;
use crate::event::{Event, Reporter};
use crate::stages::patch::PatchedTree;
use crate::store::Store;
use crate::sys::{archive, fs};

/// The placeholder for the path of the tree in a cache entry.
const TREE: &[u8] = b"@pykeel:tree@";
/// The log of configure, which no program reads.
const LOG: &str = "config.log";

/// The output of configure for one set of inputs.
pub(super) struct ConfigureCache {
    key: Digest,
    root: PathBuf,
    /// The time of upstream's newest file. Files that configure writes are newer.
    epoch: u64,
}

impl ConfigureCache {
    pub(super) fn new(tree: &PatchedTree, plan: &BuildPlan, environment: &BTreeMap<String, OsString>) -> Result<Self> {
        // Configure tests whether these exist, and does not read them.
        let unread = |path: &Path| path.starts_with("Lib") || path.extension().is_some_and(|name| name == "c");
        let patched: Vec<_> = tree.patched().iter().filter(|(path, _)| !unread(path)).collect();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (name, value.to_string_lossy())).collect();
        let key = Digest::of_json(&(
            "configure cache",
            (plan.request.format, plan.request.release, plan.request.variant, plan.request.target, &plan.source),
            patched,
            (&plan.configure, environment, &plan.pkg_config),
            (&plan.toolchain, &plan.libraries),
        ));
        // Configure uses the canonical path.
        Ok(Self { key, root: fs_err::canonicalize(tree.root())?, epoch: tree.epoch() })
    }

    /// Writes the cached output into the tree. Returns whether there was a cache hit.
    pub(super) fn restore(&self, store: &Store, work: &Path, reporter: &dyn Reporter) -> Result<bool> {
        let Some(bytes) = store.intermediate(self.key, reporter)? else { return Ok(false) };
        reporter.report(Event::Detail("cache hit: the output of an earlier configure is restored".into()));
        let place = fs::temporary_directory_in(work, "configure-cache-")?;
        archive::unpack("the configure cache", archive::decoder(Format::Zst, &bytes[..])?, place.path())?;
        // One time for all, or make could consider a file older than its prerequisites.
        let now = SystemTime::now();
        for entry in fs::walk(place.path())? {
            let fs::Kind::File { executable, .. } = entry.kind else { continue };
            let target = self.root.join(&entry.path);
            let bytes = fs_err::read(place.path().join(&entry.path))?;
            write(&target, &replaced(&bytes, TREE, self.path()), executable)?;
            fs_err::File::open(&target)?.file().set_modified(now)?;
        }
        Ok(true)
    }

    /// Stores the output of configure.
    pub(super) fn keep(&self, store: &Store, work: &Path) -> Result<()> {
        let newest = SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch);
        let place = fs::temporary_directory_in(work, "configure-cache-")?;
        for entry in fs::walk(&self.root)? {
            let fs::Kind::File { executable, .. } = entry.kind else { continue };
            let source = self.root.join(&entry.path);
            if entry.path == Path::new(LOG) || fs_err::metadata(&source)?.modified()? <= newest {
                continue;
            }
            let bytes = replaced(&fs_err::read(source)?, self.path(), TREE);
            write(&place.path().join(&entry.path), &bytes, executable)?;
        }
        let (bytes, ()) = archive::encode(Format::Zst, Vec::new(), |writer| {
            archive::pack(place.path(), "configure-cache", 0, writer)
        })?;
        store.keep_intermediate(self.key, &bytes)
    }

    fn path(&self) -> &[u8] {
        self.root.as_os_str().as_encoded_bytes()
    }
}

fn write(path: &Path, bytes: &[u8], executable: bool) -> Result<()> {
    fs::write_in_place(path, bytes)?;
    let mode = if executable { 0o755 } else { 0o644 };
    Ok(fs_err::set_permissions(path, PermissionsExt::from_mode(mode))?)
}

/// Returns a text with every occurrence of some bytes replaced.
fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut last = 0;
    for at in memchr::memmem::find_iter(text, from) {
        result.extend_from_slice(&text[last..at]);
        result.extend_from_slice(to);
        last = at + from.len();
    }
    result.extend_from_slice(&text[last..]);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_replaced_wherever_they_stand() {
        assert_eq!(replaced(b"/a/b:/a/b/c", b"/a/b", b"@"), b"@:@/c");
        assert_eq!(replaced(b"nothing", b"/a/b", b"@"), b"nothing");
        assert_eq!(replaced(&replaced(b"x=/a;\xff/a", b"/a", TREE), TREE, b"/longer"), b"x=/longer;\xff/longer");
    }
}
