//! Remotes in OCI registries: Debian's `docker-registry`, and servers that do what they like.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::remotes::elsewhere;
use crate::missing::Missing;
use crate::server::{Request, Server, empty, redirect, response, whole};
use crate::skip;
use crate::support::{Ended, run};
use crate::toy_artifact::{artifact, pykeel};

const PROGRAM: &str = "/usr/bin/docker-registry";
/// `me:open sesame`, as htpasswd writes it and as a header has it.
const PASSWORDS: &str = "me:$2a$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n";
const ENCODED: &str = "bWU6b3BlbiBzZXNhbWU=";

/// A registry that ends with the test.
pub struct Registry {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Registry {
    /// Starts one; none where there is no program.
    pub fn start(with_passwords: bool) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let passwords = directory.path().join("htpasswd");
        fs_err::write(&passwords, PASSWORDS).expect("a file");
        let auth = format!("auth:\n  htpasswd:\n    realm: toy\n    path: {}\n", passwords.display());
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  delete:\n    enabled: true\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: \
             127.0.0.1:{port}\n{}",
            directory.path().join("data").display(),
            if with_passwords { &auth } else { "" }
        );
        let file = directory.path().join("config.yml");
        fs_err::write(&file, config).expect("a file");
        let log = fs_err::File::create(directory.path().join("log")).expect("a file").into_parts().0;
        let output = log.try_clone().expect("a file");
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(&file).stdout(output).stderr(log).stdin(Stdio::null());
        let registry = Self { child: command.spawn().expect("docker-registry"), port, directory };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs_err::read_to_string(registry.directory.path().join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(30), "docker-registry does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    pub fn address(&self) -> String {
        format!("oci://127.0.0.1:{}/team/python", self.port)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn pinned() -> String {
    format!("sha256:{}", artifact("runtime").digest)
}

/// Takes the toy's runtime artifact by its digest from a remote.
pub fn pull(store: &Path, address: &str) -> Ended {
    run(elsewhere(store).args(["pull", "--json", "--remotes", address, &pinned()]))
}

fn news(pushed: &Value) -> Vec<bool> {
    let artifacts = pushed["artifacts"].as_array().expect("an array");
    artifacts.iter().map(|one| one["new"].as_bool().expect("a boolean")).collect()
}

#[test]
fn a_registry_takes_artifacts_and_gives_them_back() {
    let Some(registry) = Registry::start(false) else {
        skip!(Missing::Program("docker-registry"), "there is no docker-registry")
    };
    let (address, runtime) = (registry.address(), artifact("runtime"));
    // Before the first push there is no repository, which is no fault.
    run(elsewhere(&registry.path("empty")).args(["list", &address])).exits(0);
    pull(&registry.path("empty"), &address).exits(2).says_not(&["going on without it"]);

    // Two at once.
    let both = ["runtime", "builder"].map(|flavor| {
        let mut push = pykeel();
        push.args(["push", "3.13.5", "--flavor", flavor, "--json", &address]).env("NO_PROXY", "127.0.0.1");
        push.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pykeel")
    });
    for push in both {
        let ended: Ended = push.wait_with_output().expect("pykeel").into();
        assert_eq!(news(&ended.exits(0).json()), [true]);
    }
    let again = run(pykeel().args(["push", "--all", "--json", &address]).env("NO_PROXY", "127.0.0.1")).exits(0).json();
    assert_eq!(news(&again), [false, false]);
    let list = run(elsewhere(&registry.path("empty")).args(["list", "--json", &address])).exits(0).json();
    let digests: Vec<_> =
        list["artifacts"].as_array().expect("an array").iter().map(|one| one["digest"].clone()).collect();
    assert_eq!(digests.len(), 2);
    assert!(digests.contains(&runtime.digest.clone().into()));

    assert_eq!(pull(&registry.path("pinned"), &address).exits(0).json()[0]["remote"], address.as_str());
    let mut install = elsewhere(&registry.path("store"));
    install
        .args(["install", "3.13.5", "--json", "--no-build", "--remotes", &address, "--root"])
        .arg(registry.path("root"));
    let installed = run(&mut install).exits(0).json();
    assert_eq!(
        (&installed[0]["digest"], &installed[0]["remote"]),
        (&runtime.digest.as_str().into(), &address.as_str().into())
    );
    let records = |command: &mut Command| run(command.args(["list", "--json"])).exits(0).json();
    let there = records(&mut elsewhere(&registry.path("store")));
    assert!(records(&mut pykeel()).as_array().expect("an array").contains(&there[0]), "{there}");

    // Files that are there are not sent again, to another repository of the registry neither where it can mount them.
    let tags = registry.path("data/docker/registry/v2/repositories/team/python/_manifests/tags");
    fs_err::remove_dir_all(&tags).expect("the tags");
    let pushed = run(pykeel().args(["push", "--all", "--json", &address]).env("NO_PROXY", "127.0.0.1")).exits(0).json();
    assert_eq!(news(&pushed), [true, true]);
    assert!(pushed["artifacts"].as_array().expect("an array").iter().all(|one| one["sent"] == 0), "{pushed}");
}

#[test]
fn a_registry_gets_the_credentials_of_dockers_configuration_and_nobody_sees_them() {
    let Some(registry) = Registry::start(true) else {
        skip!(Missing::Program("docker-registry"), "there is no docker-registry")
    };
    let address = registry.address();
    let docker = registry.path("docker");
    fs_err::create_dir_all(&docker).expect("a directory");
    let configure = |auth: &str| {
        let config = json!({"auths": {format!("127.0.0.1:{}", registry.port): {"auth": auth}}});
        fs_err::write(docker.join("config.json"), config.to_string()).expect("a file");
    };
    let push = || {
        let mut push = pykeel();
        push.args(["push", "3.13.5", "--flavor", "runtime", "--json", "-v", "--progress", "json", &address]);
        run(push.env("NO_PROXY", "127.0.0.1").env("DOCKER_CONFIG", &docker))
    };
    let mut said = vec![push().exits(5).says(&["wants credentials", "docker login"])];
    // `me:secret`.
    configure("bWU6c2VjcmV0");
    said.push(push().exits(5).says(&["wants credentials"]));
    configure("bm8gY29sb24=");
    said.push(push().exits(5).says(&["no such credentials"]));
    configure(ENCODED);
    said.push(push().exits(0));
    let mut pull = elsewhere(&registry.path("store"));
    pull.args(["pull", "-v", "--remotes", &address, &pinned()]).env("DOCKER_CONFIG", &docker);
    said.push(run(&mut pull).exits(0));
    for text in said.into_iter().flat_map(|ended| [ended.out, ended.err]) {
        for secret in ["sesame", ENCODED, "bWU6", "c2VjcmV0"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

/// What a registry says of the toy's runtime artifact, made here so that it can be changed.
pub struct Said {
    tag: String,
    manifest: Value,
    tarball: Vec<u8>,
    config: Vec<u8>,
}

pub fn said() -> Said {
    let artifact = artifact("runtime");
    let records = run(pykeel().args(["list", "--json"])).exits(0).json();
    let record =
        records.as_array().expect("an array").iter().find(|record| record["digest"] == artifact.digest.as_str());
    let record = record.expect("the record").clone();
    let text = |key: &str| record[key].as_str().expect(key).to_owned();
    let (tarball, config) = (fs_err::read(&artifact.tarball).expect("the tarball"), {
        let path = artifact.tarball.with_file_name(format!("{}.manifest.json", artifact.name));
        fs_err::read(path).expect("the manifest")
    });
    let descriptor = |kind: &str, digest: String, size: usize| json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": size});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.pykeel.artifact.v1",
        "config": descriptor("application/vnd.pykeel.manifest.v1+json", text("manifest_digest"), config.len()),
        "layers": [descriptor("application/vnd.pykeel.artifact.v1.tar+zstd", artifact.digest.clone(), tarball.len())],
        "annotations": {
            "pykeel.name": artifact.name,
            "pykeel.build-key": text("build_key"),
            "pykeel.request-key": text("request_key"),
            "pykeel.published": record["published"].to_string(),
        },
    });
    let arch = std::env::consts::ARCH;
    let (request, floor) = (&text("request_key")[..12], text("glibc_floor"));
    let tag = format!("3.13.5-{arch}-runtime-{request}-glibc{floor}-{}", artifact.digest);
    Said { tag, manifest, tarball, config }
}

impl Said {
    /// The honest answer to a request.
    pub fn answer(&self, request: &Request) -> Vec<u8> {
        let path = request.head.split_whitespace().nth(1).unwrap_or_default();
        if path.contains("/tags/list") {
            return whole(json!({"name": "team/python", "tags": ["latest", self.tag]}).to_string().as_bytes());
        }
        if path.contains("/manifests/") {
            return whole(self.manifest.to_string().as_bytes());
        }
        let is = |descriptor: &Value| path.ends_with(descriptor["digest"].as_str().expect("a digest"));
        if is(&self.manifest["config"]) {
            whole(&self.config)
        } else if is(&self.manifest["layers"][0]) {
            whole(&self.tarball)
        } else {
            empty("404 Not Found")
        }
    }
}

pub fn address(server: &Server) -> String {
    format!("{}/team/python", server.base("").replace("http://", "oci://"))
}

type Fault = Box<dyn Fn(&Said, &Request) -> Option<Vec<u8>> + Send + Sync>;

/// An answer to all requests whose path has a text in it.
fn at(path: &'static str, answer: impl Fn(&Said) -> Vec<u8> + Send + Sync + 'static) -> Fault {
    Box::new(move |said, request| request.head.contains(path).then(|| answer(said)))
}

/// A manifest that was changed.
fn edited(edit: fn(&mut Value)) -> Fault {
    at("/manifests/", move |said| {
        let mut manifest = said.manifest.clone();
        edit(&mut manifest);
        whole(manifest.to_string().as_bytes())
    })
}

/// That each fault is a warning with a reason, of several that are possible, and leaves nothing in the store.
fn assert_given_up(faults: impl IntoIterator<Item = (Fault, &'static str)>) {
    let place = tempfile::tempdir().expect("a directory");
    for (number, (fault, reason)) in faults.into_iter().enumerate() {
        let said = said();
        let server = Server::start(move |request, stream| {
            stream.write_all(&fault(&said, request).unwrap_or_else(|| said.answer(request)))
        });
        let store = place.path().join(format!("store{number}"));
        let ended = pull(&store, &address(&server)).exits(2).says(&["going on without it"]);
        assert!(reason.split('|').any(|reason| ended.err.contains(reason)), "{number} {reason}: {}", ended.err);
        assert_eq!(fs_err::read_dir(store.join("artifacts")).map_or(0, Iterator::count), 0, "{reason}");
    }
}

#[test]
fn a_registry_that_fails_costs_a_warning_and_nothing_is_kept() {
    let statuses = ["/tags/", "/manifests/", "/blobs/"].into_iter().flat_map(|path| {
        [
            ("401 Unauthorized", "wants credentials"),
            ("403 Forbidden", "does not permit it"),
            ("405 Method Not Allowed", "answered 405"),
        ]
        .map(|(status, reason)| (at(path, move |_| empty(status)), reason))
    });
    let faults: Vec<(Fault, &str)> = vec![
        (at("/", |_| empty("404 Not Found")), "answered 404"),
        (at("/tags/", |_| empty("500 Internal Server Error")), "answered 500"),
        (at("/tags/", |_| whole(b"{\"tags\": 1}")), "list of tags"),
        (at("/tags/", |_| whole(&vec![b' '; 17 << 20])), "sends more than"),
        (
            at("/tags/", |_| {
                response("200 OK", "Link: </v2/x>; rel=\"next\"\r\nContent-Length: 14\r\n", b"{\"tags\":[\"a\"]}")
            }),
            "nothing new",
        ),
        (at("/manifests/", |_| whole(&vec![b' '; 100 << 20])), "sends more than"),
        (at("/manifests/", |said| whole(&said.manifest.to_string().as_bytes()[..99])), "not what it should be"),
        (
            at("/manifests/", |said| {
                let body = said.manifest.to_string();
                let digest =
                    format!("Docker-Content-Digest: sha256:{}\r\nContent-Length: {}\r\n", "0".repeat(64), body.len());
                response("200 OK", &digest, body.as_bytes())
            }),
            "it has the digest",
        ),
        (at("/blobs/", |said| whole(&vec![0; said.tarball.len()])), "expected|sends more than"),
        (at("/blobs/", |_| redirect("gopher://x.test/")), "the scheme gopher"),
    ];
    assert_given_up(faults.into_iter().chain(statuses));
}

#[test]
fn a_registry_that_lies_costs_a_warning_and_nothing_is_kept() {
    let faults: Vec<(Fault, &str)> = vec![
        (edited(|manifest| manifest["config"]["size"] = 100_000_000.into()), "at most"),
        (edited(|manifest| manifest["layers"][0]["size"] = 12.into()), "more than the 12 bytes"),
        (
            edited(|manifest| manifest["layers"][0]["digest"] = format!("sha256:{}", "0".repeat(64)).into()),
            "of the artifact 0000",
        ),
        (
            edited(|manifest| manifest["annotations"]["pykeel.build-key"] = "0".repeat(64).into()),
            "another key than the offer",
        ),
        (
            edited(|manifest| manifest["config"]["digest"] = manifest["layers"][0]["digest"].clone()),
            "not what it should be|sends more|expected",
        ),
        (edited(|manifest| manifest["layers"] = json!([])), "0 layers"),
    ];
    assert_given_up(faults);
}

#[test]
fn a_tag_that_moves_between_two_reads_changes_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let said = said();
    let server = Server::start(move |request, stream| {
        // What the tag names at the second read does not exist.
        let moved = request.head.contains("/manifests/") && request.number > 1;
        stream.write_all(&if moved { whole(b"{}") } else { said.answer(request) })
    });
    pull(&place.path().join("store"), &address(&server)).exits(0);
    let manifests = server.heads().iter().filter(|head| head.contains("/manifests/")).count();
    assert_eq!(manifests, 1);
}

#[test]
fn tokens_come_from_the_registrys_own_host_and_go_nowhere_else() {
    let place = tempfile::tempdir().expect("a directory");
    let store = |name: &str| place.path().join(name);
    // Where files are in another place, which gets no credentials.
    let bytes = said();
    let files = Server::start(move |_, stream| stream.write_all(&whole(&bytes.tarball)));
    let elsewhere_of_files = files.base("");
    let of_tarball = artifact("runtime").digest;
    let registry = |realm: &'static str| {
        let (said, to, of_tarball) = (said(), elsewhere_of_files.clone(), of_tarball.clone());
        Server::start(move |request, stream| {
            let host = request.header("host").unwrap_or_default();
            if request.head.starts_with("get /token") {
                let is_known = request.header("authorization") == Some(&format!("basic {}", ENCODED.to_lowercase()));
                return stream.write_all(&if is_known {
                    whole(b"{\"token\": \"t0ken\"}")
                } else {
                    empty("401 Unauthorized")
                });
            }
            if request.header("authorization") != Some("bearer t0ken") {
                let realm = realm.replace("HOST", host);
                let header =
                    format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"toy\"\r\nContent-Length: 0\r\n");
                return stream.write_all(&response("401 Unauthorized", &header, b""));
            }
            let is_tarball = request.head.contains(&format!("/blobs/sha256:{of_tarball}"));
            stream.write_all(&if is_tarball { redirect(&format!("{to}/file")) } else { said.answer(request) })
        })
    };
    let with_password = |server: &Server, name: &str, address: &str| {
        let docker = store(&format!("{name}-docker"));
        fs_err::create_dir_all(&docker).expect("a directory");
        let host = server.base("").replace("http://", "");
        fs_err::write(docker.join("config.json"), json!({"auths": {host: {"auth": ENCODED}}}).to_string())
            .expect("a file");
        let mut pull = elsewhere(&store(name));
        pull.args(["pull", "-v", "--remotes", address, &pinned()]).env("DOCKER_CONFIG", docker);
        run(&mut pull)
    };
    let own = registry("http://HOST/token");
    let ended = with_password(&own, "own", &address(&own)).exits(0);
    assert!(!format!("{}{}", ended.out, ended.err).contains("t0ken"));
    let tokens: Vec<_> = own.heads().into_iter().filter(|head| head.starts_with("get /token")).collect();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert!(tokens[0].contains("service=toy&scope=repository%3ateam%2fpython%3apull "), "{tokens:?}");
    let heads = files.heads();
    assert!(!heads.is_empty() && heads.iter().all(|head| !head.contains("authorization")), "{heads:?}");

    // A token server of another host is asked for nothing, with or without a password.
    let other = Server::start(|_, stream| stream.write_all(&whole(b"{\"token\": \"t0ken\"}")));
    let realm: &'static str = Box::leak(other.base("").replace("127.0.0.1", "localhost").into_boxed_str());
    let lured = registry(realm);
    let reason = ["which is another host", "?token-server=localhost:"];
    with_password(&lured, "lured", &address(&lured)).exits(2).says(&reason);
    pull(&store("anonymous"), &address(&lured)).exits(2).says(&reason);
    assert_eq!(other.heads(), Vec::<String>::new());
}

#[test]
fn neither_a_bad_artifact_nor_many_that_need_a_newer_glibc_hide_a_good_one() {
    let place = tempfile::tempdir().expect("a directory");
    let said = said();
    let (digest, runtime) = ("0".repeat(64), artifact("runtime"));
    let bad = said.tag.replace(&runtime.digest, &digest);
    let before = said.tag.split("-glibc").next().expect("a beginning").to_owned();
    let mut tags: Vec<String> = (0..150).map(|number| format!("{before}-glibc9.9-{number:064}")).collect();
    tags.extend([bad.clone(), said.tag.clone()]);
    let server = Server::start(move |request, stream| {
        let answer = if request.head.contains("/tags/list") {
            whole(json!({"name": "team/python", "tags": tags}).to_string().as_bytes())
        } else if request.head.contains(&format!("/manifests/{bad}")) {
            whole(b"{}")
        } else {
            said.answer(request)
        };
        stream.write_all(&answer)
    });
    let mut pull = elsewhere(&place.path().join("store"));
    pull.args(["pull", "3.13.5", "--json", "--remotes", &address(&server)]);
    let ended = run(&mut pull).exits(0).says(&[&digest, "going on without it"]);
    assert_eq!(ended.json()[0]["digest"], runtime.digest.as_str());
    assert_eq!(server.heads().iter().filter(|head| head.contains("/manifests/")).count(), 2);
}

#[test]
fn of_many_artifacts_of_a_request_some_are_looked_at_and_a_warning_says_so() {
    let place = tempfile::tempdir().expect("a directory");
    let said = said();
    let before = said.tag.split("-glibc").next().expect("a beginning").to_owned();
    let tags: Vec<String> = (0..150).map(|number| format!("{before}-glibc2.2-{number:064}")).collect();
    let server = Server::start(move |request, stream| {
        let is_list = request.head.contains("/tags/list");
        let list = || whole(json!({"name": "team/python", "tags": tags}).to_string().as_bytes());
        stream.write_all(&if is_list { list() } else { empty("404 Not Found") })
    });
    let mut pull = elsewhere(&place.path().join("store"));
    pull.args(["pull", "3.13.5", "--remotes", &address(&server)]);
    run(&mut pull).exits(2).says(&["150 artifacts of the request", "100 are looked at"]);
    assert_eq!(server.heads().iter().filter(|head| head.contains("/manifests/")).count(), 100);
}

#[test]
fn more_tags_than_any_registry_has_are_not_kept() {
    let place = tempfile::tempdir().expect("a directory");
    let before = said().tag.split("-glibc").next().expect("a beginning").to_owned();
    let tags: Vec<String> = (0..=100_000).map(|number| format!("{before}-glibc2.2-{number:064}")).collect();
    let body = json!({"name": "team/python", "tags": tags}).to_string();
    assert!(body.len() < 16 << 20, "the limit of one page comes first");
    let server = Server::start(move |_, stream| stream.write_all(&whole(body.as_bytes())));
    run(elsewhere(&place.path().join("store")).args(["list", &address(&server)])).exits(4).says(&["100000 tags"]);
}

#[test]
fn the_tags_of_a_request_are_asked_for_in_pages_from_its_first_on() {
    let place = tempfile::tempdir().expect("a directory");
    let said = said();
    let wanted = said.tag.clone();
    // Before it, beside it and after it, in the order of a registry.
    let other = |version: &str| wanted.replacen("3.13.5", version, 1);
    let mut tags: Vec<String> = (0..30).map(|number| other(&format!("3.12.{number}"))).collect();
    tags.extend((0..30).map(|number| other(&format!("3.14.{number}"))));
    tags.push(wanted.clone());
    tags.sort();
    let server = Server::start(move |request, stream| {
        let path = request.head.split_whitespace().nth(1).unwrap_or_default();
        if !path.contains("/tags/list") {
            return stream.write_all(&said.answer(request));
        }
        let last = path.split("last=").nth(1).unwrap_or_default();
        let mut page: Vec<&String> = tags.iter().filter(|tag| tag.as_str() > last).collect();
        let link = if page.len() > 7 { "Link: </v2/nowhere>; rel=\"next\"\r\n" } else { "" };
        page.truncate(7);
        let body = json!({"name": "x", "tags": page}).to_string();
        stream.write_all(&response("200 OK", &format!("{link}Content-Length: {}\r\n", body.len()), body.as_bytes()))
    });
    let pages = || server.heads().iter().filter(|head| head.contains("/tags/list")).count();
    let list = run(elsewhere(&place.path().join("store")).args(["list", "--json", &address(&server)])).exits(0).json();
    assert_eq!((list["artifacts"].as_array().map(Vec::len), pages()), (Some(61), 9));
    let mut install = elsewhere(&place.path().join("store"));
    install.args(["pull", "3.13.5", "--json", "--remotes", &address(&server)]);
    assert_eq!(run(&mut install).exits(0).json()[0]["digest"], artifact("runtime").digest.as_str());
    assert_eq!(pages(), 10, "one page more");
}
