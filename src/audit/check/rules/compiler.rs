//! Compilers, linkers and what builds with them.

use std::collections::BTreeMap;

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK301",
    name: "compiler",
    severity: Severity::Warning,
    what: "A compiler, assembler, linker or build tool is in the image.",
    why: "A runtime image compiles nothing. A compiler has 100 MB and more, and helps whoever gets in.",
    remedy: "compile in a builder stage, and copy the result into the runtime stage",
    judge: Judge::Always(judge),
};

/// Programs by their names without target and version.
const NAMES: &[&str] = &[
    "addr2line",
    "ar",
    "as",
    "c++",
    "c89",
    "c99",
    "cargo",
    "cc",
    "clang",
    "clang++",
    "cmake",
    "cpp",
    "g++",
    "gcc",
    "gfortran",
    "go",
    "ld",
    "ld.bfd",
    "ld.gold",
    "ld.lld",
    "lld",
    "make",
    "meson",
    "ninja",
    "rustc",
    "tcc",
];

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    // One finding for each package, or each file that no package has.
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for directory in subject.program_directories() {
        for (name, _) in subject.tree.children(&directory) {
            let path = format!("{directory}/{name}");
            if !NAMES.contains(&plain(name)) {
                continue;
            }
            // A link counts as what it leads to.
            let Some((real, target)) = subject.tree.find(&path).filter(|(_, target)| target.is_program()) else {
                continue;
            };
            let owner = subject.packages.owner(&real);
            // Busybox has an `ar` and a `make` of its own, which compile nothing.
            if target.file().is_none() || real.ends_with("/busybox") {
                continue;
            }
            let group = owner.map_or_else(|| real.clone(), |package| format!("package {}", package.name));
            let programs = groups.entry(group).or_default();
            if !programs.contains(&path) {
                programs.push(path);
            }
        }
    }
    let found = |(group, programs): (&String, &Vec<String>)| {
        let named = programs.iter().take(3).map(|path| path.rsplit('/').next().unwrap_or(path));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = programs.len().checked_sub(3).filter(|more| *more > 0).map(|more| format!(" and {more} more"));
        let of = group.strip_prefix("package ").map(|name| format!(" of the package {name}")).unwrap_or_default();
        Found::at(&programs[0], format!("{named}{}{of}", more.unwrap_or_default()))
    };
    groups.iter().map(found).collect()
}

/// A name without its target and version: `gcc` of `x86_64-linux-gnu-gcc-14`.
fn plain(name: &str) -> &str {
    let name = ["-linux-gnu-", "-linux-musl-", "-linux-gnueabihf-"]
        .into_iter()
        .find_map(|target| name.split_once(target).map(|(_, name)| name))
        .unwrap_or(name);
    match name.rsplit_once('-') {
        Some((stem, version)) if version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library};
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default()
            .elf("/usr/bin/perl", library("", &[]))
            .elf("/bin/busybox", library("", &[]))
            .link("/usr/bin/ar", "/bin/busybox")
            .text("/usr/share/doc/gcc", "")
            .link("/usr/bin/cc", "/etc/alternatives/cc");
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default()
            .elf("/usr/bin/x86_64-linux-gnu-gcc-14", library("", &[]))
            .link("/usr/bin/gcc", "x86_64-linux-gnu-gcc-14")
            .elf("/usr/local/bin/cargo", library("", &[]))
            .package("gcc-14", "14.2.0", &["/usr/bin/x86_64-linux-gnu-gcc-14"])
            .judged(&RULE);
        let expected = [
            "warning /usr/local/bin/cargo: cargo",
            "warning /usr/bin/gcc: gcc, x86_64-linux-gnu-gcc-14 of the package gcc-14",
        ];
        assert_eq!(found, expected);
    }
}
