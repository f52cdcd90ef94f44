//! The recorded variables of what a flavor leaves out: `_sysconfigdata*.py` and `_sysconfig_vars*.json` name only
//! libraries and directories that are there.

use std::path::Path;

/// What a tree has of that with which programs are linked to libpython.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// The static library.
    pub static_library: bool,
    /// The shared library.
    pub shared_library: bool,
    /// The directory `config-*`.
    pub configuration: bool,
}

impl Kept {
    /// The variables of what is not there, each with the value that says so.
    fn absent(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        // `LDLIBRARY` and the two after it name the shared library if there is one, else the static one.
        let of_any = ["LDLIBRARY", "BLDLIBRARY", "INSTSONAME"].map(|name| (name, "''"));
        let of_static = [("LIBRARY", "''"), ("STATIC_LIBPYTHON", "0")];
        let of_configuration = [("LIBPL", "''")];
        let any = self.static_library || self.shared_library;
        of_static
            .into_iter()
            .filter(move |_| !self.static_library)
            .chain(of_any.into_iter().filter(move |_| !any))
            .chain(of_configuration.into_iter().filter(move |_| !self.configuration))
    }
}

/// Whether a file in the standard library's directory has the recorded variables.
pub(super) fn has_variables(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let in_library = path.parent().is_some_and(|parent| parent.parent() == Some(Path::new("lib")));
    in_library && (name.starts_with("_sysconfigdata_") || name.starts_with("_sysconfig_vars_"))
}

/// The text of such a file without the names of what is not there; none if it has none of them. Both files have one variable a
/// line, and values without blanks are on that line.
pub(super) fn rewrite(text: &str, kept: Kept) -> Option<String> {
    let mut rewritten = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match kept.absent().find_map(|(name, value)| replaced(line, name, value)) {
            Some(line) => rewritten.push_str(&line),
            None => rewritten.push_str(line),
        }
    }
    (rewritten != text).then_some(rewritten)
}

/// The line with another value, if it is that of the variable: ` 'LIBRARY': 'libpython3.13.a',`.
fn replaced(line: &str, name: &str, value: &str) -> Option<String> {
    ['\'', '"'].into_iter().find_map(|quote| {
        let key = format!("{quote}{name}{quote}: ");
        let (before, rest) = line.split_once(&key)?;
        if !before.trim_start_matches("build_time_vars = {").trim().is_empty() {
            return None;
        }
        let end = rest.trim_end_matches(['\n', ',', '}']).len();
        let (old, rest) = rest.split_at(end);
        let is_whole = old.parse::<i64>().is_ok()
            || (old.len() >= 2
                && old.starts_with(quote)
                && old.ends_with(quote)
                && !old[1..old.len() - 1].contains(quote));
        is_whole.then(|| format!("{before}{key}{}{rest}", value.replace('\'', &quote.to_string())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "# generated\nbuild_time_vars = {'BLDLIBRARY': 'libpython3.13.a',\n 'CC': 'gcc',\n \
                        'INSTSONAME': 'libpython3.13.a',\n 'LDLIBRARY': 'libpython3.13.a',\n 'LDLIBRARYDIR': '',\n \
                        'LIBPL': '/opt/p/lib/python3.13/config-3.13-x86_64-linux-gnu',\n \
                        'LIBRARY': 'libpython3.13.a',\n 'LIBRARY_DEPS': 'libpython3.13.a ',\n \
                        'STATIC_LIBPYTHON': 1}\n";
    const NOTHING: Kept = Kept { static_library: false, shared_library: false, configuration: false };

    #[test]
    fn what_is_not_there_is_not_named() {
        assert_eq!(
            rewrite(DATA, NOTHING).unwrap(),
            "# generated\nbuild_time_vars = {'BLDLIBRARY': '',\n 'CC': 'gcc',\n 'INSTSONAME': '',\n 'LDLIBRARY': '',\n \
             'LDLIBRARYDIR': '',\n 'LIBPL': '',\n 'LIBRARY': '',\n 'LIBRARY_DEPS': 'libpython3.13.a ',\n \
             'STATIC_LIBPYTHON': 0}\n"
        );
        let rewritten = rewrite(DATA, NOTHING).unwrap();
        crate::domain::sysconfig::parse(rewritten.as_bytes()).unwrap();
        assert_eq!(rewrite(&rewritten, NOTHING), None);
    }

    #[test]
    fn what_is_there_is_still_named() {
        assert_eq!(rewrite(DATA, Kept { static_library: true, configuration: true, ..NOTHING }), None);
        let shared = DATA.replace("'INSTSONAME': 'libpython3.13.a'", "'INSTSONAME': 'libpython3.13.so.1.0'");
        let rewritten = rewrite(&shared, Kept { shared_library: true, configuration: true, ..NOTHING }).unwrap();
        assert!(rewritten.contains("'INSTSONAME': 'libpython3.13.so.1.0'") && rewritten.contains("'LIBRARY': ''"));
        assert!(rewritten.contains("'STATIC_LIBPYTHON': 0") && rewritten.contains("'LIBPL': '/opt/p"), "{rewritten}");
    }

    #[test]
    fn the_json_of_later_series_says_the_same() {
        let text =
            "{\n  \"LIBPL\": \"/opt/p/config\",\n  \"LIBRARY\": \"libpython3.14.a\",\n  \"STATIC_LIBPYTHON\": 1\n}";
        let rewritten = "{\n  \"LIBPL\": \"\",\n  \"LIBRARY\": \"\",\n  \"STATIC_LIBPYTHON\": 0\n}";
        assert_eq!(rewrite(text, NOTHING).as_deref(), Some(rewritten));
        for name in ["_sysconfigdata__linux_x86_64-linux-gnu.py", "_sysconfig_vars__linux_x.json"] {
            assert!(has_variables(&Path::new("lib/python3.14").join(name)), "{name}");
            assert!(!has_variables(&Path::new("lib/python3.14/site-packages").join(name)), "{name}");
        }
    }
}
