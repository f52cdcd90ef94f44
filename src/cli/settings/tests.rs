use std::ffi::OsString;
use std::num::NonZeroU16;

use proptest::prelude::*;

use super::files::{FILE_NAME, anybody_could_have_put};
use super::setting::{Key, Origin, Setting};
use super::table::Document;
use super::table::processors;
use super::*;

fn file(name: &str, text: &str) -> File<Document> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.toml");
    fs_err::write(&path, text).unwrap();
    let mut file = File::read(path).unwrap();
    file.path = PathBuf::from(name);
    file
}

fn resolve(overrides: CliOverrides, variables: &[(&str, &str)], files: Vec<File<Document>>) -> Result<Settings> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| OsString::from(value)).or_else(|| (name == "PYKEEL_STORE").then(|| "/s".into()))
    };
    Settings::resolve(overrides, &variable, files)
}

#[test]
fn the_defaults_are_the_ones_that_are_shown() {
    let settings = resolve(CliOverrides::default(), &[], Vec::new()).unwrap();
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
    let line = |key: &Key| format!("{} = {}\n", key.name(), key.example);
    let text: String = KEYS.iter().map(line).collect();
    let in_file = vec![file("/p/pykeel.toml", &text)];
    let settings = resolve(CliOverrides::default(), &[("PYKEEL_STORE", "")], in_file).unwrap();
    for (index, entry) in settings.entries().unwrap().iter().enumerate() {
        let origin = Origin::File { path: "/p/pykeel.toml".into(), line: index + 1 };
        assert_eq!(*entry.origin, origin, "{}", entry.key);
    }
    assert_eq!(settings.store.value, Path::new("/p/a"));
    assert_eq!(settings.recipes.value.as_deref(), Some(Path::new("/p/r")));
    assert_eq!(settings.mirror.value, ["/p/m", "https://x.test/{file}"].map(|text| text.parse().unwrap()));
    let document: toml::Table = text.parse().unwrap();
    let variables: Vec<(String, String)> =
        KEYS.iter().map(|key| (key.variable(), as_variable(&document[&key.name()]))).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let settings = resolve(CliOverrides::default(), &variables, Vec::new()).unwrap();
    for (entry, (variable, _)) in settings.entries().unwrap().iter().zip(variables) {
        assert_eq!(*entry.origin, Origin::Environment { variable: variable.into() });
    }
    assert_eq!(settings.mirror.value.len(), 2);
}

/// A value of a file as the environment says it.
fn as_variable(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(|value| as_variable(value) + "\n").collect(),
        other => other.to_string(),
    }
}

#[test]
fn a_variable_says_true_and_false_in_several_words() {
    for (word, value) in [("1", true), ("on", true), ("yes", true), ("0", false), ("off", false), ("no", false)] {
        let settings = resolve(CliOverrides::default(), &[("PYKEEL_OFFLINE", word)], Vec::new()).unwrap();
        assert_eq!(settings.offline.value, value, "{word}");
    }
}

#[test]
fn a_mistake_in_a_file_has_its_place_and_what_was_expected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pykeel.toml");
    let mistake = |text: &str| {
        fs_err::write(&path, text).unwrap();
        let error = File::<Document>::read(path.clone()).unwrap_err();
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
    let error = resolve(CliOverrides::default(), &[("PYKEEL_JOBS", "many")], Vec::new()).unwrap_err();
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
        let overrides = CliOverrides { jobs: said[0].then(|| number(0)), ..CliOverrides::default() };
        let variable = number(1).to_string();
        let variables = [("PYKEEL_JOBS", if said[1] { variable.as_str() } else { "" })];
        let files = (2..5).map(|layer| {
            let text = if said[layer] { format!("# a comment\njobs = {}\n", number(layer)) } else { String::new() };
            file(&format!("/{layer}/pykeel.toml"), &text)
        });
        let settings = resolve(overrides, &variables, files.collect()).unwrap();
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
