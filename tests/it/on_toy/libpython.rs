//! How libpython is linked: what decides it, and what a build says that does not have it so.

use std::path::Path;

use serde_json::Value;

use crate::support::{check, run};
use crate::toy::{Behaviour, Toy};

#[test]
fn arguments_of_configure_do_not_decide_it() {
    let toy = Toy::failing();
    let ended = run(toy.build_command().arg("--configure-arg=--enable-shared")).exits(2);
    ended.says(&["configure cannot be given `--enable-shared`", "`--shared`"]);
    toy.write_recipe(|recipe| recipe.replace("\"--disable-test-modules\"", "\"--disable-shared\""));
    let refused = ["`--disable-shared` of configure would change how libpython is linked", "without `--shared`"];
    toy.build().exits(2).says(&refused);
    toy.write_recipe(|recipe| recipe.replace("\"--disable-test-modules\"", "\"--with-static-libpython\""));
    toy.build().exits(2).says(&["`--with-static-libpython` of configure", "the flavor `builder` has a static library"]);
    // Nothing was configured.
    toy.left_nothing();
    assert!(!toy.path("store/logs").exists());
}

#[test]
fn a_build_without_the_library_that_was_asked_for_is_a_finding() {
    let toy = Toy::new(Behaviour::default());
    let ended = run(toy.build_command().arg("--shared")).exits(4);
    ended.says(&["runtime-shared-", "libpython is what the plan says", "lib/libpython3.13.so is missing"]);
    // A recipe can ask for it too.
    toy.write_recipe(|recipe| recipe.replace("\"--disable-test-modules\"", "\"--enable-shared\""));
    toy.build().exits(4).says(&["runtime-shared-", "lib/libpython3.13.so is missing"]);
    let objects = "ar d lib/python3.13/config-*/libpython3.13.a main.o";
    let toy = Toy::new(Behaviour { install: objects, ..Behaviour::default() });
    let ended = run(toy.build_command().args(["--flavor", "builder"])).exits(4);
    ended.says(&["libpython3.13.a has no native code of Py_RunMain"]);
}

/// Puts a library into the tree whose object is compiled with some options. Make's commands are run in the prefix.
fn library_of(options: &str) -> &'static str {
    let commands = format!(
        "cd lib/python3.13/config-* && rm -f *.a && echo 'int Py_RunMain(void) {{ return 0; }}' > m.c \
         && gcc -O1 {options} -c -o m.o m.c && gcc-ar rcsD libpython3.13.a m.o && rm m.c m.o"
    );
    Box::leak(commands.into_boxed_str())
}

#[test]
fn intermediate_code_is_removed_and_alone_is_no_library() {
    let of_options = |options: &str| {
        let toy = Toy::new(Behaviour { install: library_of(options), ..Behaviour::default() });
        (run(toy.build_command().args(["--flavor", "builder"])), toy)
    };
    let (slim, _) = of_options("-flto -fno-fat-lto-objects");
    slim.exits(4).says(&["libpython3.13.a has no native code of Py_RunMain"]);
    let (fat, toy) = of_options("-flto -ffat-lto-objects");
    let built = fat.exits(0).json();
    let tarball = built[0]["tarball"].as_str().expect("a path");
    let names = check("tar", &["-tf", tarball]);
    let library =
        names.lines().find(|name| name.contains("config-") && name.ends_with("/libpython3.13.a")).expect("a library");
    check("tar", &["-C", &toy.path("").display().to_string(), "-xf", tarball, library]);
    let sections = check("objdump", &["-h", &toy.path(library).display().to_string()]);
    assert!(sections.contains(".text") && !sections.contains(".gnu.lto_"), "{sections}");
}

#[test]
fn a_flavor_has_the_static_library_if_the_recipe_keeps_it() {
    let toy = Toy::new(Behaviour::default());
    let built = |flavor: &str| -> Value {
        let built = run(toy.build_command().args(["--flavor", flavor])).exits(0).json();
        let manifest = fs_err::read(built[0]["manifest"].as_str().expect("a path")).expect("the manifest");
        serde_json::from_slice(&manifest).expect("JSON")
    };
    let link = |manifest: &Value| manifest["links"]["lib/libpython3.13.a"].as_str().map(str::to_owned);
    let (runtime, builder) = (built("runtime"), built("builder"));
    assert_eq!((&runtime["plan"]["static_library"], link(&runtime)), (&Value::Bool(false), None));
    assert_eq!(builder["plan"]["static_library"], true);
    let target = link(&builder).expect("a link");
    assert!(
        target.starts_with("python3.13/config-3.13-") && Path::new(&target).ends_with("libpython3.13.a"),
        "{target}"
    );
    // An overlay may keep it elsewhere, or have none.
    toy.write_recipe(|recipe| {
        recipe.replace("\"**/*.a\"", "\"**/*.none\"").replace("\"{stdlib}/config-*\"", "\"**/*.nothing\"")
    });
    assert_eq!(built("runtime")["plan"]["static_library"], true);
    toy.write_recipe(|recipe| recipe.replace("\"--disable-test-modules\"", "\"--without-static-libpython\""));
    assert_eq!(built("builder")["plan"]["static_library"], false);
    let describes_embedding = || {
        let built = run(toy.build_command().args(["--flavor", "builder"])).exits(0).json();
        let files = check("tar", &["-tf", built[0]["tarball"].as_str().expect("a path")]);
        files.contains("lib/pkgconfig/python-3.13-embed.pc")
    };
    assert!(!describes_embedding(), "nothing says how to link a libpython that is not there");
    toy.write_recipe(|recipe| recipe);
    assert!(describes_embedding());
}
