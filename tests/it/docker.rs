//! A docker daemon and buildah of the tests' own, and images of a minimal Debian, as no registry can be reached.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pykeel::domain::image::Builder;

use crate::debian::minbase;
use crate::missing::Missing;
use crate::support::{check, is_root, run};

/// The docker of the distribution: one that is earlier on PATH may not know how to ask for `BuildKit`.
const DOCKER: &str = "/usr/bin/docker";

/// The engines, with their images in a directory that goes away.
pub struct Engines {
    place: tempfile::TempDir,
    daemon: Child,
}

impl Engines {
    /// Starts the daemon; or says what is missing.
    pub fn start() -> Result<Self, (Missing, String)> {
        if !is_root() {
            return Err((Missing::Root, "only root can run a docker daemon".into()));
        }
        for (path, program) in [(DOCKER, "docker"), ("/usr/sbin/dockerd", "dockerd"), ("/usr/bin/buildah", "buildah")] {
            if !Path::new(path).exists() {
                return Err((Missing::Program(program), format!("there is no {path}")));
            }
        }
        let place = tempfile::tempdir().expect("a directory");
        let path = |name: &str| place.path().join(name);
        let log = fs_err::File::create(path("log")).expect("a file").into_parts().0;
        let mut command = Command::new("/usr/sbin/dockerd");
        command.arg("--data-root").arg(path("data")).arg("--exec-root").arg(path("exec"));
        command.arg("--pidfile").arg(path("pid")).arg("--host").arg(format!("unix://{}", path("socket").display()));
        // The network of the machine stays as it is.
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        let engines = Self { daemon: command.spawn().expect("dockerd"), place };
        let began = Instant::now();
        while run(engines.docker().arg("info")).code != 0 {
            if began.elapsed() > Duration::from_mins(1) {
                let log = fs_err::read_to_string(engines.place.path().join("log")).unwrap_or_default();
                return Err((Missing::Mounts, format!("dockerd does not start: {log}")));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(engines)
    }

    /// The client of docker.
    pub fn docker(&self) -> Command {
        let mut command = Command::new(DOCKER);
        command.env("DOCKER_HOST", self.host()).env("DOCKER_CONFIG", self.place.path().join("config"));
        command
    }

    /// Where the daemon listens.
    pub fn host(&self) -> String {
        format!("unix://{}", self.place.path().join("socket").display())
    }

    fn buildah(&self) -> Command {
        let mut command = Command::new("/usr/bin/buildah");
        command.arg("--root").arg(self.place.path().join("buildah"));
        command.arg("--runroot").arg(self.place.path().join("buildah-run"));
        command
    }

    /// A scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Makes `debian:N` and `debian:N-slim` of this host's release. Both trust what this machine trusts, as its network
    /// may have a certificate of its own. Returns N.
    pub fn import_debian(&self) -> Result<String, (Missing, String)> {
        let template = minbase()?;
        let number = check("sh", &["-c", ". /etc/os-release && echo $VERSION_ID"]).trim().to_owned();
        let root = self.path("debian");
        check("cp", &["-a".as_ref(), template.as_path(), root.as_path()]);
        let certificates = root.join("usr/local/share/ca-certificates");
        fs_err::create_dir_all(&certificates).expect("a directory");
        fs_err::write(certificates.join("host.crt"), further_certificates()).expect("a file");
        let clean =
            "cd \"$0\" && rm -rf var/cache/apt/archives/*.deb var/cache/apt/*.bin var/lib/apt/lists/* var/log/*";
        check("sh", &["-ec".as_ref(), clean.as_ref(), root.as_path()]);
        self.import(&root, &format!("debian:{number}"));
        // What the slim images of Debian leave out, now and of packages that are installed later.
        let excluded = ["doc/*", "man/*", "locale/*", "info/*"].map(|glob| format!("path-exclude /usr/share/{glob}\n"));
        let rules = excluded.concat() + "path-include /usr/share/doc/*/copyright\n";
        fs_err::write(root.join("etc/dpkg/dpkg.cfg.d/docker"), rules).expect("a file");
        let slim = "cd \"$0/usr/share\" && rm -rf doc/* man/* locale/* info/*";
        check("sh", &["-ec".as_ref(), slim.as_ref(), root.as_path()]);
        self.import(&root, &format!("debian:{number}-slim"));
        fs_err::write(root.join("etc/motd"), "another base\n").expect("a file");
        self.import(&root, "other-base:1");
        Ok(number)
    }

    fn import(&self, root: &Path, tag: &str) {
        let archive = self.path("root.tar");
        check("tar", &["--numeric-owner".as_ref(), "-C".as_ref(), root, "-cf".as_ref(), &archive, ".".as_ref()]);
        run(self.docker().arg("import").arg(&archive).arg(tag)).exits(0);
        run(self.docker().args(["save", "--output"]).arg(&archive).arg(tag)).exits(0);
        run(self.buildah().arg("pull").arg(format!("docker-archive:{}", archive.display()))).exits(0);
    }

    /// Builds an image, which docker has afterwards. The network is that of the machine.
    #[track_caller]
    pub fn build(&self, builder: Builder, context: &Path, tag: &str, args: &[&str]) -> String {
        let mut command = match builder {
            Builder::BuildKit | Builder::Classic => {
                let mut command = self.docker();
                command.env("DOCKER_BUILDKIT", if builder == Builder::BuildKit { "1" } else { "0" });
                command.args(["build", "--network", "host", "--tag", tag]);
                if builder == Builder::BuildKit {
                    command.arg("--progress=plain")
                } else {
                    &mut command
                };
                command
            }
            Builder::Buildah => {
                let mut command = self.buildah();
                command.args(["build", "--layers", "--network", "host", "--tag", tag]);
                command
            }
        };
        let ended = run(command.args(args).arg(context)).exits(0);
        if builder == Builder::Buildah {
            let archive = self.path("built.tar");
            let _absent = fs_err::remove_file(&archive);
            let target = format!("docker-archive:{}:{tag}", archive.display());
            run(self.buildah().args(["push", tag, &target])).exits(0);
            run(self.docker().args(["load", "--input"]).arg(&archive)).exits(0);
        }
        ended.out + &ended.err
    }

    /// Removes images and the caches of docker's builders, which are gigabytes.
    pub fn forget(&self, tags: &[&str]) {
        run(self.docker().args(["image", "rm", "--force"]).args(tags)).exits(0);
        run(self.docker().args(["image", "prune", "--force"])).exits(0);
        run(self.docker().args(["builder", "prune", "--all", "--force"])).exits(0);
    }

    /// The digests of the layers of an image before compression, the lowest first.
    pub fn layers(&self, tag: &str) -> Vec<String> {
        let format = "{{range .RootFS.Layers}}{{println .}}{{end}}";
        let ended = run(self.docker().args(["image", "inspect", "--format", format, tag])).exits(0);
        ended.out.split_whitespace().map(str::to_owned).collect()
    }

    /// The labels of an image.
    pub fn labels(&self, tag: &str) -> serde_json::Value {
        run(self.docker().args(["image", "inspect", "--format", "{{json .Config.Labels}}", tag])).exits(0).json()
    }

    /// A certificate of an authority of its own, in PEM.
    pub fn authority(&self) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        let words = "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=test -keyout";
        let mut command = Command::new("openssl");
        run(command.args(words.split(' ')).args([&path("key.pem"), "-out", &path("authority.pem")])).exits(0);
        fs_err::read_to_string(self.path("authority.pem")).expect("a file")
    }

    /// The size of an image in bytes, unpacked.
    pub fn size(&self, tag: &str) -> u64 {
        let ended = run(self.docker().args(["image", "inspect", "--format", "{{.Size}}", tag])).exits(0);
        ended.out.trim().parse().expect("a number")
    }

    /// Runs a command in a container without network, rights and writable files.
    pub fn run(&self, tag: &str, words: &[&str]) -> crate::support::Ended {
        run(self.docker().args(["run", "--rm"]).args(HARDENED).arg(tag).args(words))
    }

    /// Starts an image as it is, in the same way, and gives what its port 8000 answers to a GET of `/`.
    #[track_caller]
    pub fn answer(&self, tag: &str) -> String {
        let started = run(self.docker().args(["run", "--detach"]).args(HARDENED).arg(tag)).exits(0);
        let id = started.out.trim();
        let pid = run(self.docker().args(["inspect", "--format", "{{.State.Pid}}", id])).exits(0).out;
        let began = Instant::now();
        // Its network has no other member than itself.
        let ask = || {
            let words = ["--target", pid.trim(), "--net", "curl", "--silent", "--fail", "http://127.0.0.1:8000/"];
            run(Command::new("nsenter").args(words).stdin(Stdio::null()))
        };
        let mut ended = ask();
        while ended.code != 0 && began.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(200));
            ended = ask();
        }
        let logs = run(self.docker().args(["logs", id]));
        run(self.docker().args(["rm", "--force", id])).exits(0);
        assert_eq!(ended.code, 0, "{tag} gives no answer: {}{}", logs.out, logs.err);
        ended.out
    }
}

/// What a container is run with.
const HARDENED: [&str; 6] = [
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=none",
    "--pids-limit=64",
    "--init=false",
];

impl Drop for Engines {
    fn drop(&mut self) {
        let pid = self.daemon.id().to_string();
        let _gone = Command::new("kill").args(["-TERM", &pid]).status();
        let _ended = self.daemon.wait();
        // Layers are mounts until they are released.
        let _unmounted = Command::new("sh").args(["-c", UNMOUNT]).arg(self.place.path()).status();
    }
}

const UNMOUNT: &str = "cut -d' ' -f2 /proc/mounts | grep -F \"$0/\" | sort -r | xargs -r umount --lazy";

/// The certificates that this system trusts and that are not of the package ca-certificates.
fn further_certificates() -> String {
    const END: &str = "-----END CERTIFICATE-----\n";
    let of_package = check("sh", &["-c", "cat $(find /usr/share/ca-certificates -name '*.crt')"]);
    let bundle = fs_err::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    bundle.split_inclusive(END).filter(|certificate| !of_package.contains(certificate.trim())).collect()
}
