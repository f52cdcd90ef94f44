//! What a build keeps in the store for the next one: what configure found, and the frozen modules.

use crate::on_toy::profiles::{PROGRAM, build_with, lines, trainable, trained};
use crate::support::run;
use crate::toy::{Behaviour, Toy};

#[test]
fn what_an_earlier_build_kept_spares_work_and_changes_no_byte() {
    let toy = trainable(PROGRAM);
    let profile = trained(&toy);
    assert_eq!((lines(&toy, "configure.log"), lines(&toy, "frozen.log")), (1, 1));
    let arguments = ["--optimize", "pgo", "--profile", profile.to_str().unwrap()];
    let warm = run(&mut build_with(&toy, &arguments)).exits(0);
    assert_eq!((lines(&toy, "configure.log"), lines(&toy, "frozen.log")), (1, 1), "both were there");
    let cold_store = toy.path("another-store-with-a-longer-name");
    let cold = run(build_with(&toy, &arguments).env("PYKEEL_STORE", &cold_store)).exits(0);
    assert_eq!((lines(&toy, "configure.log"), lines(&toy, "frozen.log")), (2, 2), "nothing was there");
    assert_eq!(warm.json()[0]["digest"], cold.json()[0]["digest"]);

    // What is damaged is set aside, named, and made anew.
    for entry in fs_err::read_dir(cold_store.join("intermediates")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs_err::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs_err::write(path, bytes).unwrap();
    }
    fs_err::remove_dir_all(cold_store.join("artifacts")).unwrap();
    let again = run(build_with(&toy, &arguments).env("PYKEEL_STORE", &cold_store)).exits(0);
    let again = again.says(&["is damaged; rebuilding it"]);
    assert_eq!((lines(&toy, "configure.log"), lines(&toy, "frozen.log")), (3, 3));
    assert_eq!(again.json()[0]["digest"], cold.json()[0]["digest"]);
    assert_eq!(fs_err::read_dir(cold_store.join("damaged")).unwrap().count(), 2);
}

#[test]
fn what_configure_found_is_kept_for_one_set_of_options() {
    let program = "#include <stdio.h>\nint main(void) { return 0; }\n";
    let configure = "echo run >> @toy@/configure.log; echo \"here = $PWD\" > answers.txt; printf '#!/bin/sh\\n' > config.status; chmod +x config.status";
    let all = "test \"$(cat answers.txt)\" = \"here = $(CURDIR)\" && test -x config.status";
    let all: &'static str = Box::leak(all.replace("$(cat", "$$(cat").into_boxed_str());
    let toy = Toy::new(Behaviour { configure, all, program, ..Behaviour::default() });
    let none = ["--optimize", "none"];
    run(&mut build_with(&toy, &none)).exits(0);
    run(build_with(&toy, &none).args(["--bytecode", "unchecked-hash"])).exits(0);
    assert_eq!(lines(&toy, "configure.log"), 1);
    // Another option of the compiler is another question.
    run(build_with(&toy, &none).env("CFLAGS", "-DX")).exits(0);
    assert_eq!(lines(&toy, "configure.log"), 2);
}

#[test]
fn the_store_knows_what_a_profile_is_for_and_that_kept_work_can_go() {
    let toy = trainable(PROGRAM);
    let profile = trained(&toy);
    let built = run(&mut build_with(&toy, &["--optimize", "pgo", "--profile", profile.to_str().unwrap()])).exits(0);
    let list = || {
        let listed = run(&mut toy.command(&["cache", "list", "--json"])).exits(0).json();
        let entries = listed["entries"].as_array().unwrap().clone();
        let of = |kind: &str| entries.iter().filter(|entry| entry["kind"] == kind).cloned().collect::<Vec<_>>();
        (of("profile"), of("intermediate"))
    };
    let (profiles, intermediates) = list();
    assert_eq!((profiles.len(), intermediates.len()), (1, 2), "the answers of configure, and the frozen modules");
    assert_eq!(profiles[0]["needed_by"][0], built.json()[0]["name"]);
    run(&mut toy.command(&["cache", "prune"])).exits(0);
    let (profiles, intermediates) = list();
    assert_eq!((profiles.len(), intermediates.len()), (1, 0));
    fs_err::remove_dir_all(toy.store().join("artifacts")).unwrap();
    run(&mut toy.command(&["cache", "prune"])).exits(0);
    assert_eq!(list().0.len(), 0, "nothing was built with it");
}
