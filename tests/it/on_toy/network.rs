//! Fault injection in the network: what a server or a proxy can do wrong, and how pykeel reacts.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use pykeel::domain::digest::Digest;
use pykeel::error::Error;
use pykeel::event::Silent;
use pykeel::recipe::Catalog;
use pykeel::stages::fetch::{FetchOptions, Mirror, VerifiedSource, fetch};
use pykeel::store::Store;
use pykeel::sys::http::Limits;
use pykeel::sys::process::System;

use crate::missing::Missing;
use crate::server::{Server, cut, empty, redirect, response, rest, whole};
use crate::skip;
use crate::support::{Ended, at_date, run};
use crate::toy::Toy;

/// What every success shows on the way to the toy's make, which fails.
pub const FETCHED: &str = "fetch Python-3.13.5.tar.xz";

pub fn toy() -> (Toy, Vec<u8>) {
    let toy = Toy::failing();
    // No other place may help out.
    toy.write_recipe(|text| {
        text.replace("https://www.python.org", "http://127.0.0.1:9").replace("pool = \"python{series}\"", "")
    });
    let file = fs_err::read(toy.archive()).expect("the archive");
    (toy, file)
}

pub fn command(toy: &Toy, mirror: &str) -> std::process::Command {
    let mut command = toy.command(&["build", "3.13.5", "-v", "--mirror", mirror]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name);
    }
    command.env("NO_PROXY", "127.0.0.1");
    command
}

fn build(toy: &Toy, mirror: &str) -> Ended {
    run(&mut command(toy, mirror))
}

#[test]
fn a_connection_that_breaks_is_resumed_where_it_broke() {
    let (toy, file) = toy();
    let half = file.len() / 2;
    let server = Server::start(move |request, stream| match request.range {
        None => stream.write_all(&cut(&file, half)),
        Some(from) => stream.write_all(&rest(from, &file)),
    });
    build(&toy, &server.mirror()).exits(1).says(&[FETCHED]);
    let heads = server.heads();
    assert_eq!(heads.len(), 2, "{heads:?}");
    assert!(heads[0].contains("get /3.13.5/python-3.13.5.tar.xz "), "{heads:?}");
    assert!(heads[1].contains(&format!("range: bytes={half}-")), "{heads:?}");
}

#[test]
fn a_server_without_ranges_is_asked_for_all_of_it_again() {
    let (toy, file) = toy();
    let server = Server::start(move |request, stream| {
        stream.write_all(&if request.number == 0 { cut(&file, file.len() - 10) } else { whole(&file) })
    });
    build(&toy, &server.mirror()).exits(1).says(&[FETCHED]);
    assert_eq!(server.heads().len(), 2);
}

#[test]
fn a_range_that_the_server_does_not_have_is_no_range_to_ask_for_again() {
    let (toy, file) = toy();
    let server = Server::start(move |request, stream| {
        stream.write_all(&match (request.number, request.range) {
            (0, None) => cut(&file, 100),
            (_, None) => whole(&file),
            (1, _) => empty("416 Range Not Satisfiable"),
            // Another range than the one that was asked for.
            _ => rest(50, &file),
        })
    });
    build(&toy, &server.mirror()).exits(1).says(&[FETCHED]);
    assert_eq!(server.heads().len(), 3);
}

#[test]
fn a_file_that_changes_at_the_server_meanwhile_is_had_whole() {
    // A server that knows its files says that this is another one.
    let (toy, file) = toy();
    let server = Server::start(move |request, stream| {
        let headers = |tag: &str| format!("Content-Length: {}\r\nETag: {tag}\r\n", file.len());
        match (request.number, request.header("if-range")) {
            (0, _) => {
                let mut bytes = response("200 OK", &headers("\"old\""), &vec![0; file.len()]);
                bytes.truncate(bytes.len() - 10);
                stream.write_all(&bytes)
            }
            (_, Some("\"old\"")) => stream.write_all(&response("200 OK", &headers("\"new\""), &file)),
            (_, _) => stream.write_all(&rest(request.range.unwrap_or_default(), &file)),
        }
    });
    build(&toy, &server.mirror()).exits(1).says(&[FETCHED]);
    assert_eq!(server.heads().len(), 2);

    // One that does not gives the end of another file. What came in pieces is asked for once more.
    let (toy, file) = self::toy();
    let server = Server::start(move |request, stream| match (request.number, request.range) {
        (0, _) => stream.write_all(&cut(&vec![0; file.len()], 100)),
        (_, Some(from)) => stream.write_all(&rest(from, &file)),
        (_, None) => stream.write_all(&whole(&file)),
    });
    build(&toy, &server.mirror()).exits(1).says(&["do not match: downloading the whole file again", FETCHED]);
    assert_eq!(server.heads().len(), 3);

    // And once only.
    let (toy, file) = self::toy();
    let server = Server::start(move |request, stream| match request.range {
        Some(from) => stream.write_all(&rest(from, &vec![0; file.len()])),
        None if request.number == 0 => stream.write_all(&cut(&file, 100)),
        None => stream.write_all(&whole(&vec![0; file.len()])),
    });
    build(&toy, &server.mirror()).exits(3).says(&["its SHA-256 is", "127.0.0.1"]);
    assert_eq!(server.heads().len(), 3);
    toy.left_nothing();
}

#[test]
fn a_server_error_is_asked_again_and_a_missing_file_is_not() {
    for status in ["500 Internal Server Error", "503 Busy", "429 Too Many Requests"] {
        let (toy, file) = toy();
        let server = Server::start(move |request, stream| {
            stream.write_all(&if request.number < 2 { empty(status) } else { whole(&file) })
        });
        build(&toy, &server.mirror()).exits(1).says(&[FETCHED]);
        assert_eq!(server.heads().len(), 3);
    }
    for (status, remedy) in
        [("404 Not Found", "--mirror"), ("403 Forbidden", "USER:PASSWORD"), ("401 Unauthorized", "USER:PASSWORD")]
    {
        let (toy, _) = toy();
        let server = Server::start(move |_, stream| stream.write_all(&empty(status)));
        build(&toy, &server.mirror()).exits(3).says(&[status, "http://127.0.0.1:", "Python-3.13.5.tar.xz", remedy]);
        assert_eq!(server.heads().len(), 1);
        toy.left_nothing();
    }
}

#[test]
fn a_server_that_fails_for_good_is_given_up() {
    let (toy, _) = toy();
    let server = Server::start(|_, stream| stream.write_all(&empty("500 Internal Server Error")));
    build(&toy, &server.mirror()).exits(3).says(&["500 Internal Server Error (4 attempts)"]);
    assert_eq!(server.heads().len(), 4);
    // What is no HTTP, and nobody at all.
    let server = Server::start(|_, stream| stream.write_all(b"220 mail.test ESMTP\r\n"));
    build(&toy, &server.mirror()).exits(3).says(&["invalid HTTP", "127.0.0.1"]);
    build(&toy, "http://127.0.0.1:9/{file}").exits(3).says(&["Connection refused", "http://127.0.0.1:9/Python"]);
    build(&toy, "http://no-such-host.invalid/{file}").exits(3).says(&["dns error", "no-such-host.invalid"]);
    toy.left_nothing();
}

#[test]
fn wrong_bytes_are_not_asked_for_again() {
    let (toy, file) = toy();
    let server = Server::start(move |_, stream| {
        let mut wrong = file.clone();
        wrong[0] ^= 1;
        stream.write_all(&whole(&wrong))
    });
    build(&toy, &server.mirror()).exits(3).says(&["its SHA-256 is"]);
    assert_eq!(server.heads().len(), 1);
    toy.left_nothing();
}

#[test]
fn a_wrong_length_is_noticed() {
    // More is announced than there is: asked for the rest, the server has none.
    let (toy, file) = toy();
    let server = Server::start(move |request, stream| match request.range {
        None => stream.write_all(&response("200 OK", &format!("Content-Length: {}\r\n", file.len() + 5), &file)),
        Some(_) => stream.write_all(&empty("416 Range Not Satisfiable")),
    });
    build(&toy, &server.mirror()).exits(3).says(&["attempts", "127.0.0.1"]);
    toy.left_nothing();
    // Less is announced: what is behind it belongs to no answer.
    let (toy, file) = self::toy();
    let server = Server::start(move |_, stream| {
        stream.write_all(&response("200 OK", &format!("Content-Length: {}\r\n", file.len() - 5), &file))
    });
    build(&toy, &server.mirror()).exits(3).says(&["its SHA-256 is"]);
    assert_eq!(server.heads().len(), 1);
    // None is announced, and all of it is there.
    let (toy, file) = self::toy();
    let server = Server::start(move |_, stream| stream.write_all(&response("200 OK", "", &file)));
    build(&toy, &server.mirror()).exits(1).says(&[FETCHED]);
}

#[test]
fn redirects_are_followed_and_circles_are_not() {
    let (toy, file) = toy();
    let target = Server::start(move |_, stream| stream.write_all(&whole(&file)));
    let to = format!("{}/elsewhere", target.base(""));
    let server = Server::start(move |_, stream| stream.write_all(&redirect(&to)));
    build(&toy, &server.mirror()).exits(1).says(&[FETCHED]);

    let (toy, _) = self::toy();
    let circle = Server::start(|request, stream| {
        stream.write_all(&redirect(if request.head.contains("/a ") { "/b" } else { "/a" }))
    });
    build(&toy, &circle.mirror()).exits(3).says(&["it redirects in a circle, back to http://127.0.0.1:", "/a"]);
    assert_eq!(circle.heads().len(), 3);
    let endless = Server::start(|request, stream| stream.write_all(&redirect(&format!("/{}", request.number))));
    build(&toy, &endless.mirror()).exits(3).says(&["it redirects more than 10 times, at last to http://127.0.0.1:"]);
    // It must not lead to a file of this machine.
    let local = Server::start(|_, stream| stream.write_all(&redirect("file:///etc/passwd")));
    build(&toy, &local.mirror()).exits(3).says(&["127.0.0.1"]);
    toy.left_nothing();
}

/// The credentials of a mirror's URL, and how they are sent.
const USER: &str = "keel:s3cret@";
const SENT: &str = "authorization: basic a2vlbdpzm2nyzxq=";

#[test]
fn credentials_go_to_their_own_host_alone_and_are_never_shown() {
    let (toy, file) = toy();
    let other = Server::start(move |_, stream| stream.write_all(&whole(&file)));
    let to = format!("{}/elsewhere", other.base(""));
    let server = Server::start(move |request, stream| {
        // First within the host, where they are still wanted.
        stream.write_all(&redirect(if request.number == 0 { "/again" } else { &to }))
    });
    let mirror = format!("{}/{{file}}", server.base(USER));
    let mut said = vec![build(&toy, &mirror).exits(1).says(&[FETCHED])];
    let heads = server.heads();
    assert_eq!(heads.len(), 2);
    assert!(heads.iter().all(|head| head.contains(SENT)), "{heads:?}");
    let heads = other.heads();
    assert_eq!(heads.len(), 1);
    assert!(!heads[0].contains("authorization") && !heads[0].contains("referer"), "{heads:?}");

    // Whatever goes wrong.
    let (failing, file) = self::toy();
    for answer in [
        empty("404 Not Found"),
        empty("401 Unauthorized"),
        whole(&file[1..]),
        redirect("/Python-3.13.5.tar.xz"),
        redirect("http://[nonsense"),
        b"nonsense\r\n\r\n".to_vec(),
    ] {
        let server = Server::start(move |_, stream| stream.write_all(&answer));
        said.push(build(&failing, &format!("{}/{{file}}?token=s3cret", server.base(USER))).exits(3));
    }
    for (mirror, code) in [
        ("http://keel:s3cret@127.0.0.1:9/{file}", 3),
        ("http://keel:s3cret@no-such-host.invalid/{file}", 3),
        ("http://keel:s3/cret@127.0.0.1:9/{file}", 3),
        ("http://keel:s3cret@127.0.0.1/without-file", 2),
        ("ftp://keel:s3cret@127.0.0.1/{file}", 2),
    ] {
        said.push(build(&failing, mirror).exits(code));
    }
    let mut help = command(&failing, "x");
    said.push(run(help.arg("--help").env("PYKEEL_MIRROR", "http://keel:s3cret@mirror.test/{file}")).exits(0));
    for ended in said {
        for text in [ended.out, ended.err] {
            assert!(!text.contains("s3") && !text.contains("cret@"), "{text}");
        }
    }
    for store in [toy.store(), failing.store()] {
        for entry in walkdir::WalkDir::new(store).into_iter().filter_map(Result::ok) {
            let content = fs_err::read(entry.path()).unwrap_or_default();
            assert!(memchr::memmem::find(&content, b"s3cret").is_none(), "{}", entry.path().display());
        }
    }
}

#[test]
fn a_server_that_sends_for_ever_is_stopped() {
    let (toy, _) = toy();
    // Without a length, and with one that no source has.
    let server = Server::start(|_, stream| {
        stream.write_all(&response("200 OK", "", b""))?;
        loop {
            stream.write_all(&[0; 8 << 10])?;
        }
    });
    build(&toy, &server.mirror()).exits(3).says(&["sends without an end", "a source may have at most 134217728"]);
    assert_eq!(server.heads().len(), 1);
    let server = Server::start(|_, stream| {
        stream.write_all(&response("200 OK", "Content-Length: 99999999999\r\n", b""))?;
        loop {
            stream.write_all(&[0; 8 << 10])?;
        }
    });
    build(&toy, &server.mirror()).exits(3).says(&["sends 99999999999 bytes"]);
    // The head of an answer may have no end either.
    let server = Server::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"X-More: and more and more and more\r\n")?;
        }
    });
    build(&toy, &server.mirror()).exits(3).says(&["127.0.0.1"]);
    toy.left_nothing();
}

/// Fetches a source from one URL with little patience.
fn fetch_impatiently(mirror: &str, content: &[u8], store: &Path) -> Result<VerifiedSource, Error> {
    let catalog = Catalog::load(None).expect("the recipes");
    let (_, mut recipe) = catalog.find("3.13.5".parse().expect("a version")).expect("a recipe");
    let source = &mut std::sync::Arc::make_mut(&mut recipe.shared).source;
    source.url = "http://127.0.0.1:9/{file}".into();
    source.pool = None;
    recipe.sums.xz = Some(Digest::of(content));
    recipe.sums.tgz = None;
    let limits = Limits {
        attempts: 2,
        pause: Duration::from_millis(10),
        patience: Duration::from_secs(1),
        slowest: 1000,
        ..Limits::default()
    };
    let mirrors = vec![Mirror::parse(mirror.as_ref()).expect("a mirror")];
    let options = FetchOptions { mirrors, offline: false, limits, copies: None };
    fetch(&recipe, &options, &Store::new(store), &System, &Silent)
}

#[track_caller]
fn refused(result: Result<VerifiedSource, Error>, reason: &str) {
    match result {
        Err(error @ Error::SourceUnavailable { .. }) => {
            assert_eq!(error.code(), 3);
            assert!(pykeel::cli::hint(&error).is_some());
            let Error::SourceUnavailable { attempts, .. } = error else { unreachable!("it was matched") };
            assert!(attempts[0].reason.contains(reason), "{attempts:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until the client has gone.
fn stall(stream: &mut dyn Write, piece: &[u8], pause: Duration) -> std::io::Result<()> {
    loop {
        stream.write_all(piece)?;
        stream.flush()?;
        std::thread::sleep(pause);
    }
}

#[test]
fn a_server_that_stalls_is_given_up_and_one_that_wakes_is_gone_on_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let content = vec![7; 100_000];
    let long = Duration::from_hours(1);
    // Before the head of the answer, and in the middle of the file.
    let server = Server::start(move |_, stream| stall(stream, b"", long));
    refused(fetch_impatiently(&server.mirror(), &content, directory.path()), "the server was silent for 1 s");
    assert_eq!(server.heads().len(), 2);
    let half = cut(&content, 50_000);
    let server = Server::start(move |_, stream| {
        stream.write_all(&half)?;
        stall(stream, b"", long)
    });
    refused(fetch_impatiently(&server.mirror(), &content, directory.path()), "(2 attempts)");
    // A byte now and then is no better.
    let server = Server::start(move |_, stream| {
        stream.write_all(&cut(&vec![7; 100_000], 0))?;
        stall(stream, b"\x07", Duration::from_millis(50))
    });
    refused(fetch_impatiently(&server.mirror(), &content, directory.path()), "(2 attempts)");
    // The second time it gives the rest.
    let file = content.clone();
    let server = Server::start(move |request, stream| match request.range {
        None => {
            stream.write_all(&cut(&file, 50_000))?;
            stall(stream, b"", long)
        }
        Some(from) => stream.write_all(&rest(from, &file)),
    });
    fetch_impatiently(&server.mirror(), &content, directory.path()).expect("the source");
    assert!(server.heads()[1].contains("range: bytes=50000-"), "{:?}", server.heads());
}

/// A CA, and a server's certificate of it: the CA's certificate in PEM, and a configuration.
fn certified(name: &str, from: i32, to: i32) -> (String, rustls::ServerConfig) {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a configuration");
    (ca_certificate.pem(), config)
}

#[test]
fn a_wrong_certificate_is_named_with_the_remedy_and_a_ca_of_ones_own_is_trusted() {
    let (toy, file) = toy();
    let trust = toy.path("ca.pem");
    let ask = |name: &str, from: i32, to: i32, trusted: bool| {
        let (pem, config) = certified(name, from, to);
        fs_err::write(&trust, pem).expect("a file");
        let file = file.clone();
        let server = Server::start_tls(config, move |_, stream| stream.write_all(&whole(&file)));
        let mut command = command(&toy, &server.mirror());
        if trusted {
            command.env("SSL_CERT_FILE", &trust);
        }
        run(&mut command)
    };
    let not_accepted = "the TLS certificate of 127.0.0.1 is not accepted";
    ask("127.0.0.1", 2000, 2100, false).exits(3).says(&[not_accepted, "UnknownIssuer", "set SSL_CERT_FILE"]);
    ask("mirror.test", 2000, 2100, true).exits(3).says(&[not_accepted, "mirror.test", "by a name that is in"]);
    ask("127.0.0.1", 2000, 2001, true).exits(3).says(&[not_accepted, "expired", "check the system clock"]);
    ask("127.0.0.1", 2090, 2100, true).exits(3).says(&[not_accepted, "not valid yet", "check the system clock"]);
    toy.left_nothing();
    ask("127.0.0.1", 2000, 2100, true).exits(1).says(&[FETCHED]);
}

#[test]
fn a_clock_of_1970_is_named_where_a_certificate_is_refused_for_it() {
    let (toy, _) = toy();
    let (pem, config) = certified("127.0.0.1", 2000, 2100);
    fs_err::write(toy.path("ca.pem"), pem).expect("a file");
    let server = Server::start_tls(config, |_, stream| stream.write_all(&empty("404 Not Found")));
    let Some(mut command) = at_date("1970-01-02 00:00:00", &command(&toy, &server.mirror())) else {
        skip!(Missing::Program("faketime"), "there is no faketime");
    };
    run(command.env("SSL_CERT_FILE", toy.path("ca.pem")))
        .exits(3)
        .says(&["not accepted", "check the system clock: it says 1970-01-02"]);
}

#[test]
fn a_machine_without_certificates_can_use_what_needs_none() {
    let (toy, file) = toy();
    let nowhere = toy.path("nowhere");
    let server = Server::start(move |_, stream| stream.write_all(&whole(&file)));
    let bare = |mirror: &str| run(command(&toy, mirror).env("SSL_CERT_FILE", &nowhere).env("SSL_CERT_DIR", &nowhere));
    bare("https://127.0.0.1:9/{file}").exits(3).says(&["ca-certificates", "SSL_CERT_FILE"]);
    bare(&server.mirror()).exits(1).says(&[FETCHED]);
}

#[test]
fn a_proxy_that_is_down_is_named_with_its_variable() {
    let (toy, _) = toy();
    let through = |variable: &str, proxy: &str, mirror: &str| {
        run(command(&toy, mirror).env_remove("NO_PROXY").env(variable, proxy))
    };
    for (variable, scheme) in
        [("http_proxy", "http"), ("HTTP_PROXY", "http"), ("https_proxy", "https"), ("ALL_PROXY", "http")]
    {
        through(variable, "http://keel:s3cret@127.0.0.1:9", &format!("{scheme}://mirror.test/{{file}}"))
            .exits(3)
            .says(&[
                &format!("{scheme}://mirror.test/Python-3.13.5.tar.xz"),
                &format!("through the proxy http://127.0.0.1:9 of {variable}"),
                "Connection refused",
                &format!("correct or unset {variable}"),
                "NO_PROXY",
            ])
            .says_not(&["s3cret"]);
    }
    // One that is there and will not.
    let proxy = Server::start(|_, stream| stream.write_all(&empty("407 Proxy Authentication Required")));
    for scheme in ["http", "https"] {
        let variable = format!("{scheme}_proxy");
        through(&variable, &proxy.base(""), &format!("{scheme}://mirror.test/{{file}}"))
            .exits(3)
            .says(&["through the proxy http://127.0.0.1:", &variable]);
    }
}
