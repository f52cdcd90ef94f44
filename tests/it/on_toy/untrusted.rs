//! Verification of what may have been changed: nothing of it runs before its files are known to be the artifact's, and
//! then not as root.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, check, is_root, run, start};
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact;

/// A toy whose Python writes who runs it to a file, each time that it is verified.
const TELLS: Behaviour = Behaviour {
    configure: "",
    all: "",
    install: "echo 'id -u >>@toy@/open/ran' >lib/python3.13/toy-probe.sh",
    program: "",
};

/// The user `nobody`.
const NOBODY: &str = "65534";

/// A prefix of that toy, in a directory that every user may enter.
struct Scene {
    toy: Toy,
    tarball: PathBuf,
    prefix: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let toy = Toy::new(TELLS);
        let open = toy.path("open");
        fs_err::create_dir(&open).expect("a directory");
        set_mode("755", &toy.path(""));
        set_mode("777", &open);
        let tarball = toy.build().exits(0).json()[0]["tarball"].as_str().expect("a path").into();
        let prefix = toy.path("python");
        run(toy.command(&["install", "3.13.5", "--no-build", "--prefix"]).arg(&prefix)).exits(0);
        let scene = Self { toy, tarball, prefix };
        assert!(!scene.users().is_empty(), "a build runs what it made");
        scene
    }

    /// The users who ran its Python since the last call.
    fn users(&self) -> Vec<String> {
        let file = self.toy.path("open/ran");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let _absent = std::fs::remove_file(&file);
        text.lines().map(str::to_owned).collect()
    }

    fn verify(&self, what: &Path, args: &[&str]) -> Ended {
        run(self.toy.command(&["verify", "--json"]).args(args).arg(what))
    }

    /// Changes a file of the prefix.
    fn append(&self, file: &str, text: &str) {
        let path = self.prefix.join(file);
        fs_err::write(&path, fs_err::read_to_string(&path).unwrap_or_default() + text).expect("a file");
    }
}

/// Closes or opens a directory or a file.
fn set_mode(mode: &str, directory: &Path) {
    check("chmod", &[mode.as_ref(), directory]);
}

/// The check that a change fails, the finding, and the change.
type Change = (&'static str, &'static str, fn(&Scene));

/// The result of a check.
fn result<'a>(verified: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let checks = verified["checks"].as_array().expect("an array");
    let check = checks.iter().find(|check| check["name"] == name);
    &check.unwrap_or_else(|| panic!("no check {name}"))["result"]
}

#[test]
fn nothing_of_a_prefix_with_a_changed_file_is_run() {
    let scene = Scene::new();
    scene.verify(&scene.prefix, &[]).exits(0);
    assert!(!scene.users().is_empty());
    let changes: [Change; 5] = [
        ("sums of all files", "abc.py was changed", |scene| scene.append("lib/python3.13/abc.py", "evil\n")),
        ("sums of all files", "sitecustomize.py is not part", |scene| {
            scene.append("lib/python3.13/sitecustomize.py", "evil\n");
        }),
        ("sums of all files", "heapq.py is missing", |scene| {
            fs_err::remove_file(scene.prefix.join("lib/python3.13/heapq.py")).expect("a file");
        }),
        ("links are the artifact's", "bin/python3 says /bin/sh", |scene| {
            fs_err::remove_file(scene.prefix.join("bin/python3")).expect("a link");
            fs_err::os::unix::fs::symlink("/bin/sh", scene.prefix.join("bin/python3")).expect("a link");
        }),
        ("modes", "abc.py is world-writable", |scene| {
            set_mode("666", &scene.prefix.join("lib/python3.13/abc.py"));
        }),
    ];
    for (name, finding, change) in changes {
        check("rm", &["-rf".as_ref(), scene.prefix.as_path()]);
        run(scene.toy.command(&["install", "3.13.5", "--no-build", "--prefix"]).arg(&scene.prefix)).exits(0);
        change(&scene);
        let ended = scene.verify(&scene.prefix, &[]).exits(4);
        let ended = ended.says(&[finding, "nothing of this tree was run", &format!("failed these checks: {name}")]);
        assert_eq!(scene.users(), Vec::<String>::new(), "{name}");
        let verified = ended.json();
        assert_eq!(result(&verified, name)["status"], "failed");
        let running = result(&verified, "running Python");
        assert_eq!(running["status"], "skipped");
        assert!(running["detail"].as_str().expect("a text").contains(&format!("failed these checks: {name}")));
    }
}

#[test]
fn nothing_of_a_tarball_with_a_changed_file_is_run() {
    let scene = Scene::new();
    let tree = scene.toy.path("tree");
    fs_err::create_dir(&tree).expect("a directory");
    let pack = |top: &str| {
        let tarball = scene.toy.path("changed.tar.gz");
        check("tar", &["-C".as_ref(), tree.as_os_str(), "-czf".as_ref(), tarball.as_os_str(), top.as_ref()]);
        tarball
    };
    let words = ["-C".as_ref(), tree.as_os_str(), "--zstd".as_ref(), "-xf".as_ref(), scene.tarball.as_os_str()];
    check("tar", &words);
    scene.verify(&pack("python-3.13"), &[]).exits(0);
    assert!(!scene.users().is_empty());
    // Not only what a file has in it counts: the tree is not what it says that it is.
    fs_err::rename(tree.join("python-3.13"), tree.join("other")).expect("a directory");
    scene.verify(&pack("other"), &[]).exits(4).says(&["it is other", "nothing of this tree was run"]);
    fs_err::rename(tree.join("other"), tree.join("python-3.13")).expect("a directory");
    fs_err::write(tree.join("python-3.13/lib/python3.13/abc.py"), "evil\n").expect("a file");
    scene.verify(&pack("python-3.13"), &[]).exits(4).says(&["abc.py was changed", "nothing of this tree was run"]);
    assert_eq!(scene.users(), Vec::<String>::new());
}

#[test]
fn a_build_runs_nothing_of_a_tree_whose_files_fail() {
    let toy = Toy::new(Behaviour {
        install: "printf '#!/usr/bin/python3\\n' >bin/wrong && echo 'touch @toy@/ran' >lib/python3.13/toy-probe.sh",
        ..Behaviour::default()
    });
    toy.build()
        .exits(4)
        .says(&["bin/wrong is run by /usr/bin/python3", "running Python: nothing of this tree was run"]);
    assert!(!toy.path("ran").exists());
    toy.left_nothing();
}

#[test]
fn static_verification_runs_nothing_in_any_case() {
    let scene = Scene::new();
    for what in [&scene.prefix, &scene.tarball] {
        let verified = scene.verify(what, &["--static"]).exits(0).json();
        assert_eq!(result(&verified, "sums of all files")["status"], "passed");
        assert_eq!(result(&verified, "running Python")["status"], "skipped");
    }
    let text = run(scene.toy.command(&["verify", "--static"]).arg(&scene.prefix)).exits(0).out;
    assert!(text.contains("skipped running Python: not run, as asked for"), "{text}");
    scene.append("lib/python3.13/abc.py", "evil\n");
    scene.verify(&scene.prefix, &["--static"]).exits(4).says(&["abc.py was changed"]);
    assert_eq!(scene.users(), Vec::<String>::new());
    run(scene.toy.command(&["verify", "--static", "--rebuild"]).arg(&scene.tarball)).exits(2);
}

#[test]
fn root_runs_python_as_nobody_in_namespaces_of_its_own() {
    if !is_root() {
        skip!(Missing::Root, "only root can become another user");
    }
    let scene = Scene::new();
    for what in [&scene.prefix, &scene.tarball] {
        let verified = scene.verify(what, &[]).exits(0).json();
        let users = scene.users();
        assert!(!users.is_empty() && users.iter().all(|user| user == NOBODY), "{users:?}");
        assert_eq!(verified["isolation"]["user"], "nobody");
        let namespaces = verified["isolation"]["namespaces"].as_array().expect("an array");
        let lacking = verified["isolation"]["lacking"].as_array().expect("an array");
        assert_eq!(namespaces.len() + lacking.len(), 4, "{verified}");
        if namespaces.len() < 4 {
            skip!(Missing::Mounts, "this system does not allow every namespace: {lacking:?}");
        }
        assert_eq!(result(&verified, "at its prefix: import:abc")["status"], "passed");
    }
}

#[test]
fn python_finds_its_tree_in_a_directory_that_is_closed_to_nobody() {
    if !is_root() {
        skip!(Missing::Root, "only root can become another user");
    }
    let scene = Scene::new();
    let closed = scene.toy.path("closed");
    fs_err::create_dir_all(closed.join("tmp")).expect("a directory");
    fs_err::rename(&scene.prefix, closed.join("python")).expect("a directory");
    set_mode("700", &closed);
    if scene.verify(&scene.tarball, &[]).exits(0).json()["isolation"]["namespaces"] != all_namespaces() {
        skip!(Missing::Mounts, "this system does not allow every namespace");
    }
    scene.users();
    scene.verify(&closed.join("python"), &[]).exits(0);
    let mut verify = scene.toy.command(&["verify"]);
    run(verify.arg(&scene.tarball).env("TMPDIR", closed.join("tmp"))).exits(0);
    let users = scene.users();
    assert!(users.len() > 2 && users.iter().all(|user| user == NOBODY), "{users:?}");
    // Its own directory is closed too: nothing can be done about that.
    set_mode("700", &closed.join("python"));
    let verified = scene.verify(&closed.join("python"), &[]).exits(0).json();
    let detail = result(&verified, "running Python")["detail"].as_str().expect("a text").to_owned();
    assert!(detail.starts_with("root runs it as the user nobody, who may not enter /"), "{detail}");
    assert_eq!(scene.users(), Vec::<String>::new());
}

/// All namespaces, as JSON has them.
fn all_namespaces() -> serde_json::Value {
    serde_json::json!(["user", "network", "pid", "mount"])
}

/// Takes a command into what most containers are for a program: it is root and cannot make a namespace.
fn in_container(command: &Command) -> Command {
    // The kernel allows no user namespace to a process in a root of its own.
    const SCRIPT: &str = r#"
        mkdir -p "$1" && mount --rbind / "$1" && shift &&
        exec chroot "$0" setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@""#;
    let mut container = Command::new("unshare");
    let root = "/mnt";
    container.args(["--mount", "sh", "-c", SCRIPT, root, root]);
    start(&mut container, command);
    container
}

#[test]
fn in_a_container_root_runs_python_as_nobody_and_says_what_it_could_not_have() {
    if !is_root() || run(&mut in_container(&Command::new("true"))).code != 0 {
        skip!(Missing::Mounts, "no container can be imitated");
    }
    let scene = Scene::new();
    let mut verify = scene.toy.command(&["verify", "--json"]);
    let verified = run(&mut in_container(verify.arg(&scene.tarball))).exits(0).json();
    assert_eq!(scene.users(), [NOBODY], "it runs once: not at its prefix");
    assert_eq!(verified["isolation"]["user"], "nobody");
    assert_eq!(verified["isolation"]["namespaces"], serde_json::json!([]));
    let lacking = verified["isolation"]["lacking"].as_array().expect("an array");
    assert_eq!(lacking.len(), 4);
    assert!(lacking.iter().all(|lack| lack["reason"] == "Operation not permitted"), "{lacking:?}");
    let reason = "this system allows no mount namespace (Operation not permitted)";
    assert_eq!(result(&verified, "at its prefix")["detail"], reason);
    let text = run(&mut in_container(scene.toy.command(&["verify"]).arg(&scene.tarball))).exits(0).out;
    let said = "Python ran without its own user, network, PID and mount namespace: this system allows none (Operation";
    assert!(text.contains(said), "{text}");

    // A prefix that nobody may not enter is not run by root.
    let closed = scene.toy.path("closed");
    fs_err::create_dir(&closed).expect("a directory");
    fs_err::rename(&scene.prefix, closed.join("python")).expect("a directory");
    set_mode("700", &closed);
    scene.users();
    let mut verify = scene.toy.command(&["verify"]);
    let text = run(&mut in_container(verify.arg(closed.join("python")))).exits(0).out;
    let said = format!("root runs it as the user nobody, who may not enter {}, and {reason}", closed.display());
    assert!(text.contains(&said), "{text}");
    assert_eq!(scene.users(), Vec::<String>::new());

    // A build below such a directory is verified where nobody may go.
    set_mode("700", &scene.toy.path("store"));
    check("rm", &["-r".as_ref(), scene.toy.path("store/artifacts").as_path()]);
    let said = "Python ran without its own user";
    run(&mut in_container(&scene.toy.build_command())).exits(0).says(&["checks passed", said]);
    assert_eq!(scene.users(), [NOBODY]);
}

#[test]
fn what_python_leaves_running_ends_with_it_in_a_container_too() {
    if !is_root() || run(&mut in_container(&Command::new("true"))).code != 0 {
        skip!(Missing::Mounts, "no container can be imitated");
    }
    let toy = Toy::new(Behaviour {
        install: "echo 'setsid sleep 4711 >/dev/null 2>&1 &' >lib/python3.13/toy-probe.sh",
        ..Behaviour::default()
    });
    for command in [toy.build_command(), in_container(&toy.build_command())] {
        let mut command = command;
        run(command.env("PYKEEL_STORE", toy.path("store"))).exits(0);
        check("rm", &["-r".as_ref(), toy.path("store/artifacts").as_path()]);
        let left = run(Command::new("pgrep").args(["-f", "sleep 4711"])).out;
        assert_eq!(left, "");
    }
}

/// What `pip install --upgrade pip` leaves in a prefix of the toy: another version of pip in place of its own.
fn upgrade_pip(prefix: &Path) {
    let packages = prefix.join("lib/python3.13/site-packages");
    fs_err::remove_dir_all(packages.join("pip-1.0.dist-info")).expect("a directory");
    let metadata = packages.join("pip-2.0.dist-info");
    fs_err::create_dir(&metadata).expect("a directory");
    let mut record = "pip-2.0.dist-info/RECORD,,\n".to_owned();
    let entry_points = "[console_scripts]\npip = pip:main\npip3 = pip:main\n";
    for (path, text) in [
        ("pip/__init__.py", "# another\n"),
        ("pip/further.py", "# added\n"),
        ("pip-2.0.dist-info/entry_points.txt", entry_points),
        ("../../../bin/pip3.13", "#!/opt/myorg/python-3.13/bin/python3.13\nimport pip\n"),
    ] {
        fs_err::write(packages.join(path), text).expect("a file");
        let sum = URL_SAFE_NO_PAD.encode(Sha256::digest(text));
        writeln!(record, "{path},sha256={sum},{}", text.len()).expect("a text");
    }
    fs_err::write(metadata.join("RECORD"), record).expect("a file");
}

#[test]
fn another_version_of_pip_is_said_and_is_no_failure_and_explains_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    set_mode("755", directory.path());
    let prefix = directory.path().join("python");
    let mut install = toy_artifact::pykeel();
    install.args(["install", "3.13.5", "--no-build", "--flavor", "builder", "--prefix"]);
    run(install.arg(&prefix)).exits(0);
    let verify = || run(toy_artifact::pykeel().args(["verify", "--json"]).arg(&prefix));
    assert_eq!(verify().exits(0).json()["installed"], serde_json::json!([]));
    upgrade_pip(&prefix);
    let verified = verify().exits(0).json();
    let expected = serde_json::json!([{ "name": "pip", "version": "2.0", "added": 3, "changed": 2, "removed": 1 }]);
    assert_eq!(verified["installed"], expected);
    assert_eq!(result(&verified, "moved: import:abc")["status"], "passed");
    let text = run(toy_artifact::pykeel().arg("verify").arg(&prefix)).exits(0).out;
    assert!(text.contains("pip 2.0 changed 2 of the artifact's files and removed 1, as its RECORD says"), "{text}");
    // The list of pip says that a module of the standard library is its own, with the sum that it has.
    let module = prefix.join("lib/python3.13/abc.py");
    fs_err::write(&module, "evil\n").expect("a file");
    let record = prefix.join("lib/python3.13/site-packages/pip-2.0.dist-info/RECORD");
    let line = format!("../abc.py,sha256={},5\n", URL_SAFE_NO_PAD.encode(Sha256::digest("evil\n")));
    fs_err::write(&record, fs_err::read_to_string(&record).expect("a file") + &line).expect("a file");
    verify().exits(4).says(&["abc.py was changed", "nothing of this tree was run"]).says_not(&["pip/__init__.py"]);
}

#[test]
fn no_variable_of_the_user_and_no_program_on_their_path_reaches_what_is_run() {
    let toy = Toy::new(Behaviour {
        configure: "env >>@toy@/open/environment",
        install: "env >>@toy@/open/environment && echo 'env >>@toy@/open/of-probe' >lib/python3.13/toy-probe.sh",
        ..Behaviour::default()
    });
    set_mode("755", &toy.path(""));
    fs_err::create_dir_all(toy.path("open")).expect("a directory");
    set_mode("777", &toy.path("open"));
    let programs = toy.path("programs");
    fs_err::create_dir(&programs).expect("a directory");
    for name in ["dpkg-query", "rpm", "unshare", "setpriv", "mount", "ldd", "sh", "gcc", "pkg-config", "make", "env"] {
        let path = programs.join(name);
        fs_err::write(&path, format!("#!/bin/sh\necho {name} >>{}\nexit 1\n", toy.path("open/false").display()))
            .expect("a file");
        set_mode("755", &path);
    }
    let mut command = toy.build_command();
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    // The loader complains about it on standard error, of pykeel alone, and runs the program all the same.
    command.env("LD_PRELOAD", "/no/such/library.so").env("DPKG_ADMINDIR", "/no/such").env("BASH_ENV", "/no/such");
    let built = run(&mut command).exits(0);
    run(toy
        .command(&["verify"])
        .arg(built.json()[0]["tarball"].as_str().expect("a path"))
        .env("LD_PRELOAD", "/no/such"))
    .exits(0);
    // Those of configure and make, and those of the Python that is verified.
    for (file, programs) in [("environment", 2), ("of-probe", 4)] {
        let environment = fs_err::read_to_string(toy.path("open").join(file)).expect("a file");
        assert!(environment.matches("LC_ALL=").count() >= programs, "{environment}");
        for name in ["LD_PRELOAD", "DPKG_ADMINDIR", "BASH_ENV", "PYKEEL_", "/programs"] {
            assert!(!environment.contains(name), "{environment}");
        }
    }
    assert!(!toy.path("open/false").exists(), "{:?}", fs_err::read_to_string(toy.path("open/false")));
}
