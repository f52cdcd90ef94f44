//! Files whose bytes are in the image twice.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::super::finding::{Found, Severity};
use super::super::image::File;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use crate::domain::digest::Digest;
use crate::report::text::human;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK701",
    name: "stored-twice",
    severity: Severity::Note,
    what: "Files with the same content are in the image under several names, together more than 1 MB.",
    why: "Each copy is pushed, stored and pulled.",
    remedy: "make one a link to the other, or copy the tree once",
    judge: Judge::Always(judge),
};

/// The copies of one image that are worth a finding, in bytes.
const MUCH: u64 = 1_000_000;

/// The most names of a file that a finding lists.
const SHOWN: usize = 10;

/// The files of one content.
#[derive(Default)]
struct Copies<'a> {
    files: Vec<(&'a str, &'a Rc<File>)>,
    /// The files, whatever their names.
    known: HashSet<*const File>,
    /// Whether a package of the distribution has one of them.
    of_package: bool,
}

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let mut groups: HashMap<Digest, Copies<'_>> = HashMap::new();
    for (path, node) in subject.tree.iter() {
        if let Some((file, digest)) = node.file().and_then(|file| Some((file, file.digest?))) {
            let copies = groups.entry(digest).or_default();
            // A hard link is no copy, and what two packages of the distribution share cannot be changed here.
            let of_package = subject.is_of_distribution(path);
            if copies.known.contains(&Rc::as_ptr(file)) || (of_package && copies.of_package) {
                continue;
            }
            copies.known.insert(Rc::as_ptr(file));
            copies.of_package |= of_package;
            copies.files.push((path, file));
        }
    }
    let mut groups: Vec<_> = groups.into_values().map(|copies| copies.files).collect();
    groups.retain(|copies| copies.len() > 1);
    let size = |copies: &Vec<(&str, &Rc<File>)>| copies.iter().skip(1).map(|(_, file)| file.size).sum::<u64>();
    let total: u64 = groups.iter().map(size).sum();
    if total < MUCH {
        return Vec::new();
    }
    let mut largest = groups;
    largest.sort_by_key(|copies| (std::cmp::Reverse(size(copies)), copies[0].0));
    let shown = largest.iter().take(5).map(|copies| {
        let paths: Vec<&str> = copies.iter().skip(1).take(SHOWN).map(|(path, _)| *path).collect();
        let others = copies.len() - 1 - paths.len();
        let more = if others > 0 { format!(" and {others} more") } else { String::new() };
        Found::at(copies[0].0, format!("{} more of it: {}{more}", human(size(copies)), paths.join(", ")))
    });
    let mut found: Vec<Found> = shown.collect();
    if largest.len() > found.len() {
        found.push(Found::of_image(format!("{} files are stored twice in all, {}", largest.len(), human(total))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default()
            .hashed("/a", 2_000_000, "a")
            .hashed("/b", 2_000_000, "b")
            .hashed("/c", 20_000, "a")
            .hashed("/usr/share/doc/a", 3_000_000, "doc")
            .hashed("/usr/share/doc/b", 3_000_000, "doc")
            .package("a", "1", &["/usr/share/doc/a", "/usr/share/doc/b"]);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default().hashed("/a", 2_000_000, "a").hashed("/b", 2_000_000, "a").judged(&RULE);
        assert_eq!(found, ["note /a: 2.0 MB more of it: /b"]);
    }

    #[test]
    fn many_copies_take_no_longer_each_and_the_first_are_named() {
        let mut fixture = Fixture::default();
        for number in 0..20_000 {
            fixture = fixture.hashed(&format!("/{number:05}"), 1000, "a");
        }
        let found = fixture.judged(&RULE);
        assert!(found[0].ends_with("/00010 and 19989 more") && found[0].starts_with("note /00000: "), "{found:?}");
    }
}
