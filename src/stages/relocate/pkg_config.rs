//! pkg-config files: `prefix=` becomes a path relative to the file.

/// The text of a `.pc` file in `<prefix>/lib/pkgconfig` with relative paths; none if it does not name the prefix.
pub(super) fn rewrite(text: &str, prefix: &str) -> Option<String> {
    let relative = "${pcfiledir}/../..";
    text.contains(prefix).then(|| {
        text.lines()
            .map(|line| match line.strip_prefix("prefix=") {
                Some(value) if value.trim() == prefix => format!("prefix={relative}\n"),
                _ => format!("{}\n", line.replace(prefix, "${prefix}")),
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_told_from_where_the_file_is() {
        let text = "prefix=/opt/p\nexec_prefix=${prefix}\nlibdir=/opt/p/lib\n\nLibs: -L${libdir}\n";
        assert_eq!(
            rewrite(text, "/opt/p").unwrap(),
            "prefix=${pcfiledir}/../..\nexec_prefix=${prefix}\nlibdir=${prefix}/lib\n\nLibs: -L${libdir}\n"
        );
        assert_eq!(rewrite("prefix=/usr\n", "/opt/p"), None);
    }
}
