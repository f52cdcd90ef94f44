//! Scripts: a `#!` line can only name an absolute path, so a line for the shell finds the interpreter relative to
//! the script and runs it.

use std::path::Path;

/// The text of a script that finds its interpreter relative to itself; none if it is not a script of this prefix's
/// Python. `path` is the script's, relative to the prefix.
pub(super) fn rewrite(path: &Path, text: &str, prefix: &str) -> Option<String> {
    let (interpreter, rest) = interpreter(text)?;
    let name = interpreter.strip_prefix(prefix)?.strip_prefix("/bin/")?;
    let (name, options) = name.split_once(' ').unwrap_or((name, ""));
    // The line for the shell quotes no other characters.
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.starts_with("python") || !name.chars().all(plain) || !options.trim().is_empty() {
        return None;
    }
    let bin = if path.starts_with("bin") {
        String::new()
    } else {
        let up = path.components().skip(1).map(|_| "../").collect::<String>();
        format!("{up}bin/")
    };
    // For the shell the second line is a command. For Python, lines two and three are one string.
    // `realpath` follows links to the script from other directories.
    Some(format!(
        "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")/{bin}{name}\" \"$0\" \"$@\"\n' '''\n{rest}"
    ))
}

/// The interpreter of a script with its options, and the text after that line. If its path is longer than the 127
/// bytes of a `#!` line, as in a deep staging directory, pip writes a line for the shell instead
/// (`distlib/scripts.py`).
fn interpreter(text: &str) -> Option<(&str, &str)> {
    if let Some(long) = text.strip_prefix("#!/bin/sh\n'''exec' ") {
        return long.split_once(" \"$0\" \"$@\"\n' '''\n");
    }
    let (first, rest) = text.split_once('\n')?;
    Some((first.strip_prefix("#!")?.trim(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_finds_its_interpreter_beside_itself() {
        let text = rewrite(Path::new("bin/pip"), "#!/opt/p/bin/python3.13\nimport sys\n", "/opt/p").unwrap();
        assert_eq!(
            text,
            "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")/python3.13\" \"$0\" \"$@\"\n' '''\nimport sys\n"
        );
    }

    #[test]
    fn a_script_is_the_same_whose_interpreter_lay_too_deep_for_one_line() {
        let long = "#!/bin/sh\n'''exec' /opt/p/bin/python3.13 \"$0\" \"$@\"\n' '''\nimport sys\n";
        let short = "#!/opt/p/bin/python3.13\nimport sys\n";
        let rewritten = |text| rewrite(Path::new("bin/pip"), text, "/opt/p").unwrap();
        assert_eq!(rewritten(long), rewritten(short));
        // What was rewritten stays as it is.
        assert_eq!(rewrite(Path::new("bin/pip"), &rewritten(short), "/opt/p"), None);
    }

    #[test]
    fn a_script_elsewhere_knows_how_far_it_is() {
        let path = Path::new("lib/python3.13/config/python-config.py");
        let text = rewrite(path, "#!/opt/p/bin/python3.13\n", "/opt/p").unwrap();
        assert!(text.contains(")/../../../bin/python3.13\""), "{text}");
    }

    #[test]
    fn other_files_stay() {
        for text in [
            "#!/bin/sh\necho\n",
            "#!/opt/p/bin/perl\n",
            "#!/opt/pp/bin/python3\n",
            "\x7fELF\n",
            "",
            "#!/opt/p/bin/python3",
            "#!/opt/p/bin/python\"$(id)\n",
            "#!/opt/p/bin/python3/../sh\n",
        ] {
            assert_eq!(rewrite(Path::new("bin/pip"), text, "/opt/p"), None, "{text:?}");
        }
    }
}
