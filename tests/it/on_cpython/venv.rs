//! `venv`: the environment of an application, from a lock, without the network: the wheels are made here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::Site;
use crate::support::{Ended, check, run};

/// Makes a wheel of a directory, as an archiver without a build system does.
const PACK: &str = r#"
import base64, hashlib, pathlib, sys, zipfile
source, target = pathlib.Path(sys.argv[1]), sys.argv[2]
info = next(source.glob("*.dist-info")).name
lines = []
with zipfile.ZipFile(target, "w") as wheel:
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        data = path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path.relative_to(source)},sha256={digest},{len(data)}\n")
        wheel.writestr(str(path.relative_to(source)), data)
    wheel.writestr(f"{info}/RECORD", "".join(lines) + f"{info}/RECORD,,\n")
"#;

struct Scene {
    site: Site,
    python: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let site = Site::new();
        let python = site.path("opt/python-3.13");
        site.install(&python, &["--flavor", "builder"]).exits(0);
        let scene = Self { site, python };
        scene.wheel("pure-1.0-py3-none-any", &[("pure.py", "def main():\n    print('pure')\n")]);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.path(name)
    }

    /// Makes a wheel with some files, and an entry point `pure-hello`.
    fn wheel(&self, name: &str, files: &[(&str, &str)]) {
        let source = self.path(name);
        let [distribution, version, tag] = name.splitn(3, '-').collect::<Vec<_>>()[..] else { panic!("{name}") };
        let info = source.join(format!("{distribution}-{version}.dist-info"));
        fs_err::create_dir_all(&info).expect("a directory");
        for (path, text) in files {
            fs_err::write(source.join(path), text).expect("a file");
        }
        let metadata = format!("Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n");
        fs_err::write(info.join("METADATA"), metadata).expect("a file");
        let wheel = format!("Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n");
        fs_err::write(info.join("WHEEL"), wheel).expect("a file");
        fs_err::write(info.join("entry_points.txt"), "[console_scripts]\npure-hello = pure:main\n").expect("a file");
        fs_err::create_dir_all(self.path("wheels")).expect("a directory");
        let target = self.path("wheels").join(format!("{name}.whl"));
        let python = self.python.join("bin/python3").display().to_string();
        check(&python, &["-c".into(), PACK.into(), source.into_os_string(), target.into_os_string()]);
    }

    /// Writes a lock of wheels, each with its hash.
    fn lock(&self, names: &[&str]) -> PathBuf {
        let mut text = format!("--no-index\n--find-links {}\n", self.path("wheels").display());
        for name in names {
            let sum = check("sha256sum", &[self.path("wheels").join(format!("{name}.whl"))]);
            let [distribution, version, _] = name.splitn(3, '-').collect::<Vec<_>>()[..] else { panic!("{name}") };
            writeln!(text, "{distribution}=={version} \\\n    --hash=sha256:{}", &sum[..64]).expect("a text");
        }
        let lock = self.path("requirements.txt");
        fs_err::write(&lock, text).expect("a file");
        lock
    }

    fn venv(&self, lock: &Path, more: &[&str]) -> Ended {
        let mut command = self.site.command(&["venv", "--json", "--python"]);
        command.arg(&self.python).arg("--at").arg(self.path("srv/app")).arg(lock).args(more);
        run(&mut command)
    }

    /// All that a layer of an image has of the environment.
    fn layer(&self) -> String {
        let words = ["--sort=name", "--format=ustar", "--numeric-owner", "-C"];
        let mut words: Vec<_> = words.map(PathBuf::from).into();
        words.extend([self.path("srv"), "-cf".into(), self.path("layer.tar"), "app".into()]);
        check("tar", &words);
        check("sha256sum", &[self.path("layer.tar")])
    }
}

const PURE: &str = "pure-1.0-py3-none-any";

#[test]
fn an_environment_works_has_no_pip_and_is_the_same_every_time() {
    let scene = Scene::new();
    let lock = scene.lock(&[PURE]);
    let ended = scene.venv(&lock, &[]).exits(0).says(&["was not checked"]);
    let made = ended.json();
    assert_eq!(made["packages"], serde_json::json!(["pure 1.0"]));
    assert_eq!((made["python"].as_str(), &made["lacking"]), (Some("3.13.5"), &serde_json::Value::Null));
    let app = scene.path("srv/app");
    assert_eq!(check(&app.join("bin/pure-hello").display().to_string(), &[] as &[&str]), "pure\n");
    let cache = app.join("lib/python3.13/site-packages/__pycache__/pure.cpython-313.pyc");
    // The flags of a file that is not compared with its source.
    assert_eq!(fs_err::read(cache).expect("bytecode")[4..8], [1, 0, 0, 0]);
    let python = app.join("bin/python");
    assert_ne!(run(Command::new(&python).args(["-c", "import pip"])).code, 0);
    let layer = scene.layer();

    scene.venv(&lock, &[]).exits(2).says(&["there is an environment at /", "--force"]);
    scene.venv(&lock, &["--force"]).exits(0);
    assert_eq!(scene.layer(), layer);
    // One that cannot be replaced stays.
    let wrong = scene.path("wrong.txt");
    fs_err::write(&wrong, "--no-index\nabsent==1.0 --hash=sha256:00\n").expect("a file");
    scene.venv(&wrong, &["--force"]).exits(1);
    assert_eq!(scene.layer(), layer);
    // By way of wheels that are kept it is the same.
    let wheels = scene.path("kept");
    let kept = scene.venv(&lock, &["--force", "--wheels", wheels.to_str().expect("a text")]).exits(0).json();
    assert_eq!(scene.layer(), layer);
    let of_wheels = fs_err::read_to_string(kept["wheels"].as_str().expect("a path")).expect("a lock");
    assert!(of_wheels.starts_with("pure==1.0 --hash=sha256:"), "{of_wheels}");
}

#[test]
fn what_a_runtime_lacks_is_named_with_the_file_that_needs_it() {
    let scene = Scene::new();
    let source = scene.path("native.c");
    fs_err::write(&source, "int native(void) { return 0; }\n").expect("a file");
    let [library, module] = ["libabsent.so.1", "native.so"].map(|name| scene.path(name).display().to_string());
    let source = source.display().to_string();
    check("gcc", &["-shared", "-fPIC", "-Wl,-soname,libabsent.so.1", "-o", &library, &source]);
    let words = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-o", &module, &source, &library, "-lz"];
    check("gcc", &words);
    let name = "native-1.0-py3-none-any";
    fs_err::create_dir_all(scene.path(name)).expect("a directory");
    fs_err::copy(&module, scene.path(name).join("native.so")).expect("a file");
    scene.wheel(name, &[]);
    let (lock, root) = (scene.lock(&[name]), scene.path("root"));
    fs_err::create_dir_all(root.join("etc")).expect("a directory");
    fs_err::copy("/etc/os-release", root.join("etc/os-release")).expect("a file");
    let ended = scene.venv(&lock, &["--runtime-root", root.to_str().expect("a text")]).exits(0);
    let lacking = ended.says(&["no libabsent.so.1, which /"]).json();
    let lacking = &lacking["lacking"];
    let libraries = lacking["libraries"].as_array().expect("an array");
    let of = |soname: &str| libraries.iter().find(|missing| missing["soname"] == soname).expect(soname);
    assert!(of("libabsent.so.1")["package"].is_null());
    let by = of("libz.so.1")["needed_by"].as_str().expect("a path");
    assert!(by.ends_with("srv/app/lib/python3.13/site-packages/native.so"), "{by}");
    if of("libz.so.1")["package"] == "zlib1g" {
        let line = lacking["install"].as_str().expect("a line");
        assert!(line.contains("apt-get install") && line.contains(" zlib1g"), "{line}");
    }
}

#[test]
fn what_cannot_be_an_environment_is_said_and_leaves_nothing() {
    let scene = Scene::new();
    let lock = scene.lock(&[PURE]);
    let app = scene.path("srv/app");
    let text = fs_err::read_to_string(&lock).expect("the lock");

    // Another hash, and none.
    let (before, _) = text.split_once("sha256:").expect("a hash");
    fs_err::write(&lock, format!("{before}sha256:{}\n", "0".repeat(64))).expect("a file");
    scene.venv(&lock, &[]).exits(1).says(&["hash", "venv-"]);
    assert!(!app.exists());
    fs_err::write(&lock, "pure==1.0\n").expect("a file");
    scene.venv(&lock, &[]).exits(2).says(&["requirements.txt:1: `pure==1.0` has no hash"]);
    let other = scene.path("poetry.lock");
    fs_err::write(&other, "").expect("a file");
    scene.venv(&other, &[]).exits(2).says(&["poetry.lock is not a lock"]);
    if !["/usr/bin/uv", "/bin/uv", "/usr/local/bin/uv"].iter().any(|uv| Path::new(uv).exists()) {
        let other = scene.path("uv.lock");
        fs_err::write(&other, "").expect("a file");
        scene.venv(&other, &[]).exits(2).says(&["uv.lock needs uv"]);
    }

    // A Python without headers, one that pykeel did not make, and a place that is taken.
    fs_err::write(&lock, &text).expect("a file");
    let runtime = scene.path("opt/runtime");
    scene.site.install(&runtime, &[]).exits(0);
    let with = |python: &Path, at: &Path| {
        run(scene.site.command(&["venv", "--python"]).arg(python).arg("--at").arg(at).arg(&lock))
    };
    with(&runtime, &app).exits(2).says(&["flavor runtime, which has no headers", "--flavor builder"]);
    with(Path::new("/usr"), &app).exits(2).says(&["/usr", "manifest"]);
    with(&scene.python, Path::new("app")).exits(2).says(&["one absolute path only", "--at /opt/app"]);
    fs_err::create_dir_all(&app).expect("a directory");
    fs_err::write(app.join("precious"), "").expect("a file");
    with(&scene.python, &app).exits(2).says(&["what is there is no environment"]);
    assert!(app.join("precious").exists());
}
