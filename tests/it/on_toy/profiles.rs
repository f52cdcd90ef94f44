//! Profile-guided builds: training, profiles that match the source and profiles that do not. A toy's
//! make compiles a program of two functions, with a real compiler and real training data.

use std::path::{Path, PathBuf};
use std::process::Command;

use pykeel::domain::artifact::Format;
use pykeel::domain::digest::Digest;
use pykeel::sys::archive;

use crate::support::{Ended, check, run};
use crate::toy::{Behaviour, Toy};

/// An interpreter whose evaluation loop has a loop.
pub const PROGRAM: &str = "\
__attribute__((noinline)) int other(int n) { return n > 2 ? n : -n; }
int _PyEval_EvalFrameDefault(int n) {
  int sum = 0;
  for (int i = 0; i < n; i++) { if (i % 3) sum += i; else sum -= other(i); }
  return sum;
}
int main(int argc, char **argv) { (void)argv; return _PyEval_EvalFrameDefault(argc * 1000) == 1; }
";

/// The same with another evaluation loop.
const CHANGED_LOOP: &str = "\
__attribute__((noinline)) int other(int n) { return n > 2 ? n : -n; }
int _PyEval_EvalFrameDefault(int n) {
  int sum = 0;
  while (n > 0) { n -= 2; if (n == 7 || n == 9) continue; switch (n) { case 1: sum++; break; case 4: sum--; } }
  return sum;
}
int main(int argc, char **argv) { (void)argv; return _PyEval_EvalFrameDefault(argc * 1000) == 1; }
";

/// The same with another function that is not the loop.
const CHANGED_OTHER: &str = "\
__attribute__((noinline)) int other(int n) { for (int i = 0; i < 5; i++) if (n == i) return i * 2; return n > 2 ? n : -n; }
int _PyEval_EvalFrameDefault(int n) {
  int sum = 0;
  for (int i = 0; i < n; i++) { if (i % 3) sum += i; else sum -= other(i); }
  return sum;
}
int main(int argc, char **argv) { (void)argv; return _PyEval_EvalFrameDefault(argc * 1000) == 1; }
";

pub fn trainable(program: &'static str) -> Toy {
    let configure = "echo run >> @toy@/configure.log; echo \"here = $PWD\" > answers.txt";
    Toy::new(Behaviour { configure, program, ..Behaviour::default() })
}

/// `pykeel train` of the toy.
fn train(toy: &Toy, more: &[&str]) -> Ended {
    let mut command = toy.command(&["train", "3.13.5", "--json", "--offline", "--mirror"]);
    run(command.arg(toy.mirror()).args(more))
}

/// The file of a profile that was recorded.
pub fn trained(toy: &Toy) -> PathBuf {
    train(toy, &[]).exits(0).json()["path"].as_str().unwrap().into()
}

pub fn build_with(toy: &Toy, more: &[&str]) -> Command {
    let mut command = toy.build_command();
    command.args(more);
    command
}

/// What the manifest of the one artifact that was built says of its plan.
fn plan_of(built: &Ended) -> serde_json::Value {
    let path = built.json()[0]["manifest"].as_str().unwrap().to_owned();
    serde_json::from_slice::<serde_json::Value>(&fs_err::read(path).unwrap()).unwrap()["plan"].clone()
}

pub fn lines(toy: &Toy, log: &str) -> usize {
    fs_err::read_to_string(toy.path(log)).map_or(0, |text| text.lines().count())
}

/// A profile with its tree changed, packed again.
fn changed(profile: &Path, into: &Path, change: impl FnOnce(&Path)) {
    let tree = tempfile::tempdir().unwrap();
    let bytes = fs_err::read(profile).unwrap();
    archive::unpack("profile", archive::decoder(Format::Xz, &bytes[..]).unwrap(), tree.path()).unwrap();
    change(tree.path());
    let packed = archive::encode(Format::Xz, Vec::new(), |writer| archive::pack(tree.path(), "profile", 0, writer));
    fs_err::write(into, packed.unwrap().0).unwrap();
}

#[test]
fn the_static_library_of_an_optimised_build_is_native_and_the_runtime_flavor_is_the_same_without_it() {
    const WITH_MAIN: &str = "int Py_RunMain(void) { return 1; }\n";
    let toy = trainable(Box::leak(format!("{WITH_MAIN}{PROGRAM}").into_boxed_str()));
    let profile = trained(&toy).display().to_string();
    let build = |store: &str, flavor: &str| {
        let mut command = build_with(&toy, &["--profile", &profile, "--flavor", flavor]);
        run(command.env("PYKEEL_STORE", toy.path(store))).exits(0).json()
    };
    let (alone, both) = (build("a", "runtime"), build("b", "all"));
    assert_eq!(alone[0]["digest"], both[0]["digest"], "the runtime flavor");
    let manifest = fs_err::read_to_string(both[1]["manifest"].as_str().unwrap()).unwrap();
    assert!(manifest.contains("-fno-fat-lto-objects"), "the interpreter's objects have no native code: {manifest}");
    // Not the library that the toy's make installs, which has nothing but `Py_RunMain`.
    let directory = toy.path("builder");
    fs_err::create_dir(&directory).unwrap();
    let tarball = Path::new(both[1]["tarball"].as_str().unwrap());
    check("tar", &["-C".as_ref(), directory.as_os_str(), "-xf".as_ref(), tarball.as_os_str()]);
    let library = directory.join("python-3.13/lib/libpython3.13.a");
    let symbols = check("nm", &[&library]);
    assert!(symbols.contains(" T _PyEval_EvalFrameDefault") && symbols.contains(" T Py_RunMain"), "{symbols}");
}

#[test]
fn training_gives_a_profile_and_a_build_with_it_names_it() {
    let toy = trainable(PROGRAM);
    let ended = train(&toy, &[]).exits(0);
    let json = ended.json();
    let path = Path::new(json["path"].as_str().unwrap()).to_owned();
    let digest = json["digest"].as_str().unwrap().to_owned();
    assert_eq!(Digest::of(fs_err::read(&path).unwrap()).to_string(), digest);
    assert_eq!(json["objects"], 1);
    assert_eq!(json["manifest"]["release"], "3.13.5");
    assert!(json["manifest"]["compiler"].as_str().unwrap().starts_with("gcc "));
    assert_eq!(json["manifest"]["flags"]["CFLAGS_NODIST"], "-fprofile-generate");
    let names = check("tar", &["-tf".as_ref(), path.as_os_str()]);
    let files: Vec<&str> = names.lines().filter(|name| !name.ends_with('/')).collect();
    assert_eq!(files, ["profile-3.13.5/Python/ceval.gcda", "profile-3.13.5/profile.json"], "data and nothing else");
    toy.left_nothing();

    let stored = format!("sha256:{digest}");
    // Whoever names a profile wants an optimised build, though the recipe pins none.
    let built = run(&mut build_with(&toy, &["--profile", &stored])).exits(0);
    let plan = plan_of(&built);
    assert_eq!((&plan["request"]["optimize"], &plan["profile"]), (&"pgo".into(), &digest.clone().into()));
    let make: Vec<&str> = plan["make"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(make.iter().any(|word| word.starts_with("CFLAGS_NODIST=") && word.contains("-fprofile-use")), "{make:?}");
    // Asked for in the same words it is found, by its file too, and not in others.
    let install = |more: &[&str]| {
        let prefix = toy.path("prefix");
        let mut command = toy.command(&["install", "3.13.5", "--no-build", "--no-sync", "--prefix"]);
        run(command.arg(&prefix).args(more))
    };
    install(&["--optimize", "pgo", "--profile", path.to_str().unwrap()]).exits(0);
    install(&["--profile", &stored]).exits(0);
    install(&["--optimize", "pgo"]).exits(2);
    install(&["--optimize", "none"]).exits(2);
}

#[test]
fn without_a_profile_an_optimised_build_records_one_first() {
    let toy = trainable(PROGRAM);
    let built = run(&mut build_with(&toy, &["--dry-run"])).exits(0);
    assert_eq!(built.json()[0]["profile"], serde_json::Value::Null, "nothing is known before the training");
    // To optimise is the default.
    let built = toy.build().exits(0).says(&[
        "no profile is pinned for Python 3.13.5 and gcc ",
        "recording one first",
        "pykeel train 3.13.5 --save",
    ]);
    let plan = plan_of(&built);
    assert_eq!(plan["request"]["optimize"], "pgo");
    assert!(plan["profile"].is_string(), "{plan}");
    // `install` that may not build never trains.
    fs_err::remove_dir_all(toy.store().join("artifacts")).unwrap();
    let prefix = toy.path("prefix");
    let ended = run(toy.command(&["install", "3.13.5", "--no-build", "--prefix"]).arg(&prefix)).exits(2);
    ended.says_not(&["recording"]);
    // Who asks for none gets none, and is told so.
    let built = run(&mut build_with(&toy, &["--optimize", "none"])).exits(0).says(&["(not optimised, hardened)"]);
    assert_eq!(plan_of(&built)["profile"], serde_json::Value::Null);
    // A debug build is not optimised by default.
    let mut debug = toy.command(&["build", "3.13.5d", "--dry-run", "--json"]);
    assert_eq!(run(&mut debug).exits(0).json()[0]["request"]["optimize"], "none");
}

#[test]
fn the_profile_of_a_training_build_is_kept_and_gives_the_same_python_again() {
    let toy = trainable(PROGRAM);
    let first = run(&mut build_with(&toy, &["--optimize", "pgo"])).exits(0);
    let profile = plan_of(&first)["profile"].as_str().unwrap().to_owned();
    let stored = toy.store().join("profiles").join(format!("{profile}.tar.xz"));
    assert_eq!(Digest::of(fs_err::read(stored).unwrap()).to_string(), profile);
    let named = format!("sha256:{profile}");
    let again = run(&mut build_with(&toy, &["--optimize", "pgo", "--profile", &named])).exits(0);
    assert_eq!(plan_of(&again)["profile"].as_str(), Some(profile.as_str()));
    let sums = |built: &Ended| {
        let path = built.json()[0]["manifest"].as_str().unwrap().to_owned();
        serde_json::from_slice::<serde_json::Value>(&fs_err::read(path).unwrap()).unwrap()["sums"].clone()
    };
    assert_eq!(sums(&first), sums(&again));
}

#[test]
fn saving_pins_the_profile_and_makes_it_the_default() {
    let toy = trainable(PROGRAM);
    let before = fs_err::read_to_string(toy.path("recipes/3.13.toml")).unwrap();
    let json = train(&toy, &["--save"]).exits(0).json();
    let mut saved = PathBuf::from(json["saved"].as_str().unwrap());
    assert!(saved.starts_with(toy.path("recipes/profiles")));
    let after = fs_err::read_to_string(toy.path("recipes/3.13.toml")).unwrap();
    assert!(after.starts_with(before.trim_end()) && after.contains("[profile]"), "{after}");
    run(&mut toy.command(&["recipe", "check", toy.path("recipes/3.13.toml").to_str().unwrap()])).exits(0);
    let built = toy.build().exits(0).says_not(&["trained first"]);
    assert_eq!(plan_of(&built)["profile"], json["digest"]);
    assert_eq!(plan_of(&run(&mut build_with(&toy, &["--optimize", "none"])).exits(0))["request"]["optimize"], "none");
    // Trained with another task it is another file, and the old one, which no row names any more, goes.
    assert!(after.contains("\"60\"]"), "{after}");
    fs_err::write(toy.path("recipes/3.13.toml"), after.replace("\"60\"]", "\"60\", \"more\"]")).unwrap();
    let json = train(&toy, &["--save"]).exits(0).json();
    let old = std::mem::replace(&mut saved, json["saved"].as_str().unwrap().into());
    assert!(saved != old && saved.exists() && !old.exists(), "{}", saved.display());
    // A file that is not the pinned one is not used.
    fs_err::write(&saved, "other").unwrap();
    let digest = json["digest"].as_str().unwrap();
    let reason = ["its SHA-256 is to be", digest, saved.to_str().unwrap()];
    run(&mut toy.command(&["recipe", "check", toy.path("recipes/3.13.toml").to_str().unwrap()])).exits(2).says(&reason);
    toy.build().exits(2).says(&reason).says(&["train --save"]);
    fs_err::remove_file(&saved).unwrap();
    toy.build().exits(2).says(&["there is none", digest]);
}

/// A toy of two releases, of which 3.13.5 has a pinned profile.
fn with_another_release(program: &'static str) -> Toy {
    let toy = trainable(PROGRAM);
    train(&toy, &["--save"]).exits(0);
    toy.add_source("3.13.7", Behaviour { program, ..Behaviour::default() });
    let recipe = fs_err::read_to_string(toy.path("recipes/3.13.toml")).unwrap();
    let rows = format!("[release]\n{}", toy.row("3.13.7"));
    fs_err::write(toy.path("recipes/3.13.toml"), recipe.replace("[release]\n", &rows)).unwrap();
    toy
}

#[test]
fn the_profile_of_another_release_of_the_series_is_borrowed() {
    let toy = with_another_release(PROGRAM);
    let own = run(&mut toy.build_of(&["3.13.5"])).exits(0);
    let borrowed = run(&mut toy.build_of(&["3.13.7"])).exits(0);
    let borrowed = borrowed
        .says(&["using the profile of Python 3.13.5 for 3.13.7", "of Python 3.13.5, hardened)"])
        .says_not(&["recording"]);
    assert_eq!(plan_of(&borrowed)["profile"], plan_of(&own)["profile"]);
    // A free-threaded build has nothing to do with the profile of another variant.
    run(toy.build_of(&["3.13.7t"]).arg("--dry-run")).exits(0).says_not(&["using the profile"]);
}

#[test]
fn a_borrowed_profile_that_does_not_match_is_replaced_by_training() {
    let toy = with_another_release(CHANGED_LOOP);
    let planned = run(toy.build_of(&["3.13.7"]).arg("--dry-run")).exits(0).json()[0].clone();
    let built = run(&mut toy.build_of(&["3.13.7"])).exits(0);
    let built =
        built.says(&["the profile of another release does not match", "evaluation loop", "recording one first"]);
    let built = built.says(&["of Python 3.13.7, hardened)"]);
    let plan = plan_of(&built);
    assert!(plan["profile"].is_string() && plan["profile"] != planned["profile"], "{plan}");
    // Nothing was published under the key of the first plan.
    assert_eq!(fs_err::read_dir(toy.store().join("artifacts")).unwrap().count(), 1);
    toy.left_nothing();
}

#[test]
fn a_pinned_profile_that_does_not_match_a_build_with_other_options_is_replaced_by_training() {
    // With a flag of the user the evaluation loop is another one.
    let configure = "case \"$CFLAGS\" in *-DOTHER*) echo '#define OTHER' ;; esac > Python/other.h";
    let program = format!("#include \"other.h\"\n#ifdef OTHER\n{CHANGED_LOOP}#else\n{PROGRAM}#endif\n");
    let toy = Toy::new(Behaviour { configure, program: Box::leak(program.into_boxed_str()), ..Behaviour::default() });
    train(&toy, &["--save"]).exits(0);
    let usual = run(&mut build_with(&toy, &[])).exits(0).says_not(&["recording"]);
    let other = run(build_with(&toy, &[]).env("CFLAGS", "-DOTHER")).exits(0);
    let other = other.says(&["the profile of other options does not match", "evaluation loop", "recording one first"]);
    assert_ne!(plan_of(&usual)["profile"], plan_of(&other)["profile"]);
    // The pinned profile is of a hardened build.
    let soft =
        run(&mut build_with(&toy, &["--hardening", "none"])).exits(0).says(&["no profile is pinned", "recording"]);
    assert_ne!(plan_of(&usual)["profile"], plan_of(&soft)["profile"]);
    toy.left_nothing();
}

#[test]
fn saving_needs_a_directory_of_recipes() {
    let toy = trainable(PROGRAM);
    let mut command = toy.command(&["train", "3.13.5", "--save"]);
    run(command.env_remove("PYKEEL_RECIPES")).exits(2).says(&["--recipes DIR"]);
}

/// A toy with a profile of another program, recorded as if the release were the same.
fn with_profile_of(program: &'static str, other: &'static str, more: impl FnOnce(String) -> String) -> (Toy, PathBuf) {
    let toy = trainable(other);
    let profile = toy.path("other.tar.xz");
    fs_err::copy(trained(&toy), &profile).unwrap();
    toy.add_source("3.13.5", Behaviour { program, ..Behaviour::default() });
    toy.write_recipe(more);
    (toy, profile)
}

#[test]
fn a_profile_of_another_evaluation_loop_is_an_error() {
    let (toy, profile) = with_profile_of(CHANGED_LOOP, PROGRAM, |recipe| recipe);
    fs_err::remove_dir_all(toy.store().join("profiles")).unwrap();
    let arguments = ["--optimize", "pgo", "--profile", profile.to_str().unwrap()];
    run(build_with(&toy, &arguments).arg("--dry-run")).exits(0);
    assert!(!toy.store().join("profiles").exists(), "a plan keeps nothing");
    let ended = run(&mut build_with(&toy, &arguments));
    ended.exits(1).says(&["does not match this source", "evaluation loop", "_PyEval_EvalFrameDefault", "pykeel train"]);
    assert!(toy.store().join("profiles").exists());
    toy.left_nothing();
}

#[test]
fn dropped_functions_are_counted_against_the_recipes_limit() {
    let (toy, profile) = with_profile_of(CHANGED_OTHER, PROGRAM, |recipe| recipe);
    let arguments = ["--optimize", "pgo", "--profile", profile.to_str().unwrap()];
    run(&mut build_with(&toy, &arguments)).exits(0);
    toy.write_recipe(|recipe| {
        assert!(recipe.contains("max-dropped = 20"));
        recipe.replace("max-dropped = 20", "max-dropped = 0")
    });
    // A limit decides no byte: what was built with another one is taken.
    run(&mut build_with(&toy, &arguments)).exits(0).says(&["is in the store"]);
    fs_err::remove_dir_all(toy.store().join("artifacts")).unwrap();
    let ended = run(&mut build_with(&toy, &arguments)).exits(1);
    ended.says(&["its data for 1 functions is of another source; the recipe allows 0", "other"]);
}

#[test]
fn a_profile_without_data_of_the_loop_is_an_error() {
    let toy = trainable(PROGRAM);
    let profile = toy.path("renamed.tar.xz");
    changed(&trained(&toy), &profile, |tree| {
        fs_err::rename(tree.join("Python/ceval.gcda"), tree.join("Python/other.gcda")).unwrap();
    });
    let ended = run(&mut build_with(&toy, &["--optimize", "pgo", "--profile", profile.to_str().unwrap()]));
    ended.exits(1).says(&["it has no data for the evaluation loop (Python/ceval.gcda)"]);
}

#[test]
fn a_profile_whose_data_end_before_the_loop_is_an_error() {
    let toy = trainable(PROGRAM);
    let profile = toy.path("cut.tar.xz");
    changed(&trained(&toy), &profile, |tree| {
        let file = tree.join("Python/ceval.gcda");
        let data = fs_err::read(&file).unwrap();
        // The magic number, version, stamp and checksum, and the mark of the end.
        fs_err::write(&file, [&data[..16], &[0; 4][..]].concat()).unwrap();
    });
    let ended = run(&mut build_with(&toy, &["--profile", profile.to_str().unwrap()]));
    ended.exits(1).says(&["its data lacks the evaluation loop (_PyEval_EvalFrameDefault)"]);
}

#[test]
fn what_would_hide_a_useless_profile_is_refused_or_overruled() {
    let (toy, profile) = with_profile_of(CHANGED_LOOP, PROGRAM, |recipe| recipe);
    let arguments = ["--profile", profile.to_str().unwrap()];
    let ended = run(build_with(&toy, &arguments).env("CFLAGS", "-O2 -w")).exits(2);
    ended.says(&["CFLAGS has `-w`", "--optimize none"]);
    let quiet = "-Wno-coverage-mismatch -Wno-missing-profile";
    run(build_with(&toy, &arguments).env("CFLAGS", quiet)).exits(1).says(&["does not match this source"]);
}

#[test]
fn a_profile_outlives_a_prune_while_a_build_uses_it() {
    let toy = trainable(PROGRAM);
    let named = format!("sha256:{}", train(&toy, &[]).exits(0).json()["digest"].as_str().unwrap());
    let prune = format!("{} cache prune --store {}", env!("CARGO_BIN_EXE_pykeel"), toy.store().display());
    toy.add_source("3.13.5", Behaviour { all: prune.leak(), program: PROGRAM, ..Behaviour::default() });
    toy.write_recipe(|recipe| recipe);
    let built = run(&mut build_with(&toy, &["--profile", &named])).exits(0);
    let digest = plan_of(&built)["profile"].as_str().unwrap().to_owned();
    assert!(toy.store().join("profiles").join(format!("{digest}.tar.xz")).exists());
}

#[test]
fn a_profile_that_the_compiler_would_ignore_is_refused_before_the_build() {
    let toy = trainable(PROGRAM);
    let profile = toy.path("foreign.tar.xz");
    changed(&trained(&toy), &profile, |tree| {
        let file = tree.join("Python/ceval.gcda");
        let mut data = fs_err::read(&file).unwrap();
        data[4..8].copy_from_slice(b"*30Z");
        fs_err::write(&file, data).unwrap();
        let manifest = fs_err::read_to_string(tree.join("profile.json")).unwrap();
        let version = manifest.lines().find(|line| line.contains("data_version")).unwrap();
        fs_err::write(tree.join("profile.json"), manifest.replace(version, "  \"data_version\": \"Z03*\",")).unwrap();
    });
    let runs = lines(&toy, "configure.log");
    let ended = run(&mut build_with(&toy, &["--optimize", "pgo", "--profile", profile.to_str().unwrap()]));
    ended.exits(2).says(&["version Z03*", "only"]);
    assert_eq!(lines(&toy, "configure.log"), runs, "nothing was built");
}

#[test]
fn a_profile_holds_data_and_never_code() {
    /// A name, what is done to a sound profile, and what is said of it.
    type Case = (&'static str, fn(&Path), &'static str);
    let toy = trainable(PROGRAM);
    let recorded = trained(&toy);
    let cases: [Case; 5] = [
        (
            "header",
            |tree| {
                fs_err::create_dir(tree.join("Python/frozen_modules")).unwrap();
                fs_err::write(tree.join("Python/frozen_modules/getpath.h"), "evil").unwrap();
            },
            "is no training data of GCC",
        ),
        (
            "object",
            |tree| fs_err::write(tree.join("Python/x.gcda"), "\x7fELF0000").unwrap(),
            "is no training data of GCC",
        ),
        (
            "link",
            |tree| std::os::unix::fs::symlink("ceval.gcda", tree.join("Python/l.gcda")).unwrap(),
            "it has a link in it",
        ),
        ("empty", |tree| fs_err::remove_file(tree.join("Python/ceval.gcda")).unwrap(), "it has no data"),
        ("nameless", |tree| fs_err::remove_file(tree.join("profile.json")).unwrap(), "it has no profile.json"),
    ];
    for (name, change, reason) in cases {
        let profile = toy.path(&format!("{name}.tar.xz"));
        changed(&recorded, &profile, change);
        let ended = run(&mut build_with(&toy, &["--optimize", "pgo", "--profile", profile.to_str().unwrap()]));
        ended.exits(2).says(&[reason]);
    }
    fs_err::write(toy.path("text.tar.xz"), "no archive").unwrap();
    let text = toy.path("text.tar.xz");
    run(&mut build_with(&toy, &["--optimize", "pgo", "--profile", text.to_str().unwrap()])).exits(4);
    run(&mut build_with(&toy, &["--optimize", "pgo", "--profile", "/no/such/file"])).exits(2).says(&["/no/such/file"]);
    run(&mut build_with(&toy, &["--optimize", "none", "--profile", recorded.to_str().unwrap()])).exits(2);
    let unknown = format!("sha256:{}", Digest::of("unknown"));
    let ended = run(&mut build_with(&toy, &["--optimize", "pgo", "--profile", &unknown])).exits(2);
    ended.says(&["it is not in the store"]);
}

#[test]
fn a_training_that_records_nothing_is_an_error() {
    let toy = trainable("int main(void) { __builtin_trap(); }\n");
    train(&toy, &[]).exits(1).says(&["killed by signal"]);
    // It ends well and never writes what it counted.
    let toy = trainable("#include <unistd.h>\nint main(void) { _exit(0); }\n");
    train(&toy, &[]).exits(2).says(&["the training recorded nothing in Python/ceval.gcda"]);
    toy.left_nothing();
}

#[test]
fn clang_is_refused_in_words() {
    // Whether it is installed or not: installing it would not help.
    let toy = trainable(PROGRAM);
    let ended = run(build_with(&toy, &["--optimize", "pgo"]).env("CC", "clang")).exits(2);
    let ended = ended.says(&["CC is clang", "gcc only", "--optimize none"]);
    assert!(!ended.err.contains("apt-get"), "{}", ended.err);
}
