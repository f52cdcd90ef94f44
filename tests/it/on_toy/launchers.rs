//! Compiler launchers: what environment they get, what they cache, and that the bytes stay the same.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, is_root, run, start};
use crate::toy::{Behaviour, Toy};

/// What a toy's make does: it says what its environment is and compiles one file, by a path that is
/// another in each build.
macro_rules! compiling {
    ($more:literal) => {
        concat!(
            "env | sed 's/^/ENV /'; echo \"MAKE $(CC)\"; ",
            "test -z \"$$CCACHE_CONFIGPATH\" || sed 's/^/CONF /' $$CCACHE_CONFIGPATH; ",
            "$(CC) -O2 -c $(CURDIR)/answer.c -o $(CURDIR)/answer.o && ls answer.o",
            $more
        )
    };
}

const SOURCE: &str = "echo 'int answer(void) { return 42; }' > answer.c";

/// Ends a test where there is no ccache.
macro_rules! needs_ccache {
    () => {
        if run(Command::new("which").arg("ccache")).code != 0 {
            skip!(Missing::Program("ccache"), "there is no ccache");
        }
    };
}

struct Launched {
    toy: Toy,
}

impl Launched {
    /// One whose object is in the artifact.
    fn installed() -> Self {
        let install = "mkdir -p share && od -A n -t x1 $$OLDPWD/answer.o > share/answer.txt";
        Self::of(Toy::new(Behaviour { configure: SOURCE, all: compiling!(""), install, program: "" }))
    }

    /// One that ends when it has compiled.
    fn compiled() -> Self {
        let all = compiling!(" && exit 1");
        Self::of(Toy::without_tree(Behaviour { configure: SOURCE, all, ..Behaviour::default() }))
    }

    fn of(toy: Toy) -> Self {
        for directory in ["home", "config/ccache"] {
            fs_err::create_dir_all(toy.path(directory)).expect("a directory");
        }
        Self { toy }
    }

    /// A build into a store of its own, with a launcher and nothing of this machine's.
    fn command(&self, store: &str, launcher: &str) -> Command {
        let mut command = self.toy.build_command();
        for (name, _) in std::env::vars_os() {
            if ["CCACHE_", "SCCACHE_", "DISTCC_"].iter().any(|own| name.as_encoded_bytes().starts_with(own.as_bytes()))
            {
                command.env_remove(name);
            }
        }
        command.args(["--launcher", launcher, "--progress", "plain"]).env("PYKEEL_STORE", self.toy.path(store));
        command.env("HOME", self.toy.path("home")).env("XDG_CONFIG_HOME", self.toy.path("config"));
        command.env("CCACHE_DIR", self.cache());
        command
    }

    fn build(&self, store: &str, launcher: &str) -> Ended {
        run(&mut self.command(store, launcher)).exits(0)
    }

    /// Compiles in a toy that then ends.
    fn compile(&self, command: &mut Command, store: &str) {
        run(command).exits(1).says(&["exit status 2"]);
        assert_eq!(self.said(store, "answer.o"), [""]);
    }

    fn cache(&self) -> PathBuf {
        self.toy.path("cache")
    }

    /// What the toy's make said, behind a word.
    fn said(&self, store: &str, word: &str) -> Vec<String> {
        let logs = fs_err::read_dir(self.toy.path(store).join("logs")).expect("the logs");
        let text: String = logs.map(|log| fs_err::read_to_string(log.expect("a log").path()).expect("a log")).collect();
        text.lines().filter_map(|line| line.strip_prefix(word)).map(|line| line.trim().to_owned()).collect()
    }
}

fn built(ended: &Ended) -> (Value, Value, Value) {
    let built = ended.json()[0].clone();
    let manifest = fs_err::read(built["manifest"].as_str().expect("a path")).expect("the manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert!(!manifest.to_string().contains("ccache"), "{manifest}");
    (built["build_key"].clone(), built["digest"].clone(), manifest)
}

#[test]
fn a_second_build_takes_its_objects_from_the_cache_and_nothing_else_differs() {
    needs_ccache!();
    let launched = Launched::installed();
    let without = launched.build("a", "none").says_not(&["objects"]);
    assert_eq!(launched.said("a", "MAKE"), ["gcc"]);
    let cold = launched.build("b", "ccache").says(&["ccache: 0 hits, 1 miss"]);
    // In another store, and so in another directory.
    let warm = launched.build("c/longer", "ccache").says(&["ccache: 1 hit, 0 misses"]);
    // What make is told is the same: the launcher stands behind the compiler's name.
    assert_eq!(launched.said("c/longer", "MAKE"), ["gcc"]);
    assert_eq!(built(&without), built(&cold));
    assert_eq!(built(&without), built(&warm));
    // And it was the user's cache that served.
    let counts = run(Command::new("ccache").arg("--print-stats").env("CCACHE_DIR", launched.cache())).exits(0).out;
    assert!(counts.lines().any(|line| line == "direct_cache_hit\t1"), "{counts}");
    // What is in the store is found with any launcher.
    launched.build("b", "none").says(&["is in the store"]);
}

#[test]
fn a_launcher_gets_its_own_variables_and_none_that_change_objects() {
    needs_ccache!();
    let launched = Launched::compiled();
    let configuration = "max_size = 123M\nsloppiness = system_headers\ncompiler = clang\n";
    fs_err::write(launched.toy.path("config/ccache/ccache.conf"), configuration).expect("a file");
    let mut command = launched.command("a", "ccache");
    // A file is read where CCACHE_DIR is not set.
    command.env_remove("CCACHE_DIR").env("XDG_CACHE_HOME", launched.toy.path("xdg"));
    command.env("CCACHE_NAMESPACE", "mine").env("CCACHE_MAXFILES", "77");
    command.env("CCACHE_SLOPPINESS", "time_macros").env("CCACHE_COMPILER", "clang").env("CCACHE_COMPILERCHECK", "none");
    command.env("SCCACHE_DIR", "/s").env("DISTCC_HOSTS", "h").env("AWS_SECRET_ACCESS_KEY", "s").env("MINE", "mine");
    launched.compile(&mut command, "a");
    let environment = launched.said("a", "ENV");
    let mut names: Vec<_> = environment.iter().filter_map(|line| line.split_once('=')).collect();
    // What the build has without a launcher, and what make and the shell set.
    launched.compile(&mut launched.command("b", "none"), "b");
    let plain = launched.said("b", "ENV");
    let plain: Vec<_> = plain.iter().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(!plain.iter().any(|name| name.contains("CCACHE")), "{plain:?}");
    names.retain(|(name, _)| !plain.contains(name));
    names.sort_unstable();
    let (names, values): (Vec<_>, Vec<_>) = names.into_iter().unzip();
    assert_eq!(
        names,
        [
            "CCACHE_BASEDIR",
            "CCACHE_COMPILERCHECK",
            "CCACHE_CONFIGPATH",
            "CCACHE_DIR",
            "CCACHE_MAXFILES",
            "CCACHE_NAMESPACE",
            "CCACHE_STATSLOG",
            "RECORDED_LAUNCHER"
        ]
    );
    assert!(values[1].starts_with("string:") && values[1].len() > 40, "{values:?}");
    assert_eq!(Path::new(values[3]), launched.toy.path("xdg/ccache"));
    assert_eq!(values[4..6], ["77", "mine"]);
    let said = launched.said("a", "CONF");
    assert!(said.len() == 1 && said[0].starts_with("max_size = 123"), "{said:?}");
}

#[test]
fn what_ccache_starts_in_its_turn_gets_its_variables_too() {
    needs_ccache!();
    let launched = Launched::compiled();
    let mut command = launched.command("a", "ccache");
    // `env` is a prefix that every machine has.
    command.env("CCACHE_PREFIX", "env").env("DISTCC_HOSTS", "h").env("ICECC_SCHEDULER", "s");
    launched.compile(&mut command, "a");
    assert!(!launched.said("a", "ENV").iter().any(|line| line.starts_with("DISTCC") || line.starts_with("ICECC")));
    for (store, prefix, wanted) in [("b", "distcc", "DISTCC_HOSTS=h"), ("c", "icecc", "ICECC_SCHEDULER=s")] {
        let mut command = launched.command(store, "ccache");
        // Where there is no such program the compilation fails, and that it was tried is enough.
        command.env("CCACHE_PREFIX", prefix).env("DISTCC_HOSTS", "h").env("ICECC_SCHEDULER", "s");
        command.env("ICECC_VERSION", "another compiler").env("ICECC_REMOTE_CPP", "1");
        command.env("CCACHE_RECACHE", "1");
        run(&mut command);
        let environment = launched.said(store, "ENV");
        assert!(environment.iter().any(|line| line == wanted), "{environment:?}");
        assert!(!environment.iter().any(|line| line.starts_with("ICECC_VERSION")), "{environment:?}");
        // Or the other machine would say which day it is.
        let here = environment.iter().any(|line| line == "ICECC_REMOTE_CPP=0");
        assert_eq!(here, prefix == "icecc", "{environment:?}");
    }
}

#[test]
fn a_recipe_can_name_the_launcher_and_is_the_same_recipe() {
    needs_ccache!();
    let launched = Launched::compiled();
    let plain = run(&mut launched.toy.command(&["recipe", "show", "3.13.5", "--json"])).exits(0).json();
    launched.toy.write_recipe(|recipe| recipe.replace("\n[make]\n", "\n[make]\nlauncher = \"ccache\"\n"));
    let named = run(&mut launched.toy.command(&["recipe", "show", "3.13.5", "--json"])).exits(0).json();
    assert_eq!(plain["digest"], named["digest"]);
    let without_launcher = |recipe: &Value| {
        let mut recipe = recipe.clone();
        recipe["make"].as_object_mut().expect("an object").remove("launcher");
        recipe
    };
    assert_eq!(without_launcher(&plain), without_launcher(&named));
    let made = |store: &str, launcher: &str| {
        let mut command = launched.toy.build_command();
        command.env("PYKEEL_STORE", launched.toy.path(store)).env("CCACHE_DIR", launched.cache());
        launched.compile(command.env("PYKEEL_LAUNCHER", launcher), store);
        launched.said(store, "MAKE")
    };
    // An empty variable says nothing, and the user has the last word.
    assert_eq!(made("a", ""), ["gcc"]);
    assert_eq!(made("b", "none"), ["gcc"]);
    let planned =
        |launcher: &str| run(launched.toy.build_command().args(["--dry-run", "--launcher", launcher])).exits(0).json();
    assert_eq!(planned("none"), planned("ccache"));
    launched.toy.write_recipe(|recipe| recipe.replace("\n[make]\n", "\n[make]\nlauncher = \"distcc\"\n"));
    let ended = run(&mut launched.toy.command(&["recipe", "show", "3.13.5"])).exits(2);
    ended.says(&["3.13.toml:", "`distcc` is not one of none, ccache, sccache"]);
}

#[test]
fn sccache_has_its_server_started_before_the_build() {
    if run(Command::new("which").arg("sccache")).code != 0 {
        skip!(Missing::Program("sccache"), "sccache is not there");
    }
    let launched = Launched::compiled();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let sccache = |command: &mut Command| {
        command.env("SCCACHE_SERVER_PORT", port.to_string()).env("SCCACHE_DIR", launched.toy.path("objects"));
        command.env("AWS_SECRET_ACCESS_KEY", "secret");
        run(command)
    };
    let mut command = launched.command("a", "sccache");
    let ended = sccache(&mut command);
    let counts = sccache(Command::new("sccache").args(["--show-stats", "--stats-format", "json"])).json();
    sccache(Command::new("sccache").arg("--stop-server")).exits(0);
    ended.exits(1);
    assert_eq!(launched.said("a", "answer.o"), [""]);
    assert_eq!(counts["stats"]["requests_executed"], 1, "{counts}");
    // It is the user's directory, though the build knows of no home.
    assert!(counts["cache_location"].as_str().is_some_and(|place| place.contains("objects")), "{counts}");
    // What make is told is the same: the launcher stands behind the compiler's name.
    assert_eq!(launched.said("a", "MAKE"), ["gcc"]);
    assert!(!launched.said("a", "ENV").iter().any(|line| line.starts_with("AWS_")));
}

#[test]
fn a_launcher_that_is_not_known_or_not_there_is_named_before_anything_runs() {
    needs_ccache!();
    let toy = Toy::failing();
    run(toy.build_command().args(["--launcher", "distcc"])).exits(2).says(&["ccache", "sccache", "--launcher"]);
    run(toy.build_command().env("PYKEEL_LAUNCHER", "distcc")).exits(2).says(&["PYKEEL_LAUNCHER", "`distcc`"]);
    if !is_root() || run(Command::new("unshare").args(["-m", "true"])).code != 0 {
        skip!(Missing::Root, "only root can hide a program");
    }
    // A file that cannot be run, for this command alone.
    let hide = "mount --bind /dev/null /usr/bin/ccache && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", hide, "sh"]);
    start(&mut command, toy.build_command().args(["--launcher", "ccache"]));
    run(&mut command).exits(1).says(&["ccache", "apt-get install"]).says_not(&["fetch", "unpack"]);
}
