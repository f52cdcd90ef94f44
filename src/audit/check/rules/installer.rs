//! Installers of Python packages.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK305",
    name: "installer",
    severity: Severity::Warning,
    what: "`pip`, `ensurepip`, `uv` or another installer of packages can be imported or is on PATH.",
    why: "What runs in production is fixed when the image is made. pip has 13 MB, and installs what an attacker names.",
    remedy: "make the environment without pip (`python -m venv --without-pip`, `uv venv`), and leave installers to the builder stage",
    judge: Judge::Always(judge),
};

const PACKAGES: &[&str] = &["pip", "uv", "poetry", "pipenv", "pdm", "conda", "hatch"];
const PROGRAMS: &[&str] = &["uv", "uvx", "poetry", "pipx", "pipenv", "pdm", "conda", "mamba", "micromamba", "hatch"];

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut add = |path: String, message: String| {
        if !found.iter().any(|known| known.path.as_ref() == Some(&path)) {
            found.push(Found::at(path, message));
        }
    };
    for environment in &subject.environments {
        for directory in environment.paths.iter().filter(|path| path.ends_with("-packages")) {
            for name in PACKAGES {
                let path = format!("{directory}/{name}");
                if subject.tree.get(&format!("{path}/__init__.py")).is_some() {
                    add(path, format!("{name} can be imported by {}", environment.root));
                }
            }
        }
    }
    for python in &subject.pythons {
        let ensurepip = format!("{}/ensurepip", python.stdlib);
        let wheels = subject.tree.below(&ensurepip).any(|(path, _)| path.rsplit('.').next() == Some("whl"));
        // Debian keeps the module, without pip in it.
        if wheels && !subject.is_of_distribution(&format!("{ensurepip}/__init__.py")) {
            add(ensurepip, "ensurepip has the wheel of pip".to_owned());
        }
    }
    for directory in subject.program_directories() {
        for name in PROGRAMS {
            let path = format!("{directory}/{name}");
            if subject.tree.find(&path).is_some_and(|(_, node)| node.is_program()) {
                add(path, format!("{name} can be run"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library};
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default()
            .python("/usr", "3.13", "3.13.9")
            .file("/usr/lib/python3.13/ensurepip/__init__.py", 100)
            .file("/srv/builder/site-packages/pip/__init__.py", 100);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .file("/usr/local/lib/python3.13/site-packages/pip/__init__.py", 100)
            .file("/usr/local/lib/python3.13/ensurepip/_bundled/pip-25.1-py3-none-any.whl", 100)
            .elf("/usr/local/bin/uv", library("", &[]))
            .judged(&RULE);
        let expected = [
            "warning /usr/local/lib/python3.13/site-packages/pip: pip can be imported by /usr/local",
            "warning /usr/local/lib/python3.13/ensurepip: ensurepip has the wheel of pip",
            "warning /usr/local/bin/uv: uv can be run",
        ];
        assert_eq!(found, expected);
    }
}
