//! Who is told who we are: client certificates, `.netrc` and tokens go to their own host alone, and are never shown.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::network::{FETCHED, command, toy};
use super::remotes::elsewhere;
use crate::server::{Request, Server, empty, redirect, response, whole};
use crate::support::{Ended, run};
use crate::toy::Toy;
use crate::toy_artifact::{artifact, pykeel};

/// Writes a CA (`ca.pem`) and a client's certificate with its key (`client.pem`), and returns the configuration of a
/// server that lets nobody in without one.
fn certified(place: &Path) -> rustls::ServerConfig {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let signed = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &issuer).expect("a certificate"), key)
    };
    let (client, key) = signed("client.test");
    fs_err::write(place.join("ca.pem"), ca_certificate.pem()).expect("a file");
    fs_err::write(place.join("client.pem"), client.pem() + &key.serialize_pem()).expect("a file");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca_certificate.der().clone()).expect("the CA");
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
    let (own, key) = signed("127.0.0.1");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.der().clone()], key)
        .expect("a configuration")
}

/// The words that say that a server wants to know who asks.
const WANTED: [&str; 2] = ["127.0.0.1 wants a client certificate", "set SSL_CLIENT_CERT"];

#[test]
fn a_mirror_that_wants_a_client_certificate_gets_it_and_another_host_does_not() {
    let (toy, file) = toy();
    let config = certified(&toy.path(""));
    let content = file.clone();
    let server = Server::start_tls(config.clone(), move |_, stream| stream.write_all(&whole(&content)));
    let ask = |mirror: &str, certificate: Option<&str>| {
        let mut command = command(&toy, mirror);
        command.env("SSL_CERT_FILE", toy.path("ca.pem"));
        if let Some(name) = certificate {
            command.env("SSL_CLIENT_CERT", toy.path(name));
        }
        run(&mut command)
    };
    ask(&server.mirror(), None).exits(3).says(&WANTED);
    ask(&server.mirror(), Some("no-such.pem")).exits(3).says(&["SSL_CLIENT_CERT names ", "No such file"]);
    ask(&server.mirror(), Some("ca.pem")).exits(3).says(&["it has no certificate with its private key in PEM"]);
    assert_eq!(server.heads(), Vec::<String>::new());
    // Within the host it is shown again, and not to another one, which would know it too.
    let to = format!("{}/elsewhere", server.base(""));
    let first = Server::start_tls(config.clone(), move |_, stream| stream.write_all(&redirect(&to)));
    ask(&first.mirror(), Some("client.pem")).exits(3).says(&WANTED);
    assert_eq!((first.heads().len(), server.heads().len()), (1, 0));
    let open = Server::start(move |_, stream| stream.write_all(&whole(&file)));
    let to = format!("{}/elsewhere", open.base(""));
    let second = Server::start_tls(config, move |request, stream| {
        stream.write_all(&redirect(if request.number == 0 { "/again" } else { &to }))
    });
    ask(&second.mirror(), Some("client.pem")).exits(1).says(&[FETCHED]);
    assert_eq!((second.heads().len(), open.heads().len()), (2, 1));
    // The store has it now, and is not asked.
    fs_err::remove_dir_all(toy.store()).expect("the store");
    ask(&server.mirror(), Some("client.pem")).exits(1).says(&[FETCHED]);
}

/// A directory with a remote that has the toy's runtime artifact.
fn remote(place: &Path) -> std::path::PathBuf {
    let remote = place.join("remote");
    run(pykeel().args(["push", "3.13.5", "--flavor", "runtime", &format!("file://{}", remote.display())])).exits(0);
    remote
}

/// The file of a remote that a request asks for.
fn asked_for(remote: &Path, request: &Request) -> Vec<u8> {
    let path = request.head.split_whitespace().nth(1).and_then(|path| path.strip_prefix("/python/"));
    let file = path.and_then(|path| std::fs::read(remote.join(path)).ok());
    file.map_or_else(|| empty("404 Not Found"), |file| whole(&file))
}

#[test]
fn a_remote_that_wants_a_client_certificate_gets_it_and_another_host_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path();
    let (remote, config) = (remote(place), certified(place));
    let files = remote.clone();
    let server =
        Server::start_tls(config.clone(), move |request, stream| stream.write_all(&asked_for(&files, request)));
    let to = server.base("");
    let lured = Server::start_tls(config, move |request, stream| {
        let is_tarball = request.head.contains(&format!("/blobs/{} ", artifact("runtime").digest));
        let path = request.head.split_whitespace().nth(1).unwrap_or_default();
        stream.write_all(&if is_tarball { redirect(&format!("{to}{path}")) } else { asked_for(&remote, request) })
    });
    let pull = |server: &Server, knows: bool| {
        let mut pull = elsewhere(&place.join("store"));
        pull.args(["pull", "3.13.5", "--remotes", &format!("{}/python", server.base(""))]);
        pull.env("SSL_CERT_FILE", place.join("ca.pem"));
        if knows {
            pull.env("SSL_CLIENT_CERT", place.join("client.pem"));
        }
        run(&mut pull)
    };
    pull(&server, false).exits(2).says(&WANTED).says(&["going on without it"]);
    pull(&lured, true).exits(2).says(&WANTED);
    assert_eq!(server.heads(), Vec::<String>::new());
    pull(&server, true).exits(0);
}

/// `me:open sesame`, as a header has it, in lower case.
const SENT: &str = "basic bwu6b3blbibzzxnhbwu=";

/// A server that wants credentials, and has a file.
fn closed(expected: &'static str, answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::start(move |request, stream| {
        let is_known = request.header("authorization") == Some(expected);
        stream.write_all(&if is_known { answer(request) } else { empty("401 Unauthorized") })
    })
}

/// Builds with a mirror, a `.netrc` and a docker's configuration.
fn build(toy: &Toy, server: &Server, netrc: &str, docker: &serde_json::Value) -> Ended {
    fs_err::create_dir_all(toy.path("docker")).expect("a directory");
    fs_err::write(toy.path("docker/config.json"), docker.to_string()).expect("a file");
    fs_err::write(toy.path("netrc"), netrc).expect("a file");
    let mut command = command(toy, &server.mirror());
    command.env("NETRC", toy.path("netrc")).env("DOCKER_CONFIG", toy.path("docker"));
    run(&mut command)
}

#[test]
fn a_mirror_gets_the_credentials_of_a_netrc_or_a_token_once_it_asks_and_another_host_never() {
    let (toy, file) = toy();
    let content = file.clone();
    let other = Server::start(move |_, stream| stream.write_all(&whole(&content)));
    let to = format!("{}/elsewhere", other.base("").replace("127.0.0.1", "localhost"));
    let server = closed(SENT, move |_| redirect(&to));
    let host = server.base("").replace("http://", "");
    let none = json!({});
    let mut said = vec![
        build(&toy, &server, "", &none).exits(3).says(&["401 Unauthorized", "~/.netrc"]),
        // What is for whoever asks is for nobody.
        build(&toy, &server, "default login me password \"open sesame\"", &none).exits(3),
        build(&toy, &server, "machine localhost login me password \"open sesame\"", &none).exits(3),
        build(&toy, &server, "machine 127.0.0.1 login me password s3cret", &none).exits(3).says(&["401"]),
    ];
    assert_eq!(other.heads(), Vec::<String>::new());
    for machine in ["127.0.0.1", &host] {
        let _absent = fs_err::remove_dir_all(toy.store());
        let netrc = format!("machine {machine} login me password \"open sesame\"\n");
        said.push(build(&toy, &server, &netrc, &none).exits(1).says(&[FETCHED]));
    }
    // It asked each time.
    assert_eq!(server.heads().iter().filter(|head| !head.contains("authorization")).count(), 6);
    let heads = other.heads();
    assert!(heads.len() == 2 && heads.iter().all(|head| !head.contains("authorization")), "{heads:?}");

    let server = closed("bearer t0ken", move |_| whole(&file));
    let host = server.base("").replace("http://", "");
    for docker in [
        json!({"auths": {host.as_str(): {"registrytoken": "t0ken"}}}),
        json!({"auths": {host.as_str(): {"auth": "bWU6b3BlbiBzZXNhbWU=", "registrytoken": "t0ken"}}}),
    ] {
        fs_err::remove_dir_all(toy.store()).expect("the store");
        said.push(build(&toy, &server, "", &docker).exits(1).says(&[FETCHED]));
    }
    let broken = json!({"auths": {host.as_str(): {"auth": "bm8gY29sb24="}}});
    fs_err::remove_dir_all(toy.store()).expect("the store");
    said.push(build(&toy, &server, "", &broken).exits(3).says(&["no such credentials for 127.0.0.1"]));
    said.push(build(&toy, &server, "", &json!({"auths": {host: {"registrytoken": "t0\nken"}}})).exits(3));
    for text in said.into_iter().flat_map(|ended| [ended.out, ended.err]) {
        for secret in ["sesame", "bWU6b3", "s3cret", "t0ken", "no colon"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_remote_gets_the_credentials_of_a_netrc() {
    let directory = tempfile::tempdir().expect("a directory");
    let remote = remote(directory.path());
    let server = closed(SENT, move |request| asked_for(&remote, request));
    let pull = |netrc: &str| {
        fs_err::write(directory.path().join("netrc"), netrc).expect("a file");
        let mut pull = elsewhere(&directory.path().join("store"));
        pull.args(["pull", "3.13.5", "--remotes", &format!("{}/python", server.base(""))]);
        run(pull.env("NETRC", directory.path().join("netrc")))
    };
    pull("machine 127.0.0.1 login me password wrong").exits(2).says(&["wants credentials"]);
    pull("machine 127.0.0.1 login me password \"open sesame\"").exits(0);
}

#[test]
fn an_identity_token_of_dockers_configuration_goes_to_the_token_server_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path();
    let tokens = Arc::new(AtomicUsize::new(0));
    let given = Arc::clone(&tokens);
    let server = Server::start(move |request, stream| {
        let host = request.header("host").unwrap_or_default();
        if request.head.starts_with("post /token") && request.header("authorization").is_none() {
            given.fetch_add(1, Ordering::SeqCst);
            return stream.write_all(&whole(b"{\"access_token\": \"t0ken\"}"));
        }
        if request.header("authorization") == Some("bearer t0ken") {
            return stream.write_all(&whole(b"{\"name\": \"team/python\", \"tags\": []}"));
        }
        let header = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\"\r\nContent-Length: 0\r\n");
        stream.write_all(&response("401 Unauthorized", &header, b""))
    });
    let host = server.base("").replace("http://", "");
    let docker = place.join("store.docker");
    fs_err::create_dir(&docker).expect("a directory");
    let config = json!({"auths": {host.as_str(): {"auth": "bWU6b3BlbiBzZXNhbWU=", "identitytoken": "1dentity"}}});
    fs_err::write(docker.join("config.json"), config.to_string()).expect("a file");
    let ended =
        run(elsewhere(&place.join("store")).args(["list", "-v", &format!("oci://{host}/team/python")])).exits(0);
    assert_eq!(tokens.load(Ordering::SeqCst), 1);
    let heads = server.heads();
    assert_eq!(heads.len(), 3, "{heads:?}");
    // It is in the body of the question to the token server.
    let mut others = heads.iter().filter(|head| !head.starts_with("post /token"));
    assert!(others.all(|head| !head.contains("1dentity")), "{heads:?}");
    assert!(heads.iter().all(|head| !head.contains("basic ")), "{heads:?}");
    for text in [ended.out, ended.err] {
        assert!(!text.contains("1dentity") && !text.contains("t0ken") && !text.contains("sesame"), "{text}");
    }
}

#[test]
fn an_answer_to_an_upload_that_has_no_end_is_not_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = Arc::new(AtomicUsize::new(0));
    let (count, piece) = (Arc::clone(&taken), vec![b'x'; 1 << 20]);
    let server = Server::start(move |request, stream| {
        let method = request.head.split(' ').next().unwrap_or_default();
        match method {
            "post" => {
                let header = "Location: /v2/upload\r\nContent-Length: 0\r\n";
                stream.write_all(&response("202 Accepted", header, b""))
            }
            "put" => {
                stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\n")?;
                for _ in 0..128 {
                    stream.write_all(&piece)?;
                    count.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            }
            _ => stream.write_all(&empty("404 Not Found")),
        }
    });
    let address = format!("{}/team/python", server.base("").replace("http://", "oci://"));
    let mut push = pykeel();
    push.args(["push", "3.13.5", "--flavor", "runtime", &address]).env("NO_PROXY", "127.0.0.1");
    push.env("DOCKER_CONFIG", directory.path());
    let began = std::time::Instant::now();
    run(&mut push).exits(3).says(&["answered 500"]);
    assert!(began.elapsed().as_secs() < 30 && taken.load(Ordering::SeqCst) < 128, "{:?}", began.elapsed());
    assert_eq!(server.heads().iter().filter(|head| head.starts_with("put ")).count(), 1);
}
