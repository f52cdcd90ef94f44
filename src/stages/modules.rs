//! The extension modules of a tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::domain::plan::BuildPlan;
use crate::error::Result;

/// The names of the extension modules in a tree's `lib-dynload`.
///
/// # Errors
/// [`Error::Io`] if the directory cannot be read.
pub(super) fn built_modules(root: &Path, plan: &BuildPlan) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs_err::read_dir(root.join(plan.stdlib()).join("lib-dynload"))? {
        let file = PathBuf::from(entry?.file_name());
        if file.extension().is_some_and(|extension| extension == "so") {
            let name = file.to_string_lossy();
            names.insert(name.split('.').next().unwrap_or_default().to_owned());
        }
    }
    Ok(names)
}
