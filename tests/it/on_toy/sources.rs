//! Where sources come from, and that wrong ones are refused.

use crate::missing::Missing;
use crate::skip;
use crate::support::run;
use crate::toy::{Behaviour, Toy};

#[test]
fn a_source_is_kept_in_the_store_and_used_again() {
    let toy = Toy::failing();
    toy.build().exits(1);
    fs_err::remove_file(toy.archive()).expect("the archive");
    // Its recipe's sum is known still, and no place has it but the store.
    toy.build().exits(1).says(&["fetch Python-3.13.5.tar.xz", "make"]);
}

#[test]
fn a_wrong_source_is_refused_with_every_place_and_reason() {
    let toy = Toy::new(Behaviour::default());
    let whole = fs_err::read(toy.archive()).expect("the archive");
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    for wrong in [&whole[..whole.len() / 2], &flipped[..], b"not an archive", b""] {
        fs_err::write(toy.archive(), wrong).expect("the archive");
        let place = toy.mirror().display().to_string();
        toy.build().exits(3).says(&["cannot fetch the source of Python 3.13.5", &place, "its SHA-256 is", "--mirror"]);
        assert!(
            !toy.store().join("sources").exists()
                || fs_err::read_dir(toy.store().join("sources")).expect("a directory").next().is_none()
        );
        toy.left_nothing();
    }
    fs_err::write(toy.archive(), &whole).expect("the archive");
    toy.build().exits(0);
}

#[test]
fn a_stored_source_that_was_damaged_is_set_aside_and_fetched_again() {
    let toy = Toy::failing();
    toy.build().exits(1);
    let sources = toy.store().join("sources");
    let stored = fs_err::read_dir(&sources).expect("a directory").next().expect("a source").expect("an entry").path();
    fs_err::write(&stored, "damaged").expect("the source");
    toy.build().exits(1).says(&["is damaged", "it is now"]);
    assert_eq!(fs_err::read(&stored).expect("the source"), fs_err::read(toy.archive()).expect("the archive"));
}

#[test]
fn a_mirror_is_also_a_url_of_files() {
    let toy = Toy::failing();
    let copies = toy.path("my copies");
    fs_err::create_dir(&copies).expect("a directory");
    fs_err::rename(toy.archive(), copies.join("Python-3.13.5.tar.xz")).expect("the archive");
    let sum = pykeel::domain::digest::Digest::of(fs_err::read(copies.join("Python-3.13.5.tar.xz")).expect("a file"));
    fs_err::hard_link(copies.join("Python-3.13.5.tar.xz"), copies.join(sum.to_string())).expect("a file");
    let encoded = copies.display().to_string().replace(' ', "%20");
    for url in ["file://@", "file://localhost@", "file://@/{file}", "file://@/{sha256}"] {
        let url = url.replace('@', &encoded);
        let mut command = toy.command(&["build", "3.13.5", "--offline", "--mirror", &url]);
        run(&mut command).exits(1).says(&["fetch Python-3.13.5.tar.xz", "make"]);
        fs_err::remove_dir_all(toy.store().join("sources")).expect("a directory");
    }
    let url = format!("file://{encoded}/{{version}}/{{file}}");
    let mut command = toy.command(&["build", "3.13.5", "--offline", "--mirror", &url]);
    run(&mut command).exits(3).says(&["my copies/3.13.5/Python-3.13.5.tar.xz"]);
}

#[test]
fn nothing_to_try_is_said() {
    let toy = Toy::new(Behaviour::default());
    run(&mut toy.command(&["build", "3.13.5", "--offline"])).exits(3).says(&["--offline"]);
}

#[test]
fn the_apt_source_pool_has_the_real_source() {
    use pykeel::event::Silent;
    use pykeel::recipe::Catalog;
    use pykeel::stages::fetch::{FetchOptions, fetch};
    use pykeel::store::Store;
    use pykeel::sys::process::System;

    if !std::path::Path::new("/usr/lib/apt/apt-helper").exists() {
        skip!(Missing::Apt, "this system has no apt");
    }
    let catalog = Catalog::load(None).expect("the recipes");
    let (_, mut recipe) = catalog.find("3.13.5".parse().expect("a version")).expect("a recipe");
    // Upstream's own site out of reach, as in many a company.
    std::sync::Arc::make_mut(&mut recipe.shared).source.url = "http://127.0.0.1:9/{file}".into();
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::new(directory.path());
    let source = fetch(&recipe, &FetchOptions::default(), &store, &System, &Silent).expect("the source");
    assert_eq!(source.name(), "Python-3.13.5.tar.xz");
    let sum = recipe.sums.xz.expect("a sum").to_string();
    assert!(directory.path().join("sources").join(sum).exists());
}
