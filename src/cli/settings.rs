//! What can be set in more than one place: on the command line, in the environment, in files.
//!
//! One table says which settings there are. The first layer that has a value decides, and the
//! value keeps its origin. `docs/configuration.md` describes them for people.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroU16;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::domain::artifact::Format;
use crate::domain::launcher::Launcher;
use crate::domain::plan::{Bytecode, Flavor, LibraryPolicy, Optimize};
use crate::domain::prefix::PrefixTemplate;
use crate::error::{Error, Mistake, Result};
use crate::event::{Event, Reporter};
use crate::stages::fetch;
use crate::sys::http;

/// The name of a configuration file.
const FILE_NAME: &str = "pykeel.toml";
/// The configuration of all users of a system.
const SYSTEM_FILE: &str = "/etc/pykeel/pykeel.toml";
/// Names the one file that is read.
const FILE_VARIABLE: &str = "PYKEEL_CONFIG";

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub(super) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment { variable: String },
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

/// What a setting can be: a value that the environment and files can say.
pub(super) trait Value: DeserializeOwned + Serialize {
    /// Reads the text of an environment variable.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The value as meant in a file of a directory: paths there are relative to the file.
    fn said_in(self, _directory: &Path) -> Self {
        self
    }
}

macro_rules! value_by_from_str {
    ($($type:ty),+) => { $(impl Value for $type {
        fn from_text(text: &str) -> Result<Self, String> {
            text.parse().map_err(|error| format!("{error}"))
        }
    })+ };
}

value_by_from_str!(PrefixTemplate, Bytecode, LibraryPolicy, Optimize, Launcher, Format, NonZeroU16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FlavorChoice {
    /// What a production container needs
    Runtime,
    /// With headers, python-config and pip
    Builder,
    /// Both, from one compilation
    All,
}

impl FlavorChoice {
    pub(super) fn flavors(self) -> Vec<Flavor> {
        match self {
            Self::Runtime => vec![Flavor::Runtime],
            Self::Builder => vec![Flavor::Builder],
            Self::All => Flavor::ALL.to_vec(),
        }
    }

    /// The one that is installed, for a prefix takes one.
    pub(super) fn installed(self) -> Flavor {
        match self {
            Self::Runtime | Self::All => Flavor::Runtime,
            Self::Builder => Flavor::Builder,
        }
    }
}

impl From<Flavor> for FlavorChoice {
    fn from(flavor: Flavor) -> Self {
        match flavor {
            Flavor::Runtime => Self::Runtime,
            Flavor::Builder => Self::Builder,
        }
    }
}

impl Value for FlavorChoice {
    fn from_text(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false).map_err(|_| format!("`{text}` is not one of runtime, builder, all"))
    }
}

impl Value for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }
}

impl Value for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn said_in(self, directory: &Path) -> Self {
        directory.join(self)
    }
}

impl<T: Value> Value for Option<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        T::from_text(text).map(Some)
    }

    fn said_in(self, directory: &Path) -> Self {
        self.map(|value| value.said_in(directory))
    }
}

/// A place of source archives, as settings have it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Mirror(pub fetch::Mirror);

impl TryFrom<String> for Mirror {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for Mirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        fetch::Mirror::parse(OsStr::new(text)).map(Self).map_err(|error| error.to_string())
    }
}

impl Serialize for Mirror {
    /// For people to look at: without the password that a URL may hold.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            fetch::Mirror::Directory(path) => serializer.collect_str(&path.display()),
            fetch::Mirror::Url(url) => serializer.serialize_str(&http::shown(url)),
        }
    }
}

impl Value for Vec<Mirror> {
    /// One a line: directories may have spaces in their names.
    fn from_text(text: &str) -> Result<Self, String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::parse).collect()
    }

    fn said_in(self, directory: &Path) -> Self {
        let place = |Mirror(mirror): Mirror| match mirror {
            fetch::Mirror::Directory(path) => Mirror(fetch::Mirror::Directory(directory.join(path))),
            url @ fetch::Mirror::Url(_) => Mirror(url),
        };
        self.into_iter().map(place).collect()
    }
}

/// A setting as `--help` and `pykeel config` name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    field: &'static str,
    /// What holds where nothing else is said, for people.
    pub default: &'static str,
}

impl Key {
    /// The key in a file, and the long option: `install-deps`.
    pub(super) fn name(self) -> String {
        self.field.replace('_', "-")
    }

    /// The environment variable: `PYKEEL_INSTALL_DEPS`.
    pub(super) fn variable(self) -> String {
        format!("PYKEEL_{}", self.field.to_uppercase())
    }
}

/// A setting for people and programs.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    pub key: String,
    pub value: serde_json::Value,
    pub origin: &'a Origin,
}

macro_rules! settings {
    ($($field:ident: $type:ty = $default:expr, shown $shown:literal;)+) => {
        /// Every setting, resolved.
        #[derive(Debug)]
        pub(super) struct Settings {
            $(pub $field: Setting<$type>,)+
            /// The configuration files that were read, the strongest first.
            pub files: Vec<PathBuf>,
        }

        /// What the command line says.
        #[derive(Debug, Default)]
        pub(super) struct Given {
            $(pub $field: Option<$type>,)+
        }

        /// A configuration file as written.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        struct Document {
            $($field: Option<Spanned<$type>>,)+
        }

        /// All keys, in the order in which they are shown.
        pub(super) const KEYS: &[Key] = &[$(Key { field: stringify!($field), default: $shown }),+];

        impl Settings {
            /// Resolves every setting: command line, environment, files in their order, default.
            ///
            /// # Errors
            /// [`Error::Usage`] for a variable that cannot be read, or what a default answers.
            fn resolve(
                mut given: Given,
                variable: &dyn Fn(&str) -> Option<OsString>,
                mut files: Vec<File>,
            ) -> Result<Self> {
                let mut keys = KEYS.iter();
                Ok(Self {
                    $($field: {
                        let name = keys.next().map(|key| key.variable()).unwrap_or_default();
                        let said = files.iter_mut().map(|file| file.take(|document| document.$field.take()));
                        first(given.$field.take(), &name, variable, said, || $default)?
                    },)+
                    files: files.into_iter().map(|file| file.path).collect(),
                })
            }

            /// Every setting with its value and origin.
            pub(super) fn entries(&self) -> Result<Vec<Entry<'_>>> {
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
    store: PathBuf = default_store(), shown "$XDG_CACHE_HOME/pykeel";
    recipes: Option<PathBuf> = Ok(None), shown "those compiled in";
    prefix: PrefixTemplate = text(PrefixTemplate::DEFAULT), shown "/opt/myorg/python-{series}{variant}";
    flavor: FlavorChoice = text("runtime"), shown "runtime";
    optimize: Option<Optimize> = Ok(None), shown "pgo where the recipe pins a profile, else none";
    libraries: LibraryPolicy = text("bundle"), shown "bundle";
    bytecode: Bytecode = text("strip"), shown "strip";
    format: Format = text("zst"), shown "zst";
    out: Option<PathBuf> = Ok(None), shown "none";
    jobs: NonZeroU16 = Ok(processors()), shown "the number of processors";
    launcher: Option<Launcher> = Ok(None), shown "the recipe's, else none";
    install_deps: bool = Ok(false), shown "false";
    offline: bool = Ok(false), shown "false";
    allow_eol: bool = Ok(false), shown "false";
    mirror: Vec<Mirror> = Ok(Vec::new()), shown "none";
}

fn text<T: Value>(text: &str) -> Result<T> {
    T::from_text(text).map_err(Error::Usage)
}

fn processors() -> NonZeroU16 {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(count).ok().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN)
}

/// The user's cache directory.
fn default_store() -> Result<PathBuf> {
    base_directory("XDG_CACHE_HOME", ".cache").map(|cache| cache.join("pykeel")).ok_or_else(|| {
        Error::Usage(
            "there is no place for the store: neither XDG_CACHE_HOME nor HOME is set, and no `--store DIR` is given"
                .into(),
        )
    })
}

/// A directory as the XDG base directory specification has it: a relative path counts as none.
fn base_directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    directory(variable).or_else(|| directory("HOME").map(|home| home.join(below_home)))
}

/// The value of the first layer that has one.
fn first<T: Value>(
    given: Option<T>,
    name: &str,
    variable: &dyn Fn(&str) -> Option<OsString>,
    mut said: impl Iterator<Item = Option<Setting<T>>>,
    default: impl FnOnce() -> Result<T>,
) -> Result<Setting<T>> {
    if let Some(value) = given {
        return Ok(Setting { value, origin: Origin::CommandLine });
    }
    if let Some(text) = variable(name).filter(|text| !text.is_empty()) {
        let text = text.to_str().ok_or_else(|| Error::Usage(format!("{name} is not UTF-8")))?;
        let value = T::from_text(text).map_err(|reason| Error::Usage(format!("{name}: {reason}")))?;
        return Ok(Setting { value, origin: Origin::Environment { variable: name.to_owned() } });
    }
    match said.find_map(|setting| setting) {
        Some(setting) => Ok(setting),
        None => Ok(Setting { value: default()?, origin: Origin::Default }),
    }
}

/// A configuration file that was read.
#[derive(Debug)]
struct File {
    path: PathBuf,
    text: String,
    document: Document,
}

impl File {
    fn read(path: PathBuf) -> Result<Self> {
        // A file that is there and cannot be read is not passed over: it may say what matters.
        let text = fs_err::read_to_string(&path).map_err(Error::Unreadable)?;
        let document = toml::from_str(&text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            Mistake::at(&path.display().to_string(), &text, offset, error.message().trim())
        })?;
        Ok(Self { path, text, document })
    }

    fn take<T: Value>(&mut self, field: impl FnOnce(&mut Document) -> Option<Spanned<T>>) -> Option<Setting<T>> {
        let spanned = field(&mut self.document)?;
        let line = self.text[..spanned.span().start].matches('\n').count() + 1;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let value = spanned.into_inner().said_in(directory);
        Some(Setting { value, origin: Origin::File { path: self.path.clone(), line } })
    }
}

/// Reads all layers.
///
/// # Errors
/// [`Error::Usage`], [`Error::Unreadable`] and [`Error::Mistake`].
pub(super) fn load(config: Option<&Path>, given: Given, reporter: &dyn Reporter) -> Result<Settings> {
    let named = config
        .map(Path::to_owned)
        .or_else(|| std::env::var_os(FILE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from));
    let paths = match named {
        Some(path) => vec![std::path::absolute(path)?],
        None => search(&std::env::current_dir()?, reporter)?,
    };
    let files = paths.into_iter().map(File::read).collect::<Result<_>>()?;
    Settings::resolve(given, &|name| std::env::var_os(name), files)
}

/// The files that are there: the project's, the user's, the system's.
fn search(from: &Path, reporter: &dyn Reporter) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let project = from.ancestors().map(|directory| directory.join(FILE_NAME)).find(|path| path.is_file());
    if let Some(path) = project {
        if anybody_could_have_put(&path)? {
            let text = format!(
                "{} is passed over: it belongs to another user, in a directory that anybody may write to \
                 (`--config` takes it)",
                path.display()
            );
            reporter.report(Event::Warning(text));
        } else {
            files.push(path);
        }
    }
    let user = base_directory("XDG_CONFIG_HOME", ".config").map(|config| config.join("pykeel").join(FILE_NAME));
    for path in user.into_iter().chain([PathBuf::from(SYSTEM_FILE)]) {
        if path.is_file() && !files.contains(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Whether a file lies where any user of the system may have put it for others to find, as in
/// `/tmp`: a configuration decides what is built.
fn anybody_could_have_put(path: &Path) -> Result<bool> {
    let owner = fs_err::metadata(path)?.uid();
    let own = owner == 0 || owner == rustix::process::geteuid().as_raw();
    let open = match path.parent() {
        Some(directory) => fs_err::metadata(directory)?.mode() & 0o002 != 0,
        None => false,
    };
    Ok(open && !own)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(name: &str, text: &str) -> File {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.toml");
        fs_err::write(&path, text).unwrap();
        File { path: PathBuf::from(name), ..File::read(path).unwrap() }
    }

    fn resolve(given: Given, variables: &[(&str, &str)], files: Vec<File>) -> Result<Settings> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| OsString::from(value)).or_else(|| (name == "PYKEEL_STORE").then(|| "/s".into()))
        };
        Settings::resolve(given, &variable, files)
    }

    #[test]
    fn the_defaults_are_the_ones_that_are_shown() {
        let settings = resolve(Given::default(), &[], Vec::new()).unwrap();
        for (entry, key) in settings.entries().unwrap().iter().zip(KEYS) {
            assert_eq!(entry.key, key.name());
            match &entry.value {
                serde_json::Value::String(value) if entry.key != "store" => assert_eq!(value, key.default),
                serde_json::Value::Bool(value) => assert_eq!(value.to_string(), key.default),
                _ => {}
            }
        }
    }

    #[test]
    fn every_key_can_be_in_a_file_and_in_the_environment() {
        let text = "store = 'a'\nrecipes = 'r'\nprefix = '/opt/{series}'\nflavor = 'all'\noptimize = 'none'\n\
                    libraries = 'system'\nbytecode = 'unchecked-hash'\nformat = 'xz'\nout = 'dist'\njobs = 3\nlauncher = 'ccache'\n\
                    install-deps = true\noffline = false\nallow-eol = true\nmirror = ['m', 'https://x.test/{file}']\n";
        let settings = resolve(Given::default(), &[("PYKEEL_STORE", "")], vec![file("/p/pykeel.toml", text)]).unwrap();
        for (index, entry) in settings.entries().unwrap().iter().enumerate() {
            let origin = Origin::File { path: "/p/pykeel.toml".into(), line: index + 1 };
            assert_eq!(*entry.origin, origin, "{}", entry.key);
        }
        assert_eq!(settings.store.value, Path::new("/p/a"));
        assert_eq!(settings.recipes.value.as_deref(), Some(Path::new("/p/r")));
        assert_eq!(settings.mirror.value, ["/p/m", "https://x.test/{file}"].map(|text| text.parse().unwrap()));
        let variables = [
            ("PYKEEL_STORE", "a"),
            ("PYKEEL_RECIPES", "r"),
            ("PYKEEL_PREFIX", "/opt/{series}"),
            ("PYKEEL_FLAVOR", "all"),
            ("PYKEEL_OPTIMIZE", "none"),
            ("PYKEEL_LIBRARIES", "system"),
            ("PYKEEL_BYTECODE", "unchecked-hash"),
            ("PYKEEL_FORMAT", "xz"),
            ("PYKEEL_OUT", "dist"),
            ("PYKEEL_JOBS", "3"),
            ("PYKEEL_LAUNCHER", "sccache"),
            ("PYKEEL_INSTALL_DEPS", "1"),
            ("PYKEEL_OFFLINE", "off"),
            ("PYKEEL_ALLOW_EOL", "true"),
            ("PYKEEL_MIRROR", "a b\nhttps://x.test/{file}\n"),
        ];
        let settings = resolve(Given::default(), &variables, Vec::new()).unwrap();
        for (entry, (variable, _)) in settings.entries().unwrap().iter().zip(variables) {
            assert_eq!(*entry.origin, Origin::Environment { variable: variable.into() });
        }
        assert_eq!(settings.mirror.value.len(), 2);
    }

    #[test]
    fn a_mistake_in_a_file_has_its_place_and_what_was_expected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pykeel.toml");
        let mistake = |text: &str| {
            fs_err::write(&path, text).unwrap();
            let error = File::read(path.clone()).unwrap_err();
            assert_eq!(error.code(), 2);
            error.to_string().replace(&path.display().to_string(), "pykeel.toml")
        };
        let texts = [
            "store = '/s'\nstroe = '/s'\n",
            "bytecode = 'maybe'\n",
            "flavor = 'both'\n",
            "jobs = 0\n",
            "launcher = 'distcc'\n",
            "offline = 'yes'\n",
            "prefix = '/opt/{minor}'\n",
            "mirror = ['/srv', 'ftp://x.test/{file}']\n",
            "store = \n",
        ];
        insta::assert_snapshot!(texts.map(mistake).join("\n"));
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_named() {
        let error = resolve(Given::default(), &[("PYKEEL_JOBS", "many")], Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("PYKEEL_JOBS: ") && error.code() == 2, "{error}");
    }

    #[test]
    fn only_what_others_may_have_planted_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        fs_err::write(&path, "").unwrap();
        assert!(!anybody_could_have_put(&path).unwrap());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            assert!(!anybody_could_have_put(&path).unwrap());
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
            fs_err::set_permissions(directory.path(), open).unwrap();
            assert!(anybody_could_have_put(&path).unwrap());
        }
    }

    proptest! {
        // Each layer says a number of its own, or nothing: the strongest that speaks is heard.
        #[test]
        fn the_strongest_layer_decides(said in proptest::collection::vec(any::<bool>(), 5)) {
            let number = |layer: usize| NonZeroU16::new(u16::try_from(layer).unwrap() + 1).unwrap();
            let given = Given { jobs: said[0].then(|| number(0)), ..Given::default() };
            let variable = number(1).to_string();
            let variables = [("PYKEEL_JOBS", if said[1] { variable.as_str() } else { "" })];
            let files = (2..5).map(|layer| {
                let text = if said[layer] { format!("# a comment\njobs = {}\n", number(layer)) } else { String::new() };
                file(&format!("/{layer}/pykeel.toml"), &text)
            });
            let settings = resolve(given, &variables, files.collect()).unwrap();
            let (value, origin) = match said.iter().position(|said| *said) {
                None => (processors(), Origin::Default),
                Some(0) => (number(0), Origin::CommandLine),
                Some(1) => (number(1), Origin::Environment { variable: "PYKEEL_JOBS".into() }),
                Some(layer) => {
                    (number(layer), Origin::File { path: format!("/{layer}/pykeel.toml").into(), line: 2 })
                }
            };
            prop_assert_eq!(settings.jobs, Setting { value, origin });
        }
    }
}
