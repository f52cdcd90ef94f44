//! `image --rootfs`: the files below an image from scratch, which a Dockerfile copies. Python runs in them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::install::Site;
use super::roots::in_root;
use crate::missing::Missing;
use crate::skip;
use crate::support::{check, is_root, run};

/// All entries of a tree with their kinds, modes and times.
fn listed(tree: &Path) -> String {
    let tree = tree.display().to_string();
    check("sh", &["-c", &format!("cd {tree} && find . -printf '%P %y %m %T@ %s %l\\n' | sort")])
}

#[test]
fn python_runs_in_the_files_that_it_needs_and_they_are_the_same_every_time() {
    let site = Site::new();
    let (out, rootfs) = (site.path("out"), site.path("rootfs"));
    run(site.command(&["install", "3.13.5", "--no-build", "--no-sync", "--root"]).arg(&out)).exits(0);
    let make = |directory: &Path, more: &[&str]| {
        let mut command = site.command(&["image", "--rootfs"]);
        run(command.arg(directory).arg("--tree").arg(&out).args(more))
    };
    let written = make(&rootfs, &["--json"]).exits(0).json();
    assert!(written["files"].as_u64() > Some(300) && written["size"].as_u64() > Some(4_000_000), "{written}");
    assert!(rootfs.join("usr/share/zoneinfo/Europe/Zurich").exists());
    let passwd = fs_err::read_to_string(rootfs.join("etc/passwd")).expect("a file");
    assert!(passwd.contains("\napp:x:10001:10001:"), "{passwd}");
    assert_eq!(fs_err::metadata(rootfs.join("tmp")).expect("a directory").permissions().mode() & 0o7777, 0o1777);
    let listing = listed(&rootfs);
    assert!(listing.lines().all(|line| line.contains(" 0.0000000000 ")), "{listing}");

    // Its umask is that of nobody who comes after.
    let again = site.path("again");
    let mut command = Command::new("sh");
    let words = [env!("CARGO_BIN_EXE_pykeel"), "image", "--rootfs", again.to_str().expect("a text"), "--tree"];
    run(command.args(["-c", "umask 077 && exec \"$@\"", "sh"]).args(words).arg(&out)).exits(0);
    assert_eq!(listed(&again), listing);

    if !is_root() {
        skip!(Missing::Root, "only root can chroot");
    }
    check("cp", &["-a".into(), out.join("."), rootfs.clone()]);
    let script = "import ssl, zoneinfo, pwd, sqlite3, locale\n\
                  assert len(ssl.create_default_context().get_ca_certs()) > 100\n\
                  assert locale.setlocale(locale.LC_ALL, 'C.UTF-8')\n\
                  print(zoneinfo.ZoneInfo('Europe/Zurich'), pwd.getpwuid(10001).pw_name)";
    let ended = run(in_root().arg(&rootfs).args(["/opt/myorg/python-3.13/bin/python3", "-c", script]));
    assert_eq!(ended.exits(0).out, "Europe/Zurich app\n");
}

#[test]
fn what_the_files_cannot_be_made_of_is_said_and_nothing_is_written() {
    let site = Site::new();
    let out = site.path("out");
    let make = |directory: &Path, tree: &Path| {
        run(site.command(&["image", "--rootfs"]).arg(directory).arg("--tree").arg(tree))
    };
    let rootfs = site.path("rootfs");
    make(&rootfs, &site.path("absent")).exits(2).says(&["absent cannot go into an image: it is not a directory"]);
    fs_err::create_dir_all(&rootfs).expect("a directory");
    fs_err::create_dir_all(&out).expect("a directory");
    fs_err::write(rootfs.join("precious"), "").expect("a file");
    make(&rootfs, &out).exits(2).says(&["something is in it already"]);
    assert_eq!(fs_err::read_dir(&rootfs).expect("a directory").count(), 1);

    // An application's module without its library is a warning, a Python's an error.
    let source = site.path("x.c");
    fs_err::write(&source, "int x(void) { return 0; }\n").expect("a file");
    let path = |name: &str| site.path(name).display().to_string();
    check("gcc", &["-shared", "-fPIC", "-Wl,-soname,libabsent.so.1", "-o", &path("libabsent.so"), &path("x.c")]);
    let module = out.join("opt/app/module.so");
    fs_err::create_dir_all(module.parent().expect("a directory")).expect("a directory");
    let words = [
        "-shared",
        "-fPIC",
        "-Wl,--no-as-needed",
        "-o",
        &module.display().to_string(),
        &path("x.c"),
        &path("libabsent.so"),
    ]
    .map(str::to_owned);
    check("gcc", &words);
    make(&site.path("a"), &out).exits(0).says(&["libabsent.so.1"]);
    let manifest = out.join("opt/app/share/pykeel/manifest.json");
    fs_err::create_dir_all(manifest.parent().expect("a directory")).expect("a directory");
    fs_err::write(&manifest, "{}").expect("a file");
    make(&site.path("b"), &out).exits(1).says(&["libabsent.so.1", "install the package that has it"]);
    assert!(!site.path("b").exists());
    // Options of an image mean nothing here.
    run(&mut site.command(&["image", "--rootfs", "x", "--tree", "y", "3.13.5"]))
        .exits(2)
        .says(&["cannot be used with"]);
    run(&mut site.command(&["image", "--rootfs", "x"])).exits(2).says(&["--tree"]);
}
