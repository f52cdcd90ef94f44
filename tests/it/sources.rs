//! Where sources come from, and what is done with wrong ones.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::run;
use crate::toy::{Behaviour, Toy};

#[test]
fn a_source_is_kept_in_the_store_and_used_again() {
    let toy = Toy::new(Behaviour { all: "exit 1", ..Behaviour::default() });
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
        toy.build().exits(3).says(&[
            "the source of Python 3.13.5 could not be had",
            &place,
            "its SHA-256 is",
            "--mirror",
        ]);
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
    let toy = Toy::new(Behaviour { all: "exit 1", ..Behaviour::default() });
    toy.build().exits(1);
    let sources = toy.store().join("sources");
    let stored = fs_err::read_dir(&sources).expect("a directory").next().expect("a source").expect("an entry").path();
    fs_err::write(&stored, "damaged").expect("the source");
    toy.build().exits(1).says(&["is damaged", "it is now"]);
    assert_eq!(fs_err::read(&stored).expect("the source"), fs_err::read(toy.archive()).expect("the archive"));
}

#[test]
fn nothing_to_try_is_said() {
    let toy = Toy::new(Behaviour::default());
    run(&mut toy.command(&["build", "3.13.5", "--offline"])).exits(3).says(&["--offline"]);
}

/// How the server answers a request: the number of the request, the offset asked for, the file.
type Answer = dyn Fn(usize, Option<usize>, &[u8]) -> Vec<u8> + Send + Sync;

/// A server on the loopback that answers as it is told, and what was asked of it.
fn serve(file: Vec<u8>, answer: Box<Answer>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/{{version}}/{{file}}", listener.local_addr().expect("an address"));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let count = AtomicUsize::new(0);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&request).to_lowercase();
            let range =
                text.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
            seen.lock().expect("the list").push(text);
            // A client that has gone is no fault of the server's.
            let _gone = stream.write_all(&answer(count.fetch_add(1, Ordering::SeqCst), range, &file));
        }
    });
    (url, requests)
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn whole(file: &[u8]) -> Vec<u8> {
    response("200 OK", &format!("Content-Length: {}\r\n", file.len()), file)
}

fn rest(from: usize, file: &[u8]) -> Vec<u8> {
    let headers = format!(
        "Content-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\n",
        file.len() - from,
        file.len() - 1,
        file.len()
    );
    response("206 Partial Content", &headers, &file[from..])
}

/// Runs a toy whose make fails at once: that it came to make shows that the source was had.
fn fetched_from(toy: &Toy, url: &str) -> crate::support::Ended {
    let mut command = toy.command(&["build", "3.13.5", "-v", "--mirror", url]);
    // No other place may help out.
    let text = fs_err::read_to_string(toy.path("recipes/3.13.toml")).expect("the recipe");
    let alone = text.replace("https://www.python.org", "http://127.0.0.1:9").replace("pool = \"python3.13\"", "");
    fs_err::write(toy.path("recipes/3.13.toml"), alone).expect("the recipe");
    run(command.env("NO_PROXY", "127.0.0.1"))
}

fn toy() -> (Toy, Vec<u8>) {
    let toy = Toy::new(Behaviour { all: "exit 1", ..Behaviour::default() });
    let file = fs_err::read(toy.archive()).expect("the archive");
    (toy, file)
}

#[test]
fn a_connection_that_breaks_is_resumed_where_it_broke() {
    let (toy, file) = toy();
    let half = file.len() / 2;
    let (url, requests) = serve(
        file,
        Box::new(move |_, range, file| match range {
            None => {
                let mut bytes = whole(file);
                bytes.truncate(bytes.len() - (file.len() - half));
                bytes
            }
            Some(from) => rest(from, file),
        }),
    );
    fetched_from(&toy, &url).exits(1).says(&["fetch Python-3.13.5.tar.xz"]);
    let requests = requests.lock().expect("the list");
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[0].contains("get /3.13.5/python-3.13.5.tar.xz "), "{requests:?}");
    assert!(requests[1].contains(&format!("range: bytes={half}-")), "{requests:?}");
}

#[test]
fn a_server_without_ranges_is_asked_for_all_of_it_again() {
    let (toy, file) = toy();
    let (url, requests) = serve(
        file,
        Box::new(|number, _, file| {
            let mut bytes = whole(file);
            if number == 0 {
                bytes.truncate(bytes.len() - 10);
            }
            bytes
        }),
    );
    fetched_from(&toy, &url).exits(1).says(&["fetch Python-3.13.5.tar.xz"]);
    assert_eq!(requests.lock().expect("the list").len(), 2);
}

#[test]
fn a_server_error_is_asked_again_and_a_missing_file_is_not() {
    let (toy, file) = toy();
    let (url, requests) = serve(
        file,
        Box::new(
            |number, _, file| if number < 2 { response("503 Busy", "Content-Length: 0\r\n", b"") } else { whole(file) },
        ),
    );
    fetched_from(&toy, &url).exits(1).says(&["fetch Python-3.13.5.tar.xz"]);
    assert_eq!(requests.lock().expect("the list").len(), 3);

    let (toy, file) = self::toy();
    let (url, requests) = serve(file, Box::new(|_, _, _| response("404 Not Found", "Content-Length: 0\r\n", b"")));
    fetched_from(&toy, &url).exits(3).says(&["404 Not Found", "127.0.0.1"]);
    assert_eq!(requests.lock().expect("the list").len(), 1);
    toy.left_nothing();
}

#[test]
fn wrong_bytes_are_not_asked_for_again() {
    let (toy, file) = toy();
    let (url, requests) = serve(
        file,
        Box::new(|_, _, file| {
            let mut wrong = file.to_vec();
            wrong[0] ^= 1;
            whole(&wrong)
        }),
    );
    fetched_from(&toy, &url).exits(3).says(&["its SHA-256 is"]);
    assert_eq!(requests.lock().expect("the list").len(), 1);
    toy.left_nothing();
}

#[test]
fn a_hostile_source_with_the_right_sum_is_refused_all_the_same() {
    let toy = Toy::new(Behaviour::default());
    let mut builder = tar::Builder::new(xz2::write::XzEncoder::new(Vec::new(), 0));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "Python-3.13.5/Lib", "/etc").expect("an entry");
    fs_err::write(toy.archive(), builder.into_inner().and_then(xz2::write::XzEncoder::finish).expect("an archive"))
        .expect("a file");
    toy.write_recipe(|text| text);
    toy.build().exits(4).says(&["Python-3.13.5.tar.xz", "leads out of it, to /etc"]);
    toy.left_nothing();
}

#[test]
fn the_apt_source_pool_has_the_real_source() {
    use pykeel::event::Silent;
    use pykeel::recipe::Catalog;
    use pykeel::stages::fetch::{FetchOptions, fetch};
    use pykeel::store::LocalStore;
    use pykeel::sys::process::System;

    if !std::path::Path::new("/usr/lib/apt/apt-helper").exists() {
        crate::skip!("this system has no apt");
    }
    let catalog = Catalog::load(None).expect("the recipes");
    let (_, mut recipe) = catalog.find("3.13.5".parse().expect("a version")).expect("a recipe");
    // Upstream's own site out of reach, as in many a company.
    recipe.source.url = "http://127.0.0.1:9/{file}".into();
    let directory = tempfile::tempdir().expect("a directory");
    let store = LocalStore::new(directory.path());
    let source = fetch(&recipe, &FetchOptions::default(), &store, &System, &Silent).expect("the source");
    assert_eq!(source.name(), "Python-3.13.5.tar.xz");
    let sum = recipe.sums.xz.expect("a sum").to_string();
    assert!(directory.path().join("sources").join(sum).exists());
}
