//! Describes one artifact and its sizes as text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::domain::artifact::Format;
use crate::domain::contents::{Contents, GroupSize, path_text};
use crate::domain::plan::{BuildPlan, LibraryPolicy};
use crate::report::text::{human, percent, shown};

pub(super) const BOLD: Style = Style::new().bold();
const BAR: Style = AnsiColor::Cyan.on_default();
const FAINT: Style = Style::new().dimmed();

/// How many columns the bar of the whole has.
const BAR_WIDTH: u64 = 24;

pub(super) fn text(contents: &Contents, top: usize) -> String {
    let mut text = facts(contents);
    let total = contents.total().bytes;
    let _ = writeln!(text, "\n{BOLD}sizes by part{BOLD:#}");
    for part in contents.parts() {
        let size = human(part.bytes);
        let (title, share, bar) = (part.part.title(), percent(part.bytes, total), bar(part.bytes, total));
        let _ =
            writeln!(text, "  {size:>9}  {share:>6}  {BAR}{bar}{BAR:#}  {BOLD}{title}{BOLD:#}, {}", files(part.files));
        // If one group is 99 hundredths of a part, the line of the part is enough.
        let one = part.groups.first().is_some_and(|group| group.bytes * 100 >= part.bytes * 99);
        let large = |group: &&GroupSize| group.bytes * 100 >= total && group.bytes > 0;
        let shown_groups: Vec<_> = part.groups.iter().filter(large).take(if one { 0 } else { top }).collect();
        for group in &shown_groups {
            let (size, share) = (human(group.bytes), percent(group.bytes, total));
            let blank = usize::try_from(BAR_WIDTH).unwrap_or_default();
            let _ = writeln!(text, "  {FAINT}{size:>9}  {share:>6}  {:blank$}    {}{FAINT:#}", "", shown(&group.name));
        }
    }
    let largest = contents.largest();
    if top > 0 && !largest.is_empty() {
        let _ = writeln!(text, "\n{BOLD}largest files{BOLD:#}");
        for file in largest.iter().take(top) {
            let (size, share) = (human(file.size), percent(file.size, total));
            let _ = writeln!(text, "  {size:>9}  {share:>6}  {}", shown(&path_text(&file.path)));
        }
    }
    text
}

fn facts(contents: &Contents) -> String {
    let manifest = &contents.manifest;
    let plan = &manifest.plan;
    let total = contents.total();
    let mut text = format!("{BOLD}{}{BOLD:#}\n", manifest.name);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{}", format!("  {name:<14} {value}").trim_end());
    };
    row("release", format!("{}{}, {}", plan.request.release, plan.request.variant, plan.request.flavor));
    if let Some(tarball) = &contents.tarball {
        let of = if tarball.format == Format::Zst { String::new() } else { format!(" (the .tar.{})", tarball.format) };
        row("digest", format!("sha256:{}{of}", tarball.sha256));
    }
    row("build key", manifest.build_key.to_string());
    row("target", plan.request.target.to_string());
    row("prefix", plan.request.prefix.to_string());
    let profile = plan.profile.map(|profile| format!(" with profile {}", profile.short())).unwrap_or_default();
    row("optimise", format!("{}{profile}", plan.request.optimize));
    row("libpython", libpython(plan).to_owned());
    row("bytecode", plan.request.policies.bytecode.to_string());
    row("compiler", shown(&plan.toolchain.compiler));
    row("glibc floor", manifest.glibc_floor.to_string());
    row("size", format!("{} in {}", human(total.bytes), files(total.files)));
    if let Some(tarball) = &contents.tarball {
        let share = percent(tarball.size, total.bytes);
        row("tarball", format!("{} as .tar.{}, {share} of that", human(tarball.size), tarball.format));
    }
    row("modules", format!("{}: {}", manifest.modules.len(), shown(&manifest.modules.join(" "))));
    row("libraries", format!("{} ({})", manifest.libraries.len(), plan.request.policies.library_policy));
    for library in &manifest.libraries {
        let what = format!("{}  {} {}", library.soname, library.package, library.version);
        row("", format!("{:>9}  {}", human(library.size), shown(&what)));
    }
    let by: BTreeSet<&str> = manifest.loaded.iter().map(|file| file.loaded_by.as_str()).collect();
    for by in by {
        let loaded: Vec<_> = manifest.loaded.iter().filter(|file| file.loaded_by == by).collect();
        let bytes = loaded.iter().map(|file| file.size).sum();
        let names = match &loaded[..] {
            [file] => file.file.clone(),
            several => files(several.len() as u64),
        };
        let what = format!("{names} for {by}  {} {}", loaded[0].package, loaded[0].version);
        row("", format!("{:>9}  {}", human(bytes), shown(&what)));
    }
    if plan.request.policies.library_policy == LibraryPolicy::System {
        for library in plan.libraries.iter().filter(|library| manifest.runtime_packages.contains(&library.package)) {
            let what = format!("{}  {} {}", library.soname, library.package, library.version);
            row("", shown(&what));
        }
    }
    if !manifest.compiled_in.is_empty() {
        let copies = manifest.compiled_in.iter().map(|(name, version)| match version {
            Some(version) => format!("{name} {version}"),
            None => name.clone(),
        });
        row("compiled in", shown(&copies.collect::<Vec<_>>().join(", ")));
    }
    row("packages", shown(&manifest.runtime_packages.join(" ")));
    text
}

/// Where libpython is.
const fn libpython(plan: &BuildPlan) -> &'static str {
    match (plan.request.policies.shared, plan.static_library) {
        (true, _) => "a shared library",
        (false, true) => "in the interpreter, and a static library",
        (false, false) => "in the interpreter",
    }
}

fn files(number: u64) -> String {
    if number == 1 { "1 file".to_owned() } else { format!("{number} files") }
}

/// A bar of eighths of a column, padded to the width of the whole.
fn bar(part: u64, whole: u64) -> String {
    let eighths = u128::from(part) * u128::from(BAR_WIDTH) * 8 / u128::from(whole.max(1));
    let eighths = usize::try_from(eighths).unwrap_or_default();
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(" ▏▎▍▌▋▊▉".chars().nth(eighths % 8).filter(|c| *c != ' '));
    let width = usize::try_from(BAR_WIDTH).unwrap_or_default();
    format!("{bar:<width$}")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;
    use crate::domain::contents::Tarball;
    use crate::domain::contents::tests::{contents, contents_of};
    use crate::domain::digest::Digest;

    fn plain(contents: &Contents, top: usize) -> String {
        anstream::adapter::strip_str(&text(contents, top)).to_string()
    }

    #[test]
    fn an_artifact_is_told_in_text() {
        let mut contents = contents(&[
            ("bin/python3.13", 5_700_000),
            ("bin/pydoc3.13", 300),
            ("lib/libssl.so.3", 700_000),
            ("lib/libz.so.1", 120_000),
            ("lib/python3.13/asyncio/base_events.py", 80_000),
            ("lib/python3.13/asyncio/tasks.py", 40_000),
            ("lib/python3.13/encodings/big5.py", 1_000),
            ("lib/python3.13/ssl.py", 52_000),
            ("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", 200_000),
            ("share/licenses/libssl3/copyright", 999),
            ("share/pykeel/manifest.json", 20_000),
        ]);
        contents.tarball = Some(Tarball { format: Format::Zst, size: 2_000_000, sha256: Digest::of("tarball") });
        insta::assert_snapshot!(plain(&contents, 5));
    }

    #[test]
    fn no_name_breaks_the_text() {
        let names: [&[u8]; 4] = [b"lib/a\nb", b"lib/\x1b[31mred", b"lib/\xff\xfe", "lib/\u{202e}x".as_bytes()];
        let files: Vec<_> = names.iter().map(|name| (OsStr::from_bytes(name).into(), 10)).collect();
        let text = plain(&contents_of(&files), 10);
        let listed: Vec<&str> = text.split("largest files\n").nth(1).unwrap().lines().map(|line| &line[21..]).collect();
        assert_eq!(listed, ["lib/\\u{1b}[31mred", "lib/a\\nb", "lib/\\u{202e}x", "lib/\\xFF\\xFE"]);
    }

    #[test]
    fn an_empty_tree_has_no_percent() {
        let text = plain(&contents(&[]), 10);
        assert!(text.contains("0 B in 0 files") && !text.contains("largest"), "{text}");
        assert!(plain(&contents(&[("bin/x", 0)]), 10).contains("– %"));
    }

    #[test]
    fn a_bar_is_as_long_as_the_share() {
        assert_eq!(bar(1, 1), "█".repeat(24));
        assert_eq!(bar(1, 2).trim_end(), "█".repeat(12));
        assert_eq!(bar(1, 192).trim_end(), "▏");
        assert_eq!(bar(0, 0).chars().count(), 24);
    }
}
