//! `python-build`: its command line, its environment, its lines, and what it hands over to the original.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::{Server, empty, whole};
use crate::support::{Ended, check, run};
use crate::toy::{Behaviour, COUNTED, Toy};

/// Variables of python-build that the environment of the tests may have.
const VARIABLES: &[&str] = &[
    "CONFIGURE_OPTS",
    "PYTHON_CONFIGURE_OPTS",
    "PYTHON_CFLAGS",
    "PYTHON_CPPFLAGS",
    "PYTHON_LDFLAGS",
    "MAKE_OPTS",
    "MAKEOPTS",
    "PYTHON_MAKE_OPTS",
    "PYTHON_BUILD_MIRROR_URL",
    "PYTHON_BUILD_MIRROR_URL_SKIP_CHECKSUM",
    "PYTHON_BUILD_SKIP_MIRROR",
    "PYTHON_BUILD_CACHE_PATH",
    "PYTHON_BUILD_BUILD_PATH",
    "PYTHON_BUILD_FREE_THREADING",
    "PYTHON_BUILD_DEFINITIONS",
    "PYTHON_BUILD_ROOT",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

/// A toy whose configure records its arguments and its environment, and how often it ran.
pub fn toy() -> Toy {
    let configure = "printf '%s\\n' \"$@\" > @toy@/arguments; env > @toy@/environment; echo checking for gcc; \
                     echo ran >> @toy@/runs";
    assert!(configure.ends_with(COUNTED));
    Toy::new(Behaviour { configure, ..Behaviour::default() })
}

pub fn prepared(toy: &Toy, mut command: Command) -> Command {
    for name in VARIABLES {
        command.env_remove(name);
    }
    // There is no original beside the one of a test, and the toy has no shared libpython.
    command.env("PATH", "/usr/bin:/bin").env("PYTHON_CONFIGURE_OPTS", "--disable-shared");
    command.env("PYTHON_BUILD_CACHE_PATH", toy.mirror()).env("PYKEEL_OFFLINE", "1");
    command
}

/// `pykeel python-build` of the toy.
pub fn python_build(toy: &Toy, args: &[&str]) -> Command {
    prepared(toy, toy.command(&[&["python-build"], args].concat()))
}

pub fn path(toy: &Toy, name: &str) -> String {
    toy.path(name).display().to_string()
}

fn arguments(toy: &Toy) -> Vec<String> {
    fs_err::read_to_string(toy.path("arguments")).expect("the arguments").lines().map(str::to_owned).collect()
}

/// The plan of what is installed in a prefix.
fn plan(prefix: &str) -> serde_json::Value {
    let manifest = fs_err::read(Path::new(prefix).join("share/pykeel/manifest.json")).expect("a manifest");
    serde_json::from_slice::<serde_json::Value>(&manifest).expect("JSON")["plan"].clone()
}

fn with_input(command: &mut Command, input: &str) -> Ended {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
    // It need not read it.
    let _unread = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("its end").into()
}

pub fn script(path: &Path, text: &str) {
    fs_err::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs_err::write(path, text).expect("a file");
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a file");
}

#[test]
fn two_users_get_a_builder_under_the_programs_other_name_and_it_is_built_once() {
    let toy = toy();
    let name = toy.path("bin/python-build");
    fs_err::create_dir_all(toy.path("bin")).expect("a directory");
    fs_err::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pykeel"), &name).expect("a link");
    for user in ["one", "two"] {
        let home = toy.path(user);
        let prefix = home.join(".pyenv/versions/3.13.5").display().to_string();
        let mut command = prepared(&toy, toy.other(&name));
        let ended = run(command.env("HOME", &home).args(["3.13", &prefix])).exits(0);
        assert_eq!(ended.out, "");
        let lines: Vec<&str> = ended.err.lines().collect();
        assert_eq!(lines, ["Installing Python-3.13.5...", &format!("Installed Python-3.13.5 to {prefix}")]);
        for file in ["bin/python", "bin/python3", "include"] {
            assert!(Path::new(&prefix).join(file).exists(), "{file}");
        }
        let plan = plan(&prefix);
        assert_eq!(plan["request"]["flavor"], "builder");
        assert_eq!(plan["request"]["prefix"], "/opt/myorg/python-3.13");
        // Again, where it is already.
        run(&mut command).exits(0).says(&["Installed Python-3.13.5 to"]);
    }
    assert_eq!(toy.runs(), 1);
    toy.left_nothing();
}

#[test]
fn options_of_configure_are_policies_arguments_or_met_anyway() {
    let toy = toy();
    let prefix = path(&toy, "prefix");
    let mut command = python_build(&toy, &["3.13.5", &prefix]);
    command.env("CONFIGURE_OPTS", " --without-ensurepip  --with-tzpath='/a b' --enable-option-checking=fatal");
    command.env("PYTHON_CONFIGURE_OPTS", "--disable-shared --with-system-ffi \"--with-ssl-default-suites=A:B\"");
    run(&mut command).exits(0).says(&["python-build: --without-ensurepip: pip is installed all the same"]);
    let given = arguments(&toy);
    assert_eq!(given[given.len() - 2..], ["--with-tzpath=/a b", "--with-ssl-default-suites=A:B"]);
    let expected = serde_json::json!(["--with-tzpath=/a b", "--with-ssl-default-suites=A:B"]);
    assert_eq!(plan(&prefix)["request"]["policies"]["configure_arguments"], expected);

    let refused = |opts: &str, texts: &[&str]| {
        let mut command = python_build(&toy, &["3.13.5", &path(&toy, "other")]);
        run(command.env("PYTHON_CONFIGURE_OPTS", opts)).exits(1).says(texts);
    };
    refused("--with-x='a", &["PYTHON_CONFIGURE_OPTS has a quote without its partner"]);
    refused("--prefix=/usr", &["configure cannot be given `--prefix=/usr`", "the last argument of python-build"]);
    refused("--with-openssl=/opt/ssl", &["closed list of libraries", "PYKEEL_RECIPES"]);
    refused("--with-x=$(id)", &["`--with-x=$(id)`", "characters"]);
    assert_eq!(toy.runs(), 1);
    // A shared libpython is asked for as by the original: the toy has none.
    run(python_build(&toy, &["3.13.5", &path(&toy, "shared")]).env_remove("PYTHON_CONFIGURE_OPTS"))
        .exits(1)
        .says(&["lib/libpython3.13.so is missing", "\nBUILD FAILED ("]);
}

#[test]
fn flags_are_appended_and_in_the_key() {
    let toy = toy();
    let (one, two) = (path(&toy, "one"), path(&toy, "two"));
    run(&mut python_build(&toy, &["3.13.5", &one])).exits(0);
    let mut command = python_build(&toy, &["3.13.5", &two]);
    command.env("CFLAGS", "-O1").env("PYTHON_CFLAGS", "-DX=1").env("PYTHON_LDFLAGS", "-Wl,-O1");
    command.env("MAKE_OPTS", "-k -j2").env("PYTHON_BUILD_CURL_OPTS", "-s");
    let ended = run(command.args(["-4"])).exits(0);
    ended.says(&["python-build: these have no effect in pykeel: -k in MAKE_OPTS, PYTHON_BUILD_CURL_OPTS, -4\n"]);
    let environment = fs_err::read_to_string(toy.path("environment")).expect("the environment");
    for line in ["CFLAGS=-O1 -DX=1", "LDFLAGS=-Wl,-O1"] {
        assert!(environment.lines().any(|found| found == line), "{environment}");
    }
    assert_eq!(plan(&two)["request"]["policies"]["compiler_variables"]["CFLAGS"], "-O1 -DX=1");
    assert_eq!((toy.runs(), plan(&one)["environment"]["CFLAGS"].as_str()), (2, None));
}

#[test]
fn a_patch_from_standard_input_is_in_the_plan_and_in_the_key() {
    let toy = toy();
    let patch = "--- Modules/new.h\t2026-01-01\n+++ Modules/new.h\n@@ -0,0 +1 @@\n+new\n";
    let of_git = "diff --git a/Modules/new.h b/Modules/new.h\nnew file mode 100644\n--- /dev/null\n+++ b/Modules/new.h\n\
                  @@ -0,0 +1 @@\n+new\n";
    // Each prefix has what was asked for, and the same question has the same answer.
    for (name, input, count) in [("plain", None, 1), ("with", Some(of_git), 2), ("again", Some(of_git), 2)] {
        let prefix = path(&toy, name);
        let mut command = python_build(&toy, &["3.13.5", &prefix]);
        let ended = match input {
            None => run(&mut command),
            Some(input) => with_input(command.arg("-p"), input),
        };
        ended.exits(0);
        let patches = plan(&prefix)["patches"].as_array().expect("a list").clone();
        assert_eq!(patches.iter().any(|patch| patch["name"] == "standard-input.patch"), input.is_some(), "{patches:?}");
        assert_eq!(toy.runs(), count, "{name}");
    }
    // A rebuild needs what nothing has kept.
    let entries = walkdir::WalkDir::new(toy.store().join("artifacts")).into_iter().flatten();
    let tarballs =
        entries.map(walkdir::DirEntry::into_path).filter(|path| path.to_string_lossy().ends_with(".tar.zst"));
    let codes: Vec<i32> = tarballs
        .map(|tarball| {
            let ended = run(&mut toy.command(&["verify", "--rebuild", &tarball.display().to_string()]));
            if ended.code == 4 {
                assert!(ended.err.contains("standard-input.patch"), "{}", ended.err);
            }
            ended.code
        })
        .collect();
    assert!(codes.len() == 2 && codes.contains(&0) && codes.contains(&4), "{codes:?}");
    // A patch of diff has whole paths; this one is of a file that is not there.
    for (input, texts) in [
        (patch, &["patch standard-input.patch: the source has no file Modules/new.h", "BUILD FAILED"][..]),
        ("nonsense\n", &["it has no `---` and `+++` lines"]),
        ("diff --git a/x b/x\nrename from x\n", &["it renames a file"]),
    ] {
        with_input(&mut python_build(&toy, &["--patch", "3.13.5", &path(&toy, "x")]), input).exits(1).says(texts);
        assert!(!toy.path("x").exists());
    }
    toy.left_nothing();
}

#[test]
fn a_mirror_without_the_sum_is_passed_over_and_what_is_downloaded_is_cached() {
    let toy = toy();
    // No other place may help out.
    toy.write_recipe(|text| text.replace("pool = \"python{series}\"", ""));
    let file = fs_err::read(toy.archive()).expect("the archive");
    let upstream = Server::start(move |_, stream| stream.write_all(&whole(&file)));
    let url = format!("{}/{{base}}/{{file}}", upstream.base(""));
    toy.write_recipe(|text| {
        text.replace("https://www.python.org/ftp/python/{base}/{file}", &url).replace("pool = \"python{series}\"", "")
    });
    let mirror = Server::start(|_, stream| stream.write_all(&empty("404 Not Found")));
    let cache = toy.path("cache");
    fs_err::create_dir(&cache).expect("a directory");
    let ask = |prefix: &str| {
        let mut command = python_build(&toy, &["3.13.5", &path(&toy, prefix)]);
        command.env_remove("PYKEEL_OFFLINE").env("NO_PROXY", "127.0.0.1");
        command.env("PYTHON_BUILD_MIRROR_URL", format!("{}/", mirror.base(""))).env("PYTHON_BUILD_CACHE_PATH", &cache);
        command
    };
    let ended = run(&mut ask("one")).exits(0);
    let sum = check("sha256sum", &[toy.archive()])[..64].to_owned();
    let expected = format!(
        "Downloading Python-3.13.5.tar.xz...\n-> {}/{sum}\n-> {}/3.13.5/Python-3.13.5.tar.xz\nInstalling Python-3.13.5...\n",
        mirror.base(""),
        upstream.base("")
    );
    assert!(ended.err.starts_with(&expected), "{}", ended.err);
    let cached = cache.join("Python-3.13.5.tar.xz");
    assert_eq!(fs_err::read(&cached).expect("the cache"), fs_err::read(toy.archive()).expect("the archive"));

    // From the cache nothing is downloaded; one that was damaged is replaced.
    let rest = |damage: bool, prefix: &str| {
        fs_err::remove_dir_all(toy.store()).expect("the store");
        if damage {
            fs_err::write(&cached, "damaged").expect("the cache");
        }
        run(&mut ask(prefix)).exits(0)
    };
    rest(false, "two").says_not(&["Downloading"]);
    rest(true, "three").says(&["Downloading"]);
    assert!(fs_err::metadata(&cached).expect("the cache").len() > 100);

    // `…_SKIP_CHECKSUM` says how a mirror is laid out. The sum is checked all the same.
    let wrong = Server::start(|_, stream| stream.write_all(&whole(b"other bytes")));
    fs_err::remove_dir_all(toy.store()).expect("the store");
    fs_err::remove_file(&cached).expect("the cache");
    let mut command = ask("four");
    command.env("PYTHON_BUILD_MIRROR_URL", wrong.base("")).env("PYTHON_BUILD_MIRROR_URL_SKIP_CHECKSUM", "1");
    run(&mut command).exits(0).says(&[&format!("-> {}/3.13.5/Python-3.13.5.tar.xz\n-> ", wrong.base(""))]);
    assert!(mirror.heads().iter().all(|head| head.contains(&sum)), "{:?}", mirror.heads());
    command.env("PYTHON_BUILD_MIRROR_URL", "/srv/mirror");
    run(&mut command).exits(1).says(&["is not a URL: write file:///srv/mirror"]);
}

#[test]
fn a_build_that_fails_is_1_with_its_log_and_leaves_nothing() {
    let toy = Toy::failing();
    let ended = run(&mut python_build(&toy, &["3.13.5", &path(&toy, "prefix")])).exits(1);
    ended.says(&[
        "python-build: error: `make",
        "\nBUILD FAILED (",
        " using python-build 2.8.1",
        "\nResults logged to /",
        "Last 10 log lines:\n",
    ]);
    assert!(!toy.path("prefix").exists());
    toy.left_nothing();
}

#[test]
fn what_is_asked_for_may_be_in_any_order_and_shown_and_kept() {
    let toy = toy();
    let (prefix, build) = (path(&toy, "prefix"), toy.path("sources/3.13.5"));
    let mut command = python_build(&toy, &["-v", "3.13.5", "--keep", &prefix]);
    let ended = run(command.env("PYTHON_BUILD_BUILD_PATH", &build)).exits(0);
    // The output of the build is on standard output, as make prints it.
    assert!(ended.out.lines().any(|line| line == "checking for gcc"), "{}", ended.out);
    let kept = walkdir::WalkDir::new(&build).into_iter().flatten().any(|entry| entry.file_name() == "Makefile");
    assert!(kept, "no source tree in {}", build.display());
    for (args, text) in [
        (&["3.13.5"][..], "Usage: python-build"),
        (&["3.13.5", "/x", "y"], "Usage: python-build"),
        (&["", "/x"], "Usage: "),
    ] {
        run(&mut python_build(&toy, args)).exits(1).says(&[text]);
    }
    let mut command = python_build(&toy, &["3.13.5", &path(&toy, "other")]);
    fs_err::write(toy.path("file"), "").expect("a file");
    run(command.env("TMPDIR", toy.path("file/tmp"))).exits(1).says(&["is set to a non-accessible location"]);
}

#[test]
fn an_unknown_name_is_2_and_the_nearest_are_named() {
    let toy = toy();
    let nowhere = path(&toy, "prefix");
    for (name, lines) in [
        ("nonexistent", "python-build: definition not found: nonexistent\n".to_owned()),
        ("3.13.6", "python-build: definition not found: 3.13.6\npython-build: the nearest are 3.13.5\n".to_owned()),
    ] {
        let ended = run(&mut python_build(&toy, &[name, &nowhere])).exits(2);
        assert_eq!((ended.err, ended.out.as_str()), (lines, ""));
    }
    for name in ["pypy3.10-7.3.12", "3.14-dev", "2.7.18", "/nowhere/3.13.5"] {
        run(&mut python_build(&toy, &[name, &nowhere])).exits(2).says(&["the original python-build"]);
    }
    // A definition is shell, and is not run: nor is a file here that has the name of a release.
    let own = toy.path("own/3.13.5");
    script(&own, "touch ran\n");
    let mut command = python_build(&toy, &["3.13.5", &nowhere]);
    command.env("PYTHON_BUILD_DEFINITIONS", own.parent().expect("a directory"));
    run(&mut command).exits(2).says(&["a definition of python-build"]);
    run(&mut python_build(&toy, &[&own.display().to_string(), &nowhere])).exits(2);
    run(python_build(&toy, &["3.13.5", &nowhere]).current_dir(toy.path("own"))).exits(0);
    assert!(!toy.path("own/ran").exists());
}

/// A python-build that says with what it was called, and ends with 7.
const ORIGINAL: &str = "#!/bin/sh\necho \"original: $*\"\numask\ncat\nexit 7\n";

#[test]
fn what_is_no_recipe_is_handed_to_the_original() {
    let toy = toy();
    let prefix = path(&toy, "prefix");
    script(&toy.path("pb/bin/python-build"), ORIGINAL);
    for name in ["pypy3.10-7.3.12", "3.14-dev", "2.7.18"] {
        script(&toy.path("pb/share/python-build").join(name), "exit 1\n");
    }
    script(&toy.path("own/3.13.5"), "exit 1\n");
    let ask = |args: &[&str]| {
        let mut command = python_build(&toy, args);
        command.env("PATH", format!("{}:/usr/bin:/bin", path(&toy, "pb/bin")));
        command
    };
    for name in ["pypy3.10-7.3.12", "3.14-dev", "2.7.18"] {
        // Words, mask, standard input and exit code are the user's and the original's.
        let mut command = ask(&["-p", name, "-kg", &prefix]);
        let ended = with_input(&mut command, "a patch").exits(7);
        assert_eq!(ended.out, format!("original: -p {name} -kg {prefix}\n{}a patch", check("sh", &["-c", "umask"])));
    }
    let mut command = ask(&["3.13.5", &prefix]);
    run(command.env("PYTHON_BUILD_DEFINITIONS", toy.path("own"))).exits(7);
    run(&mut ask(&[&path(&toy, "own/3.13.5"), &prefix])).exits(7);
    // A free-threaded debug build is none of pykeel's.
    run(ask(&["-g", "3.13.5", &prefix]).env("PYTHON_BUILD_FREE_THREADING", "1")).exits(7);
    assert!(run(&mut ask(&["--version"])).exits(7).out.starts_with("original: --version\n"));
    let names = run(&mut ask(&["--definitions"])).exits(0).out;
    let names: Vec<&str> = names.lines().collect();
    assert!(
        ["2.7.18", "3.13.5", "3.13.5t", "3.14-dev", "pypy3.10-7.3.12"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    // What nobody knows is not handed over, and what is a recipe neither.
    run(&mut ask(&["3.13.6", &prefix])).exits(2).says(&["the nearest are 3.13.5"]);
    run(&mut ask(&["3.13.5", &prefix])).exits(0).says(&["Installed Python-3.13.5"]);
    // Of one that keeps its definitions elsewhere nobody knows what it knows.
    script(&toy.path("lone/bin/python-build"), ORIGINAL);
    let mut command = python_build(&toy, &["nonexistent", &prefix]);
    run(command.stdin(Stdio::null()).env("PYKEEL_PYTHON_BUILD", toy.path("lone/bin/python-build"))).exits(7);
    // It can be named, wherever it is.
    let mut command = python_build(&toy, &["2.7.18", &prefix]);
    run(command.env("PYKEEL_PYTHON_BUILD", toy.path("pb/bin/python-build"))).exits(7);
}

#[test]
fn an_original_that_is_pykeel_again_is_none() {
    let toy = toy();
    let (prefix, pykeel) = (path(&toy, "prefix"), env!("CARGO_BIN_EXE_pykeel"));
    let own = toy.path("own/mine");
    script(&own, "exit 1\n");
    let own = own.display().to_string();
    let ask = |path: &[PathBuf]| {
        let mut command = python_build(&toy, &[&own, &prefix]);
        let system = ["/usr/bin", "/bin"].map(PathBuf::from);
        command.env("PATH", std::env::join_paths(path.iter().chain(&system)).expect("a path"));
        command
    };
    // A shim, a link, and a script that hides what it starts.
    let shim = toy.path("shim/python-build");
    script(&shim, "#!/bin/sh\nexec pykeel python-build \"$@\"\n");
    let link = toy.path("link/python-build");
    fs_err::create_dir(toy.path("link")).expect("a directory");
    fs_err::os::unix::fs::symlink(pykeel, &link).expect("a link");
    let hidden = toy.path("hidden/python-build");
    script(&toy.path("hidden/start"), &format!("#!/bin/sh\nexec {pykeel} python-build \"$@\"\n"));
    script(&hidden, &format!("#!/bin/sh\n{} \"$@\"\n", path(&toy, "hidden/start")));
    let places = |programs: &[&PathBuf]| {
        programs.iter().map(|program| program.parent().expect("a directory").to_owned()).collect::<Vec<_>>()
    };
    run(&mut ask(&places(&[&shim, &link]))).exits(2).says(&["definition not found", "the original python-build"]);
    for named in [&shim, &link, &PathBuf::from("/nowhere/python-build"), &toy.path("shim")] {
        let broken = |args: &[&str]| {
            let mut command = python_build(&toy, args);
            run(command.env("PYKEEL_PYTHON_BUILD", named))
        };
        let ended = broken(&[&own, &prefix]).exits(1).says(&["PYKEEL_PYTHON_BUILD=/"]);
        ended.says_not(&["definition not found"]);
        broken(&["nonexistent", &prefix]).exits(1).says(&["PYKEEL_PYTHON_BUILD=/"]);
        // What pykeel knows itself it answers.
        for question in ["--definitions", "--version"] {
            let ended = broken(&[question]).exits(0);
            assert!(!ended.out.is_empty());
            ended.says(&["python-build: warning: PYKEEL_PYTHON_BUILD=/"]);
        }
    }
    run(&mut ask(&places(&[&hidden]))).exits(1).says(&["leads back to pykeel"]);
    // The real one may come after them.
    let original = toy.path("pb/python-build");
    script(&original, ORIGINAL);
    run(ask(&places(&[&shim, &link, &original])).stdin(Stdio::null())).exits(7);
}

#[test]
fn the_function_that_pyenv_evaluates_reads_a_command_line() {
    let toy = toy();
    let lib = run(&mut python_build(&toy, &["--lib"])).exits(0).out;
    let script = format!(
        "set -e\n{lib}\nparse_options -kv 3.13.5 --force 'a b' -g\nprintf '<%s>' \"${{OPTIONS[@]}}\" - \"${{ARGUMENTS[@]}}\"\n\
         parse_options\necho ${{#OPTIONS[@]}} ${{#ARGUMENTS[@]}}"
    );
    assert_eq!(check("bash", &["-c", &script]), "<k><v><force><g><-><3.13.5><a b>0 0\n");
}
