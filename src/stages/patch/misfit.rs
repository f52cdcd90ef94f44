//! Why a diff does not fit a text: the first line that differs.

use diffy::{Hunk, Line, Patch};

/// The longest part of a line that is shown, in characters.
const SHOWN: usize = 160;

/// Returns the first hunk that does not fit, with the line of the text that differs, what the diff expects there and
/// what is there; `None` if every line is there.
pub(super) fn explain(before: &str, diff: &str) -> Option<String> {
    let patch = Patch::from_str(diff).ok()?;
    let number = first_misfit(before, diff)?;
    let hunk = patch.hunks().get(number)?;
    let expected = old_lines(hunk);
    let found: Vec<&str> = before.split_inclusive('\n').collect();
    let start = nearest(&expected, &found, hunk.old_range().start().saturating_sub(1));
    let (index, line) = expected.iter().enumerate().find(|(index, line)| found.get(start + index) != Some(line))?;
    let there = found
        .get(start + index)
        .map_or_else(|| "the file ends there".to_owned(), |line| format!("it is {}", shown(line)));
    Some(format!("hunk {}: line {} has to be {}, and {there}", number + 1, start + index + 1, shown(line)))
}

/// Returns the index of the first hunk that does not fit after the ones before it.
fn first_misfit(before: &str, diff: &str) -> Option<usize> {
    let lines: Vec<&str> = diff.split_inclusive('\n').collect();
    // A line of a hunk never begins with `@`.
    let starts: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| line.starts_with("@@ ")).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    ends.into_iter().position(|end| {
        let first_hunks = lines[..end].concat();
        Patch::from_str(&first_hunks).is_ok_and(|patch| diffy::apply(before, &patch).is_err())
    })
}

/// Returns the lines that a hunk expects.
fn old_lines<'d>(hunk: &Hunk<'d, str>) -> Vec<&'d str> {
    let lines = hunk.lines().iter().filter_map(|line| match line {
        Line::Context(text) | Line::Delete(text) => Some(*text),
        Line::Insert(_) => None,
    });
    lines.collect()
}

/// Returns the place in a text that has the most of the expected lines, and of several the nearest to `wanted`.
fn nearest(expected: &[&str], found: &[&str], wanted: usize) -> usize {
    let score = |start: usize| expected.iter().zip(&found[start..]).filter(|(a, b)| a == b).count();
    let best = (0..found.len()).max_by_key(|start| (score(*start), std::cmp::Reverse(start.abs_diff(wanted))));
    best.filter(|start| score(*start) > 0).unwrap_or(wanted)
}

/// Returns a line for people: in backticks, without its end, on one line whatever is in it.
fn shown(line: &str) -> String {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let mut shown = String::from("`");
    for c in text.chars().take(SHOWN) {
        if c.is_control() && c != '\t' { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.push_str(if text.chars().count() > SHOWN { "…`" } else { "`" });
    if !line.ends_with('\n') {
        shown.push_str(" without a newline");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str =
        "--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n one\n+one and a half\n two\n@@ -5,3 +6,3 @@\n five\n-six\n+6\n seven\n";
    const FITS: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";

    #[test]
    fn the_line_that_differs_is_named_with_what_was_expected_and_found() {
        assert_eq!(explain(FITS, DIFF), None);
        let misfit = |before: &str| explain(before, DIFF).unwrap();
        assert_eq!(misfit(&FITS.replace("six", "SIX")), "hunk 2: line 6 has to be `six`, and it is `SIX`");
        assert_eq!(misfit(&FITS.replace("two\n", "")), "hunk 1: line 2 has to be `two`, and it is `three`");
        // The lines may have moved.
        let moved = format!("{}{}", "zero\n".repeat(40), FITS.replace("seven", "SEVEN"));
        assert_eq!(misfit(&moved), "hunk 2: line 47 has to be `seven`, and it is `SEVEN`");
        assert_eq!(misfit("one\ntwo\n"), "hunk 2: line 5 has to be `five`, and the file ends there");
        assert_eq!(misfit(""), "hunk 1: line 1 has to be `one`, and the file ends there");
        let end = FITS.trim_end();
        assert_eq!(misfit(end), "hunk 2: line 7 has to be `seven`, and it is `seven` without a newline");
    }

    #[test]
    fn a_line_is_shown_on_one_line() {
        assert_eq!(shown("a\u{1b}[2J\tb\r\n"), "`a\\u{1b}[2J\tb\\r`");
        assert!(shown(&"x".repeat(500)).ends_with("x…` without a newline"));
    }
}
