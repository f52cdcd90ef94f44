//! `CONFIGURE_OPTS` and `PYTHON_CONFIGURE_OPTS`: which arguments of configure are policies of pykeel.

use crate::domain::plan::Optimize;
use crate::domain::version::Variant;

/// What arguments of configure ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) optimize: Option<Optimize>,
    pub(super) shared: Option<bool>,
    /// The variants, in the order in which they are asked for.
    pub(super) variants: Vec<Variant>,
    /// The arguments that configure gets.
    pub(super) arguments: Vec<String>,
    /// Arguments that are met in another way, each with how.
    pub(super) notes: Vec<String>,
}

/// Arguments that change nothing here, and why.
const MET: &[(&str, &str)] = &[
    // pykeel's optimisation has it.
    ("--with-lto", ""),
    ("--with-lto=full", ""),
    ("--with-lto=yes", ""),
    ("--with-lto=thin", "link-time optimisation is gcc's, which has no thin one"),
    // pykeel is as strict whether it is asked to be or not.
    ("--enable-option-checking", ""),
    ("--enable-option-checking=fatal", ""),
    ("--with-ensurepip", ""),
    ("--with-ensurepip=yes", ""),
    ("--with-ensurepip=install", ""),
    ("--with-ensurepip=upgrade", "pip is the one of the source"),
    ("--with-ensurepip=no", "pip is installed all the same"),
    ("--without-ensurepip", "pip is installed all the same"),
    // The recipes do.
    ("--with-system-ffi", ""),
    ("--with-system-ffi=yes", ""),
    ("--with-pydebug=no", ""),
    ("--without-pydebug", ""),
    ("--enable-gil", ""),
];

impl Asked {
    /// Adds an argument.
    pub(super) fn add(&mut self, argument: String) {
        match argument.as_str() {
            "--enable-optimizations" | "--enable-optimizations=yes" => self.optimize = Some(Optimize::Pgo),
            "--disable-optimizations" | "--enable-optimizations=no" => self.optimize = Some(Optimize::None),
            "--enable-shared" | "--enable-shared=yes" => self.shared = Some(true),
            "--disable-shared" | "--enable-shared=no" => self.shared = Some(false),
            "--with-pydebug" | "--with-pydebug=yes" => self.ask_for(Variant::Debug),
            "--disable-gil" | "--enable-gil=no" => self.ask_for(Variant::FreeThreaded),
            text => match MET.iter().find(|(met, _)| *met == text) {
                None => self.arguments.push(argument),
                Some((_, "")) => {}
                Some((met, why)) => self.notes.push(format!("{met}: {why}")),
            },
        }
    }

    /// Asks for a variant.
    pub(super) fn ask_for(&mut self, variant: Variant) {
        if !self.variants.contains(&variant) {
            self.variants.push(variant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &str) -> Asked {
        let mut asked = Asked::default();
        words.split(' ').for_each(|word| asked.add(word.to_owned()));
        asked
    }

    #[test]
    fn known_arguments_are_policies_and_the_last_counts() {
        let words = "--enable-optimizations --with-lto --enable-shared --disable-gil --without-doc-strings";
        let expected = Asked {
            optimize: Some(Optimize::Pgo),
            shared: Some(true),
            variants: vec![Variant::FreeThreaded],
            arguments: vec!["--without-doc-strings".into()],
            notes: Vec::new(),
        };
        assert_eq!(asked(words), expected);
        assert_eq!(asked("--enable-shared --disable-shared").shared, Some(false));
        assert_eq!(asked("--with-pydebug --with-pydebug=yes").variants, [Variant::Debug]);
    }

    #[test]
    fn what_is_met_in_another_way_is_said() {
        let asked = asked("--without-ensurepip --with-ensurepip=install --with-lto=thin");
        assert_eq!(asked.notes.len(), 2, "{:?}", asked.notes);
        assert!(asked.notes[0].contains("pip is installed all the same") && asked.arguments.is_empty());
    }
}
