//! `--libraries system`: an artifact and the packages that it lists are enough, and it needs each of
//! the packages.

use std::collections::BTreeSet;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use crate::debian::{Root, cannot_enter, minbase};
use crate::on_cpython::roots::probe_by;
use crate::skip;
use crate::support::{Artifact, artifact, pykeel, run};
use crate::toy::{Behaviour, Toy};

const PREFIX: &str = "/opt/myorg/python-3.13";
const PYTHON: &str = "/opt/myorg/python-3.13/bin/python3";

/// Removes the bundled libraries and their licences from a tree.
pub const WITHOUT_LIBRARIES: Behaviour =
    Behaviour { configure: "", all: "", install: "rm -rf lib/lib*.so* share/licenses", program: "" };

#[test]
fn a_minimal_debian_with_the_listed_packages_is_enough() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let template = match minbase() {
        Ok(template) => template,
        Err((missing, reason)) => skip!(missing, "{reason}"),
    };
    // Its modules are those of the real build: they are linked alike under both policies.
    let toy = Toy::of(&artifact("runtime"), WITHOUT_LIBRARIES);
    let built = run(toy.build_command().args(["--libraries", "system"])).exits(0).json();
    works_with_the_listed_packages(&Root::copy_of(&template), &Artifact::built(&built[0]), &toy.store());
}

fn strings(list: &Value) -> BTreeSet<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// Installs an artifact into a minimal Debian, then the packages it lists, and looks at what works
/// before, then, and without each of them.
pub fn works_with_the_listed_packages(root: &Root, artifact: &Artifact, store: &Path) {
    let packages = strings(&artifact.manifest["runtime_packages"]);
    let install = |options: &[&str]| {
        let mut command = pykeel();
        command.arg("install").arg(format!("sha256:{}", artifact.digest)).args(options).args(["--json", "--root"]);
        run(command.arg(root.path()).env("PYKEEL_STORE", store)).exits(0)
    };

    // Before: pykeel says what the root lacks, and Python what it does not find.
    let ended =
        install(&[]).says(&["lacks the packages", "apt-get update && apt-get install -y --no-install-recommends"]);
    let missing = strings(&ended.json()[0]["missing_packages"]);
    assert!(missing.is_subset(&packages), "{missing:?}");
    let package_of = |soname: &str| {
        let libraries = artifact.manifest["plan"]["libraries"].as_array().expect("a list");
        let library = libraries.iter().find(|library| library["soname"] == soname).expect("a library of the plan");
        library["package"].as_str().expect("a package").to_owned()
    };
    let mut lacking = 0;
    for (module, soname) in [
        ("ssl", "libssl.so.3"),
        ("sqlite3", "libsqlite3.so.0"),
        ("readline", "libedit.so.2"),
        ("curses", "libncursesw.so.6"),
    ] {
        // Debian 13's apt brings some of them along.
        if !missing.contains(&package_of(soname)) {
            continue;
        }
        lacking += 1;
        let ended = run(&mut root.command(&[PYTHON, "-c", &format!("import {module}")])).exits(1);
        ended.says(&["ImportError", soname]);
    }
    assert!(lacking > 0, "{missing:?}");

    // Then: everything works that works with bundled libraries.
    root.check(&format!(
        "apt-get update -q && apt-get install -qy --no-install-recommends $(cat {PREFIX}/share/pykeel/runtime-packages.txt)"
    ));
    assert_eq!(strings(&install(&["--force"]).json()[0]["missing_packages"]), BTreeSet::new());
    probe_by(root.path(), |words| root.command(words), artifact, PREFIX, &["/dev/shm"]);
    root.check(&format!("{PYTHON} -c 'import zoneinfo; zoneinfo.ZoneInfo(\"Europe/Berlin\")'"));
    certificates_are_verified(root);

    assert_eq!(needed_packages(root, artifact), packages, "what is needed, and what is listed");
}

/// Removes each library in turn: if a module cannot be imported then, it says which library it lacks. Returns the
/// packages of these libraries, and those of data.
fn needed_packages(root: &Root, artifact: &Artifact) -> BTreeSet<String> {
    let modules = strings(&artifact.manifest["modules"]);
    let import = format!("import {}", Vec::from_iter(modules).join(", "));
    root.check(&format!("{PYTHON} -c '{import}'"));
    let directory = root.path().join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let mut needed = BTreeSet::from(["ca-certificates".to_owned(), "tzdata".to_owned()]);
    for library in artifact.manifest["plan"]["libraries"].as_array().expect("a list") {
        let soname = library["soname"].as_str().expect("a soname");
        let (file, hidden) = (directory.join(soname), directory.join("hidden"));
        fs_err::rename(&file, &hidden).expect("the library");
        let ended = run(&mut root.command(&[PYTHON, "-c", &import]));
        fs_err::rename(&hidden, &file).expect("the library");
        if ended.code != 0 {
            ended.says(&["ImportError", soname]);
            needed.insert(library["package"].as_str().expect("a package").to_owned());
        }
    }
    needed
}

/// A server is believed whose certificate an authority signed that the root's administrator added,
/// and another is not.
fn certificates_are_verified(root: &Root) {
    const SCRIPT: &str = r#"
import socket, ssl, sys, threading

def talk(name):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(f"/tmp/{name}.pem", f"/tmp/{name}.key")
    listener = socket.create_server(("127.0.0.1", 0))
    def serve():
        try:
            with server.wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.sendall(b"believed")
        except ssl.SSLError:
            pass  # the client did not believe it
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with socket.create_connection(listener.getsockname()) as plain:
            context = ssl.create_default_context()
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                return connection.recv(16).decode()
    except ssl.SSLCertVerificationError as error:
        return error.reason
    finally:
        thread.join()

print(talk("signed"), talk("unsigned"))
"#;
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Python 3.13 verifies strictly, as RFC 5280 has it.
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // A certificate that has its issuer's name passes for self-signed.
    authority.distinguished_name.push(DnType::CommonName, "Authority of the tests");
    let place = root.path().join("usr/local/share/ca-certificates");
    fs_err::create_dir_all(&place).expect("a directory");
    let certificate = authority.self_signed(&key).expect("a certificate");
    fs_err::write(place.join("authority.crt"), certificate.pem()).expect("a file");
    root.check("update-ca-certificates");
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().expect("a key");
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    server.use_authority_key_identifier_extension = true;
    let temporary = root.path().join("tmp");
    for (name, certificate) in [
        ("signed", server.signed_by(&key, &issuer).expect("a certificate")),
        ("unsigned", server.self_signed(&key).expect("a certificate")),
    ] {
        fs_err::write(temporary.join(format!("{name}.pem")), certificate.pem()).expect("a file");
        fs_err::write(temporary.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
    }
    let ended = run(&mut root.command(&[PYTHON, "-c", SCRIPT])).exits(0);
    assert_eq!(ended.out.trim(), "believed CERTIFICATE_VERIFY_FAILED");
}
