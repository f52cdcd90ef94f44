//! Relocate: makes a prefix work wherever it is moved, and removes the build's own paths from it.
//!
//! The paths that Python computes at run time (`sysconfig`, `distutils`) are the subject of a patch. This stage
//! rewrites the files that other programs read: scripts, pkg-config files, `build-details.json` and the recorded
//! variables.

mod build_details;
mod build_paths;
mod pkg_config;
mod record;
mod shebang;

use std::path::{Path, PathBuf};

use build_paths::BuildPaths;

use super::BuildContext;
use super::bundle::BundledPrefix;
use super::configure::source_name;
use super::dropped::patterns;
use super::staging::StagedPrefix;
use crate::domain::manifest::Libraries;
use crate::domain::plan::BuildPlan;
use crate::domain::prefix::Prefix;
use crate::error::{Error, Result};
use crate::sys::fs::{self, Kind};

/// A prefix that can be moved.
#[derive(Debug)]
pub struct RelocatedPrefix {
    staged: StagedPrefix,
    libraries: Libraries,
}

impl RelocatedPrefix {
    pub(super) fn into_parts(self) -> (StagedPrefix, Libraries) {
        (self.staged, self.libraries)
    }
}

/// Rewrites the files that would not survive a move.
///
/// # Errors
/// [`Error::Damaged`] for a binary file that mentions the work directory and for a `build-details.json` that is
/// not JSON; [`Error::Io`] if a file cannot be read or written.
pub fn relocate(bundled: BundledPrefix, context: &BuildContext<'_>) -> Result<RelocatedPrefix> {
    let plan = context.plan;
    let root = bundled.root().to_owned();
    links(&root, plan)?;
    let (staged, libraries) = bundled.into_parts();
    let paths = BuildPaths::new(staged.build_directory(), &root, &plan.request.prefix, &source_name(plan));
    let mut scripts = Vec::new();
    // Caches and static libraries mention the build. Files that strip removes are skipped.
    let goes = patterns(&plan.strip)?;
    for entry in fs::walk(&root)?.into_iter().filter(|entry| entry.is_file() && !goes.is_match(&entry.path)) {
        let path = root.join(&entry.path);
        let before = fs_err::read(&path)?;
        let Some(after) = rewritten(&entry.path, &before, &paths, &plan.request.prefix)? else { continue };
        fs_err::write(&path, after)?;
        if entry.path.starts_with("bin") {
            scripts.push(entry.path);
        }
    }
    update_records(&root, plan, &scripts)?;
    Ok(RelocatedPrefix { staged, libraries })
}

/// The new content of a file; none if it stays as it is.
fn rewritten(path: &Path, before: &[u8], paths: &BuildPaths, prefix: &Prefix) -> Result<Option<Vec<u8>>> {
    let Ok(text) = std::str::from_utf8(before) else {
        if paths.occur_in(before) {
            let reason = "a binary file mentions the build directory".into();
            return Err(Error::Damaged { what: path.display().to_string(), reason });
        }
        return Ok(None);
    };
    // The build's paths first: their replacement may be the prefix, which the next step rewrites.
    let cleaned = paths.rewrite(text);
    let text = cleaned.as_deref().unwrap_or(text);
    let after = if path.starts_with("lib/pkgconfig") {
        pkg_config::rewrite(text, prefix.as_str())
    } else if build_details::is_description(path) {
        build_details::rewrite(path, text, prefix.as_str())
            .map_err(|error| Error::Damaged { what: path.display().to_string(), reason: error.to_string() })?
    } else {
        shebang::rewrite(path, text, prefix.as_str())
    };
    Ok(after.or(cleaned).map(String::into_bytes))
}

/// Rewrites one file, for fuzzing. `path` is relative to the prefix.
///
/// # Panics
/// If the result still names the build, or would change again.
pub(crate) fn try_rewriting(path: &Path, before: &[u8]) {
    let prefix: Prefix = "/opt/p".parse().expect("it is a prefix");
    let paths = BuildPaths::new(Path::new("/w/b"), Path::new("/w/b/staging/opt/p"), &prefix, "/usr/src/python");
    let Ok(Some(after)) = rewritten(path, before, &paths, &prefix) else { return };
    assert!(!paths.occur_in(&after), "it still mentions the build");
    let again = rewritten(path, &after, &paths, &prefix).expect("it mentions the build no longer");
    assert!(
        again.is_none(),
        "it changes again, to {:?}",
        again.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    );
}

/// Makes `bin/python3` and `bin/python` relative links to the interpreter, and all other links relative.
fn links(root: &Path, plan: &BuildPlan) -> Result<()> {
    let bin = root.join("bin");
    let interpreter = format!("python{}", plan.short_version());
    // The `python3.13` of a variant is a hard link, which the tarball would hold as a second file.
    let default_name = format!("python{}", plan.request.release.series());
    for name in ["python3", "python", &default_name] {
        let link = bin.join(name);
        if name == interpreter {
            continue;
        }
        if std::fs::symlink_metadata(&link).is_ok() {
            fs_err::remove_file(&link)?;
        }
        fs_err::os::unix::fs::symlink(&interpreter, link)?;
    }
    // Links that make left with an absolute path of the prefix.
    for entry in fs::walk(root)? {
        if let Kind::Symlink(target) = &entry.kind
            && let Ok(inside) = target.strip_prefix(plan.request.prefix.as_path())
        {
            let up: PathBuf = entry.path.parent().into_iter().flat_map(Path::components).map(|_| "..").collect();
            fs_err::remove_file(root.join(&entry.path))?;
            fs_err::os::unix::fs::symlink(up.join(inside), root.join(&entry.path))?;
        }
    }
    Ok(())
}

/// Updates pip's record of its files with the new sums of the rewritten scripts.
fn update_records(root: &Path, plan: &BuildPlan, scripts: &[PathBuf]) -> Result<()> {
    let packages = root.join(plan.stdlib()).join("site-packages");
    for entry in fs_err::read_dir(&packages)? {
        let record = entry?.path().join("RECORD");
        if !record.exists() {
            continue;
        }
        let text = fs_err::read_to_string(&record)?;
        let read = |name: &str| {
            let path = fs::link_target(&Path::new("x/x/site-packages").join("RECORD"), Path::new(name));
            let script = path.filter(|path| scripts.contains(path));
            script.map(|path| fs_err::read(root.join(path))).transpose()
        };
        if let Some(updated) = record::rewrite(&text, read)? {
            fs_err::write(&record, updated)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_the_staged_prefix_goes_wherever_the_prefix_goes() {
        let prefix: Prefix = "/opt/p".parse().unwrap();
        let paths = BuildPaths::new(Path::new("/w/b"), Path::new("/w/b/staging/opt/p"), &prefix, "/usr/src/python");
        let text = |path: &str, before: &str| {
            String::from_utf8(rewritten(Path::new(path), before.as_bytes(), &paths, &prefix).unwrap().unwrap()).unwrap()
        };
        assert_eq!(
            text("lib/pkgconfig/python.pc", "prefix=/w/b/staging/opt/p\nlibdir=/w/b/staging/opt/p/lib\n"),
            "prefix=${pcfiledir}/../..\nlibdir=${prefix}/lib\n"
        );
        let script = text("bin/pip", "#!/w/b/staging/opt/p/bin/python3.13\nimport sys\n");
        assert_eq!(script, text("bin/pip", "#!/opt/p/bin/python3.13\nimport sys\n"));
        assert!(script.starts_with("#!/bin/sh\n"), "{script}");
    }
}
