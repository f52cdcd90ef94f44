//! The configure cache: what configure wrote in an earlier build with the same inputs. Running it takes
//! as long as a quarter of an optimised build, on one processor.
//!
//! A restored tree is identical to a configured one: the key holds everything that configure reads. Only the
//! path of the tree differs between builds, and it is replaced.

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

/// What stands for the path of the tree in what is kept.
const TREE: &[u8] = b"@pykeel:tree@";
/// What configure writes for people alone.
const LOG: &str = "config.log";

/// The output of configure for one set of inputs.
pub(super) struct ConfigureCache {
    key: Digest,
    root: PathBuf,
    /// Upstream's files are this old, and what configure writes is newer.
    epoch: u64,
}

impl ConfigureCache {
    pub(super) fn new(tree: &PatchedTree, plan: &BuildPlan, environment: &BTreeMap<String, OsString>) -> Result<Self> {
        // Configure tests whether these are there and does not read them.
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
        // As configure sees it.
        Ok(Self { key, root: fs_err::canonicalize(tree.root())?, epoch: tree.epoch() })
    }

    /// Writes what was kept into the tree, if anything was.
    pub(super) fn restore(&self, store: &Store, work: &Path, reporter: &dyn Reporter) -> Result<bool> {
        let Some(bytes) = store.intermediate(self.key, reporter)? else { return Ok(false) };
        reporter.report(Event::Detail("cache hit: the output of an earlier configure is restored".into()));
        let place = fs::temporary_directory_in(work, "configure-cache-")?;
        archive::unpack("the configure cache", archive::decoder(Format::Zst, &bytes[..])?, place.path())?;
        // One time for all, or make would take one for older than what it is made of.
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

    /// Keeps what configure wrote.
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

/// Replaces every occurrence of some bytes by others.
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
