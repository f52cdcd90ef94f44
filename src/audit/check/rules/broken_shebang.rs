//! Scripts whose interpreter is not in the image.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK202",
    name: "broken-shebang",
    severity: Severity::Error,
    what: "The first line of a script on PATH, of a Python or of a virtual environment names a program that is not in \
           the image. It is a note for a script of a Python, such as pydoc, in an image without a shell.",
    why: "The script does not start. The error is `no such file or directory`, although the script is there.",
    remedy: "install packages at the final path, remove scripts that nobody runs, or start modules by `python -m`",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for directory in subject.program_directories() {
        for (name, node) in subject.tree.children(&directory).filter(|(_, node)| node.is_program()) {
            let path = format!("{directory}/{name}");
            let text = node.file().and_then(|file| file.content.text()).filter(|text| text.starts_with(b"#!"));
            // Debian's scripts name what their packages only suggest.
            if let Some(text) = text.filter(|_| !subject.is_of_distribution(&path)) {
                let text = String::from_utf8_lossy(text);
                found.extend(broken(subject, &text).map(|message| judged(subject, &text, path, message)));
            }
        }
    }
    found
}

/// The finding. Images without a shell are made so, and a Python starts its modules without these scripts.
fn judged(subject: &Subject<'_>, text: &str, path: String, message: String) -> Found {
    let is_without_shell = text.starts_with("#!/bin/sh") && subject.tree.find_file("/bin/sh").is_none();
    let is_of_python = subject.python_of(&path).is_some();
    let found = Found::at(path, message);
    if is_without_shell && is_of_python { found.with(Severity::Note) } else { found }
}

/// What is wrong with the first lines of a script.
fn broken(subject: &Subject<'_>, text: &str) -> Option<String> {
    let mut lines = text.lines();
    let mut words = lines.next()?.trim_start_matches("#!").split_whitespace();
    let interpreter = words.next()?;
    let is_there = |program: &str| subject.tree.find_file(program).is_some();
    let on_path = |program: &str| {
        subject.program_directories().iter().any(|directory| is_there(&format!("{directory}/{program}")))
    };
    if !is_there(interpreter) {
        return Some(format!("its interpreter {interpreter} is not in the image"));
    }
    if interpreter.ends_with("/env") {
        let program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
        let is_there = if program.contains('/') { is_there(program) } else { on_path(program) };
        return (!is_there).then(|| format!("{program} is not on PATH"));
    }
    // `'''exec' '/a/long/path/python' "$0" "$@"`, where a path is too long for a first line.
    let program =
        lines.next()?.trim().strip_prefix("'''exec' ").or_else(|| text.lines().nth(1)?.strip_prefix("'''exec\" "))?;
    let program = program.trim_start_matches(['"', '\'']).split(['"', '\'', ' ']).next()?;
    (program.starts_with('/') && !program.contains('$') && !is_there(program))
        .then(|| format!("its interpreter {program} is not in the image"))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library};
    use super::*;

    fn venv() -> Fixture {
        Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .venv("/app", "/usr/local/bin", "python3.13")
            .elf("/usr/bin/env", library("", &[]))
            .elf("/bin/sh", library("", &[]))
    }

    #[test]
    fn good() {
        let fixture = venv()
            .text("/app/bin/a", "#!/app/bin/python\nimport a\n")
            .text("/app/bin/b", "#!/bin/sh\n'''exec' '/app/bin/python' \"$0\" \"$@\"\n' '''\n")
            .text("/app/bin/c", "#!/usr/bin/env -S python3 -I\n")
            .text("/usr/bin/debians", "#!/usr/bin/perl\n")
            .text("/srv/not-on-path", "#!/no/such\n")
            .package("debians", "1", &["/usr/bin/debians"]);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = venv()
            .text("/app/bin/a", "#!/build/app/bin/python\n")
            .text("/app/bin/b", "#!/bin/sh\n'''exec' /build/app/bin/python \"$0\" \"$@\"\n' '''\n")
            .text("/app/bin/c", "#!/usr/bin/env node\n")
            .judged(&RULE);
        let expected = [
            "error /app/bin/a: its interpreter /build/app/bin/python is not in the image",
            "error /app/bin/b: its interpreter /build/app/bin/python is not in the image",
            "error /app/bin/c: node is not on PATH",
        ];
        assert_eq!(found, expected);
        let of_python = "#!/bin/sh\nexec python3.13 -m pydoc\n";
        let found = Fixture::default()
            .python("/opt/python-3.13", "3.13", "3.13.9")
            .venv("/app", "/opt/python-3.13/bin", "python3.13")
            .text("/opt/python-3.13/bin/pydoc3.13", of_python)
            .text("/app/bin/served", of_python)
            .judged(&RULE);
        let expected = [
            "error /app/bin/served: its interpreter /bin/sh is not in the image",
            "note /opt/python-3.13/bin/pydoc3.13: its interpreter /bin/sh is not in the image",
        ];
        assert_eq!(found.into_iter().collect::<std::collections::BTreeSet<_>>(), expected.map(str::to_owned).into());
    }
}
