//! Fault injection in a build. Each fault has its exit code and a message with thing, reason and
//! remedy; nothing half-made is left, and the same command works afterwards.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::level::{count, kill_at_moments};
use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, check, run};
use crate::toy::{Behaviour, Toy};

#[test]
fn a_toy_goes_through_all_stages_and_is_found_again() {
    let toy = Toy::new(Behaviour::default());
    let first = toy.build().exits(0).json();
    assert_eq!(first[0]["cached"], false);
    let second = toy.build().exits(0).json();
    assert_eq!(second[0]["cached"], true);
    assert_eq!(second[0]["digest"], first[0]["digest"]);
    toy.left_nothing();
}

#[test]
fn the_bytes_do_not_depend_on_the_builder() {
    let toy = Toy::new(Behaviour::default());
    let digest = |store: &Path, change: &dyn Fn(&mut Command)| {
        let mut command = toy.build_command();
        command.env("PYKEEL_STORE", store);
        change(&mut command);
        run(&mut command).exits(0).json()[0]["digest"].clone()
    };
    let plain = digest(&toy.path("a"), &|_| {});
    let other = digest(&toy.path("a-much-longer-name/of/a/store"), &|command| {
        command
            .env("TZ", "Asia/Tokyo")
            .env("LC_ALL", "POSIX")
            .env("HOME", "/")
            .env("USER", "nobody")
            .args(["--jobs", "7"]);
    });
    assert_eq!(other, plain);
    // A path that make cannot work in: the build goes on elsewhere.
    fs_err::create_dir(toy.path("tmp")).expect("a directory");
    let spaced = digest(&toy.path("a störe with spaces"), &|command| {
        command.env("TMPDIR", toy.path("tmp"));
    });
    assert_eq!(spaced, plain);
    let masked = run(Command::new("sh")
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_pykeel"))
        .args(["build", "3.13.5", "--optimize", "none", "--json", "--offline"])
        .arg("--mirror")
        .arg(toy.mirror())
        .env("PYKEEL_STORE", toy.path("masked"))
        .env("PYKEEL_RECIPES", toy.path("recipes")));
    assert_eq!(masked.exits(0).json()[0]["digest"], plain);
}

#[test]
fn a_missing_header_is_named_before_configure_runs_with_the_line_that_installs_it() {
    let toy = Toy::new(Behaviour { configure: "echo configure ran >&2; exit 1", ..Behaviour::default() });
    toy.write_recipe(|text| {
        text.replace("headers = [\"openssl/ssl.h\"]", "headers = [\"openssl/no-such.h\"]")
            .replace("headers = [\"zlib.h\"]", "headers = [\"no-zlib.h\"]")
    });
    let ended = toy.build().exits(1).says(&[
        "openssl/no-such.h (for _ssl, _hashlib)",
        "no-zlib.h (for zlib, binascii)",
        "--install-deps",
    ]);
    if Path::new("/etc/debian_version").exists() {
        ended.says(&["apt-get update && apt-get install -y --no-install-recommends libssl-dev zlib1g-dev"]);
    }
    toy.left_nothing();
}

#[test]
fn a_library_that_is_too_old_for_the_series_is_named_before_configure_runs() {
    let toy = Toy::new(Behaviour { configure: "echo configure ran >&2; exit 1", ..Behaviour::default() });
    toy.write_recipe(|text| text.replace("SQLITE_VERSION_NUMBER >= 3015002", "SQLITE_VERSION_NUMBER >= 999000000"));
    toy.build().exits(1).says(&[
        "error: Python 3.13.5 needs sqlite 3.15.2 or later (for _sqlite3), and this system has an older one",
        "build on a later release of the distribution",
    ]);
    toy.left_nothing();
}

#[test]
fn a_missing_compiler_is_named() {
    let toy = Toy::new(Behaviour::default());
    run(toy.build_command().env("CC", "no-such-cc")).exits(1).says(&["no-such-cc (named by CC)"]);
}

#[test]
fn musl_is_refused_in_words() {
    if !Path::new("/usr/bin/musl-gcc").exists() {
        skip!(Missing::Program("musl-gcc"), "there is no musl-gcc (musl-tools)");
    }
    let toy = Toy::new(Behaviour::default());
    run(toy.build_command().env("CC", "musl-gcc")).exits(2).says(&["musl", "glibc", "Debian"]);
}

#[test]
fn a_required_module_that_did_not_build_is_an_error_with_its_reason_and_package() {
    let toy = Toy::new(Behaviour {
        all: "echo 'The necessary bits to build these optional modules were not found:'; echo '_sqlite3   _uuid'",
        install: "rm lib/python3.13/lib-dynload/_sqlite3.* lib/python3.13/lib-dynload/_uuid.*",
        ..Behaviour::default()
    });
    toy.build().exits(1).says(&[
        "without _sqlite3 (a header or library was not found), _uuid",
        "libsqlite3-dev, uuid-dev",
        "logs/cpython-3.13.5-",
    ]);
    toy.left_nothing();
}

#[test]
fn a_module_that_is_not_built_in_though_the_recipe_says_so_is_an_error() {
    let toy = Toy::new(Behaviour::default());
    toy.write_recipe(|text| text.replace("[modules.builtin]\n", "[modules.builtin]\n_absent = \"absentmodule.c\"\n"));
    toy.build().exits(1).says(&["Python was built without _absent (make did not build it)"]);
    toy.left_nothing();
}

#[test]
fn a_module_that_the_recipe_does_not_list_is_an_error() {
    let toy = Toy::new(Behaviour {
        install: "cp lib/python3.13/lib-dynload/mmap.* lib/python3.13/lib-dynload/_surprise.so",
        ..Behaviour::default()
    });
    toy.build().exits(1).says(&["_surprise", "modules.disabled"]);
}

#[test]
fn a_library_that_no_recipe_names_is_an_error() {
    let toy = Toy::new(Behaviour::default());
    toy.write_recipe(|text| text.replace("link = [\"sqlite3\"]", "link = []"));
    toy.build().exits(1).says(&["libsqlite3.so.0", "_sqlite3", "[library]"]);
}

#[test]
fn a_compiler_error_is_shown_with_its_context_and_the_log() {
    let toy = Toy::new(Behaviour {
        all: "echo \"a.c:3:1: error: unknown type name 'foo'\"; echo '    3 | foo bar;'; exit 1",
        ..Behaviour::default()
    });
    let ended =
        toy.build().exits(1).says(&["a.c:3:1: error: unknown type name 'foo'", "3 | foo bar;", "the whole log is"]);
    let log = ended.err.split("the whole log is ").nth(1).and_then(|rest| rest.lines().next()).expect("a path");
    assert!(fs_err::read_to_string(log).expect("the log").contains("$ make -o"));
    toy.left_nothing();
}

#[test]
fn a_compiler_that_was_killed_is_said_to_be() {
    let toy = Toy::new(Behaviour { all: "sh -c 'kill -9 $$$$'", ..Behaviour::default() });
    toy.build().exits(1).says(&["make", "failed"]);
    toy.left_nothing();
}

#[test]
fn an_artifact_that_fails_verification_is_not_published_and_every_finding_is_shown() {
    let toy = Toy::new(Behaviour {
        install: "rm lib/python3.13/heapq.py && echo 'raise SystemExit(3)' >lib/python3.13/colorsys.py",
        ..Behaviour::default()
    });
    toy.build().exits(4).says(&["checks", "heapq", "colorsys"]);
    assert_eq!(run(&mut toy.command(&["list", "--json"])).exits(0).json().as_array().map(Vec::len), Some(0));
    toy.left_nothing();
}

#[test]
fn a_recipe_error_names_file_line_and_column() {
    let toy = Toy::new(Behaviour::default());
    toy.write_recipe(|text| text.replacen("series", "serie", 1));
    let file = toy.path("recipes/3.13.toml");
    let place = format!("{}:3:1: unknown field `serie`", file.display());
    toy.build().exits(2).says(&[&place]);
    toy.write_recipe(|text| {
        format!("{text}[patch]\nnone = {{ file = \"3.13/none.patch\", sha256 = \"{}\" }}\n", "0".repeat(64))
    });
    toy.build().exits(2).says(&["there is no patch patches/3.13/none.patch", "3.13.toml:"]);
    run(toy.command(&["recipe", "check"]).arg(&file)).exits(2).says(&["there is no patch"]);
}

#[test]
fn a_patch_that_does_not_fit_names_the_line_and_what_is_there() {
    let toy = Toy::failing();
    let diff = "--- a/Makefile\n+++ b/Makefile\n@@ -1,2 +1,2 @@\n .PHONY: all install\n-all: other\n+all: mine\n";
    fs_err::create_dir_all(toy.path("recipes/patches/3.13")).expect("a directory");
    fs_err::write(toy.path("recipes/patches/3.13/misfit.patch"), diff).expect("a file");
    let sum = pykeel::domain::digest::Digest::of(diff);
    toy.write_recipe(|text| {
        format!("{text}[patch]\nmisfit = {{ file = \"3.13/misfit.patch\", sha256 = \"{sum}\" }}\n")
    });
    let line = "hunk 1: line 2 has to be `all: other`, and it is `all: `";
    toy.build().exits(2).says(&["patch 3.13/misfit.patch: it does not fit Makefile", line, "recipe check"]);
    toy.left_nothing();
}

/// Starts a build whose make hangs, and waits until it does.
fn hanging(toy: &Toy) -> Child {
    let child = toy.build_command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pykeel");
    wait_for("make to hang", || !sleepers(toy).is_empty());
    child
}

/// The processes that run the toy's marker command.
fn sleepers(toy: &Toy) -> Vec<String> {
    let marker = format!("{}", toy.path("store/work").display());
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc").expect("/proc").flatten() {
        let command = fs_err::read(entry.path().join("cmdline")).unwrap_or_default();
        let directory = fs_err::read_link(entry.path().join("cwd")).unwrap_or_default();
        if command.starts_with(b"sleep\0987") && directory.starts_with(&marker) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

#[track_caller]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const HANGS_ONCE: Behaviour = Behaviour {
    configure: "",
    // The archive is the same for the second build; a file beside the store tells them apart.
    all: "test -e ../../../../second || sleep 987",
    install: "",
    program: "",
};

#[test]
fn an_interrupt_cleans_up_and_the_same_command_then_works() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let toy = Toy::new(HANGS_ONCE);
        let child = hanging(&toy);
        check("kill", &["-s", signal, &child.id().to_string()]);
        let ended = Ended::from(child.wait_with_output().expect("pykeel"));
        assert_eq!(ended.code, code, "{}", ended.err);
        assert!(sleepers(&toy).is_empty());
        toy.left_nothing();
        fs_err::write(toy.path("second"), "").expect("a file");
        toy.build().exits(0);
    }
}

#[test]
fn sigkill_leaves_no_orphan_and_the_same_command_then_works() {
    let toy = Toy::new(HANGS_ONCE);
    let mut child = hanging(&toy);
    child.kill().expect("kill");
    child.wait().expect("pykeel");
    wait_for("make's children to end", || sleepers(&toy).is_empty());
    fs_err::write(toy.path("second"), "").expect("a file");
    toy.build().exits(0);
    // What the killed process had made is cleaned by the next.
    toy.left_nothing();
}

#[test]
fn sigkill_at_any_moment_loses_only_the_work_in_flight() {
    let toy = Toy::new(Behaviour::default());
    let elsewhere = run(toy.build_command().env("PYKEEL_STORE", toy.path("elsewhere"))).exits(0);
    let whole = elsewhere.json()[0]["digest"].clone();
    let start = || toy.build_command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pykeel");
    let reset = || fs_err::remove_dir_all(toy.store().join("artifacts")).expect("a directory");
    kill_at_moments(count(25, 8), start, reset, || {
        // A reader sees a whole artifact or none.
        let listed = run(&mut toy.command(&["list", "--json"])).exits(0).json();
        for artifact in listed.as_array().expect("an array") {
            assert_eq!(artifact["digest"], whole);
        }
    });
    let ended = toy.build().exits(0);
    assert_eq!(ended.json()[0]["digest"], whole);
    toy.left_nothing();
}

#[test]
fn two_builders_at_once_do_the_work_once() {
    let toy = Toy::new(Behaviour { all: "sleep 1", ..Behaviour::default() });
    let start = || toy.build_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pykeel");
    let children = [start(), start(), start()];
    let results = children.map(|child| Ended::from(child.wait_with_output().expect("pykeel")).exits(0).json());
    let built = results.iter().filter(|result| result[0]["cached"] == false).count();
    assert_eq!(built, 1);
    assert!(results.iter().all(|result| result[0]["digest"] == results[0][0]["digest"]));
}
