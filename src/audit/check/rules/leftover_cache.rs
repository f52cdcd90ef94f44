//! Caches and lists that a build left behind.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use crate::report::text::human;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK306",
    name: "leftover-cache",
    severity: Severity::Warning,
    what: "Lists of apt, packages, or caches of pip, uv and other tools are left in the image.",
    why: "Nothing reads them in production. The lists of apt alone have 20 MB and more, and change every day.",
    remedy: "remove them in the same `RUN` line that makes them, or use a cache mount (`RUN --mount=type=cache`)",
    judge: Judge::Always(judge),
};

const DIRECTORIES: &[&str] =
    &["/var/lib/apt/lists", "/var/cache/apt", "/var/cache/dnf", "/var/cache/yum", "/var/cache/apk", "/tmp", "/var/tmp"];
/// Below the home directory of every user.
const OF_HOMES: &[&str] = &[".cache", ".cargo", ".npm", ".local/share/uv"];
/// What is smaller is not worth a finding: apt's lock, an empty extended state.
const SMALLEST: u64 = 4096;

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let homes = subject.tree.children("/home").map(|(name, _)| format!("/home/{name}"));
    let homes = homes.chain(["/root".to_owned()]);
    let of_homes = homes.flat_map(|home| OF_HOMES.iter().map(move |directory| format!("{home}/{directory}")));
    let directories = DIRECTORIES.iter().map(ToString::to_string).chain(of_homes);
    let found = directories.filter_map(|directory| {
        let files = subject.tree.below(&directory).filter_map(|(_, node)| node.file());
        let (files, size) = files.fold((0, 0), |(files, size), file| (files + 1, size + file.size));
        (size > SMALLEST).then(|| Found::at(directory, format!("{files} files, {}", human(size))))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture =
            Fixture::default().file("/var/lib/apt/lists/lock", 0).directory("/tmp").file("/root/.profile", 161);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default()
            .file("/var/lib/apt/lists/mirror.test_debian_dists_trixie_main_binary-amd64_Packages", 40_000_000)
            .file("/home/app/.cache/pip/http/a", 50_000)
            .judged(&RULE);
        let expected = ["warning /var/lib/apt/lists: 1 files, 40.0 MB", "warning /home/app/.cache: 1 files, 50.0 kB"];
        assert_eq!(found, expected);
    }
}
