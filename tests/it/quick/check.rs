//! `pykeel check`: what is printed and written, and the exit codes.

use std::path::Path;

use crate::support::{pykeel, run};

/// A root file system with one thing wrong at most.
fn root(directory: &Path) {
    fs_err::create_dir_all(directory.join("etc")).unwrap();
    fs_err::create_dir_all(directory.join("usr/bin")).unwrap();
    fs_err::write(directory.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/false\n").unwrap();
}

#[test]
fn the_exit_code_is_by_severity() {
    let directory = tempfile::tempdir().unwrap();
    root(directory.path());
    let check = |arguments: &[&str]| {
        let mut command = pykeel();
        command.arg("check").arg(directory.path()).args(arguments).current_dir(directory.path());
        run(&mut command)
    };
    let ended = check(&[]).exits(0);
    assert!(ended.out.contains("0 errors, 0 warnings, 0 notes"), "{}", ended.out);
    assert!(ended.out.contains("skipped PK401 root-user: a root file system does not say"), "{}", ended.out);
    let ended = check(&["--user", "root"]).exits(0);
    assert!(ended.out.contains("warning PK401 root-user") && !ended.out.contains('\x1b'), "{}", ended.out);
    check(&["--user", "root", "--fail-on", "warning"]).exits(4);
    check(&["--user", "nobody-here", "--fail-on", "never"]).exits(0);
    let report = check(&["--user", "nobody-here", "--json"]).exits(4).json();
    assert_eq!(report["findings"][0]["rule"], "PK402");
    assert_eq!(report["findings"][0]["severity"], "error");

    let sarif = directory.path().join("check.sarif");
    check(&["--user", "root", "--sarif", sarif.to_str().unwrap()]).exits(0);
    let sarif: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(sarif).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "PK401");
}

#[test]
fn a_configuration_ignores_findings_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("root");
    root(&image);
    let file = directory.path().join("pykeel.toml");
    let check = |text: &str| {
        fs_err::write(&file, text).unwrap();
        let mut command = pykeel();
        command.arg("check").arg(&image).args(["--user", "root", "--fail-on", "note", "--config"]).arg(&file);
        run(&mut command)
    };
    let ended = check("[check]\nignore = [{ rule = 'root-user', reason = 'the platform sets the user' }]\n").exits(0);
    assert!(ended.out.contains("0 warnings, 0 notes; 1 ignored"), "{}", ended.out);
    check("[check]\nignore = [{ rule = 'PK302', reason = 'x' }]\n").exits(4).says(&["nothing is ignored", "PK302"]);
    check("[check]\nignore = [{ rule = 'PK401' }]\n").exits(2).says(&["pykeel.toml:2:", "`reason` has to say why"]);
    check("[check]\nignore = [{ rule = 'PK999', reason = 'x' }]\n").exits(2).says(&["there is no rule `PK999`"]);
}

#[test]
fn what_is_no_image_is_named() {
    let check = |name: &str| run(pykeel().args(["check", name]).env("PATH", "/nonexistent"));
    check("/no/such/root").exits(2).says(&["/no/such/root: there is no such file or directory"]);
    check("app:1").exits(2).says(&["app:1", "there is no docker on PATH"]);
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("a.tar");
    fs_err::write(&text, "x".repeat(2000)).unwrap();
    check(text.to_str().unwrap()).exits(2).says(&["a.tar: it is no archive of an image"]);
    let mut command = pykeel();
    command.arg("check").arg(directory.path()).arg("--index").arg(directory.path());
    run(&mut command).exits(2).says(&["no list of security updates"]);
}

#[test]
fn an_image_of_the_daemon_is_saved_by_docker() {
    let directory = tempfile::tempdir().unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz/image/docker.tar");
    let docker = directory.path().join("docker");
    // `docker image save --output FILE NAME`
    let script = format!(
        "#!/bin/sh\n[ \"$5\" = app:1 ] || {{ echo No such image: $5 >&2; exit 1; }}\ncp {} \"$4\"\n",
        archive.display()
    );
    fs_err::write(&docker, script).unwrap();
    fs_err::set_permissions(&docker, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let check = |name: &str| run(pykeel().args(["check", name, "--json"]).env("PATH", &path));
    let report = check("app:1").exits(4).json();
    assert_eq!((report["image"].as_str(), report["user"].as_str()), (Some("app:1"), Some("app")));
    let rules: Vec<&str> = report["findings"].as_array().unwrap().iter().filter_map(|f| f["rule"].as_str()).collect();
    assert!(rules.contains(&"PK202") && rules.contains(&"PK402"), "{rules:?}");
    check("other:2").exits(1).says(&["docker", "No such image: other:2"]);
}
