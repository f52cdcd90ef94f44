//! Formats numbers and untrusted text.

/// Formats a size in powers of 1000: `812 B`, `4.2 kB`, `28.8 MB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
#[must_use]
pub fn human(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        // 999,950 bytes and more would be rounded to 1000.0 kB.
        1_000..999_950 => format!("{:.1} kB", bytes as f64 / 1e3),
        999_950..999_950_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Formats a share of a whole: `34.6 %`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "– %".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// Returns text with control characters and changes of writing direction escaped, so that it cannot
/// move a terminal's cursor.
#[must_use]
pub fn shown(text: &str) -> String {
    let moves = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if moves(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let cases = [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB")];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(human(28_802_662), "28.8 MB");
        assert_eq!(human(999_950_000), "1.0 GB");
    }
}
