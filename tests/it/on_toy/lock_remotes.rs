//! The remotes that a lock notes, and `--locked` asks; and the Dockerfile of a lock.

use super::lock::Project;
use super::locked::install;
use crate::support::{Ended, run};

/// Pushes the artifact to a remote, and returns its address.
fn remote(project: &Project, name: &str) -> String {
    let remote = format!("file://{}", project.path(name).display());
    project.run(&["push", "3.13.5", "--flavor", "runtime", &remote]).exits(0);
    remote
}

#[test]
fn a_lock_says_which_remotes_have_an_artifact_and_they_are_asked_last() {
    let project = Project::new();
    let (has, other, empty) = (remote(&project, "b"), remote(&project, "a"), project.path("empty"));
    fs_err::create_dir(&empty).expect("a directory");
    let lacks = format!("file://{}", empty.display());
    let all = ["--remotes", &has, "--remotes", &lacks, "--remotes", &other];
    let ended = run(project.command(&["lock", "3.13"]).args(all)).exits(0);
    assert!(ended.out.contains(&format!("remotes      {other} {has}\n")), "{}", ended.out);
    let text = project.text();
    assert!(text.contains(&format!("\nremotes = [\"{other}\", \"{has}\"]\n")), "{text}");
    // The same, whatever their order is.
    run(project.command(&["lock", "3.13", "--lock", "turned.lock"]).args(["--remotes", &other, "--remotes", &has]))
        .exits(0);
    assert_eq!(fs_err::read_to_string(project.path("project/turned.lock")).expect("the lock"), text);

    // None is configured, and those of the lock have it.
    let gone = || fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
    gone();
    for none in [&["--remotes", "none"][..], &["--remotes", "none", "--offline"]] {
        install(&project, none).exits(4).says(&["the store does not have the artifact of 3.13"]);
    }
    let json = install(&project, &["--offline"]).exits(0).json();
    assert_eq!(json[0]["remote"], other.as_str());
    // The configured ones come first, and `build` takes what they have too.
    gone();
    let built = project.run(&["build", "--locked", "--json", "--remotes", &lacks, "--remotes", &has]).exits(0).json();
    assert_eq!((&built[0]["remote"], &built[0]["cached"]), (&has.as_str().into(), &true.into()));
    // What one sends is not the artifact: the next one is asked.
    gone();
    let blob = project.path("a").join(format!("blobs/{}", project.value("sha256")));
    fs_err::write(&blob, "x").expect("a file");
    let ended = install(&project, &[]).exits(0).says(&["going on without it"]);
    assert_eq!(ended.json()[0]["remote"], has.as_str());
    // An unlocked command asks none of them.
    gone();
    project.run(&["install", "3.13", "--no-build", "--root", "/no/such/root"]).exits(2).says(&["the store has no"]);
    // Other digests are nothing that they could say: the digest of the lock decides.
    project.edit(&project.value("sha256"), &"0".repeat(64));
    install(&project, &[]).exits(4);
    assert!(!project.path("root/opt/myorg/python-3.13").exists());
}

#[test]
fn an_upgrade_notes_the_remotes_anew_and_forgets_none_that_it_cannot_ask() {
    let project = Project::new().locked();
    assert!(!project.text().contains("remotes"));
    let (first, second) = (remote(&project, "first"), remote(&project, "second"));
    let named = |what: &[&str], remotes: &[&str]| {
        let remotes = remotes.iter().flat_map(|remote| ["--remotes", remote]);
        run(project.command(&["lock"]).args(what).args(remotes))
    };
    let noted = |expected: &[&str]| {
        let list = expected.iter().map(|remote| format!("\"{remote}\"")).collect::<Vec<_>>().join(", ");
        let text = project.text();
        assert!(text.contains(&format!("\nremotes = [{list}]\n")), "{text}");
    };
    // What is locked stays.
    named(&["3.13"], &[&first]).exits(0);
    assert!(!project.text().contains("remotes"));
    let ended = named(&["--upgrade", "--check"], &[&first]).exits(4);
    assert!(ended.out.contains(&format!("remotes  –       {first}\n")), "{}", ended.out);
    assert!(!ended.out.contains("sha256"), "it is the same artifact: {}", ended.out);
    named(&["--upgrade"], &[&first]).exits(0);
    noted(&[&first]);
    // Another machine has another configuration.
    named(&["--upgrade"], &[&second]).exits(0);
    noted(&[&first, &second]);
    // One is away.
    fs_err::rename(project.path("first"), project.path("away")).expect("a directory");
    fs_err::write(project.path("first"), "").expect("a file");
    named(&["--upgrade", "--check"], &[&first, &second]).exits(0).says(&["going on without it"]);
    // One has it no more.
    fs_err::remove_file(project.path("first")).expect("a file");
    fs_err::create_dir(project.path("first")).expect("a directory");
    named(&["--upgrade"], &[&first]).exits(0).says(&["no remote has 3.13 (runtime, ", "pykeel push"]);
    noted(&[&second]);
    // Another artifact, which none has.
    project.newer();
    named(&["--upgrade"], &[&second]).exits(0);
    assert!(!project.text().contains("remotes"), "{}", project.text());
}

/// Writes a Dockerfile of the lock.
fn dockerfile(project: &Project, words: &[&str]) -> Ended {
    run(project.command(&["dockerfile", "--locked"]).args(words))
}

#[test]
fn a_dockerfile_of_a_lock_names_what_was_asked_for_and_is_the_same_after_an_upgrade() {
    let project = Project::new();
    dockerfile(&project, &["--python", "3.13"]).exits(2).says(&["there is no lock", "pykeel.lock"]);
    project.run(&["lock", "3.13", "--libraries", "bundle"]).exits(0);
    let runtime = ["--python", "3.13", "--flavor", "runtime"];
    let text = dockerfile(&project, &runtime).exits(0).out;
    let command = "#     pykeel dockerfile --python 3.13 --flavor runtime --locked pykeel.lock\n";
    for expected in [command, " AS python-3.13\n", "\nCOPY pykeel.lock /src/\n", "install --locked 3.13 --lock /src/"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("3.13.5"), "{text}");
    let json = dockerfile(&project, &[&runtime[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&json["libraries"], &json["pythons"][0]["version"]), (&"bundle".into(), &"3.13".into()));
    project.newer();
    project.run(&["lock", "--upgrade"]).exits(0);
    assert_eq!(dockerfile(&project, &runtime).exits(0).out, text);
    // An image to build with has headers, and an environment is made with them.
    for words in [&["--python", "3.13"][..], &["--python", "3.13", "--lock", "requirements.txt"]] {
        dockerfile(&project, words).exits(4).says(&["pykeel.lock has no 3.13 (builder)", "pykeel lock VERSION"]);
    }
    project.run(&["lock", "3.13", "--flavor", "builder"]).exits(0);
    dockerfile(&project, &["--python", "3.13"]).exits(0);
    dockerfile(&project, &["--python", "3.14"]).exits(4).says(&["pykeel.lock has no 3.14 (runtime)"]);
    let other = ["--python", "3.13", "--bytecode", "unchecked-hash", "--libraries", "system"];
    let said =
        ["with other options", "libraries is system, locked: bundle", "bytecode is unchecked-hash, locked: strip"];
    dockerfile(&project, &other).exits(4).says(&said);
    // By its release, which the lock may change.
    let exact = dockerfile(&project, &["--python", "3.13.5"]).exits(0).out;
    assert!(exact.contains("install --locked 3.13.5 --lock /src/pykeel.lock"), "{exact}");
}
