//! The table of settings: name, type, default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::check::CheckSection;
use super::files::{File, base_directory};
use super::setting::{Entry, Key, Setting, first};
use super::value::{FlavorChoice, Mirror, RemoteList, Value};
use crate::domain::artifact::Format;
use crate::domain::launcher::Launcher;
use crate::domain::plan::{Bytecode, Hardening, LibraryPolicy, Optimize, Policies};
use crate::domain::prefix::PrefixTemplate;
use crate::error::{Error, Result};
use crate::recipe::PatchText;

macro_rules! settings {
    ($($field:ident: $type:ty = $default:expr, shown $shown:literal, such as $example:literal;)+) => {
        /// Every setting, resolved.
        #[derive(Debug)]
        pub(in crate::cli) struct Settings {
            $(pub $field: Setting<$type>,)+
            /// The configuration files that were read, the one with the highest precedence first.
            pub files: Vec<PathBuf>,
            /// The section `check` of all files.
            pub check: CheckSection,
            /// A file of the project's that another user could have put there, and that was not read.
            pub ignored: Option<PathBuf>,
        }

        /// The settings that the command line gives.
        #[derive(Debug, Default)]
        pub(in crate::cli) struct CliOverrides {
            $(pub $field: Option<$type>,)+
        }

        /// A configuration file as written.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        pub(super) struct Document {
            $(pub $field: Option<Spanned<$type>>,)+
            /// Only files have it.
            pub check: CheckSection,
        }

        /// All keys, in the order in which they are shown.
        pub(in crate::cli) const KEYS: &[Key] = &[$(Key { field: stringify!($field), default: $shown, example: $example }),+];

        impl Settings {
            /// Resolves every setting: command line, environment, files in their order, default.
            ///
            /// # Errors
            /// [`Error::Usage`] for a variable that cannot be parsed, or if there is no place for the store.
            pub(super) fn resolve(
                mut overrides: CliOverrides,
                variable: &dyn Fn(&str) -> Option<OsString>,
                mut files: Vec<File<Document>>,
            ) -> Result<Self> {
                let mut keys = KEYS.iter();
                Ok(Self {
                    $($field: {
                        let name = keys.next().map(|key| key.variable()).unwrap_or_default();
                        let said = files.iter_mut().map(|file| file.take(|document| document.$field.take()));
                        first(overrides.$field.take(), &name, variable, said, || $default)?
                    },)+
                    check: CheckSection::joined(files.iter_mut().map(|file| file.section(|document| &mut document.check))),
                    files: files.into_iter().map(|file| file.path).collect(),
                    ignored: None,
                })
            }

            /// Every setting with its value and origin.
            pub(in crate::cli) fn entries(&self) -> Result<Vec<Entry<'_>>> {
                let mut keys = KEYS.iter();
                Ok(vec![$(Entry {
                    key: keys.next().map(|key| key.name()).unwrap_or_default(),
                    value: serde_json::to_value(&self.$field.value).map_err(std::io::Error::from)?,
                    origin: &self.$field.origin,
                }),+])
            }
        }
    };
}

settings! {
    store: PathBuf = default_store(), shown "$XDG_CACHE_HOME/pykeel", such as "'a'";
    recipes: Option<PathBuf> = Ok(None), shown "the built-in ones", such as "'r'";
    prefix: PrefixTemplate = text(PrefixTemplate::DEFAULT), shown "/opt/myorg/python-{series}{variant}", such as "'/opt/{series}'";
    flavor: FlavorChoice = text("runtime"), shown "runtime", such as "'all'";
    optimize: Option<Optimize> = Ok(None), shown "pgo, and none for debug variants", such as "'none'";
    libraries: LibraryPolicy = text("bundle"), shown "bundle", such as "'system'";
    bytecode: Bytecode = text("strip"), shown "strip", such as "'unchecked-hash'";
    hardening: Hardening = text("full"), shown "full", such as "'none'";
    shared: bool = Ok(false), shown "false", such as "true";
    format: Format = text("zst"), shown "zst", such as "'xz'";
    out: Option<PathBuf> = Ok(None), shown "none", such as "'dist'";
    jobs: NonZeroU16 = Ok(processors()), shown "the number of processors", such as "3";
    launcher: Option<Launcher> = Ok(None), shown "the recipe's, or none", such as "'ccache'";
    install_deps: bool = Ok(false), shown "false", such as "true";
    offline: bool = Ok(false), shown "false", such as "false";
    allow_eol: bool = Ok(false), shown "false", such as "true";
    mirror: Vec<Mirror> = Ok(Vec::new()), shown "none", such as "['m', 'https://x.test/{file}']";
    remotes: RemoteList = Ok(RemoteList::default()), shown "none", such as "['file:///r', 'https://x.test/r']";
}

impl Settings {
    /// Returns the options that decide bytes. Those of one build and the compiler's variables are not settings.
    pub(in crate::cli) fn policies(&self, once: OfOneBuild, compiler_variables: BTreeMap<String, String>) -> Policies {
        Policies {
            bytecode: self.bytecode.value,
            library_policy: self.libraries.value,
            hardening: self.hardening.value,
            shared: self.shared.value,
            debug_files: once.debug_files,
            configure_arguments: once.configure_arguments,
            compiler_variables,
            // The texts decide: `Choices::request` names them, or a rebuild without them would seem to have them.
            patches: Vec::new(),
        }
    }
}

/// The options that decide bytes and that only the command line has.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct OfOneBuild {
    /// Whether debug information is kept.
    pub debug_files: bool,
    /// Further arguments of configure.
    pub configure_arguments: Vec<String>,
    /// Words that come after those of the compiler's variables, by the name of the variable.
    pub compiler_words: BTreeMap<String, String>,
    /// Patches, which come after the recipe's.
    pub patches: Vec<PatchText>,
}

fn text<T: Value>(text: &str) -> Result<T> {
    T::from_text(text).map_err(Error::Usage)
}

pub(super) fn processors() -> NonZeroU16 {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(count).ok().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN)
}

/// The user's cache directory.
fn default_store() -> Result<PathBuf> {
    base_directory("XDG_CACHE_HOME", ".cache")
        .map(|cache| cache.join("pykeel"))
        .ok_or_else(|| Error::Usage("no place for the store: set HOME, XDG_CACHE_HOME or PYKEEL_STORE".into()))
}
