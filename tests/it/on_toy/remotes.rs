//! `push`, `pull` and `list` with remotes in directories, and behind a web server that does what it likes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::level::{count, kill_at_moments};
use crate::server::{Request, Server, cut, empty, redirect, response, whole};
use crate::support::{Ended, run};
use crate::toy_artifact::{artifact, pykeel};

/// A directory with a remote that has the toy's runtime artifact.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().expect("a directory") };
        run(pykeel().args(["push", "3.13.5", "--flavor", "runtime", &place.address()])).exits(0);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn remote(&self) -> PathBuf {
        self.path("remote")
    }

    fn address(&self) -> String {
        format!("file://{}", self.remote().display())
    }

    /// The program with an empty store.
    fn elsewhere(&self, store: &str) -> Command {
        elsewhere(&self.path(store))
    }

    /// A file of the remote.
    fn file(&self, name: &str) -> Vec<u8> {
        fs_err::read(self.remote().join(name)).expect("a file of the remote")
    }

    /// The file that a request asks for.
    fn asked_for(remote: &Path, request: &Request) -> Option<Vec<u8>> {
        let path = request.head.split_whitespace().nth(1)?.strip_prefix("/python/")?;
        std::fs::read(remote.join(path)).ok()
    }

    /// A web server with the remote's files, but for those that `fault` answers.
    fn serve(&self, fault: impl Fn(&Request, &[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) -> Server {
        let remote = self.remote();
        Server::start(move |request, stream| {
            let file = Self::asked_for(&remote, request);
            let own = fault(request, file.as_deref().unwrap_or_default());
            let answer = own.unwrap_or_else(|| file.map_or_else(|| empty("404 Not Found"), |file| whole(&file)));
            stream.write_all(&answer)
        })
    }
}

/// The program with another store, and no proxy between it and this machine.
pub fn elsewhere(store: &Path) -> Command {
    let mut command = pykeel();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name);
    }
    command.env("PYKEEL_STORE", store).env("NO_PROXY", "127.0.0.1,localhost");
    command.env("DOCKER_CONFIG", store.with_extension("docker"));
    command
}

/// Takes the toy's runtime artifact by its digest from a remote.
fn pull(store: &Path, address: &str) -> Ended {
    run(elsewhere(store)
        .args(["pull", "--json", "--remotes", address])
        .arg(format!("sha256:{}", artifact("runtime").digest)))
}

fn is_blob(request: &Request) -> bool {
    request.head.contains(&format!("/blobs/{} ", artifact("runtime").digest))
}

#[test]
fn what_one_store_pushes_another_installs_and_says_where_it_came_from() {
    let place = Place::new();
    let runtime = artifact("runtime");
    let pushed = run(pykeel().args(["push", "3.13", "--json", &place.address()])).exits(0).json();
    let news: Vec<_> = pushed["artifacts"].as_array().expect("an array").iter().map(|one| one["new"].clone()).collect();
    assert_eq!(news.iter().filter(|new| **new == true).count(), 1, "the builder flavor alone: {pushed}");
    let pushed = run(pykeel().args(["push", "--all", "--json", &place.address()])).exits(0).json();
    assert!(
        pushed["artifacts"].as_array().expect("an array").iter().all(|one| one["new"] == false && one["sent"] == 0)
    );

    let list = run(pykeel().args(["list", "--json", &place.address()])).exits(0).json();
    assert_eq!((&list["remote"], list["artifacts"].as_array().map(Vec::len)), (&place.address().into(), Some(2)));
    assert_eq!(list["artifacts"][0]["digest"], runtime.digest.as_str());

    let install = |root: &str, what: &str| {
        let mut command = place.elsewhere("store");
        command.args(["install", "--json", "--no-build", what, "--root"]).arg(place.path(root));
        command.env("PYKEEL_REMOTES", place.address());
        run(&mut command).exits(0)
    };
    let ended = install("root", "3.13.5").says(&["pull", &place.address()]);
    let installed = ended.json();
    assert_eq!(
        (&installed[0]["remote"], &installed[0]["digest"]),
        (&place.address().into(), &runtime.digest.as_str().into())
    );
    assert_eq!(install("again", "3.13.5").json()[0]["remote"], serde_json::Value::Null);
    assert_eq!(install("pinned", &format!("sha256:{}", runtime.digest)).json()[0]["remote"], serde_json::Value::Null);
    // The manifest is the one that was pushed, and so is the time of the publication.
    let records = |command: &mut Command| run(command.args(["list", "--json"])).exits(0).json();
    let (here, there) = (records(&mut pykeel()), records(&mut place.elsewhere("store")));
    assert!(here.as_array().expect("an array").contains(&there[0]), "{here} {there}");

    // `build` compiles nothing either.
    let mut builds = place.elsewhere("of-build");
    builds.args(["build", "3.13.5", "--json", "--offline", "--remotes", &place.address()]);
    let result = run(&mut builds).exits(0).json();
    assert_eq!((&result[0]["cached"], &result[0]["remote"]), (&true.into(), &place.address().into()));
    let all =
        run(place.elsewhere("of-all").args(["pull", "--all", "--json", "--remotes", &place.address()])).exits(0).json();
    assert_eq!(all.as_array().map(Vec::len), Some(2));
}

#[test]
fn what_no_remote_has_is_said() {
    let place = Place::new();
    let none = format!("sha256:{}", "0".repeat(64));
    run(place.elsewhere("store").args(["pull", &none, "--remotes", &place.address()]))
        .exits(2)
        .says(&["0000", "no artifact"]);
    run(place.elsewhere("store").args(["pull", "3.13.5", "--flavor", "builder", "--remotes", &place.address()]))
        .exits(2);
    run(place.elsewhere("store").args(["pull", "3.13.5"])).exits(2).says(&["no remote is named", "PYKEEL_REMOTES"]);
    run(place.elsewhere("store").args(["pull", "3.13.5", "--remotes", "none"])).exits(2).says(&["no remote is named"]);
    run(place.elsewhere("store").args(["list", "https://me:s3cret@x.test/"]))
        .exits(2)
        .says(&["config.json"])
        .says_not(&["s3cret"]);
    run(pykeel().args(["push", "--all", "http://x.test/"])).exits(2).says(&["http+insecure"]);
    run(pykeel().args(["push", &place.address()])).exits(2).says(&["--all"]);
    // A tarball would not get into the store.
    let tarball = artifact("runtime").tarball;
    for words in
        [&["push", "./x.tar.zst", &place.address()][..], &["pull", "--remotes", &place.address(), "./x.tar.zst"]]
    {
        run(pykeel().args(words)).exits(2).says(&["`./x.tar.zst` is neither a version nor sha256:DIGEST"]);
    }
    run(place.elsewhere("store").args(["pull", "--remotes", &place.address()]).arg(&tarball)).exits(2);
    run(pykeel().args(["push", "3.12", &place.address()])).exits(2).says(&["3.12"]);
    run(pykeel().args(["push", "--all", "http://127.0.0.1:9/x"])).exits(2).says(&["can only be read", "file:///DIR"]);
    let absent = format!("file://{}", place.path("absent").display());
    run(pykeel().args(["list", &absent])).exits(3).says(&["absent"]);
}

#[test]
fn a_web_server_with_the_directory_is_a_remote_to_read() {
    let place = Place::new();
    let server = place.serve(|_, _| None);
    let address = format!("{}/python", server.base(""));
    let ended = pull(&place.path("store"), &address).exits(0);
    assert_eq!(ended.json()[0]["remote"], address.as_str());
    let list = run(place.elsewhere("store").args(["list", &address])).exits(0).out;
    assert!(list.contains(&artifact("runtime").digest), "{list}");
    // A place that is no remote is not an empty one.
    pull(&place.path("other"), &server.base("")).exits(2).says(&["it has no index.json", "going on without it"]);
    let none = format!("sha256:{}", "0".repeat(64));
    run(place.elsewhere("other").args(["pull", &none, "--remotes", &address])).exits(2).says_not(&["going on"]);
}

#[test]
fn sixteen_installations_at_once_download_it_once() {
    let place = Place::new();
    let server = place.serve(|_, _| None);
    let running: Vec<_> = (0..16)
        .map(|number| {
            let mut install = place.elsewhere("store");
            install
                .args(["install", "3.13.5", "--no-build", "--no-sync", "--root"])
                .arg(place.path(&format!("root{number}")));
            install.args(["--remotes", &format!("{}/python", server.base(""))]);
            install.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("pykeel")
        })
        .collect();
    for child in running {
        let ended: Ended = child.wait_with_output().expect("pykeel").into();
        ended.exits(0);
    }
    let blobs =
        server.heads().iter().filter(|head| head.contains(&format!("/blobs/{} ", artifact("runtime").digest))).count();
    assert_eq!(blobs, 1);
}

#[test]
fn a_server_that_stumbles_is_asked_again() {
    let place = Place::new();
    let number_of_blobs = std::sync::atomic::AtomicUsize::new(0);
    let server = place.serve(move |request, file| {
        if !is_blob(request) {
            let busy = response("429 Too Many Requests", "Retry-After: 1\r\nContent-Length: 0\r\n", b"");
            return (request.number == 0).then_some(busy);
        }
        let half = file.len() / 2;
        match (number_of_blobs.fetch_add(1, std::sync::atomic::Ordering::SeqCst), request.range) {
            (0, _) => Some(cut(file, half)),
            (1, Some(from)) if from == half => Some(empty("503 Busy")),
            (_, Some(from)) => Some(crate::server::rest(from, file)),
            (_, None) => Some(whole(file)),
        }
    });
    let began = std::time::Instant::now();
    pull(&place.path("store"), &format!("{}/python", server.base(""))).exits(0).says_not(&["going on without it"]);
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "it waits as long as the server says");
    assert!(server.heads().iter().any(|head| head.contains("range: bytes=")), "it goes on where it broke");
}

type Fault = Box<dyn Fn(&Request, &[u8]) -> Option<Vec<u8>> + Send + Sync>;

#[test]
fn a_server_that_lies_or_fails_costs_a_warning_and_nothing_is_kept() {
    let place = Place::new();
    let record = place.file(&format!("artifacts/{}.json", artifact("runtime").digest));
    let manifest = serde_json::from_slice::<serde_json::Value>(&record).expect("JSON")["offers"][0]["manifest"].clone();
    let of_manifest = format!("/blobs/{} ", manifest["digest"].as_str().expect("a digest"));
    let on_blob = |answer: fn(&[u8]) -> Vec<u8>| -> Fault {
        Box::new(move |request, file| is_blob(request).then(|| answer(file)))
    };
    let everywhere = |status: &'static str| -> Fault { Box::new(move |_, _| Some(empty(status))) };
    let faults: Vec<(Fault, &str)> = vec![
        (everywhere("401 Unauthorized"), "wants credentials"),
        (everywhere("403 Forbidden"), "does not permit it"),
        (everywhere("404 Not Found"), "no index.json"),
        (everywhere("405 Method Not Allowed"), "answered 405"),
        (everywhere("500 Internal Server Error"), "answered 500"),
        (
            Box::new(|_, _| Some(response("429 Too Many Requests", "Retry-After: 3600\r\nContent-Length: 0\r\n", b""))),
            "answered 429",
        ),
        (Box::new(|_, _| Some(b"nonsense\r\n\r\n".to_vec())), "remote http://127.0.0.1"),
        (Box::new(|_, _| Some(redirect("file:///etc/passwd"))), "the scheme file"),
        (Box::new(|_, _| Some(redirect("/python/index.json"))), "redirects more than|not what it should be"),
        (on_blob(|file| cut(file, file.len() / 2)), "the connection broke"),
        (on_blob(|file| whole(&vec![0; file.len()])), "expected"),
        (on_blob(|file| whole(&[file, b"more"].concat())), "more than the"),
        (on_blob(|_| empty("404 Not Found")), "which it offers"),
        (
            Box::new(move |request, _| request.head.contains(&of_manifest).then(|| whole(&vec![b' '; 100 << 20]))),
            "sends more than",
        ),
        (
            Box::new(|request, _| request.head.contains("/artifacts/").then(|| whole(&vec![b'['; 100 << 20]))),
            "sends more than",
        ),
        (
            Box::new(|request, _| request.head.contains("/artifacts/").then(|| whole(b"{\"format\": 1}"))),
            "not what it should be",
        ),
    ];
    for (number, (fault, reason)) in faults.into_iter().enumerate() {
        let server = place.serve(fault);
        let store = place.path(&format!("store{number}"));
        let address = format!("{}/python", server.base(""));
        let ended = pull(&store, &address).exits(2).says(&["going on without it"]);
        assert!(reason.split('|').any(|reason| ended.err.contains(reason)), "{reason}: {}", ended.err);
        let left = fs_err::read_dir(store.join("artifacts")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{reason}");
        // The next remote helps.
        let mut second = elsewhere(&store);
        second.args(["pull", "--remotes", &address, "--remotes", &place.address()]);
        if number % 4 == 0 {
            run(second.arg(format!("sha256:{}", artifact("runtime").digest)))
                .exits(0)
                .says(&["going on without it", &place.address()]);
        }
    }
}

#[test]
fn a_remote_that_is_away_or_silent_is_given_up_soon() {
    let place = Place::new();
    let silent = Server::start(|_, _| {
        std::thread::sleep(std::time::Duration::from_mins(2));
        Ok(())
    });
    for address in ["http://127.0.0.1:9/python".to_owned(), format!("{}/python", silent.base(""))] {
        let began = std::time::Instant::now();
        let mut pull = place.elsewhere("store");
        pull.args(["pull", "--remotes", &address, "--remotes", &place.address()]);
        run(pull.arg(format!("sha256:{}", artifact("runtime").digest))).exits(0).says(&["going on without it"]);
        assert!(began.elapsed().as_secs() <= 30, "{address}: {:?}", began.elapsed());
        fs_err::remove_dir_all(place.path("store")).expect("the store");
    }
    // Without the network it is not asked at all.
    let mut offline = place.elsewhere("store");
    offline
        .args(["install", "3.13.5", "--offline", "--no-build", "--remotes", &silent.base(""), "--root"])
        .arg(place.path("root"));
    run(&mut offline).exits(2).says_not(&["going on without it"]);
}

/// The parts of an answer that has no end, until the client goes; `true` if it took all that was tried.
fn send_without_end(head: &[u8], stream: &mut dyn std::io::Write) -> bool {
    let piece = vec![b'x'; 1 << 20];
    stream.write_all(head).is_ok() && (0..128).all(|_| stream.write_all(&piece).is_ok())
}

#[test]
fn the_endless_body_of_an_error_is_not_read() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let place = Place::new();
    // Of a file, and of the small ones before it.
    for part in ["/blobs/", "/artifacts/"] {
        let (remote, read, seen) = (place.remote(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, asked) = (Arc::clone(&read), Arc::clone(&seen));
        let of_tarball = format!("/blobs/{} ", artifact("runtime").digest);
        let server = Server::start(move |request, stream| {
            if request.head.contains(if part == "/blobs/" { &of_tarball } else { part }) {
                asked.fetch_add(1, Ordering::SeqCst);
                if send_without_end(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n", stream) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                return Ok(());
            }
            let file = Place::asked_for(&remote, request);
            stream.write_all(&file.map_or_else(|| empty("404 Not Found"), |file| whole(&file)))
        });
        pull(&place.path("store"), &format!("{}/python", server.base(""))).exits(2);
        assert_eq!((seen.load(Ordering::SeqCst), read.load(Ordering::SeqCst)), (1, 0), "{part}");
    }
}

#[test]
fn a_remote_that_permits_nothing_is_asked_no_more() {
    let place = Place::new();
    let request = fs_err::read_dir(place.remote().join("requests")).expect("a directory").next().expect("a file");
    let request = request.expect("a file").path();
    let mut offers: serde_json::Value = serde_json::from_slice(&fs_err::read(&request).expect("a file")).expect("JSON");
    for digit in ["1", "2"] {
        let mut other = offers["offers"][0].clone();
        other["digest"] = digit.repeat(64).into();
        offers["offers"].as_array_mut().expect("an array").push(other);
    }
    fs_err::write(&request, offers.to_string()).expect("a file");
    let server = place.serve(|request, _| request.head.contains("/blobs/").then(|| empty("403 Forbidden")));
    let mut pull = place.elsewhere("store");
    pull.args(["pull", "3.13.5", "--remotes", &format!("{}/python", server.base(""))]);
    run(&mut pull).exits(2).says(&["does not permit it", "going on without it"]);
    assert_eq!(server.heads().iter().filter(|head| head.contains("/blobs/")).count(), 1);
}

#[test]
fn all_of_the_remotes_is_pulled_but_for_what_is_damaged_or_away() {
    let place = Place::new();
    run(pykeel().args(["push", "--all", &place.address()])).exits(0);
    let silent = Server::start(|_, _| Ok(()));
    let away = format!("file://{}", place.path("absent").display());
    let all = |store: &str| {
        let mut pull = place.elsewhere(store);
        run(pull.args(["pull", "--all", "--json", "--remotes", &away, "--remotes", &place.address()]))
    };
    let ended = all("away").exits(0).says(&["absent", "going on without it"]);
    assert_eq!(ended.json().as_array().map(Vec::len), Some(2));
    // Without the network only the directories are asked.
    let of_network = format!("{}/python", silent.base(""));
    let offline = |addresses: &[&str]| {
        let mut pull = place.elsewhere("offline");
        pull.args(["pull", "--all"]).env("PYKEEL_OFFLINE", "1").env("PYKEEL_REMOTES", addresses.join("\n"));
        run(&mut pull)
    };
    offline(&[&of_network, &place.address()]).exits(0).says_not(&["going on"]);
    offline(&[&of_network]).exits(2).says(&["no remote is a directory"]);
    assert_eq!(silent.heads(), Vec::<String>::new());
    run(place.elsewhere("none").args(["pull", "--all", "--remotes", &away])).exits(3).says(&["absent"]);
    // The first of the list is damaged.
    let list = run(place.elsewhere("none").args(["list", "--json", &place.address()])).exits(0).json();
    let mut digests: Vec<_> =
        list["artifacts"].as_array().expect("an array").iter().map(|one| one["digest"].clone()).collect();
    digests.sort_by_key(ToString::to_string);
    let damaged = digests[0].as_str().expect("a digest");
    fs_err::write(place.remote().join("blobs").join(damaged), "damaged").expect("a file");
    let ended = all("damaged").exits(1).says(&["going on without it", damaged]);
    let taken: Vec<_> = ended.json().as_array().expect("an array").iter().map(|one| one["digest"].clone()).collect();
    assert_eq!(taken, digests[1..]);
}

#[test]
fn what_is_pruned_while_it_waits_to_be_pushed_is_an_error_unless_all_is_pushed() {
    let place = Place::new();
    for (word, code) in [("3.13.5", 2), ("--all", 0)] {
        run(pykeel().args(["push", "--all", &place.address()])).exits(0);
        let (store, to) = (place.path(&format!("store{code}")), place.path(&format!("to{code}")));
        run(elsewhere(&store).args(["pull", "--all", "--remotes", &place.address()])).exits(0);
        let list = run(elsewhere(&store).args(["list", "--json"])).exits(0).json();
        let pruned = list[1]["build_key"].as_str().expect("a key");
        fs_err::create_dir(&to).expect("a directory");
        let lock = fs_err::File::create(to.join("push.lock")).expect("a file").into_parts().0;
        lock.lock().expect("the lock");
        let mut push = elsewhere(&store);
        push.args(["push", word, &format!("file://{}", to.display())]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = push.spawn().expect("pykeel");
        let mut said = std::io::BufReader::new(child.stderr.take().expect("the errors"));
        let mut text = String::new();
        while !text.contains("waiting") && std::io::BufRead::read_line(&mut said, &mut text).expect("text") > 0 {}
        fs_err::remove_dir_all(store.join("artifacts").join(pruned)).expect("the artifact");
        drop(lock);
        std::io::Read::read_to_string(&mut said, &mut text).expect("text");
        assert_eq!(child.wait().expect("pykeel").code(), Some(code), "{text}");
        assert!(text.contains(if code == 0 { "was pruned meanwhile" } else { "no artifact" }), "{text}");
    }
}

#[test]
fn a_kill_while_it_pulls_or_pushes_is_in_nobodys_way() {
    let place = Place::new();
    let digest = format!("sha256:{}", artifact("runtime").digest);
    let quiet = |mut command: Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pykeel");
    let pull = |from: &str| {
        let mut pull = place.elsewhere("killed");
        pull.args(["pull", "--remotes", from, &digest]);
        pull
    };
    let forget = |name: &str| {
        let _absent = fs_err::remove_dir_all(place.path(name));
    };
    // What is in the store is whole.
    let look = || {
        let list = run(place.elsewhere("killed").args(["list", "--json"])).exits(0).json();
        for artifact in list.as_array().expect("an array") {
            assert_eq!(format!("sha256:{}", artifact["digest"].as_str().expect("a digest")), digest);
        }
    };
    kill_at_moments(count(50, 6), || quiet(pull(&place.address())), || forget("killed"), look);
    run(&mut pull(&place.address())).exits(0).says_not(&["going on without it"]);
    let entries: Vec<_> = fs_err::read_dir(place.path("killed/artifacts")).expect("a directory").collect();
    assert_eq!(entries.len(), 1, "{entries:?}");

    let other = format!("file://{}", place.path("other").display());
    let push = || {
        let mut push = pykeel();
        push.args(["push", &digest, &other]);
        push
    };
    // What a remote offers is there.
    let look = || {
        forget("killed");
        let offered = run(place.elsewhere("killed").args(["list", &other])).out.contains("sha256:");
        let pulled = run(&mut pull(&other));
        assert!(offered || pulled.code != 0);
        pulled.says_not(&["not what it should be", "which it offers"]);
    };
    kill_at_moments(count(50, 6), || quiet(push()), || forget("other"), look);
    run(&mut push()).exits(0);
    forget("killed");
    run(&mut pull(&other)).exits(0);
}

#[test]
fn a_web_server_gets_credentials_once_it_asks_and_another_host_never() {
    let place = Place::new();
    let remote = place.remote();
    let other = Server::start(move |request, stream| {
        let file = Place::asked_for(&remote, request);
        stream.write_all(&file.map_or_else(|| empty("404 Not Found"), |file| whole(&file)))
    });
    let to = other.base("");
    // `me:open sesame`
    let known = "basic bwu6b3blbibzzxnhbwu=";
    let server = place.serve(move |request, _| {
        if request.header("authorization") != Some(known) {
            let header = "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n";
            return Some(response("401 Unauthorized", header, b""));
        }
        is_blob(request)
            .then(|| redirect(&format!("{to}{}", request.head.split_whitespace().nth(1).unwrap_or_default())))
    });
    let address = format!("{}/python", server.base(""));
    pull(&place.path("store"), &address).exits(2).says(&["wants credentials"]);
    let docker = place.path("store.docker");
    fs_err::create_dir_all(&docker).expect("a directory");
    let host = server.base("").replace("http://", "");
    let config = serde_json::json!({"auths": {host: {"auth": "bWU6b3BlbiBzZXNhbWU="}}});
    fs_err::write(docker.join("config.json"), config.to_string()).expect("a file");
    pull(&place.path("store"), &address).exits(0);
    let heads = other.heads();
    assert!(!heads.is_empty() && heads.iter().all(|head| !head.contains("authorization")), "{heads:?}");
}
