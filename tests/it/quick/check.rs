//! `pykeel check`: what is printed and written, and the exit codes.

use std::path::Path;

use crate::missing::Missing;
use crate::skip;
use crate::support::{self, Mounted, pykeel, run};

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
    check("app;ls").exits(2).says(&["app;ls: there is no such file or directory"]);
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("a.tar");
    fs_err::write(&text, "x".repeat(2000)).unwrap();
    check(text.to_str().unwrap())
        .exits(2)
        .says(&["a.tar is not an image: it is neither a directory nor a tar archive"]);
    let mut command = pykeel();
    command.arg("check").arg(directory.path()).arg("--index").arg(directory.path());
    run(&mut command).exits(2).says(&["no list of security updates"]);
}

#[test]
fn a_full_disk_is_named_and_not_taken_for_a_damaged_image() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("small");
    let Some(_mounted) = Mounted::tmpfs(&place, "size=256k") else {
        skip!(Missing::Mounts, "nothing can be mounted here")
    };
    // A compressed archive is decompressed to the disk.
    root(&directory.path().join("root"));
    fs_err::write(directory.path().join("root/usr/bin/large"), vec![0; 4 << 20]).unwrap();
    let archive = directory.path().join("root.tar.gz");
    support::check(
        "tar",
        &[Path::new("-C"), &directory.path().join("root"), Path::new("-czf"), &archive, Path::new(".")],
    );
    let judge = |temporary: &Path| run(pykeel().arg("check").arg(&archive).env("TMPDIR", temporary));
    judge(&place).exits(5).says(&["root.tar.gz, decompressed", "No space left on device"]).says_not(&["damaged"]);
    judge(directory.path()).exits(0);
}

#[test]
fn a_name_that_no_program_knows_says_what_to_do() {
    let judge = |name: &str| run(pykeel().args(["check", name]).env("PATH", "/nonexistent"));
    judge("pykeel-tests.invalid/none:1").exits(2).says(&["no program here has an image", "docker save --output FILE"]);
}
