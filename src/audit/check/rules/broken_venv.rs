//! Virtual environments whose Python is not there.

use super::super::finding::{Found, Severity};
use super::super::python::Venv;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK201",
    name: "broken-venv",
    severity: Severity::Error,
    what: "The Python of a virtual environment is not where `pyvenv.cfg` or the link `bin/python` says, or is of \
           another series than its packages.",
    why: "The environment was made at another path, or its Python was not copied into the image. It does not start, \
          or does not find its packages.",
    remedy: "make the environment in the builder stage at its final path, and copy its Python to the same path",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    subject.venvs.iter().flat_map(|venv| broken(subject, venv)).collect()
}

fn broken(subject: &Subject<'_>, venv: &Venv) -> Vec<Found> {
    let tree = subject.tree;
    let configuration = format!("{}/pyvenv.cfg", venv.root);
    let mut found = Vec::new();
    let home = venv.settings.get("home").map(String::as_str).unwrap_or_default();
    if !tree.has_directory(home) {
        found.push(Found::at(&configuration, format!("its home {home} is not in the image")));
    }
    let program = format!("{}/bin/python", venv.root);
    match tree.find_file(&program) {
        Some(_) => {}
        None if tree.get(&program).is_none() && venv.site.is_empty() => {}
        None if tree.get(&program).is_none() => {
            found.push(Found::at(&program, "the environment has packages and no interpreter"));
        }
        None => found.push(Found::at(&program, "the link leads to nothing in the image")),
    }
    if let Some(python) = venv.base.and_then(|base| subject.pythons.get(base)) {
        let series = format!("/python{}", python.series);
        if !venv.site.is_empty() && !venv.site.iter().any(|site| site.contains(&series)) {
            let message = format!("its Python is {}, and its packages are in {}", python.series, venv.site.join(", "));
            found.push(Found::at(&configuration, message));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture =
            Fixture::default().python("/usr/local", "3.13", "3.13.9").venv("/app", "/usr/local/bin", "python3.13");
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default().venv("/app", "/usr/local/bin", "python3.13").judged(&RULE);
        let expected = [
            "error /app/pyvenv.cfg: its home /usr/local/bin is not in the image",
            "error /app/bin/python: the link leads to nothing in the image",
        ];
        assert_eq!(found, expected);
        let found = Fixture::default()
            .python("/usr/local", "3.13", "3.13.9")
            .venv("/app", "/usr/local/bin", "python3.12")
            .link("/app/bin/python", "/usr/local/bin/python3.13")
            .judged(&RULE);
        let message = "its Python is 3.13, and its packages are in /app/lib/python3.12/site-packages";
        assert_eq!(found, [format!("error /app/pyvenv.cfg: {message}")]);
    }
}
