//! Remotes in object stores: servers in memory that do what they like.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::remotes::elsewhere;
use crate::cloud::{Conditions, ObjectServer, Question, error, reply};
use crate::support::{Ended, run};
use crate::toy_artifact::{artifact, pykeel};

const SECRET: &str = "s3cretsesame";

fn pinned() -> String {
    format!("sha256:{}", artifact("runtime").digest)
}

/// The program with a server, and no variables of clouds but those that lead to it.
fn led(server: &ObjectServer, mut command: Command) -> Command {
    server.lead(&mut command);
    command
}

fn push(server: &ObjectServer, address: &str, words: &[&str]) -> Ended {
    run(led(server, pykeel()).args(["push", "--json"]).args(words).arg(address))
}

/// Takes the toy's runtime artifact by its digest from a remote.
fn pull(server: &ObjectServer, store: &Path, address: &str) -> Ended {
    run(led(server, elsewhere(store)).args(["pull", "--json", "-v", "--remotes", address, &pinned()]))
}

fn news(pushed: &Value) -> Vec<bool> {
    let artifacts = pushed["artifacts"].as_array().expect("an array");
    artifacts.iter().map(|one| one["new"].as_bool().expect("a boolean")).collect()
}

fn honest(conditions: Conditions) -> ObjectServer {
    ObjectServer::start(conditions, |_| None)
}

/// A server that has the toy's runtime artifact below `team`.
fn stocked(fault: impl Fn(&Question) -> Option<Vec<u8>> + Send + Sync + 'static) -> ObjectServer {
    let (full, server) = (honest(Conditions::Kept), ObjectServer::start(Conditions::Kept, fault));
    push(&full, "s3://pythons/team", &["3.13.5", "--flavor", "runtime"]).exits(0);
    for key in full.keys() {
        server.set(&key, full.object(&key));
    }
    server
}

#[test]
fn every_cloud_takes_artifacts_and_gives_them_back() {
    for scheme in ["s3", "gs", "az"] {
        for conditions in [Conditions::Kept, Conditions::Ignored, Conditions::Unknown] {
            if scheme != "s3" && conditions != Conditions::Kept {
                continue;
            }
            let place = tempfile::tempdir().expect("a directory");
            let (server, address) = (honest(conditions), format!("{scheme}://pythons/team/a"));
            run(led(&server, pykeel()).args(["list", &address])).exits(0).says(&[]);
            let pushed = push(&server, &address, &["--all"]).exits(0);
            assert_eq!(news(&pushed.json()), [true, true], "{scheme} {conditions:?}");
            let before = server.asked().len();
            let again = push(&server, &address, &["--all"]).exits(0).json();
            assert_eq!(news(&again), [false, false], "{scheme} {conditions:?}");
            let writes: Vec<_> = server.asked().drain(before..).filter(|asked| asked.starts_with("PUT")).collect();
            assert_eq!(writes, Vec::<String>::new(), "a push that says nothing new writes nothing");
            assert!(server.keys().iter().all(|key| key.starts_with("team/a/")), "{:?}", server.keys());
            let list = run(led(&server, pykeel()).args(["list", "--json", &address])).exits(0).json();
            assert_eq!(list["artifacts"].as_array().map(Vec::len), Some(2));
            let pulled = pull(&server, &place.path().join("store"), &address).exits(0);
            assert_eq!(pulled.json()[0]["remote"], address.as_str());
            let mut install = led(&server, elsewhere(&place.path().join("other")));
            install.args(["install", "3.13.5", "--json", "--no-build", "--remotes", &address, "--root"]);
            let installed = run(install.arg(place.path().join("root"))).exits(0).json();
            assert_eq!(installed[0]["digest"], artifact("runtime").digest.as_str());
            for ended in [pushed, pulled] {
                assert!(!format!("{}{}", ended.out, ended.err).contains(SECRET));
            }
        }
    }
}

#[test]
fn a_bucket_that_a_web_server_has_is_a_remote_to_read() {
    let place = tempfile::tempdir().expect("a directory");
    let server = stocked(|_| None);
    for key in server.keys() {
        let path = place.path().join(&key);
        fs_err::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs_err::write(path, server.object(&key).expect("a file")).expect("a file");
    }
    let address = format!("file://{}", place.path().join("team").display());
    let mut pull = elsewhere(&place.path().join("store"));
    run(pull.args(["pull", "3.13.5", "--remotes", &address])).exits(0);
}

#[test]
fn pushes_at_once_lose_nothing_of_each_other_whatever_the_server_can() {
    for conditions in [Conditions::Kept, Conditions::Ignored, Conditions::Unknown] {
        let server = honest(conditions);
        let running: Vec<_> = (0..4)
            .map(|number| {
                let mut push = led(&server, pykeel());
                let flavor = if number % 2 == 0 { "runtime" } else { "builder" };
                push.args(["push", "3.13.5", "--flavor", flavor, "s3://pythons"]);
                push.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("pykeel")
            })
            .collect();
        for child in running {
            let ended: Ended = child.wait_with_output().expect("pykeel").into();
            ended.exits(0);
        }
        let index: Value = serde_json::from_slice(&server.object("index.json").expect("the index")).expect("JSON");
        assert_eq!(index["offers"].as_array().map(Vec::len), Some(2), "{conditions:?}");
        assert_eq!(server.keys().iter().filter(|key| key.starts_with("requests/")).count(), 2, "{:?}", server.keys());
    }
}

#[test]
fn an_old_index_that_replaces_a_newer_one_is_noticed() {
    // The push of another artifact ends between the reading of the index and its writing.
    let server = honest(Conditions::Ignored);
    push(&server, "s3://pythons", &["3.13.5", "--flavor", "builder"]).exits(0);
    let key = format!("artifacts/{}.json", artifact("builder").digest);
    let (of_builder, index) = (server.object(&key).expect("a file"), server.object("index.json").expect("a file"));
    server.set(&key, None);
    server.set("index.json", None);
    let once = std::sync::atomic::AtomicBool::new(false);
    let between = std::sync::Arc::new(std::sync::Mutex::new(None::<ObjectServer>));
    let other = std::sync::Arc::clone(&between);
    let racing = ObjectServer::start(Conditions::Ignored, move |question| {
        let is_write = question.method == "PUT" && question.key == "index.json";
        if is_write && !once.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let server = other.lock().expect("the server").clone().expect("the server");
            server.set(&key, Some(of_builder.clone()));
            server.set("index.json", Some(index.clone()));
        }
        None
    });
    *between.lock().expect("the server") = Some(racing.clone());
    for key in server.keys() {
        racing.set(&key, server.object(&key));
    }
    push(&racing, "s3://pythons", &["3.13.5", "--flavor", "runtime"]).exits(0);
    let index: Value = serde_json::from_slice(&racing.object("index.json").expect("the index")).expect("JSON");
    assert_eq!(index["offers"].as_array().map(Vec::len), Some(2), "{index}");
}

type Fault = Box<dyn Fn(&Question) -> Option<Vec<u8>> + Send + Sync>;

/// An answer to the requests for the runtime tarball.
fn at_blob(answer: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Fault {
    let key = format!("team/blobs/{}", artifact("runtime").digest);
    Box::new(move |question| (question.method == "GET" && question.key == key).then(&answer))
}

#[test]
fn a_store_that_lies_or_fails_costs_a_warning_and_nothing_is_kept() {
    let bytes = fs_err::read(&artifact("runtime").tarball).expect("the tarball");
    let with = |bytes: Vec<u8>, size: usize| {
        let headers = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {size}\r\nETag: \"1\"\r\n\
             Last-Modified: Sat, 28 Nov 2026 09:00:00 GMT\r\n\r\n"
        );
        [headers.into_bytes(), bytes].concat()
    };
    let (half, zeros, more) = (bytes[..bytes.len() / 2].to_vec(), vec![0; bytes.len()], [&bytes[..], b"more"].concat());
    let size = bytes.len();
    let everywhere =
        |status: &'static str, code: &'static str| -> Fault { Box::new(move |_| Some(error(status, code))) };
    let faults: Vec<(Fault, &str)> = vec![
        (everywhere("401 Unauthorized", "x"), "wants credentials"),
        (everywhere("403 Forbidden", "AccessDenied"), "403, AccessDenied: it does not permit it"),
        (everywhere("404 Not Found", "NoSuchBucket"), "there is no such bucket"),
        (everywhere("400 Bad Request", "InvalidRequest"), "answered 400, InvalidRequest"),
        (everywhere("500 Internal Server Error", "\u{1b}[31m"), "answered 500;"),
        (everywhere("503 Busy", "SlowDown"), "answered 503, SlowDown"),
        (Box::new(|_| Some(reply("302 Found", "Location: http://127.0.0.1:9/x\r\n", b""))), "answered 302"),
        (Box::new(|_| Some(b"nonsense\r\n\r\n".to_vec())), "s3://pythons/team"),
        (at_blob(move || with(half.clone(), size)), "the connection broke|it ended after|cannot be understood"),
        (at_blob(move || with(zeros.clone(), size)), "expected"),
        (at_blob(move || with(more.clone(), size + 4)), "more than the"),
        (at_blob(|| error("404 Not Found", "NoSuchKey")), "which it offers"),
        (at_blob(|| error("403 Forbidden", "AccessDenied")), "does not permit it"),
        (
            Box::new(move |question| {
                question.key.contains("/artifacts/").then(|| with(vec![b'['; 100 << 20], 100 << 20))
            }),
            "more than 4194304 bytes",
        ),
    ];
    let place = tempfile::tempdir().expect("a directory");
    for (number, (fault, reason)) in faults.into_iter().enumerate() {
        let server = stocked(fault);
        let store = place.path().join(format!("store{number}"));
        let began = Instant::now();
        let ended = pull(&server, &store, "s3://pythons/team").exits(2).says(&["going on without it"]);
        assert!(reason.split('|').any(|reason| ended.err.contains(reason)), "{number} {reason}: {}", ended.err);
        assert!(!ended.err.contains(SECRET) && !ended.err.contains('\u{1b}'), "{}", ended.err);
        assert!(began.elapsed() < Duration::from_secs(30), "{reason}: {:?}", began.elapsed());
        assert_eq!(fs_err::read_dir(store.join("artifacts")).map_or(0, Iterator::count), 0, "{reason}");
    }
}

#[test]
fn a_store_that_stumbles_is_asked_again() {
    let place = tempfile::tempdir().expect("a directory");
    let bytes = fs_err::read(&artifact("runtime").tarball).expect("the tarball");
    let (of_blob, asked) =
        (format!("team/blobs/{}", artifact("runtime").digest), std::sync::atomic::AtomicUsize::new(0));
    let server = stocked(move |question| {
        if question.number == 0 {
            return Some(error("429 Too Many Requests", "SlowDown"));
        }
        if question.method == "GET"
            && question.key == of_blob
            && asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0
        {
            let mut answer =
                reply("200 OK", "ETag: \"1000000\"\r\nLast-Modified: Sat, 28 Nov 2026 09:00:00 GMT\r\n", &bytes);
            answer.truncate(answer.len() - bytes.len() / 2);
            return Some(answer);
        }
        None
    });
    pull(&server, &place.path().join("store"), "s3://pythons/team").exits(0).says_not(&["going on without it"]);
}

#[test]
fn a_store_that_is_away_or_silent_is_given_up_soon() {
    let place = tempfile::tempdir().expect("a directory");
    let silent = ObjectServer::start(Conditions::Kept, |_| {
        std::thread::sleep(Duration::from_mins(2));
        None
    });
    let other = stocked(|_| None);
    let directory = place.path().join("remote");
    for key in other.keys() {
        let path = directory.join(&key);
        fs_err::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs_err::write(path, other.object(&key).expect("a file")).expect("a file");
    }
    let next = format!("file://{}", directory.join("team").display());
    for (number, endpoint) in [None, Some("http://127.0.0.1:9")].into_iter().enumerate() {
        let mut pull = led(&silent, elsewhere(&place.path().join(format!("store{number}"))));
        if let Some(endpoint) = endpoint {
            pull.env("AWS_ENDPOINT_URL", endpoint);
        }
        let began = Instant::now();
        run(pull.args(["pull", "--remotes", "s3://pythons/team", "--remotes", &next, &pinned()]))
            .exits(0)
            .says(&["going on without it", &next]);
        assert!(began.elapsed().as_secs() <= 30, "{endpoint:?}: {:?}", began.elapsed());
    }
}

#[test]
fn what_the_environment_says_is_checked_and_never_shown() {
    let server = stocked(|_| None);
    let ask =
        |name: &str, value: &str| run(led(&server, pykeel()).args(["list", "s3://pythons/team"]).env(name, value));
    for (name, value, reason) in [
        ("AWS_ENDPOINT_URL", "http://me:s3cretsesame@127.0.0.1/", "a user or a password"),
        ("AWS_ENDPOINT_URL", "http://s3.test/", "anybody on the way could change it"),
        ("AWS_SECRET_ACCESS_KEY", "s3cretsesame\n", "characters that it cannot have"),
        ("AWS_REGION", "s3cretsesame:", "AWS_REGION"),
    ] {
        ask(name, value).exits(3).says(&[reason]).says_not(&[SECRET]);
    }
    // Nothing is sent in the clear, whatever that variable says.
    ask("AWS_ALLOW_HTTP", "true").exits(0);
    let mut clear = led(&server, pykeel());
    clear.args(["list", "s3://pythons/team"]).env("AWS_ALLOW_HTTP", "true").env("AWS_ENDPOINT_URL", "http://s3.test/");
    run(&mut clear).exits(3).says(&["anybody on the way could change it"]);
    run(pykeel().args(["list", "s3://key:s3cretsesame@pythons"])).exits(2).says_not(&[SECRET]);
}

/// The path of a lock that refers to the toy's runtime artifact.
fn lock(place: &Path) -> PathBuf {
    let path = place.join("pykeel.lock");
    run(pykeel().args(["lock", "3.13.5", "--flavor", "runtime", "--lock"]).arg(&path)).exits(0);
    path
}

fn digests(list: &Value) -> Vec<String> {
    list.as_array().expect("an array").iter().map(|one| one["digest"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn what_no_rule_keeps_is_pruned_from_a_directory_and_from_a_bucket() {
    let place = tempfile::tempdir().expect("a directory");
    let (server, lock) = (honest(Conditions::Kept), lock(place.path()));
    let (runtime, builder) = (artifact("runtime").digest, artifact("builder").digest);
    let directory = format!("file://{}", place.path().join("remote").display());
    for address in [directory.as_str(), "s3://pythons/team", "gs://pythons/gs", "az://pythons/az"] {
        push(&server, address, &["--all"]).exits(0);
        let prune = |words: &[&str]| run(led(&server, pykeel()).args(["prune", "--json", address]).args(words));
        let list =
            || digests(&run(led(&server, pykeel()).args(["list", "--json", address])).exits(0).json()["artifacts"]);
        prune(&[]).exits(2).says(&["--keep"]);
        assert_eq!(prune(&["--keep", "1"]).exits(0).json()["left"], 2);
        assert_eq!(prune(&["--older-than", "30d"]).exits(0).json()["left"], 2);
        prune(&["--lock", "/nonexistent/pykeel.lock"]).exits(2);
        let locked = lock.to_str().expect("text");
        let dry = prune(&["--lock", locked, "--dry-run"]).exits(0).json();
        assert_eq!((&dry["dry_run"], digests(&dry["removed"])), (&true.into(), vec![builder.clone()]));
        assert_eq!(list().len(), 2, "nothing was removed");
        let pruned = prune(&["--lock", locked]).exits(0).json();
        assert_eq!((digests(&pruned["removed"]), &pruned["freed"]), (vec![builder.clone()], &dry["freed"]));
        assert_eq!(list(), std::slice::from_ref(&runtime));
        pull(&server, &place.path().join(format!("store-{}", &address[..2])), address).exits(0);
        let mut gone = led(&server, elsewhere(&place.path().join("gone")));
        run(gone.args(["pull", "--remotes", address, &format!("sha256:{builder}")])).exits(2).says_not(&["going on"]);
        let all = prune(&["--keep", "0"]).exits(0).json();
        assert_eq!((&all["left"], list().len()), (&0.into(), 0));
        // Only what says that nothing is there.
        if address == directory {
            assert_eq!(fs_err::read_dir(place.path().join("remote/blobs")).expect("a directory").count(), 0);
        }
        push(&server, address, &["--all"]).exits(0);
        assert_eq!(list().len(), 2);
    }
    run(pykeel().args(["prune", "--keep", "1", "http://127.0.0.1:9/x"])).exits(3);
}

#[test]
fn a_pruner_breaks_nothing_that_others_push_or_pull() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = format!("file://{}", place.path().join("remote").display());
    let server = honest(Conditions::Ignored);
    for address in [directory.as_str(), "s3://pythons/team"] {
        push(&server, address, &["--all"]).exits(0);
        std::thread::scope(|scope| {
            for word in ["3.13.5", "--all"] {
                let server = &server;
                scope.spawn(move || (0..4).for_each(|_| drop(push(server, address, &[word]).exits(0))));
            }
            scope.spawn(|| {
                for _ in 0..4 {
                    run(led(&server, pykeel()).args(["prune", "--keep", "0", address])).exits(0);
                }
            });
            scope.spawn(|| {
                for number in 0..4 {
                    let store = place.path().join(format!("{}{number}", &address[..2]));
                    let ended = pull(&server, &store, address);
                    // It is there, or it is not; it is never another.
                    assert!(ended.code == 0 || ended.code == 2, "{}", ended.err);
                    ended.says_not(&["not what it should be", "expected"]);
                }
            });
        });
        push(&server, address, &["--all"]).exits(0);
        let list = run(led(&server, pykeel()).args(["list", "--json", address])).exits(0).json();
        assert_eq!(list["artifacts"].as_array().map(Vec::len), Some(2));
        pull(&server, &place.path().join(format!("{}last", &address[..2])), address).exits(0);
    }
}
