//! How debug information and recorded variables name the source: by a path that does not depend on the build's.

use crate::domain::plan::BuildPlan;

/// The response file beside the tree that maps the tree's path in debug information. Because the flags name only this
/// file, the path changes no recorded variable, neither its text nor its line breaks.
pub(super) const FILE: &str = "debug-paths.rsp";
/// The word that passes that file to the compiler.
pub(super) const WORD: &str = "@../debug-paths.rsp";

/// The path that replaces the build tree's.
pub(super) fn source_name(plan: &BuildPlan) -> String {
    format!("/usr/src/python-{}", plan.request.release)
}
