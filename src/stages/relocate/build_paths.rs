//! The directories of the build in recorded variables: `_sysconfigdata*.py`, the Makefile.

use std::path::Path;

use crate::domain::prefix::Prefix;
use crate::stages::debug_paths;

/// The paths that no file may mention, each with its replacement.
pub(super) struct BuildPaths {
    /// Longest first: a shorter one may be the beginning of a longer one.
    replacements: Vec<(String, String)>,
}

impl BuildPaths {
    /// `build` is the work directory, which has the source tree in `source`; `staged` is the directory with the
    /// content of the prefix.
    pub(super) fn new(build: &Path, staged: &Path, prefix: &Prefix, source_name: &str) -> Self {
        let text = |path: &Path| path.display().to_string();
        Self {
            replacements: vec![
                (text(staged), prefix.to_string()),
                (text(&build.join("staging")), String::new()),
                (text(&build.join("source")), source_name.to_owned()),
                (text(build), "/usr/src".to_owned()),
            ],
        }
    }

    /// Whether bytes mention the build.
    pub(super) fn occur_in(&self, bytes: &[u8]) -> bool {
        self.replacements.iter().any(|(path, _)| contains(bytes, path.as_bytes()))
    }

    /// The text without the build's paths, and without the compiler option that maps them in debug information;
    /// none if it has neither.
    pub(super) fn rewrite(&self, text: &str) -> Option<String> {
        if !self.occur_in(text.as_bytes()) && !text.contains(debug_paths::WORD) {
            return None;
        }
        let mut text = text.replace(&format!(" {}", debug_paths::WORD), "").replace(debug_paths::WORD, "");
        for (path, name) in &self.replacements {
            text = text.replace(path, name);
        }
        Some(text)
    }
}

pub(super) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::tests::plan;

    fn paths() -> BuildPaths {
        let staged = Path::new("/w/build-1/staging/opt/myorg/python-3.13");
        BuildPaths::new(Path::new("/w/build-1"), staged, &plan().request.prefix, "/usr/src/python-3.13.5")
    }

    #[test]
    fn every_directory_of_the_build_gets_a_name_that_is_always_the_same() {
        let text = "'abs_srcdir': '/w/build-1/source', 'x': '/w/build-1/staging/opt/myorg/python-3.13/lib',\n\
                    'y': '/w/build-1/staging/usr', 'z': '/w/build-1/pkgconfig'";
        assert_eq!(
            paths().rewrite(text).unwrap(),
            "'abs_srcdir': '/usr/src/python-3.13.5', 'x': '/opt/myorg/python-3.13/lib',\n\
             'y': '/usr', 'z': '/usr/src/pkgconfig'"
        );
        assert_eq!(paths().rewrite("nothing of it"), None);
    }

    #[test]
    fn the_word_for_debug_paths_goes() {
        let text = "'CFLAGS': '-O3 -g @../debug-paths.rsp -Wall', 'A': '@../debug-paths.rsp'";
        assert_eq!(paths().rewrite(text).unwrap(), "'CFLAGS': '-O3 -g -Wall', 'A': ''");
    }
}
