//! Says what a user of the command line can do about an error. `commands/python_build/remedy.rs` does for python-build,
//! which has other options.

use std::io;

use crate::domain::configure::ArgumentProblem;
use crate::domain::rebuild::Topic;
use crate::error::{
    DockerfileError, Error, FlagProblem, ImageError, PrefixError, ProfileRemedy, PykeelLockError, RemoteError,
    VenvError,
};

/// Returns what to do about an error, if there is something to do.
#[must_use]
pub fn hint(error: &Error) -> Option<String> {
    of_request(error)
        .or_else(|| of_profile(error))
        .or_else(|| of_build(error))
        .or_else(|| of_artifact(error))
        .or_else(|| of_lock(error))
        .or_else(|| of_venv(error))
        .or_else(|| of_image(error))
        .or_else(|| of_prefix(error))
        .or_else(|| of_dockerfile(error))
        .or_else(|| of_remote(error))
        .or_else(|| of_place(error))
}

/// For errors of the request and of its source.
fn of_request(error: &Error) -> Option<String> {
    let hint = match error {
        Error::UnknownVersion { nearest, .. } if nearest.is_empty() => "`pykeel list --all` lists every version".into(),
        Error::UnknownVersion { nearest, .. } => {
            format!("the nearest are {}; `pykeel list --all` lists every version", nearest.join(", "))
        }
        Error::Mirror { .. } => {
            "name a directory, `--mirror DIR`, or a URL with {file} or {sha256} in it, `--mirror URL`".into()
        }
        Error::EndOfLife { .. } => "build it all the same with `--allow-eol`".into(),
        Error::SourceUnavailable { .. } => {
            "take the archive from elsewhere with `--mirror DIR`, or `--mirror URL` with {file} in it".into()
        }
        _ => return None,
    };
    Some(hint)
}

/// For errors of the optimisation.
fn of_profile(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Profile { remedy, .. } => match remedy {
            ProfileRemedy::Another => {
                "name another with `--profile`, record one with `pykeel train`, or build with `--optimize none`".into()
            }
            ProfileRemedy::WritePgo => {
                "build with `--optimize none`, or add a [pgo] table to the recipe (docs/recipes.md)".into()
            }
            ProfileRemedy::Gcc => "build with gcc, or with `--optimize none`".into(),
            ProfileRemedy::Training => {
                "correct `training` in the recipe's [pgo]; the log shows the commands that ran".into()
            }
            ProfileRemedy::PinnedFile => "put the file back, or pin another with `pykeel train --save`".into(),
        },
        Error::ProfileWithoutOptimization => {
            "leave `--profile` out, or build with `--optimize pgo`; `pykeel config` shows where `optimize` is set"
                .into()
        }
        Error::ProfileMismatch { log, .. } => format!(
            "record one of this release with `pykeel train`, or build with `--optimize none`; the log is {}",
            log.display()
        ),
        Error::CompilerFlag { problem: FlagProblem::HidesWarnings, .. } => {
            "leave it out, or build with `--optimize none`".into()
        }
        Error::CompilerFlag { problem: FlagProblem::HostSpecific, .. } => {
            "name the processor, as in -march=x86-64-v3".into()
        }
        Error::ConfigureArgument { problem, .. } => of_argument(*problem).into(),
        _ => return None,
    };
    Some(hint)
}

/// Says what to use instead of an argument of configure.
const fn of_argument(problem: ArgumentProblem) -> &'static str {
    match problem {
        ArgumentProblem::Form => "write the argument whole, as in `--configure-arg --without-doc-strings`",
        ArgumentProblem::Character => {
            "leave it out, or add it to `configure.arguments` of your own recipe (docs/recipes.md)"
        }
        ArgumentProblem::Word | ArgumentProblem::Layout | ArgumentProblem::Running | ArgumentProblem::Program => {
            "leave it out"
        }
        ArgumentProblem::Unknown => "correct its spelling; `./configure --help` in the source lists the options",
        ArgumentProblem::Prefix => "use `--prefix DIR`",
        ArgumentProblem::Machine => "build on a machine of that kind",
        ArgumentProblem::Shared => "use `--shared` for a shared libpython",
        ArgumentProblem::Debug => "ask for the debug variant, such as 3.13d",
        ArgumentProblem::FreeThreaded => "ask for the free-threaded variant, such as 3.13t",
        ArgumentProblem::Optimisation => "use `--optimize pgo` or `--optimize none`",
        ArgumentProblem::Pip => "use `--flavor builder`, which has pip",
        ArgumentProblem::Modules => "change `modules` of your own recipe (docs/recipes.md)",
        ArgumentProblem::Library => {
            "change `library`, `modules` and `configure.arguments` of your own recipe (docs/recipes.md)"
        }
        ArgumentProblem::Flags => {
            "set CFLAGS, CPPFLAGS or LDFLAGS, or change `configure.environment` of your own recipe (docs/recipes.md)"
        }
    }
}

/// For errors of the build host, the recipe and the programs that run.
fn of_build(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Patch { .. } => "correct the patch or the recipe, then run `pykeel recipe check`".into(),
        Error::Musl { .. } => "build in a glibc-based image such as Debian, Ubuntu, Fedora or a Red Hat UBI".into(),
        Error::LibpythonArgument { argument } if argument.contains("able-shared") => {
            "leave it out, and build with or without `--shared`".into()
        }
        Error::LibpythonArgument { .. } => {
            "leave it out: without `--shared` the flavor `builder` has a static library".into()
        }
        Error::UnknownCompiler { .. } => "set CC to gcc or clang".into(),
        Error::UnknownPackageManager { .. } => {
            "leave `--install-deps` out, and install the packages with this distribution's package manager".into()
        }
        Error::OldLibraries { .. } => "build on a later release of the distribution, or turn these modules off in a \
                                       recipe of your own (docs/recipes.md)"
            .into(),
        Error::MissingDependencies { install, unpackaged, .. } => of_missing(install.as_deref(), unpackaged.as_deref()),
        Error::Command { log: Some(log), output, status, .. } if is_out_of_memory(output, status) => format!(
            "the system kills processes when memory runs out: lower `--jobs`, or give the container more memory; the \
             whole log is {}",
            log.display()
        ),
        Error::Command { log: Some(log), .. } => format!("the whole log is {}", log.display()),
        Error::MissingModules { packages, log, .. } if packages.is_empty() => {
            format!("the whole log is {}", log.display())
        }
        Error::MissingModules { packages, log, .. } => {
            format!("install {}; the whole log is {}", packages.join(", "), log.display())
        }
        Error::UnlistedModules { recipe, .. } => {
            format!("add them to `modules.required`, `modules.builtin` or `modules.disabled` of {recipe}")
        }
        Error::Library { remedy, .. } => remedy.clone(),
        _ => return None,
    };
    Some(hint)
}

/// Says how to get what a build needs.
fn of_missing(install: Option<&str>, unpackaged: Option<&str>) -> String {
    match (install, unpackaged) {
        (Some(command), None) => format!("install them with\n    {command}\nor let `--install-deps` do it"),
        (None, None) => "install them with the package manager of this distribution".into(),
        (None, Some(cc)) => format!("set CC to a gcc or clang that is installed instead of {cc}"),
        (Some(command), Some(cc)) => format!(
            "set CC to a gcc or clang that is installed instead of {cc}; install the others with\n    {command}"
        ),
    }
}

/// For errors of artifacts, in the store or elsewhere.
fn of_artifact(error: &Error) -> Option<String> {
    let hint = match error {
        Error::DigestMismatch { .. } | Error::Damaged { .. } => "download it or build it again".into(),
        Error::HostileArchive { .. } => "do not use it; report it to its publisher".into(),
        Error::NotATarball { .. } => {
            "name the tarball that it was installed from, or `sha256:DIGEST` of one in the store".into()
        }
        Error::OtherPlan { topics, .. } => topics.iter().map(|topic| of_topic(*topic)).collect::<Vec<_>>().join("; "),
        Error::NotReproduced { report: Some(report), .. } => format!("see diffoscope's report {}", report.display()),
        Error::NotReproduced { report: None, .. } => {
            "`--keep-build` keeps both trees; install diffoscope for a detailed report".into()
        }
        Error::NoSuchArtifact { .. } => "`pykeel list` lists the digests in the store".into(),
        Error::NotInStore { request, .. } => format!("build one with `pykeel build {request}`"),
        Error::AmbiguousArtifact { .. } => "name one by its digest: `sha256:DIGEST`".into(),
        _ => return None,
    };
    Some(hint)
}

/// For errors of `pykeel.lock`.
fn of_lock(error: &Error) -> Option<String> {
    let Error::PykeelLock(error) = error else { return None };
    Some(match error {
        PykeelLockError::Absent { .. } => {
            "name the lock with `--lock FILE`, or write one with `pykeel lock VERSION`".into()
        }
        PykeelLockError::NotALock { .. } => "name another file with `--lock FILE`".into(),
        PykeelLockError::Mistake(_) => {
            "restore the file from version control, or remove it and lock the versions again with `pykeel lock`".into()
        }
        PykeelLockError::NothingToLock { command, .. } => {
            format!("build it with `{command}`, or build and lock it at once with `--build`")
        }
        PykeelLockError::NotLocked { .. } => {
            "lock it with `pykeel lock VERSION`, with `--flavor` for another flavor; what is there is listed above".into()
        }
        PykeelLockError::OtherOptions { .. } => {
            "leave the options out (`pykeel config` shows where each is set), or lock the versions anew with them by \
             `pykeel lock`"
                .into()
        }
        PykeelLockError::NotInStore { .. } => {
            "use the store that has it, build it with `pykeel build --locked`, or lock what is there with `pykeel lock \
             --upgrade`"
                .into()
        }
        PykeelLockError::Untrue { .. } => {
            "somebody changed the lock or the store: restore the lock from version control, or lock what is in the store \
             with `pykeel lock --upgrade`"
                .into()
        }
        PykeelLockError::OtherPlan { topics, .. } => {
            let remedies = topics.iter().map(|topic| of_topic(*topic)).map(str::to_owned);
            let anew = "lock what is built here with `pykeel lock --upgrade --build`".to_owned();
            remedies.chain([anew]).collect::<Vec<_>>().join("; or ")
        }
        PykeelLockError::OtherArtifact { .. } => {
            "use the store that has the locked one; `pykeel verify --rebuild` names what differs between two builds".into()
        }
        PykeelLockError::OutOfDate { .. } => "run the same command without `--check`, and commit the file".into(),
        PykeelLockError::Changed { .. } => "run the command again".into(),
    })
}

/// For errors of an application's environment.
fn of_venv(error: &Error) -> Option<String> {
    let Error::Venv(error) = error else { return None };
    Some(match error {
        VenvError::NotALock { .. } => "name the lock of the application, and not what it was made from".into(),
        VenvError::NoHash { .. } => {
            "write the file with `uv export --frozen` or `uv pip compile --generate-hashes`".into()
        }
        VenvError::NoUv { .. } => {
            "install uv there, or name requirements with hashes: `uv export --frozen -o requirements.txt`".into()
        }
        VenvError::NotForPip { .. } => "name requirements with hashes, or leave out `--wheels` and `--repair`".into(),
        VenvError::NoTools { wanted, log, .. } => format!(
            "name an index or a directory that has them by PIP_INDEX_URL or PIP_FIND_LINKS ({}), or leave `--repair` out; \
             the whole log is {}",
            wanted.join(", "),
            log.display()
        ),
        VenvError::NotABuilder { version, .. } => {
            format!("for this stage: `pykeel install {version} --flavor builder --force`; the next one keeps the other")
        }
        VenvError::NotAbsolute { .. } => "name the path that it has at run time: `--at /opt/app`".into(),
        VenvError::Exists { .. } => "make it anew with `--force`".into(),
        VenvError::Taken { .. } => "name another place with `--at DIR`, or remove it".into(),
    })
}

/// For errors of images.
fn of_image(error: &Error) -> Option<String> {
    let Error::Image(error) = error else { return None };
    let hint = match error {
        ImageError::NotAnImage { .. } => {
            "write one with `docker save --output FILE IMAGE` or `skopeo copy docker://IMAGE oci-archive:FILE`".into()
        }
        ImageError::NotFound { asked, .. } if asked.is_empty() => {
            "install docker, podman or buildah in /usr/bin or /usr/local/bin, or save the image where it is, by \
             `docker save --output FILE IMAGE`, and name the file"
                .into()
        }
        ImageError::NotFound { .. } => {
            "pull it first, or save it where it is, by `docker save --output FILE IMAGE`, and name the file".into()
        }
        ImageError::Several { .. } => "save one alone: `docker save --output FILE IMAGE`".into(),
        ImageError::Unfit { .. } => {
            "name another with `--base LAYOUT`, or leave it out for an image from scratch".into()
        }
        ImageError::UnknownUser { known, .. } if known.is_empty() => "give numbers, as in `--user 10001:10001`".into(),
        ImageError::UnknownUser { known, .. } => {
            format!("its users are {}; numbers need no user: `--user 10001:10001`", known.join(", "))
        }
        ImageError::Tree { .. } => return None,
        ImageError::HostFile { remedy, .. } => {
            format!("on this system: {remedy}; or build on an image with `--base LAYOUT`")
        }
    };
    Some(hint)
}

/// For errors of a Dockerfile's choices.
fn of_dockerfile(error: &Error) -> Option<String> {
    let Error::Dockerfile(error) = error else { return None };
    let hint = match error {
        DockerfileError::NotDebian { .. } => {
            "name an image of Debian or Ubuntu with `--base` and `--runtime`, such as debian:13".into()
        }
        DockerfileError::Untagged { .. } => "name its release, such as debian:13, or its digest".into(),
        DockerfileError::NoShell { .. } => {
            "build on Debian or Ubuntu; `--runtime distroless` makes such an image, with the files of the builder's own \
             packages"
                .into()
        }
        DockerfileError::OlderRuntime { runtime, .. } => format!("build on the same release: `--base {runtime}`"),
        DockerfileError::OtherLibraries { .. } => {
            "leave `--libraries` out, or build on the release of the runtime with `--base`".into()
        }
        DockerfileError::NotALock { .. } => "name the lock of the application, and not what it was made from".into(),
        DockerfileError::NoUv { .. } => {
            "say where uv comes from with `--uv FILE|IMAGE`, or name requirements with hashes: `uv export --frozen -o \
             requirements.txt`"
                .into()
        }
        DockerfileError::NoLock { .. } => "name the lock with `--lock FILE`, or leave the option out".into(),
        DockerfileError::NothingRuns { .. } => {
            "leave the option out, or make both images with `--flavor all`".into()
        }
        DockerfileError::Unquotable { .. } => "name the label without it in `--label`".into(),
        DockerfileError::BuildImageOfService => {
            "leave `--flavor` out; the same command without `--lock` and `--app` makes the image to build with".into()
        }
        DockerfileError::Exists { .. } => "replace it with `--force`, or write elsewhere with `--output DIR`".into(),
    };
    Some(hint)
}

/// Says how a rebuild gets the plan of the artifact.
const fn of_topic(topic: Topic) -> &'static str {
    match topic {
        Topic::Format => "use the pykeel that made it",
        Topic::Target => "rebuild it on a machine of the same architecture",
        Topic::Recipe => "name the recipes that it was built with by `--recipes DIR`",
        Topic::Variables => "set CC, CFLAGS, CPPFLAGS and LDFLAGS as they were",
        Topic::Profile => "name the profile that it was built with by `--profile FILE`",
        Topic::System => {
            "rebuild it on the system that it was built on: the same release of the distribution, with the same packages"
        }
    }
}

/// For errors of prefixes.
fn of_prefix(error: &Error) -> Option<String> {
    let Error::Prefix(error) = error else { return None };
    let hint = match error {
        PrefixError::Overlap { .. } => {
            "name a prefix for each with placeholders, as in `--prefix /opt/python-{version}{variant}`, or take them one at \
             a time"
                .into()
        }
        PrefixError::Foreign { .. } => "replace it with `--force`, or install elsewhere with `--prefix DIR`".into(),
        PrefixError::OtherFiles { .. } => "remove them too with `--force`".into(),
        PrefixError::NotInstalled { there, .. } if there.is_empty() => {
            "pykeel has installed no Python there; name another directory with `--prefix DIR`".into()
        }
        PrefixError::NotInstalled { there, .. } => format!("installed there: {}", there.join(", ")),
        PrefixError::Invalid { .. } => {
            "name another directory with `--prefix DIR`, such as /opt/myorg/python-3.13".into()
        }
        PrefixError::Mounted { .. } => "unmount it first, or use another directory with `--prefix DIR`".into(),
        PrefixError::NotRemovable { .. } => "remove it as it was installed".into(),
    };
    Some(hint)
}

/// For errors of remotes.
fn of_remote(error: &Error) -> Option<String> {
    let Error::Remote(error) = error else { return None };
    let hint = match error {
        RemoteError::Address { .. } => {
            "write file:///DIR, https://HOST/PATH, oci://HOST/REPOSITORY or s3://BUCKET/PREFIX; credentials belong into \
             docker's config.json, or into the environment (docs/remotes.md)"
        }
        RemoteError::Unavailable { .. } => "try again later, or name another remote with `--remotes ADDRESS`",
        RemoteError::Denied { address, .. } if is_cloud(address) => {
            "set the variables that hold its credentials: AWS_..., GOOGLE_... or AZURE_... (docs/remotes.md)"
        }
        RemoteError::Denied { .. } => {
            "log in with `docker login`, or put the credentials into docker's config.json (docs/remotes.md)"
        }
        RemoteError::Wrong { .. } => "do not use this remote before you know why; `--remotes none` uses none",
        RemoteError::Absent { .. } => "`pykeel list ADDRESS` lists what a remote has",
        RemoteError::ReadOnly { .. } => {
            "name the place that the web server has, file:///DIR or s3://BUCKET, or a registry, oci://HOST/REPOSITORY"
        }
        RemoteError::NoneNamed => "name one with `--remotes ADDRESS`, PYKEEL_REMOTES or `remotes` in pykeel.toml",
    };
    Some(hint.to_owned())
}

/// Whether an address is one of an object store.
fn is_cloud(address: &str) -> bool {
    let scheme = address.split(['+', ':']).next().unwrap_or_default();
    ["s3", "gs", "az"].iter().any(|cloud| scheme.eq_ignore_ascii_case(cloud))
}

/// For errors of directories and the machine.
fn of_place(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Distrusted { .. } => {
            "make it yours and close it to others with `chown` and `chmod go-w`, or use another place; if you do not know \
             it, remove it"
                .into()
        }
        Error::UnfitForMake { .. } => {
            "set TMPDIR to a directory with a plain path, or put the store into one with `--store DIR`".into()
        }
        Error::NoExec { .. } => {
            "set TMPDIR to a directory where programs can run, or put the store into one with `--store DIR`".into()
        }
        Error::Clock { .. } => "set the clock; a container has that of its host".into(),
        Error::Io(error) => return of_io(error),
        _ => return None,
    };
    Some(hint)
}

/// Whether a program, or a compiler that it ran, was killed. gcc prints
/// `fatal error: Killed signal terminated program cc1`, clang `unable to execute command: Killed`.
pub(super) fn is_out_of_memory(output: &str, status: &str) -> bool {
    status.contains("signal 9")
        || output.contains("Killed signal terminated program")
        || output.contains("unable to execute command: Killed")
}

fn of_io(error: &io::Error) -> Option<String> {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there, or put the store elsewhere with `--store DIR`"
        }
        io::ErrorKind::PermissionDenied => {
            "run it as a user who may write there, or choose another place with `--prefix`, `--root` or `--store`"
        }
        io::ErrorKind::ReadOnlyFilesystem => "choose another place with `--prefix`, `--root` or `--store`",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
pub(super) mod tests;
