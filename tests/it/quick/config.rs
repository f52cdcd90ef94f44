//! Configuration: precedence, the origin of each value, and the messages for mistakes.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, is_root, pykeel, run};

/// A project in a directory below another, and a user with a configuration directory.
pub struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let home = Self { directory: tempfile::tempdir().expect("a directory") };
        fs_err::create_dir_all(home.path("project/deep/down")).expect("a directory");
        fs_err::create_dir_all(home.path("config/pykeel")).expect("a directory");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn project(&self, text: &str) {
        fs_err::write(self.path("project/pykeel.toml"), text).expect("a file");
    }

    pub fn user(&self, text: &str) {
        fs_err::write(self.path("config/pykeel/pykeel.toml"), text).expect("a file");
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = pykeel();
        command.env_remove("PYKEEL_CONFIG").env_remove("PYKEEL_STORE");
        command.env("HOME", self.path("home")).env_remove("XDG_CACHE_HOME");
        command.args(args).current_dir(self.path("project/deep/down")).env("XDG_CONFIG_HOME", self.path("config"));
        command
    }

    fn config(&self, args: &[&str]) -> Value {
        run(self.command(&["config", "--json"]).args(args)).exits(0).json()
    }
}

fn setting(config: &Value, key: &str) -> (Value, Value) {
    let settings = config["settings"].as_array().expect("an array");
    let found = settings.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("{key} in {config}"));
    (found["value"].clone(), found["origin"].clone())
}

#[test]
fn each_value_is_shown_with_where_it_comes_from() {
    let home = Home::new();
    let config = home.config(&[]);
    let default = serde_json::json!({"from": "default"});
    assert_eq!(setting(&config, "store"), (home.path("home/.cache/pykeel").to_str().into(), default.clone()));
    assert_eq!(setting(&config, "prefix"), ("/opt/myorg/python-{series}{variant}".into(), default));

    home.user("store = '../store'\njobs = 1\nformat = 'xz'\nflavor = 'builder'\n");
    home.project("# of the project\njobs = 2\nrecipes = 'recipes'\nflavor = 'all'\n");
    fs_err::create_dir(home.path("project/recipes")).expect("a directory");
    let (user, project) = (home.path("config/pykeel/pykeel.toml"), home.path("project/pykeel.toml"));
    let file = |path: &PathBuf, line: u32| serde_json::json!({"from": "file", "path": path, "line": line});
    let mut command = home.command(&["config", "--json", "--recipes", "mine"]);
    let config = run(command.env("PYKEEL_FLAVOR", "runtime").env("PYKEEL_FORMAT", "")).exits(0).json();
    assert_eq!(setting(&config, "store"), (home.path("config/pykeel/../store").to_str().into(), file(&user, 1)));
    assert_eq!(setting(&config, "jobs"), (2.into(), file(&project, 2)));
    assert_eq!(setting(&config, "format"), ("xz".into(), file(&user, 3)));
    assert_eq!(setting(&config, "recipes"), ("mine".into(), serde_json::json!({"from": "command-line"})));
    let environment = serde_json::json!({"from": "environment", "variable": "PYKEEL_FLAVOR"});
    assert_eq!(setting(&config, "flavor"), ("runtime".into(), environment));
    assert_eq!(config["files"], serde_json::json!([project, user]));

    let text = run(&mut home.command(&["config"])).exits(0).out;
    let line = text.lines().find(|line| line.starts_with("jobs ")).expect("jobs").to_owned();
    assert!(line.contains(" 2 ") && line.ends_with(&format!("{}:2", project.display())), "{line}");
    // One file that is named stands for all.
    fs_err::write(home.path("other.toml"), "jobs = 3\n").expect("a file");
    let other = home.path("other.toml");
    let config = home.config(&["--config", other.to_str().expect("a path")]);
    assert_eq!(
        (setting(&config, "jobs"), &config["files"]),
        ((3.into(), file(&other, 1)), &serde_json::json!([other]))
    );
    assert_eq!(setting(&config, "format").0, "zst");
    let config = run(home.command(&["config", "--json"]).env("PYKEEL_CONFIG", "/dev/null")).exits(0).json();
    assert_eq!(setting(&config, "flavor").0, "runtime");
}

#[test]
fn what_another_user_may_have_planted_is_passed_over() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    if !is_root() {
        skip!(Missing::Root, "only root can give a file to another user");
    }
    let home = Home::new();
    home.project("jobs = 7\n");
    chown(home.path("project/pykeel.toml"), Some(65534), None).expect("another owner");
    // As a checkout that is mounted into a container: whoever may write there is the owner alone.
    assert_eq!(setting(&home.config(&[]), "jobs").0, 7);
    fs_err::set_permissions(home.path("project"), std::fs::Permissions::from_mode(0o1777)).expect("a mode");
    let ended = run(&mut home.command(&["config", "--json", "--progress", "plain"])).exits(0);
    let ended = ended.says(&["ignoring ", "project/pykeel.toml: another user owns it", "--config"]);
    assert_eq!(setting(&ended.json(), "jobs").1["from"], "default");
}

#[test]
fn mistakes_name_the_place() {
    let home = Home::new();
    let fails = |command: &mut Command, texts: &[&str]| -> Ended { run(command).exits(2).says(texts) };
    home.project("jobs = 2\nstroe = '/s'\n");
    fails(&mut home.command(&["list"]), &["project/pykeel.toml:2:1: unknown field `stroe`, expected one of `store`"]);
    home.project("mirror = ['/srv', 'https://x.test/']\n");
    fails(&mut home.command(&["list"]), &["pykeel.toml:1:", "it has neither {file} nor {sha256}"]);
    home.project("offline = true\n");
    home.user("install-deps = true\n");
    let build = ["build", "3.13.5"];
    fails(
        &mut home.command(&build),
        &["`install-deps` (", "config/pykeel/pykeel.toml:1) cannot be used with `offline` (", "project/pykeel.toml:1)"],
    );
    fails(home.command(&["list"]).env("PYKEEL_JOBS", "many"), &["PYKEEL_JOBS: "]);
    fails(home.command(&["list"]).env("PYKEEL_OFFLINE", "maybe"), &["PYKEEL_OFFLINE: `maybe` is neither"]);
    fails(&mut home.command(&["list", "--config", "/no/such.toml"]), &["/no/such.toml"]);
    fails(&mut home.command(&["build", "3.13", "--prefix", "/opt/{minor}"]), &["{series}, {version} and {variant}"]);
}
