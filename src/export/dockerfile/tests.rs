use super::*;
use crate::domain::image::Builder;
use crate::domain::plan::{Bytecode, LibraryPolicy};
use crate::domain::reference::ImageReference;
use crate::error::{DockerfileError, Error};

fn python(version: &str, series: &str) -> PythonStage {
    PythonStage {
        version: version.into(),
        series: series.into(),
        prefix: format!("/opt/myorg/python-{series}").parse().unwrap(),
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A base image with two versions, and its pair.
fn pair() -> Choices {
    Choices {
        command: "--python 3.13,3.14".into(),
        pythons: vec![python("3.13.5", "3.13"), python("3.14.6", "3.14")],
        prefix: None,
        locked: None,
        allow_eol: false,
        base: parsed("debian:13"),
        runtime: parsed("debian:13-slim"),
        libraries: LibraryPolicy::System,
        bytecode: Bytecode::Strip,
        lock: None,
        app: None,
        build_packages: Vec::new(),
        run_packages: Vec::new(),
        builder: Builder::BuildKit,
        pykeel: parsed("pykeel"),
        uv: None,
        artifacts: None,
        ca: Vec::new(),
        labels: Vec::new(),
        images: Images::Both,
        cmd: None,
    }
}

/// A service with everything that can be chosen.
fn service() -> Choices {
    Choices {
        command: "--python 3.13.5".into(),
        pythons: vec![python("3.13.5", "3.13")],
        bytecode: Bytecode::UncheckedHash,
        lock: Some(parsed("requirements.txt")),
        app: Some(parsed("app")),
        build_packages: vec![parsed("libpq-dev")],
        run_packages: vec![parsed("libpq5")],
        ca: vec![parsed("company.pem")],
        labels: vec![parsed("team=payments"), parsed("note=a \"b\" $c")],
        images: Images::Runtime,
        cmd: Some(["python", "-m", "uvicorn", "main:app"].map(str::to_owned).into()),
        ..pair()
    }
}

fn distroless() -> Choices {
    Choices { runtime: Runtime::Scratch, libraries: LibraryPolicy::Bundle, ..service() }
}

fn text(choices: &Choices) -> String {
    choices.check().unwrap();
    render(choices).dockerfile
}

#[test]
fn a_pair_of_base_images() {
    insta::assert_snapshot!(text(&pair()));
}

#[test]
fn a_service_with_buildkit() {
    insta::assert_snapshot!(text(&service()));
}

#[test]
fn a_service_with_the_classic_builder() {
    let prefix = Some(parsed("/opt/acme/python-{version}{variant}"));
    let pythons = vec![PythonStage { prefix: parsed("/opt/acme/python-3.13.5"), ..python("3.13.5", "3.13") }];
    let uv = Some(parsed("bin/uv"));
    insta::assert_snapshot!(text(&Choices {
        pythons,
        builder: Builder::Classic,
        artifacts: Some(parsed("store")),
        lock: Some(parsed("srv/uv.lock")),
        allow_eol: true,
        prefix,
        uv,
        ..service()
    }));
}

#[test]
fn a_distroless_service_with_buildah() {
    let pykeel = parsed("registry.example/pykeel:0.1");
    let uv = Some(parsed("registry.example/uv:1"));
    insta::assert_snapshot!(text(&Choices { builder: Builder::Buildah, pykeel, uv, ..distroless() }));
}

/// Two Pythons of a lock.
fn locked(choices: Choices) -> Choices {
    let pythons = vec![python("3.13", "3.13"), python("3.14", "3.14")];
    Choices {
        command: "--python 3.13,3.14 --locked pykeel.lock".into(),
        pythons,
        locked: Some(parsed("pykeel.lock")),
        ..choices
    }
}

#[test]
fn a_pair_of_base_images_of_a_lock() {
    insta::assert_snapshot!(text(&locked(pair())));
}

#[test]
fn a_service_of_a_lock_with_artifacts_and_the_classic_builder() {
    let (artifacts, allow_eol) = (Some(parsed("store")), true);
    insta::assert_snapshot!(text(&Choices { builder: Builder::Classic, artifacts, allow_eol, ..locked(service()) }));
}

/// What is installed depends on the lock, so the lock has to be copied before, and nothing else may say what it is.
#[test]
fn a_python_of_a_lock_is_what_the_lock_says_and_nothing_else() {
    for choices in all_shapes() {
        let unlocked = text(&choices);
        assert!(!unlocked.contains("--locked"), "{unlocked}");
        let choices = locked(choices);
        let text = text(&choices);
        for name in ["PYKEEL_LIBRARIES", "PYKEEL_BYTECODE", "PYKEEL_PREFIX"] {
            assert!(!text.contains(name), "{text}");
        }
        let from_artifacts = choices.artifacts.is_some();
        for version in ["3.13", "3.14"] {
            let stage = text.split(&format!(" AS python-{version}\n")).nth(1).unwrap().split("\nFROM ").next().unwrap();
            let lines = instructions(stage);
            assert_eq!(lines[0], "COPY pykeel.lock /src/", "{stage}");
            for command in lines[1].split("&&") {
                assert!(command.contains(&format!("--locked {version} --lock /src/pykeel.lock")), "{stage}");
                assert_eq!(command.contains("--remotes none"), from_artifacts, "{stage}");
            }
            let has_secret = choices.has_mounts() && !from_artifacts;
            assert_eq!(lines[1].contains("type=secret,id=docker-config"), has_secret, "{stage}");
            assert_eq!(lines.len(), 2, "{stage}");
        }
        assert!(render(&choices).dockerignore.contains("\n!pykeel.lock\n"));
    }
}

#[test]
fn an_ignore_file_lets_only_through_what_is_copied() {
    insta::assert_snapshot!(render(&Choices { artifacts: Some(parsed("store")), ..service() }).dockerignore);
}

/// Every combination that makes another shape of file.
fn all_shapes() -> Vec<Choices> {
    let mut shapes = Vec::new();
    for base in [pair(), service(), distroless(), Choices { runtime: Runtime::Scratch, ..pair() }] {
        for builder in Builder::ALL {
            for artifacts in [None, Some(parsed("store"))] {
                for libraries in LibraryPolicy::ALL {
                    let choices = Choices {
                        builder: *builder,
                        artifacts: artifacts.clone(),
                        libraries: *libraries,
                        ..base.clone()
                    };
                    let no_lock = Choices { lock: None, build_packages: Vec::new(), ..choices.clone() };
                    let no_code = Choices { app: None, ..choices.clone() };
                    shapes.extend([choices, no_lock, no_code]);
                }
            }
        }
    }
    let images = |images| move |choices: &Choices| Choices { images, ..choices.clone() };
    let pairs: Vec<Choices> = shapes.iter().filter(|choices| choices.images == Images::Both).cloned().collect();
    shapes.extend(pairs.iter().map(images(Images::Build)));
    shapes.extend(pairs.iter().map(images(Images::Runtime)));
    shapes
}

/// The instructions of a Dockerfile, each on one line.
fn instructions(dockerfile: &str) -> Vec<String> {
    let lines = dockerfile.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    lines.replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_shape_has_only_whole_instructions_and_known_stages() {
    const KNOWN: [&str; 10] = ["FROM", "ARG", "ENV", "RUN", "COPY", "LABEL", "WORKDIR", "USER", "CMD", "SHELL"];
    for choices in all_shapes() {
        let text = text(&choices);
        assert!(!text.contains("{{") && !text.contains("{%") && !text.contains("none /"), "{text}");
        assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
        let (mut stages, mut last) = (vec!["scratch".to_owned()], "");
        let instructions = instructions(&text);
        for line in &instructions {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(KNOWN.contains(&words[0]), "{line}\n{text}");
            let from = words.iter().filter_map(|word| {
                word.strip_prefix("--from=")
                    .or(word.split("bind,from=").nth(1).map(|rest| rest.split(',').next().unwrap()))
            });
            for stage in from {
                let is_image = stage.contains('/') || stage == choices.base.to_string();
                assert!(stages.iter().any(|known| known == stage) || is_image, "{stage}\n{text}");
            }
            if words[0] == "FROM" {
                let image = [&choices.base.to_string(), &choices.runtime.to_string()].contains(&&words[1].to_owned());
                assert!(image || stages.iter().any(|known| known == words[1]), "{line}\n{text}");
                stages.push(words[3].to_owned());
                last = words[3];
            }
            // Mounts are what the first builder of Docker does not have.
            assert!(choices.builder != Builder::Classic || !line.contains("--mount"), "{line}");
            assert!(choices.builder != Builder::Classic || !line.contains("--chmod"), "{line}");
        }
        let expected = if choices.images == Images::Build { "build" } else { "runtime" };
        assert_eq!(last, expected, "{text}");
    }
}

#[test]
fn what_is_shipped_has_one_copy_a_part_a_user_and_no_shell_form() {
    for choices in all_shapes().into_iter().filter(|choices| choices.images != Images::Build) {
        let text = text(&choices);
        let shipped = instructions(text.split("AS runtime\n").nth(1).unwrap());
        let count = |start: &str| shipped.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!(count("COPY --from=assemble /out /"), 1, "{text}");
        assert_eq!(count("COPY --from=environment /service /"), usize::from(choices.lock.is_some()), "{text}");
        assert_eq!((count("RUN"), count("USER 10001:10001"), count("CMD [\"")), (0, 1, 1), "{text}");
        assert!(count("COPY") <= 4, "{text}");
    }
}

#[test]
fn whoever_uses_the_systems_libraries_has_the_packages_of_every_python() {
    let both = pair().pythons;
    for choices in all_shapes().into_iter().map(|choices| Choices { pythons: both.clone(), ..choices }) {
        let text = text(&choices);
        let from_scratch = choices.runtime == Runtime::Scratch;
        let stages = [
            ("build", choices.images != Images::Runtime),
            ("files", choices.images != Images::Build && from_scratch),
            ("system", choices.images != Images::Build && !from_scratch),
        ];
        for (stage, is_there) in stages {
            let Some(stage) = text.split(&format!(" AS {stage}\n")).nth(1) else {
                assert!(!is_there, "{stage}: {text}");
                continue;
            };
            let stage = stage.split("\nFROM ").next().unwrap();
            let uses_system = choices.libraries == LibraryPolicy::System;
            for name in ["python-3.13", "python-3.14"] {
                let list = format!("{name}/share/pykeel/runtime-packages.txt");
                assert_eq!(stage.contains(&list), uses_system, "{text}");
            }
            assert_eq!(stage.contains("${packages}"), uses_system, "{text}");
        }
    }
}

#[test]
fn a_command_is_an_array_of_json_and_the_default_comes_first() {
    let cmd = Some(["sh", "-c", "echo \"$HOME\" \\ \n"].map(str::to_owned).into());
    let text = text(&Choices { cmd, ..pair() });
    assert!(text.contains(r#"CMD ["sh", "-c", "echo \"$HOME\" \\ \n"]"#), "{text}");
    let mut pythons = pair().pythons;
    pythons.reverse();
    let text = render(&Choices { pythons, ..pair() }).dockerfile;
    assert!(text.contains("ENV PATH=/opt/myorg/python-3.14/bin:/opt/myorg/python-3.13/bin:$PATH"), "{text}");
}

fn error(choices: &Choices) -> DockerfileError {
    match choices.check() {
        Err(Error::Dockerfile(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn images_without_glibc_apt_or_a_shell_are_refused() {
    let based = |base: &str| Choices { base: parsed(base), runtime: Runtime::Scratch, ..pair() };
    for image in ["alpine:3.22", "python:3.13-alpine", "python:3.13-alpine3.22", "busybox:glibc"] {
        assert!(matches!(error(&based(image)), DockerfileError::NotDebian { reason, .. } if reason.contains("musl")));
    }
    for image in ["fedora:42", "registry.test/ubi9/ubi-minimal:9", "x/almalinux:9", "opensuse/leap:15"] {
        assert!(
            matches!(error(&based(image)), DockerfileError::NotDebian { reason, .. } if reason.contains("apt")),
            "{image}"
        );
    }
    for image in ["debian:13", "team/base:1", "python:3.13-slim", "ubuntu:26.04", "team/alpine-lover:1"] {
        based(image).check().unwrap();
    }
    assert!(matches!(error(&based("scratch:1")), DockerfileError::NotDebian { .. }));
    for image in ["distroless:1", "gcr.io/distroless/base-debian13:nonroot", "cgr.dev/chainguard/python:latest-dev"] {
        assert!(matches!(error(&based(image)), DockerfileError::NoShell { .. }), "{image}");
    }
    for image in ["alpine/git:2", "fedora/httpd:1", "registry.test/fedora/fedora-minimal:42"] {
        assert!(matches!(error(&based(image)), DockerfileError::NotDebian { .. }), "{image}");
    }
    // A stage has no colon in its name, so none is taken for an image.
    for image in ["debian", "debian:latest", "builder"] {
        assert!(matches!(error(&based(image)), DockerfileError::Untagged { .. }));
        let runtime = Choices { runtime: parsed(image), ..pair() };
        assert!(matches!(error(&runtime), DockerfileError::Untagged { .. }));
    }
    let run = |runtime: &str| Choices { runtime: parsed(runtime), ..pair() };
    assert!(matches!(error(&run("registry.test/distroless/base-debian13")), DockerfileError::NoShell { .. }));
    assert!(matches!(error(&run("alpine:3")), DockerfileError::NotDebian { .. }));
    assert!(matches!(error(&run("debian:12-slim")), DockerfileError::OlderRuntime { .. }));
    run("debian:14").check().unwrap();
    // A glibc is older or newer across distributions too.
    let on = |base: &str, runtime: &str| Choices { base: parsed(base), ..run(runtime) };
    for (base, runtime) in
        [("ubuntu:24.04", "debian:12"), ("debian:13", "ubuntu:24.04"), ("ubuntu:26.04", "debian:13-slim")]
    {
        assert!(matches!(error(&on(base, runtime)), DockerfileError::OlderRuntime { .. }), "{base} {runtime}");
    }
    for (base, runtime) in [("debian:12", "ubuntu:24.04"), ("ubuntu:24.04", "debian:13"), ("team/base:1", "debian:12")]
    {
        on(base, runtime).check().unwrap();
    }
}

#[test]
fn libraries_are_the_systems_in_the_builders_own_release() {
    use LibraryPolicy::{Bundle, System};
    let of = |base: &str, runtime: &str, chosen| libraries(&parsed(base), &parsed(runtime), chosen).ok();
    for (base, runtime, expected) in [
        ("debian:13", "debian:13-slim", System),
        ("debian:trixie", "mirror.test/debian:13.2-slim", System),
        ("team/base:1", "team/base:1", System),
        ("debian:12", "debian:13", Bundle),
        ("team/base:1", "team/base:2", Bundle),
        ("debian:13", "scratch", Bundle),
        ("ubuntu:24.04", "debian:13", Bundle),
    ] {
        assert_eq!(of(base, runtime, None), Some(expected), "{base} {runtime}");
    }
    assert_eq!(of("debian:13", "debian:13", Some(Bundle)), Some(Bundle));
    assert_eq!(of("debian:13", "scratch", Some(System)), Some(System));
    // Nobody knows what an image of one's own is made of, but the one who names it.
    assert_eq!(of("debian:13", "team/base:1", Some(System)), Some(System));
    assert_eq!(of("debian:12", "debian:13", Some(System)), None);
    let for_base = |base: &str| runtime_for(&parsed::<ImageReference>(base)).to_string();
    assert_eq!((for_base("debian:12"), for_base("team/x:1")), ("debian:12-slim".into(), "team/x:1".into()));
}

#[test]
fn choices_that_do_not_go_together_are_refused() {
    let with = |change: fn(&mut Choices)| {
        let mut choices = service();
        change(&mut choices);
        error(&choices)
    };
    let below = PythonStage { prefix: parsed("/opt/myorg/python-3.13/x"), ..python("3.14.6", "3.14") };
    for (other, says) in [(python("3.13.7", "3.13"), "3.13.5 and 3.13.7"), (below, "one of them into /opt/myorg/")] {
        let choices = Choices { pythons: vec![python("3.13.5", "3.13"), other], ..pair() };
        let error = choices.check().unwrap_err();
        assert!(matches!(error, Error::Prefix(_)) && error.to_string().contains(says), "{error}");
    }
    assert!(matches!(with(|choices| choices.images = Images::Both), DockerfileError::BuildImageOfService));
    assert!(matches!(with(|choices| choices.lock = None), DockerfileError::NoLock { .. }));
    let uv = Some(parsed("uv"));
    let no_lock = Choices { uv, lock: None, build_packages: Vec::new(), ..service() };
    assert!(matches!(error(&no_lock), DockerfileError::NoLock { reason } if reason.starts_with("uv ")));
    let label = vec![parsed(r"note=a\b")];
    assert!(matches!(error(&Choices { labels: label, ..pair() }), DockerfileError::Unquotable { .. }));
    let build = || Choices { images: Images::Build, ..pair() };
    let cmd = Choices { cmd: Some(vec!["x".into()]), ..build() };
    let run_packages = Choices { run_packages: vec![parsed("libpq5")], ..build() };
    for choices in [cmd, run_packages] {
        assert!(matches!(error(&choices), DockerfileError::NothingRuns { .. }));
        Choices { images: Images::Both, ..choices }.check().unwrap();
    }
    for lock in ["uv.lock", "a/pylock.toml", "pylock.web.toml"] {
        let mut choices = Choices { lock: Some(parsed(lock)), ..service() };
        assert!(matches!(error(&choices), DockerfileError::NoUv { .. }), "{lock}");
        choices.uv = Some(parsed("uv"));
        choices.check().unwrap();
    }
    for lock in ["poetry.lock", "pyproject.toml", "requirements"] {
        let choices = Choices { lock: Some(parsed(lock)), ..service() };
        assert!(matches!(error(&choices), DockerfileError::NotALock { .. }), "{lock}");
    }
}

#[test]
fn a_cache_belongs_to_the_base() {
    for base in ["debian:12", "registry.test/team/base:1"] {
        let caches = |choices: &Choices| {
            let text = text(&Choices { base: parsed(base), runtime: Runtime::Scratch, ..choices.clone() });
            let ids = text.split("type=cache,id=").skip(1).map(|rest| rest.split(',').next().unwrap().to_owned());
            ids.collect::<Vec<_>>()
        };
        for choices in [pair(), service(), Choices { builder: Builder::Buildah, ..service() }] {
            let caches = caches(&choices);
            assert!(caches.iter().any(|id| id.starts_with("pykeel-store:")), "{caches:?}");
            assert!(caches.iter().all(|id| id.ends_with(&format!(":{base}"))), "{caches:?}");
        }
    }
}

/// The text of a stage, with those that it is made of.
fn stage(text: &str, name: &str) -> String {
    let Some((before, after)) = text.split_once(&format!(" AS {name}\n")) else { return String::new() };
    let parent = before.rsplit("FROM ").next().unwrap();
    stage(text, parent) + after.split("\nFROM ").next().unwrap()
}

#[test]
fn the_image_to_build_with_has_no_leftovers() {
    for choices in all_shapes().into_iter().filter(|choices| choices.images != Images::Runtime) {
        let text = text(&choices);
        let build = stage(&text, "build");
        let installs: Vec<String> =
            instructions(&build).into_iter().filter(|line| line.contains("apt-get install")).collect();
        assert_eq!(installs.len(), 2, "{build}");
        for install in &installs {
            for place in ["/var/log/apt", "/var/log/dpkg.log", "/var/cache/debconf/*-old", "ldconfig/aux-cache"] {
                assert!(install.contains(place), "{place}: {install}");
            }
            let is_cached = install.contains("target=/var/lib/apt/lists") && install.contains("target=/var/cache/apt");
            let is_removed = install.contains("rm -rf /var/lib/apt/lists/*") && install.contains("apt-get clean");
            assert!(is_cached != is_removed, "{install}");
        }
        // What the base says of apt is as before, and the artifacts are not in it.
        assert_eq!(build.contains("docker-clean"), build.contains("cp -a /mnt/. /etc/apt/apt.conf.d/"), "{build}");
        assert!(!build.contains("COPY store"), "{build}");
    }
}

#[test]
fn from_scratch_what_an_application_runs_with_is_copied_whether_a_file_names_it_or_not() {
    let run_packages = vec![parsed("libmagic1=1:5.44-3"), parsed("libpq5")];
    let runtime = Runtime::Scratch;
    for choices in [service(), Choices { lock: None, build_packages: Vec::new(), ..service() }] {
        let text = text(&Choices { run_packages: run_packages.clone(), runtime: runtime.clone(), ..choices });
        let files = instructions(&stage(&text, "files"));
        let install = files.iter().find(|line| line.contains("libmagic1=1:5.44-3 libpq5"));
        assert!(install.is_some_and(|line| line.contains("apt-get install")), "{text}");
        let copied = files.iter().find(|line| line.starts_with("RUN pykeel image ")).unwrap();
        assert!(copied.contains("package libmagic1 ") && copied.contains("package libpq5"), "{copied}");
    }
    assert!(!text(&service()).contains("package libpq5"));
}

#[test]
fn only_the_artifacts_of_a_store_are_sent_and_both_files_end_with_one_line_break() {
    for choices in all_shapes() {
        let Rendered { dockerfile, dockerignore } = render(&choices);
        for text in [&dockerfile, &dockerignore] {
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
        }
        assert_eq!(dockerignore.contains("\n!store/artifacts\n"), choices.artifacts.is_some(), "{dockerignore}");
        assert!(!dockerignore.contains("!store\n"), "{dockerignore}");
    }
}

#[test]
fn a_label_is_quoted_between_double_quotes() {
    let text = text(&Choices { labels: vec![parsed(r#"a=$HOME "x" 'y' # `z`="#)], ..pair() });
    assert_eq!(text.matches(r#"LABEL "a"="\$HOME \"x\" 'y' # `z`=""#).count(), 2, "{text}");
}
