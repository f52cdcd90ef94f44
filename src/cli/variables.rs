//! Variables of the environment that other ways to build CPython read, and that pykeel does not.

/// Variables, and what has their meaning here.
const IGNORED: &[(&[&str], &str)] = &[
    (&["PYTHON_CONFIGURE_OPTS", "CONFIGURE_OPTS"], "use `--configure-arg ARG`"),
    (
        &["EXTRA_CFLAGS", "PYTHON_CFLAGS", "CFLAGS_NODIST", "BASECFLAGS"],
        "use CFLAGS, which extension modules that users build get too",
    ),
    (&["PYTHON_CPPFLAGS"], "use CPPFLAGS"),
    (&["PYTHON_LDFLAGS", "LDFLAGS_NODIST"], "use LDFLAGS, which extension modules that users build get too"),
    (&["MAKE_OPTS", "PYTHON_MAKE_OPTS", "MAKEOPTS"], "use `--jobs N`"),
    (&["MAKE_INSTALL_OPTS", "PYTHON_MAKE_INSTALL_OPTS"], "use `make.install` of a recipe"),
    (&["PYTHON_BUILD_MIRROR_URL", "PYTHON_BUILD_CACHE_PATH"], "use `--mirror DIR|URL`"),
];

/// Returns a note that names the variables that are set and have no effect, or `None` if there are none.
pub(super) fn note(is_set: impl Fn(&str) -> bool) -> Option<String> {
    let groups = IGNORED.iter().filter_map(|(names, instead)| {
        let names: Vec<&str> = names.iter().copied().filter(|name| is_set(name)).collect();
        (!names.is_empty()).then(|| format!("{} ({instead})", names.join(", ")))
    });
    let groups: Vec<String> = groups.collect();
    (!groups.is_empty())
        .then(|| format!("the environment has variables that pykeel does not read: {}", groups.join("; ")))
}

/// Whether a variable of the environment is set and not empty.
pub(super) fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_without_effect_are_named_with_what_to_use() {
        let note_of = |set: &[&str]| note(|name| set.contains(&name));
        assert_eq!(note_of(&["CC", "CFLAGS", "PATH"]), None);
        let note = note_of(&["MAKE_OPTS", "EXTRA_CFLAGS", "CFLAGS_NODIST", "PYTHON_CONFIGURE_OPTS"]).unwrap();
        assert_eq!(
            note,
            "the environment has variables that pykeel does not read: PYTHON_CONFIGURE_OPTS (use `--configure-arg \
             ARG`); EXTRA_CFLAGS, CFLAGS_NODIST (use CFLAGS, which extension modules that users build get too); \
             MAKE_OPTS (use `--jobs N`)"
        );
    }
}
