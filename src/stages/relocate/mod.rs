//! Relocate: makes a prefix work wherever it is moved, and removes the build's own paths from it.
//!
//! The paths that Python computes at run time (`sysconfig`, `distutils`) are the subject of a patch. This stage
//! rewrites the files that other programs read: scripts, pkg-config files, `build-details.json` and the recorded
//! variables.

mod absent;
mod build_details;
mod build_paths;
mod pkg_config;
mod record;
mod shebang;

use std::path::{Path, PathBuf};

use absent::Kept;
use build_paths::BuildPaths;
use globset::GlobSet;

use super::bundle::BundledPrefix;
use super::dropped::patterns;
use super::staging::StagedPrefix;
use super::{BuildContext, debug_paths};
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
    let goes = patterns(&plan.strip)?;
    links(&root, plan, &goes)?;
    static_library(&root, plan)?;
    if !plan.static_library && !plan.request.policies.shared {
        remove_descriptions_of_embedding(&root)?;
    }
    let (staged, libraries) = bundled.into_parts();
    let paths = BuildPaths::new(staged.build_directory(), &root, &plan.request.prefix, &debug_paths::source_name(plan));
    let tree = Tree::new(&root, plan, &goes);
    let mut scripts = Vec::new();
    // Caches mention the build. Files that strip removes are skipped.
    for entry in fs::walk(&root)?.into_iter().filter(|entry| entry.is_file() && !goes.is_match(&entry.path)) {
        let path = root.join(&entry.path);
        let before = fs_err::read(&path)?;
        let Some(after) = rewritten(&entry.path, &before, &paths, &tree)? else { continue };
        fs_err::write(&path, after)?;
        if entry.path.starts_with("bin") {
            scripts.push(entry.path);
        }
    }
    update_records(&root, plan, &scripts)?;
    Ok(RelocatedPrefix { staged, libraries })
}

/// A tree as the flavor leaves it.
struct Tree<'a> {
    prefix: &'a Prefix,
    kept: Kept,
    /// Whether a file or directory is there, and stays.
    is_there: Box<dyn Fn(&Path) -> bool + 'a>,
}

impl<'a> Tree<'a> {
    fn new(root: &'a Path, plan: &'a BuildPlan, goes: &'a GlobSet) -> Self {
        let is_there = |path: &Path| root.join(path).exists() && !path.ancestors().any(|part| goes.is_match(part));
        let kept = Kept {
            static_library: plan.static_library,
            shared_library: plan.request.policies.shared,
            configuration: is_there(Path::new(&plan.configuration())),
        };
        Self { prefix: &plan.request.prefix, kept, is_there: Box::new(is_there) }
    }
}

/// The new content of a file; none if it stays as it is.
fn rewritten(path: &Path, before: &[u8], paths: &BuildPaths, tree: &Tree<'_>) -> Result<Option<Vec<u8>>> {
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
    let prefix = tree.prefix.as_str();
    let after = if path.starts_with("lib/pkgconfig") {
        pkg_config_file(path, text, tree)
    } else if absent::has_variables(path) {
        absent::rewrite(text, tree.kept)
    } else if build_details::is_description(path) {
        build_details::rewrite(path, text, prefix, &tree.is_there)
            .map_err(|error| Error::Damaged { what: path.display().to_string(), reason: error.to_string() })?
    } else {
        shebang::rewrite(path, text, prefix)
    };
    Ok(after.or(cleaned).map(String::into_bytes))
}

/// The new text of a pkg-config file.
fn pkg_config_file(path: &Path, text: &str, tree: &Tree<'_>) -> Option<String> {
    let relative = pkg_config::rewrite(text, tree.prefix.as_str());
    let linked = if tree.kept.shared_library { pkg_config::Linked::Shared } else { pkg_config::Linked::Static };
    let complete = pkg_config::is_for_embedding(path)
        .then(|| pkg_config::complete(relative.as_deref().unwrap_or(text), linked))
        .flatten();
    complete.or(relative)
}

/// Rewrites one file, for fuzzing. `path` is relative to the prefix.
///
/// # Panics
/// If the result still names the build, or would change again.
pub(crate) fn try_rewriting(path: &Path, before: &[u8]) {
    let prefix: Prefix = "/opt/p".parse().expect("it is a prefix");
    let paths = BuildPaths::new(Path::new("/w/b"), Path::new("/w/b/staging/opt/p"), &prefix, "/usr/src/python");
    let kept = Kept { static_library: false, shared_library: false, configuration: false };
    let tree = Tree { prefix: &prefix, kept, is_there: Box::new(|_| false) };
    let Ok(Some(after)) = rewritten(path, before, &paths, &tree) else { return };
    assert!(!paths.occur_in(&after), "it still mentions the build");
    let again = rewritten(path, &after, &paths, &tree).expect("it mentions the build no longer");
    assert!(
        again.is_none(),
        "it changes again, to {:?}",
        again.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    );
}

/// Makes `lib/libpython*.a` a link to the static library in `config-*`, of which make installs a copy; or removes both.
fn static_library(root: &Path, plan: &BuildPlan) -> Result<()> {
    let name = format!("libpython{}.a", plan.short_version());
    let inside = format!("{}/{name}", plan.configuration());
    let beside = root.join("lib").join(&name);
    if beside.exists() {
        fs_err::remove_file(&beside)?;
    }
    let is_there = root.join(&inside).exists();
    if is_there && plan.static_library {
        let target = Path::new(&inside).strip_prefix("lib").unwrap_or(Path::new(&inside));
        fs_err::os::unix::fs::symlink(target, beside)?;
    } else if is_there {
        fs_err::remove_file(root.join(inside))?;
    }
    Ok(())
}

/// Removes the pkg-config files that promise a libpython: `python-3.13-embed.pc` and its other name.
fn remove_descriptions_of_embedding(root: &Path) -> Result<()> {
    let directory = root.join("lib/pkgconfig");
    if !directory.exists() {
        return Ok(());
    }
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        if pkg_config::is_for_embedding(&path) {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}

/// Makes `bin/python3` and `bin/python` relative links to the interpreter, adds the names without a version, and makes
/// all other links relative.
fn links(root: &Path, plan: &BuildPlan, goes: &GlobSet) -> Result<()> {
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
    for (name, of_major) in [("pydoc", "pydoc3"), ("idle", "idle3"), ("python-config", "python3-config")] {
        let goes = |name: &str| goes.is_match(Path::new("bin").join(name));
        if bin.join(of_major).exists() && !bin.join(name).exists() && !goes(name) && !goes(of_major) {
            fs_err::os::unix::fs::symlink(of_major, bin.join(name))?;
        }
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
        let kept = Kept { static_library: true, shared_library: false, configuration: true };
        let tree = Tree { prefix: &prefix, kept, is_there: Box::new(|_| true) };
        let text = |path: &str, before: &str| {
            String::from_utf8(rewritten(Path::new(path), before.as_bytes(), &paths, &tree).unwrap().unwrap()).unwrap()
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
