//! pkg-config files: `prefix=` becomes a path relative to the file, and the file for programs that embed Python has
//! what they need.

use std::path::Path;

/// How a program that embeds Python finds libpython.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linked {
    /// It is part of the program, which exports it for extension modules.
    Static,
    /// It is in the tree.
    Shared,
}

/// Whether a file is for programs that embed Python: `python-3.13-embed.pc`.
pub(super) fn is_for_embedding(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("-embed.pc"))
}

/// The text of a file for programs that embed Python, with all that they are linked with; none if it is complete.
pub(super) fn complete(text: &str, linked: Linked) -> Option<String> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let libraries = value("Libs:").strip_prefix("-L${libdir} -lpython")?;
    let (flag, private) = match linked {
        // A static library does not know what it needs. `Libs.private` lacks libm, which configure keeps apart.
        Linked::Static => {
            ("-Wl,--export-dynamic", format!("{} -lm", value("Libs.private:").trim_end_matches("-lm").trim()))
        }
        Linked::Shared => ("-Wl,-rpath,${libdir}", String::new()),
    };
    let completed = format!("Libs: -L${{libdir}} {flag} -lpython{libraries} {private}");
    let is_done = |line: &&str| line.starts_with("Libs.private:") && linked == Linked::Static;
    let lines = text.lines().filter(|line| !is_done(line));
    let line = |line: &str| if line.starts_with("Libs:") { completed.trim_end().to_owned() } else { line.to_owned() };
    Some(lines.map(line).map(|line| line + "\n").collect())
}

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

    const EMBED: &str =
        "prefix=/opt/p\nLibs.private: -ldl  -lm \nLibs: -L${libdir} -lpython3.13\nCflags: -I${includedir}\n";

    #[test]
    fn a_program_with_a_static_libpython_exports_it_and_links_what_it_needs() {
        let completed = complete(EMBED, Linked::Static).unwrap();
        let expected =
            "prefix=/opt/p\nLibs: -L${libdir} -Wl,--export-dynamic -lpython3.13 -ldl -lm\nCflags: -I${includedir}\n";
        assert_eq!(completed, expected);
        assert_eq!(complete(&completed, Linked::Static), None);
        let without = complete(&EMBED.replace(" -lm ", " "), Linked::Static).unwrap();
        assert_eq!(without, expected);
    }

    #[test]
    fn a_program_with_a_shared_libpython_finds_it() {
        let completed = complete(EMBED, Linked::Shared).unwrap();
        let expected = "Libs: -L${libdir} -Wl,-rpath,${libdir} -lpython3.13\n";
        assert!(completed.contains(expected) && completed.contains("Libs.private: -ldl"), "{completed}");
        assert_eq!(complete(&completed, Linked::Shared), None);
        assert_eq!(complete("Libs: -L${libdir} \n", Linked::Static), None);
        assert!(is_for_embedding(Path::new("lib/pkgconfig/python-3.13-embed.pc")));
        assert!(!is_for_embedding(Path::new("lib/pkgconfig/python-3.13.pc")));
    }

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
