//! `docs/json.md` says what every command prints: its examples have the shape of the real output.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::on_cpython::install::Site;
use crate::on_toy::profiles::{PROGRAM, trainable};
use crate::on_toy::rebuild;
use crate::support::{artifact, pykeel, run};
use crate::toy::{Behaviour, Toy};

const DOCUMENT: &str = include_str!("../../../docs/json.md");

/// The example below each heading that is a command.
fn examples() -> BTreeMap<String, Value> {
    let mut examples = BTreeMap::new();
    for section in DOCUMENT.split("\n## `pykeel ").skip(1) {
        let (heading, text) = section.split_once('`').expect("a heading");
        let json = text.split_once("```json\n").and_then(|(_, rest)| rest.split_once("```"));
        let (json, _) = json.unwrap_or_else(|| panic!("{heading} has no example"));
        let value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{heading}: {error}"));
        examples.insert(heading.to_owned(), value);
    }
    examples
}

/// Where two values differ in shape. `…` in the example stands for more of the like.
fn differences(place: &str, example: &Value, real: &Value, found: &mut Vec<String>) {
    match (example, real) {
        (Value::Object(example), Value::Object(real)) => {
            let open = example.contains_key("…");
            for (key, value) in example.iter().filter(|(key, _)| *key != "…") {
                match real.get(key) {
                    Some(real) => differences(&format!("{place}.{key}"), value, real, found),
                    None if open => {}
                    None => found.push(format!("{place}.{key} is documented, and not there")),
                }
            }
            let strange = real.keys().filter(|key| !open && !example.contains_key(*key));
            found.extend(strange.map(|key| format!("{place}.{key} is there, and not documented")));
        }
        (Value::Array(example), Value::Array(real)) => {
            if let (Some(example), Some(real)) = (example.first(), real.first()) {
                differences(&format!("{place}[0]"), example, real, found);
            }
        }
        // What need not be there is null.
        (Value::Null, _) | (_, Value::Null) => {}
        _ if std::mem::discriminant(example) == std::mem::discriminant(real) => {}
        _ => found.push(format!("{place} is {example} in the example and {real} in truth")),
    }
}

/// The commands about remotes, with the headings of their examples.
fn of_remotes(remote: &str) -> [(&'static str, Vec<&str>); 5] {
    [
        ("push … --json", vec!["push", "3.13.5", remote]),
        ("list REMOTE --json", vec!["list", remote]),
        ("pull … --json", vec!["pull", "3.13.5", "--remotes", remote]),
        ("matrix … --json", vec!["matrix", "3.13.5", "3.13.5t", "--push", remote]),
        ("prune REMOTE … --json", vec!["prune", "--keep", "0", remote]),
    ]
}

#[test]
fn the_examples_have_the_shape_of_the_output() {
    let site = Site::new();
    let place = |name: &str| site.path(name).display().to_string();
    let [out, image, pykeel_lock, rootfs, prefix] = ["out", "image.tar", "pykeel.lock", "rootfs", "python"].map(place);
    let [tarball, other] = ["runtime", "builder"].map(|flavor| artifact(flavor).tarball.display().to_string());
    site.install(&site.path("python"), &[]).exits(0);
    let [builder, app, lock] = ["builder", "app", "requirements.txt"].map(place);
    site.install(&site.path("builder"), &["--flavor", "builder"]).exits(0);
    fs_err::write(site.path("requirements.txt"), "# none\n").expect("a file");
    // A check that was skipped or failed has a detail, as in the example.
    fs_err::remove_file(site.path("python/lib/python3.13/colorsys.py")).expect("a file");
    fs_err::create_dir_all(site.path("store/damaged/x-1700000000")).expect("a directory");
    // In the order in which they are run: what is removed was installed before.
    let commands: &[(&str, &[&str])] = &[
        ("build VERSION… --dry-run --json", &["build", "3.13.5", "--dry-run"]),
        ("install … --json", &["install", "3.13.5", "--no-build", "--root", &out]),
        ("lock … --json", &["lock", "3.13.5", "--lock", &pykeel_lock]),
        ("image VERSION… --json", &["image", "3.13.5", "--no-build", "--output", &image]),
        ("image --rootfs DIR --json", &["image", "--rootfs", &rootfs, "--tree", &out]),
        ("dockerfile --json", &["dockerfile", "--python", "3.13.5"]),
        ("check --json", &["check", &out, "--fail-on", "never"]),
        ("venv LOCK --json", &["venv", &lock, "--python", &builder, "--at", &app]),
        ("uninstall VERSION… --json", &["uninstall", "3.13", "--root", &out]),
        ("list --json", &["list"]),
        ("list --all --json", &["list", "--all"]),
        ("index … --json", &["index"]),
        ("inspect … --json", &["inspect", &tarball]),
        ("inspect A B --json", &["inspect", &tarball, &other]),
        ("verify PATH --json", &["verify", &prefix]),
        ("recipe show VERSION --json", &["recipe", "show", "3.13.5"]),
        ("recipe check --json", &["recipe", "check"]),
        ("cache list --json", &["cache", "list"]),
        ("cache prune --json", &["cache", "prune"]),
        ("config --json", &["config"]),
        ("completions SHELL --json", &["completions", "bash"]),
        ("man --json", &["man"]),
    ];
    let mut examples = examples();
    let mut found = Vec::new();
    let mut compare = |heading: &str, command: &mut Command| {
        let ended = run(command);
        let example = examples.remove(heading).unwrap_or_else(|| panic!("docs/json.md has no `pykeel {heading}`"));
        differences(heading, &example, &ended.json(), &mut found);
    };
    compare("build VERSION… --json", pykeel().args(["build", "3.13.5", "--json"]));
    let changed = Toy::new(Behaviour::default());
    let (_, built_anew) = rebuild::built(&changed, &[]);
    let given = rebuild::altered(&changed, &built_anew, |top| {
        fs_err::write(top.join("lib/python3.13/ssl.py"), "# changed\n").expect("a file");
    });
    compare("verify --rebuild TARBALL --json", rebuild::rebuild(&changed, given).arg("--json"));
    let toy = trainable(PROGRAM);
    let mut train = toy.command(&["train", "3.13.5", "--json", "--offline", "--mirror"]);
    compare("train VERSION --json", train.arg(toy.mirror()));
    let remote = format!("file://{}", site.path("remote").display());
    for (heading, args) in commands.iter().map(|(heading, args)| (*heading, args.to_vec())).chain(of_remotes(&remote)) {
        compare(heading, site.command(&args).arg("--json"));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(examples.is_empty(), "nothing compares {:?}", examples.keys());
}

/// The examples of events, by kind. One that is long has a block of its own.
fn events() -> BTreeMap<String, Value> {
    let (_, text) = DOCUMENT.split_once("\n## `--progress json`").expect("the section of events");
    let blocks = text.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap_or_default());
    let examples = blocks.flat_map(|block| serde_json::Deserializer::from_str(block).into_iter::<Value>());
    let kind = |event: &Value| event["event"].as_str().expect("an event").to_owned();
    examples.map(|event| event.expect("JSON")).map(|event| (kind(&event), event)).collect()
}

#[test]
fn the_examples_of_events_have_the_shape_of_the_events() {
    let examples = events();
    let toy = Toy::failing();
    let ended = run(toy.build_command().args(["--timings", "--progress", "json"])).exits(1);
    let (mut found, mut kinds) = (Vec::new(), BTreeSet::new());
    for line in ended.err.lines() {
        let event: Value = serde_json::from_str(line).expect(line);
        let kind = event["event"].as_str().expect("an event");
        // The error is described with the exit codes, and a note is a text.
        if let Some(example) = examples.get(kind) {
            differences(kind, example, &event, &mut found);
            kinds.insert(kind.to_owned());
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(Vec::from_iter(kinds), ["detail", "failed", "finished", "ran", "started", "timings"]);
}

#[test]
fn every_command_is_documented() {
    let commands = |args: &[&str]| -> Vec<String> {
        let help = run(pykeel().args(args).arg("-h")).exits(0).out;
        let lines = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
        let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
        let names = names.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_whitespace().next());
        // python-build prints what pyenv's does, and no JSON.
        names.filter(|name| !["help", "python-build"].contains(name)).map(str::to_owned).collect()
    };
    let first = commands(&[]);
    assert!(first.len() > 8, "{first:?}");
    for command in first {
        let second = commands(&[&command]);
        let all = if second.is_empty() {
            vec![command.clone()]
        } else {
            second.iter().map(|second| format!("{command} {second}")).collect()
        };
        for command in all {
            assert!(DOCUMENT.contains(&format!("\n## `pykeel {command} ")), "docs/json.md has no `pykeel {command}`");
        }
    }
}
