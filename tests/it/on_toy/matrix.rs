//! `pykeel matrix`: what a remote lacks, and the commands that give it that.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::lock::Project;
use crate::support::{Ended, run};

/// The matrix of the toy's release for a remote.
fn matrix(project: &Project, words: &[&str]) -> Ended {
    run(project.command(&["matrix", "3.13", "--flavor", "all"]).args(words))
}

/// Runs a line of a matrix as CI would.
fn in_shell(project: &Project, line: &str) -> Ended {
    let pykeel = project.command(&[]);
    let program = Path::new(pykeel.get_program());
    let directory = program.parent().expect("the directory of pykeel").display().to_string();
    let mut shell = Command::new("sh");
    shell.args(["-euc", line]).env("PATH", format!("{directory}:/usr/bin:/bin"));
    for (name, value) in pykeel.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    run(&mut shell)
}

#[test]
fn what_a_remote_lacks_is_built_and_pushed_by_the_commands_of_its_matrix() {
    let project = Project::new();
    let address = format!("file://{}", project.path("remote").display());
    let push = ["--push", &address];
    // It has to be there, or everything would be built each time that a mount is missing.
    matrix(&project, &push).exits(3).says(&[&address]);
    fs_err::create_dir(project.path("remote")).expect("a directory");
    let cell = |flavor: &str| {
        json!({
            "version": "3.13.5", "series": "3.13", "target": "x86_64-linux-gnu", "platform": "linux/amd64",
            "flavor": flavor,
            "build": format!("pykeel build 3.13.5 --flavor {flavor} --optimize none --recipes {}", recipes(&project)),
            "push": format!("pykeel push 3.13.5 {address}"),
        })
    };
    let here = ["--target", "x86_64-linux-gnu"];
    let found = matrix(&project, &[&push[..], &here, &["--json"]].concat()).exits(0).json();
    assert_eq!((&found["cells"], &found["there"]), (&json!([cell("all")]), &json!([])));
    // One flavor is there.
    project.run(&["push", "3.13.5", "--flavor", "runtime", &address]).exits(0);
    let found = matrix(&project, &[&push[..], &here, &["--json"]].concat()).exits(0).json();
    assert_eq!((&found["cells"], &found["remote"]), (&json!([cell("builder")]), &json!(address)));
    assert_eq!(found["there"], json!([{ "version": "3.13.5", "target": "x86_64-linux-gnu", "flavor": "runtime" }]));
    // The first of the remotes is the one that is meant.
    let named = matrix(&project, &["--remotes", &address, "--json"]).exits(0).json();
    let line = named["cells"][0]["build"].as_str().expect("a line").to_owned();
    assert!(line.ends_with(&format!(" --remotes {address}")), "{line}");

    let ended = matrix(&project, &push).exits(0);
    let (_, line) = ended.out.trim_end().split_once("  pykeel ").expect("a line");
    in_shell(&project, &format!("pykeel {line}")).exits(0);
    let ended = matrix(&project, &push).exits(0);
    assert_eq!(ended.out, format!("nothing is to be built: the remote {address} has all 2\n"));
    assert_eq!(matrix(&project, &[&push[..], &["--for", "github"]].concat()).exits(0).out, "{\"include\":[]}\n");
    let idle: Value = serde_json::from_str(&matrix(&project, &[&push[..], &["--for", "gitlab"]].concat()).exits(0).out)
        .expect("a pipeline");
    assert!(idle["nothing-to-build"].is_object());
    // Other options, another system and another variant are other artifacts.
    let cells = |words: &[&str]| {
        let found = matrix(&project, &[&push[..], words, &["--json"]].concat()).exits(0).json();
        found["cells"].as_array().expect("an array").clone()
    };
    let other = cells(&["--bytecode", "unchecked-hash"]);
    assert!(other[0]["build"].as_str().expect("a line").contains(" --bytecode unchecked-hash"), "{other:?}");
    let other = cells(&["--target", "x86_64-linux-gnu,aarch64-linux-gnu"]);
    assert_eq!((other.len(), &other[0]["platform"]), (1, &json!("linux/arm64")));
    let variants: Vec<_> = cells(&["--variant", "default,t,d"]).iter().map(|cell| cell["version"].clone()).collect();
    assert_eq!(variants, ["3.13.5t", "3.13.5d"]);
    let ended = matrix(&project, &[&push[..], &["--bytecode", "unchecked-hash", "--for", "bake"]].concat()).exits(0);
    assert!(ended.out.contains("target \"python-3-13-5-x86_64\" {"), "{}", ended.out);
}

/// The directory of the toy's recipes.
fn recipes(project: &Project) -> String {
    let pykeel = project.command(&[]);
    let mut all = pykeel.get_envs();
    let (_, value) = all.find(|(name, _)| *name == "PYKEEL_RECIPES").expect("the recipes");
    value.expect("a value").display().to_string()
}

#[test]
fn without_a_remote_the_store_is_looked_at_and_nothing_is_pushed() {
    let project = Project::new();
    assert_eq!(matrix(&project, &[]).exits(0).out, "nothing is to be built: the store has all 2\n");
    let found = matrix(&project, &["--shared", "--json"]).exits(0).json();
    assert_eq!((&found["remote"], &found["cells"][0]["push"]), (&Value::Null, &Value::Null));
    // Nobody named a version: what the recipes know.
    let all = project.run(&["matrix", "--json"]).exits(0).json();
    let series: Vec<_> = all["cells"].as_array().expect("an array").iter().map(|cell| &cell["series"]).collect();
    assert!(series.contains(&&json!("3.14")) && !series.contains(&&json!("3.9")), "{series:?}");
    let with_old = project.run(&["matrix", "--json", "--allow-eol"]).exits(0).json();
    assert!(with_old.to_string().contains("--allow-eol") && with_old.to_string().contains("\"3.9\""));
    project.run(&["matrix", "3.12", "--variant", "t"]).exits(0).says(&["3.12 has no variant t"]);
    project.run(&["matrix", "3.12t"]).exits(2);
    project.run(&["matrix", "--json", "--for", "github"]).exits(2).says(&["--for"]);
    project.run(&["matrix", "--push", "https://pythons.test"]).exits(2).says(&["can only be read"]);
    project.run(&["matrix", "--push", "oci://me:secret@registry.test/x"]).exits(2).says_not(&["secret"]);
    let offline = run(project.command(&["matrix", "--push", "oci://registry.test/x"]).env("PYKEEL_OFFLINE", "1"));
    offline.exits(2).says(&["is no directory"]);
}
