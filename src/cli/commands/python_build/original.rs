//! The original python-build, which builds what is no recipe of pykeel.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::sys::fs::may_be_run;
use crate::sys::process::replace_process;

/// Names the original.
const VARIABLE: &str = "PYKEEL_PYTHON_BUILD";
/// How often a definition was handed over on the way to this process.
const DEPTH: &str = "PYKEEL_PYTHON_BUILD_DEPTH";
/// A definition of the original may build another one, and so on. A circle through a script that does not show that it
/// is pykeel's ends here.
const DEEPEST: u32 = 4;

/// The most bytes of a script that are looked through. The original has 80,000.
const LONGEST: u64 = 1 << 20;

/// The original.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Original {
    program: PathBuf,
}

impl Original {
    /// Finds it: the one that `PYKEEL_PYTHON_BUILD` names, else the first on the search path that is not pykeel under
    /// another name.
    ///
    /// # Errors
    /// Why the one that is named cannot be it.
    pub(super) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, String> {
        if let Some(named) = variable(VARIABLE).filter(|value| !value.is_empty()) {
            // A name without a slash would be looked for on the search path again.
            let program = std::path::absolute(&named).map_err(|error| format!("{VARIABLE}: {error}"))?;
            let wrong = |reason: &str| Err(format!("{VARIABLE}={}: {reason}", program.display()));
            return match problem(&program) {
                Some(reason) => wrong(&reason),
                None => Ok(Some(Self { program })),
            };
        }
        let path = variable("PATH").unwrap_or_default();
        let candidates = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
        let mut candidates = candidates.map(|directory| directory.join("python-build"));
        Ok(candidates.find(|program| problem(program).is_none()).map(|program| Self { program }))
    }

    /// Returns the directory of its own definitions.
    pub(super) fn definitions(&self) -> Option<PathBuf> {
        let program = fs_err::canonicalize(&self.program).ok()?;
        Some(program.parent()?.parent()?.join("share/python-build"))
    }

    /// Hands the command line over: the original takes this process's place. Returns only the reason why it cannot.
    pub(super) fn take_over(&self, words: &[OsString], variable: impl Fn(&str) -> Option<OsString>) -> String {
        let depth = variable(DEPTH).and_then(|text| text.to_str()?.parse::<u32>().ok()).unwrap_or(0);
        if depth >= DEEPEST {
            return format!("{} leads back to pykeel", self.program.display());
        }
        let error = replace_process(&self.program, words, DEPTH, OsStr::new(&(depth + 1).to_string()));
        format!("cannot run {}: {error}", self.program.display())
    }
}

/// Why a program cannot be the original, which is a script. One that starts pykeel would lead back here.
fn problem(program: &Path) -> Option<String> {
    let reason = match std::fs::metadata(program) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such program",
        Err(error) => return Some(error.to_string()),
        Ok(metadata) if metadata.is_dir() => "it is a directory: name the program in it, as in bin/python-build",
        Ok(metadata) if !metadata.is_file() => "it is not a regular file",
        Ok(_) if !may_be_run(program) => "this user may not run it",
        Ok(_) => {
            let mut bytes = Vec::new();
            let read = std::fs::File::open(program).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
            if let Err(error) = read {
                return Some(format!("it cannot be read, so it could be pykeel under another name: {error}"));
            }
            let is_pykeel = bytes.starts_with(b"\x7fELF") || memchr::memmem::find(&bytes, b"pykeel").is_some();
            return is_pykeel.then(|| "it is pykeel under another name, and not the original python-build".into());
        }
    };
    Some(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Makes a directory for each script.
    fn places(scripts: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let root = tempfile::tempdir().unwrap();
        let write = |(number, text): (usize, &&str)| {
            let directory = root.path().join(number.to_string());
            fs_err::create_dir(&directory).unwrap();
            let program = directory.join("python-build");
            fs_err::write(&program, text).unwrap();
            fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            program
        };
        let programs = scripts.iter().enumerate().map(write).collect();
        (root, programs)
    }

    fn find(named: Option<&Path>, programs: &[PathBuf]) -> Result<Option<PathBuf>, String> {
        let path = std::env::join_paths(programs.iter().filter_map(|program| program.parent())).unwrap();
        let found = Original::find(|name| match name {
            "PATH" => Some(path.clone()),
            VARIABLE => named.map(|named| named.as_os_str().to_owned()),
            _ => None,
        });
        Ok(found?.map(|original| original.program))
    }

    #[test]
    fn it_is_the_next_on_the_search_path_that_is_not_pykeel() {
        let scripts = ["#!/bin/sh\nexec pykeel python-build \"$@\"\n", "\x7fELF", "#!/usr/bin/env bash\ntrue\n"];
        let (_root, programs) = places(&scripts);
        assert_eq!(find(None, &programs).unwrap().as_ref(), Some(&programs[2]));
        assert_eq!(find(None, &programs[..2]).unwrap(), None);
        fs_err::set_permissions(&programs[2], std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find(None, &programs).unwrap(), None);
    }

    #[test]
    fn the_one_that_is_named_has_to_be_it() {
        let (_root, programs) = places(&["#!/bin/sh\nexec pykeel python-build \"$@\"\n", "#!/bin/sh\n", "#!/bin/sh\n"]);
        assert_eq!(find(Some(&programs[2]), &programs).unwrap().as_ref(), Some(&programs[2]));
        assert!(find(Some(&programs[0]), &programs).unwrap_err().contains("pykeel under another name"));
        assert!(find(Some(Path::new("/nowhere/x")), &programs).unwrap_err().contains("no such program"));
        fs_err::set_permissions(&programs[1], std::fs::Permissions::from_mode(0o644)).unwrap();
        let place = programs[1].parent().unwrap();
        for (named, reason) in [
            (place, "it is a directory"),
            (&programs[1], "may not run it"),
            (Path::new("/dev/null"), "not a regular file"),
        ] {
            let error = find(Some(named), &programs).unwrap_err();
            assert!(error.starts_with("PYKEEL_PYTHON_BUILD=/") && error.contains(reason), "{error}");
        }
        // A directory on the search path is passed over.
        fs_err::remove_file(&programs[1]).unwrap();
        fs_err::create_dir(&programs[1]).unwrap();
        // As if it was not set.
        assert_eq!(find(Some(Path::new("")), &programs).unwrap().as_ref(), Some(&programs[2]));
    }

    #[test]
    fn its_definitions_are_beside_it_where_a_link_leads_to() {
        let (root, programs) = places(&["#!/bin/sh\n"]);
        let link = root.path().join("link");
        fs_err::os::unix::fs::symlink(&programs[0], &link).unwrap();
        let expected = fs_err::canonicalize(root.path()).unwrap().join("share/python-build");
        assert_eq!(Original { program: link }.definitions(), Some(expected));
    }

    #[test]
    fn a_circle_ends() {
        let original = Original { program: "/nowhere/python-build".into() };
        let depth = |depth: &'static str| original.take_over(&[], |_| Some(depth.into()));
        assert!(depth("4").contains("leads back to pykeel"));
        assert!(depth("3").contains("cannot run /nowhere/python-build"));
    }
}
