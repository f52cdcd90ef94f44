//! Python code that the image's user may change.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use super::NO_USER;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK403",
    name: "writable-python",
    severity: Severity::Warning,
    what: "The user that the image runs as may write to a Python, a virtual environment, or a directory of `sys.path`.",
    why: "Whoever takes over the service can change the code that it runs, and stays after a restart of the process.",
    remedy: "leave the files to root: `COPY` without `chown`, and no `chmod` that lets others write",
    judge: Judge::Sometimes(judge),
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Found>, String> {
    let user = subject.user.as_ref().ok_or(NO_USER)?;
    if user.is_root() {
        return Err("root may write everywhere".to_owned());
    }
    let mut directories: Vec<&str> = Vec::new();
    for environment in &subject.environments {
        let own = !["", "/usr", "/usr/local"].contains(&environment.root.as_str());
        directories.extend(own.then_some(environment.root.as_str()));
        directories.extend(environment.paths.iter().map(String::as_str));
    }
    let mut found: Vec<Found> = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for directory in directories {
        let is_below =
            |top: &&str| directory == *top || directory.strip_prefix(*top).is_some_and(|rest| rest.starts_with('/'));
        if done.iter().any(is_below) {
            continue;
        }
        done.push(directory);
        let own = subject.tree.get(directory).map(|node| (directory, node));
        let all = own.into_iter().chain(subject.tree.below(directory));
        let writable = all.filter(|(_, node)| (node.is_directory() || node.file().is_some()) && user.may_write(node));
        let writable: Vec<&str> = writable.map(|(path, _)| path).collect();
        if let Some(first) = writable.first() {
            let what = if writable.len() == 1 {
                "it".to_owned()
            } else {
                format!("{} files and directories from here on", writable.len())
            };
            found.push(Found::at(*first, format!("the user `{}` may write to {what}", user.written)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, standards};
    use super::*;

    fn service() -> Fixture {
        Fixture::default()
            .python("/opt/python-3.13", "3.13", "3.13.9")
            .venv("/app", "/opt/python-3.13/bin", "python3.13")
            .text("/etc/passwd", "app:x:10001:10001::/app:/bin/false\n")
            .user("app")
    }

    #[test]
    fn good() {
        assert_eq!(service().judged(&RULE), Vec::<String>::new());
        let error =
            service().user("root").text("/etc/passwd", "root:x:0:0::/:/bin/sh\n").judged_by(&RULE, &standards());
        assert_eq!(error.unwrap_err(), "root may write everywhere");
    }

    #[test]
    fn bad() {
        let site = "/app/lib/python3.13/site-packages";
        let found = service().owner(site, 10001).mode("/opt/python-3.13/lib/python3.13/os.py", 0o666).judged(&RULE);
        let expected = [
            "warning /opt/python-3.13/lib/python3.13/os.py: the user `app` may write to it".to_owned(),
            format!("warning {site}: the user `app` may write to it"),
        ];
        assert_eq!(found, expected);
    }
}
