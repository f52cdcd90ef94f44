//! Patches that git or diff wrote, brought into the form of the recipes' patches.

use std::fmt::Write as _;

use super::hunk::Left;

/// What git says of a file that no text of a diff shows, and why it is refused.
const BEYOND_TEXT: &[(&str, &str)] = &[
    ("GIT binary patch", "it changes a binary file"),
    ("Binary files ", "it changes a binary file"),
    ("rename from ", "it renames a file"),
    ("copy from ", "it copies a file"),
    ("old mode ", "it changes the mode of a file"),
    ("new file mode 120", "it adds a symbolic link"),
    ("new file mode 100755", "it adds a program, and a patch gives no file a mode"),
];

/// Rewrites a patch so that its paths begin with `a/` and `b/` and it has nothing besides files and hunks. As with
/// python-build, the paths of a patch that git wrote lose their first directory (`-p1`), others are taken whole (`-p0`).
///
/// # Errors
/// The reason why it cannot be used.
pub fn rewritten(text: &str) -> Result<String, String> {
    let of_git = text.lines().any(|line| line.starts_with("diff --git a/"));
    let mut lines = text.lines().enumerate().peekable();
    let mut patch = String::new();
    // Before the first file there may be a message, whose lines are anything.
    let mut is_past_message = false;
    while let Some((number, line)) = lines.next() {
        is_past_message |= line.starts_with("diff --git ");
        if let Some((_, reason)) = BEYOND_TEXT.iter().find(|(start, _)| is_past_message && line.starts_with(start)) {
            return Err((*reason).to_owned());
        }
        if let Some(old) = line.strip_prefix("--- ")
            && let Some(new) = lines.next_if(|(_, next)| next.starts_with("+++ "))
        {
            let old =
                if path(old) == "/dev/null" { "/dev/null".to_owned() } else { format!("a/{}", bare(old, of_git)) };
            if path(&new.1[4..]) == "/dev/null" {
                return Err(format!("it removes the file {}", bare(&line[4..], of_git)));
            }
            let _ = write!(patch, "--- {old}\n+++ b/{}\n", bare(&new.1[4..], of_git));
        } else if line.starts_with("@@ ") {
            if patch.is_empty() {
                return Err(format!("line {} begins a hunk of no file", number + 1));
            }
            let mut left = Left::of(line).ok_or_else(|| format!("line {} is not the start of a hunk", number + 1))?;
            let _ = writeln!(patch, "{line}");
            while !left.is_nothing() {
                let (at, line) = lines.next().ok_or("its last hunk ends too early")?;
                left = left.after(line).map_err(|reason| format!("line {} {reason}", at + 1))?;
                let _ = writeln!(patch, "{}", if line.is_empty() { " " } else { line });
            }
            if let Some((_, mark)) = lines.next_if(|(_, next)| next.starts_with('\\')) {
                let _ = writeln!(patch, "{mark}");
            }
        }
    }
    if patch.is_empty() { Err("it has no `---` and `+++` lines".into()) } else { Ok(patch) }
}

/// Returns the path of a `---` or `+++` line, without the time that diff writes after a tab.
fn path(text: &str) -> &str {
    text.split('\t').next().unwrap_or(text).trim_end()
}

/// Returns the path below the source tree.
fn bare(text: &str, of_git: bool) -> &str {
    let path = path(text);
    if of_git { path.split_once('/').map_or(path, |(_, rest)| rest) } else { path.trim_start_matches("./") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OF_GIT: &str = "From: someone\n\ndiff --git a/Lib/a.py b/Lib/a.py\nindex 1..2 100644\n--- a/Lib/a.py\n\
                          +++ b/Lib/a.py\n@@ -1,2 +1,2 @@ def f():\n-one\n+1\n two\n\
                          diff --git a/new.h b/new.h\nnew file mode 100644\n--- /dev/null\n+++ b/new.h\n@@ -0,0 +1 @@\n\
                          +x\n\\ No newline at end of file\n-- \n2.39\n";

    #[test]
    fn a_patch_of_git_keeps_files_and_hunks_alone() {
        let expected = "--- a/Lib/a.py\n+++ b/Lib/a.py\n@@ -1,2 +1,2 @@ def f():\n-one\n+1\n two\n\
                        --- /dev/null\n+++ b/new.h\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n";
        assert_eq!(rewritten(OF_GIT).unwrap(), expected);
        let files = super::super::split(expected).unwrap();
        assert!(files.len() == 2 && files[1].is_new, "{files:?}");
        assert_eq!(super::super::patched("one\ntwo\n", &files[0].diff).unwrap(), "1\ntwo\n");
        assert_eq!(super::super::patched("", &files[1].diff).unwrap(), "x");
    }

    #[test]
    fn a_message_before_the_files_says_what_it_likes() {
        let message = "From: someone\n\nBinary files are left alone\nrename from here to there\n";
        assert_eq!(rewritten(&format!("{message}{OF_GIT}")).unwrap(), rewritten(OF_GIT).unwrap());
    }

    #[test]
    fn a_patch_of_diff_has_whole_paths() {
        let text = "diff -u configure.orig configure\n--- configure.orig\t2026-01-01\n+++ ./configure\t2026-01-02\n\
                    @@ -1,3 +1,2 @@\n-a\n\n c\n";
        let expected = "--- a/configure.orig\n+++ b/configure\n@@ -1,3 +1,2 @@\n-a\n \n c\n";
        assert_eq!(rewritten(text).unwrap(), expected);
        assert_eq!(super::super::split(expected).unwrap()[0].file, std::path::Path::new("configure"));
        // A removed line that looks like the start of a file.
        let text = "--- x\n+++ x\n@@ -1,2 +1 @@\n--- y\n y\n";
        assert!(rewritten(text).unwrap().contains("\n--- y\n y\n"));
    }

    #[test]
    fn what_cannot_be_applied_as_text_is_refused() {
        let hunk = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n";
        for (text, reason) in [
            (String::new(), "no `---`"),
            ("not a diff\n".into(), "no `---`"),
            ("@@ -1 +1 @@\n-a\n+b\n".into(), "line 1 begins a hunk of no file"),
            (format!("{hunk}-a\n"), "ends too early"),
            (format!("{hunk}-a\n-b\n"), "line 5 is more than its hunk has"),
            (format!("{hunk}-a\n*b\n"), "line 5 is not a line of a hunk"),
            ("--- a/x\n+++ b/x\n@@ -one +two @@\n".into(), "line 3 is not the start of a hunk"),
            ("diff --git a/x b/x\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n".into(), "it removes the file x"),
            ("diff --git a/x b/y\nrename from x\nrename to y\n".into(), "it renames a file"),
            ("diff --git a/x b/x\nold mode 100644\nnew mode 100755\n".into(), "the mode of a file"),
            ("diff --git a/x b/x\nGIT binary patch\n".into(), "a binary file"),
            ("diff --git a/x b/x\nnew file mode 100755\n--- /dev/null\n".into(), "it adds a program"),
        ] {
            let refused = rewritten(&text).unwrap_err();
            assert!(refused.contains(reason), "{text:?}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = rewritten(&text);
        }

        #[test]
        fn what_was_rewritten_stays_the_same(text in "((--- |\\+\\+\\+ |@@ -1 \\+1 @@|[-+ \\\\]|diff --git a/)?[ab/]{0,3}\n){0,9}") {
            if let Ok(once) = rewritten(&text) {
                // Its paths have a first directory, as git's do.
                let again = rewritten(&format!("diff --git a/x b/x\n{once}"));
                prop_assert_eq!(again.unwrap(), once);
            }
        }
    }
}
