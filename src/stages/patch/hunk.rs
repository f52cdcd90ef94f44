//! Hunks of a diff: their first lines say how many follow. Only by that count is `--- x` in one a line that is removed, and
//! not the start of another file.

/// The lines of a hunk that are still to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Left {
    before: usize,
    after: usize,
}

impl Left {
    /// Returns the lines of the hunk that a line begins, `@@ -1,3 +1,4 @@`; none if it begins none.
    pub(super) fn of(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("@@ ")?.split(' ');
        let length = |range: &str| {
            let (start, length) = range.split_once(',').unwrap_or((range, "1"));
            start.parse::<usize>().ok()?;
            length.parse().ok()
        };
        let before = length(words.next()?.strip_prefix('-')?)?;
        Some(Self { before, after: length(words.next()?.strip_prefix('+')?)? })
    }

    /// Whether the hunk is over.
    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Returns the lines that are left after one of the hunk.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub(super) fn after(self, line: &str) -> Result<Self, &'static str> {
        let (before, after) = match line.as_bytes().first() {
            // Mail and editors cut the one space of an empty line.
            Some(b' ') | None => (1, 1),
            Some(b'-') => (1, 0),
            Some(b'+') => (0, 1),
            Some(b'\\') => (0, 0),
            Some(_) => return Err("is not a line of a hunk"),
        };
        let rest = self.before.checked_sub(before).zip(self.after.checked_sub(after));
        rest.map(|(before, after)| Self { before, after }).ok_or("is more than its hunk has")
    }
}
