//! The rules, one file each, and what several of them share.

mod broken_shebang;
mod broken_venv;
mod build_package;
mod bundled_update;
mod changing_times;
mod compiler;
mod ended_python;
mod headers;
mod hidden_files;
mod installer;
mod leftover_cache;
mod missing_library;
mod missing_loader;
mod missing_version;
mod no_bytecode;
mod old_python;
mod pending_update;
mod root_user;
mod secret;
mod set_uid;
mod stale_bytecode;
mod static_library;
mod stored_twice;
mod two_copies;
mod unknown_user;
mod writable;

use std::collections::BTreeMap;

use super::image::{Content, Header};
use super::packages::is_for_builds;
use super::rule::Rule;
use super::subject::Subject;
use super::user::User;
use crate::report::text::human;

/// Every rule, in the order of the identities.
pub static ALL: &[&Rule] = &[
    &missing_library::RULE,
    &missing_version::RULE,
    &two_copies::RULE,
    &missing_loader::RULE,
    &broken_venv::RULE,
    &broken_shebang::RULE,
    &compiler::RULE,
    &headers::RULE,
    &static_library::RULE,
    &build_package::RULE,
    &installer::RULE,
    &leftover_cache::RULE,
    &secret::RULE,
    &root_user::RULE,
    &unknown_user::RULE,
    &writable::RULE,
    &set_uid::RULE,
    &no_bytecode::RULE,
    &stale_bytecode::RULE,
    &changing_times::RULE,
    &pending_update::RULE,
    &old_python::RULE,
    &ended_python::RULE,
    &bundled_update::RULE,
    &stored_twice::RULE,
    &hidden_files::RULE,
];

/// Why the rules about the user cannot judge a root file system.
const NO_USER: &str = "a root file system does not say which user it runs as";

/// The user for people.
fn user_name(user: &User) -> String {
    if user.written.is_empty() {
        "root, which is the default".to_owned()
    } else {
        format!("the user `{}`", user.written)
    }
}

/// The programs of an image that the loader starts, without test data.
fn programs<'a>(subject: &Subject<'a>) -> Vec<&'a str> {
    let is_data = |path: &str| path.split('/').any(|name| matches!(name, "test" | "tests" | "testdata"));
    let programs = subject.tree.iter().filter(|(path, node)| {
        let linkage = node.file().and_then(|file| file.content.linkage()).filter(|_| node.is_program());
        // The loader and libc.so.6 name a loader too, and can be run; they need nothing else.
        linkage.is_some_and(|linkage| linkage.interpreter.is_some()) && !is_data(path)
    });
    programs.map(|(path, _)| path).collect()
}

/// Files of one kind that belong together.
struct Group {
    /// The directory.
    path: String,
    /// How many files.
    files: usize,
    /// Their size in bytes.
    bytes: u64,
    /// Whether a wheel brings them.
    of_wheel: bool,
    /// Whether a wheel, a Python or a package of the distribution brings them that is not for builds.
    comes_along: bool,
    /// That package of the distribution.
    package: Option<String>,
}

/// Files by their names, in groups: those of a package of Python, of a Python, of a package of the distribution, of a
/// directory at the top.
fn grouped(subject: &Subject<'_>, is_one: impl Fn(&str) -> bool) -> Vec<Group> {
    // By directory and package.
    let mut groups: BTreeMap<(String, Option<String>), Group> = BTreeMap::new();
    for (path, node) in subject.tree.iter() {
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some(file) = node.file().filter(|_| is_one(name)) else { continue };
        let of_wheel = subject.is_of_a_wheel(path);
        let below = |end: &str, names: usize| {
            let start = path.find(end)? + end.len();
            let end = path[start..].match_indices('/').nth(names).map_or(path.len(), |(at, _)| start + at);
            Some(path[..end].to_owned())
        };
        let directory = if of_wheel {
            below("-packages/", 0)
        } else {
            let of_python =
                subject.pythons.iter().find_map(|python| below(&format!("/include/python{}", python.series), 0));
            of_python.or_else(|| {
                subject.python_of(path).map(|python| python.stdlib.clone()).filter(|stdlib| path.starts_with(stdlib))
            })
        };
        let directory = directory.or_else(|| below("/include/", usize::MAX).and(below("/include", 0)));
        // Two names of a path say where it comes from; below /usr, three.
        let names = if path.starts_with("/usr/") { 3 } else { 2 };
        let top = || {
            let (parent, _) = path.rsplit_once('/').unwrap_or_default();
            let end = parent.match_indices('/').nth(names).map_or(parent.len(), |(end, _)| end);
            parent[..end].to_owned()
        };
        let directory = directory.unwrap_or_else(top);
        let owner = subject.packages.owner(path).map(|package| package.name.clone());
        let of_python = directory.contains("/include/python") && owner.is_none();
        // Nobody can leave out a part of a package, and PK304 is about packages for builds.
        let package = owner.filter(|name| !is_for_builds(name));
        let comes_along = of_wheel || of_python || package.is_some();
        let group = groups.entry((directory.clone(), package.clone())).or_insert(Group {
            path: directory,
            files: 0,
            bytes: 0,
            of_wheel,
            comes_along,
            package,
        });
        group.files += 1;
        group.bytes += file.size;
    }
    groups.into_values().collect()
}

impl Group {
    /// What they are, for people: `81 headers, 8.1 MB, of the package libperl5.36`.
    fn text(&self, what: &str) -> String {
        let package = self.package.as_ref().map(|name| format!(", of the package {name}")).unwrap_or_default();
        format!("{} {what}, {}{package}", self.files, human(self.bytes))
    }
}

/// A module with its bytecode.
struct Source<'a> {
    /// The path of the `.py` file.
    path: &'a str,
    /// Its time in seconds since 1970.
    mtime: i64,
    /// Its size in bytes.
    size: u64,
    /// The path and the header of the `.pyc` file.
    bytecode: Option<(String, Header)>,
}

/// The modules below a directory of `sys.path` that Python can import, without tests and without other directories of
/// `sys.path` in it.
fn sources<'a>(subject: &'a Subject<'_>, directory: &'a str) -> impl Iterator<Item = Source<'a>> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let is_test = |name: &str| matches!(name, "test" | "tests" | "testing" | "idle_test" | "lib2to3");
    let tag = directory.split("/python").filter_map(|rest| rest.split('/').next()).find(|name| name.starts_with("3."));
    let tag = tag.or_else(|| {
        // Debian's packages, and directories of .pth files.
        let series =
            subject.environments.iter().find(|environment| environment.paths.iter().any(|path| path == directory));
        let stdlib = series?.paths.iter().find_map(|path| path.rsplit('/').next()?.strip_prefix("python"));
        stdlib.filter(|series| series.starts_with("3."))
    });
    let tag = tag.map(|series| series.replace(['.', 't', 'd'], ""));
    subject.tree.below(directory).filter_map(move |(path, node)| {
        let file = node.file()?;
        let stem = path.strip_suffix(".py")?;
        let below = &stem[directory.len() + 1..];
        if !below.split('/').all(is_name) || below.split('/').any(is_test) {
            return None;
        }
        let (parent, name) = stem.rsplit_once('/')?;
        let compiled = format!("{parent}/__pycache__/{name}.cpython-{}.pyc", tag.as_deref()?);
        let header = subject.tree.get(&compiled).and_then(|node| match node.file()?.content {
            Content::Bytecode(header) => Some(header),
            _ => None,
        });
        let bytecode = header.map(|header| (compiled, header));
        Some(Source { path, mtime: node.mtime, size: file.size, bytecode })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn identities_and_names_are_unique_and_in_order() {
        let ids: Vec<&str> = ALL.iter().map(|rule| rule.id).collect();
        assert!(ids.is_sorted() && ids.iter().collect::<BTreeSet<_>>().len() == ids.len(), "{ids:?}");
        assert_eq!(ALL.iter().map(|rule| rule.name).collect::<BTreeSet<_>>().len(), ALL.len());
    }

    #[test]
    fn a_rule_speaks_in_sentences_and_its_remedy_is_a_fragment() {
        for rule in ALL {
            assert!(rule.what.ends_with('.') && rule.why.ends_with('.'), "{}", rule.id);
            assert!(!rule.remedy.ends_with('.') && rule.remedy.starts_with(char::is_lowercase), "{}", rule.id);
            assert!(rule.id.starts_with("PK") && !rule.name.contains(char::is_uppercase), "{}", rule.id);
        }
    }
}
