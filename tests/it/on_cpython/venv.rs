//! `venv`: the environment of an application, from a lock, without the network: the wheels are made here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::install::Site;
use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, Mounted, check, run};

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

/// Builds a wheel of one extension module, as a build system does that needs no other package.
const BACKEND: &str = r#"
import base64, hashlib, os, subprocess, sys, sysconfig, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    module = NAME + sysconfig.get_config_var("EXT_SUFFIX")
    source = "module.cc" if COMPILER == "g++" else "module.c"
    include = "-I" + sysconfig.get_path("include")
    subprocess.run([COMPILER, "-shared", "-fPIC", include, "-o", module, source, *LIBRARIES], check=True)
    version = "cp{}{}".format(*sys.version_info)
    tag = "-".join([version, version, sysconfig.get_platform().replace("-", "_")])
    info = f"{NAME}-1.0.dist-info"
    files = {
        module: open(module, "rb").read(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
    }
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    name = f"{NAME}-1.0-{tag}.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for path, data in files.items():
            wheel.writestr(zipfile.ZipInfo(path), data)
    return name
"#;

/// A Python with headers, and packages for it.
pub struct Scene {
    pub site: Site,
    pub python: PathBuf,
}

impl Scene {
    pub fn new() -> Self {
        let site = Site::new();
        let python = site.path("opt/python-3.13");
        site.install(&python, &["--flavor", "builder"]).exits(0);
        let scene = Self { site, python };
        scene.wheel("pure-1.0-py3-none-any", &[("pure.py", "def main():\n    print('pure')\n")]);
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
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

    /// Packs a source of one file that is compiled by `gcc` or `g++`. Nothing is needed for its build but a compiler.
    pub fn source(&self, name: &str, compiler: &str, libraries: &str, code: &str) {
        let top = format!("{name}-1.0");
        let directory = self.path(&top);
        fs_err::create_dir_all(&directory).expect("a directory");
        let write = |file: &str, text: &str| fs_err::write(directory.join(file), text).expect("a file");
        write("PKG-INFO", &format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"));
        write("pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n");
        let values = format!("NAME, COMPILER, LIBRARIES = {name:?}, {compiler:?}, {libraries:?}.split()\n");
        write("backend.py", &(values + BACKEND));
        let ending = if compiler == "g++" { "cc" } else { "c" };
        write(&format!("module.{ending}"), &code.replace("NAME", name));
        fs_err::create_dir_all(self.path("wheels")).expect("a directory");
        let archive = self.path("wheels").join(format!("{top}.tar.gz"));
        check("tar", &["-C".into(), self.path(""), "-czf".into(), archive, top.into()]);
    }

    /// Writes a lock of wheels and sources, each with its hash.
    pub fn lock(&self, names: &[&str]) -> PathBuf {
        let mut text = format!("--no-index\n--find-links {}\n", self.path("wheels").display());
        for name in names {
            let files = ["whl", "tar.gz"].map(|ending| self.path("wheels").join(format!("{name}.{ending}")));
            let file = files.iter().find(|file| file.exists()).expect("a wheel or a source");
            let sum = check("sha256sum", &[file]);
            let [distribution, version, ..] = name.splitn(3, '-').collect::<Vec<_>>()[..] else { panic!("{name}") };
            writeln!(text, "{distribution}=={version} \\\n    --hash=sha256:{}", &sum[..64]).expect("a text");
        }
        let lock = self.path("requirements.txt");
        fs_err::write(&lock, text).expect("a file");
        lock
    }

    pub fn command(&self, lock: &Path, more: &[&str]) -> Command {
        let mut command = self.site.command(&["venv", "--json", "--python"]);
        command.arg(&self.python).arg("--at").arg(self.path("srv/app")).arg(lock).args(more);
        // What is compiled here is in no cache.
        command.env("PIP_NO_CACHE_DIR", "1");
        command
    }

    pub fn venv(&self, lock: &Path, more: &[&str]) -> Ended {
        run(&mut self.command(lock, more))
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
    assert!(of_wheels.starts_with("--no-index\n--find-links .\npure==1.0 --hash=sha256:"), "{of_wheels}");
    // The lock beside them is enough elsewhere: what they were made of is not needed.
    fs_err::rename(scene.path("wheels"), scene.path("gone")).expect("a directory");
    fs_err::rename(&wheels, scene.path("moved")).expect("a directory");
    scene.venv(&scene.path("moved/requirements.txt"), &["--force"]).exits(0);
    assert_eq!(scene.layer(), layer);
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
fn a_package_that_cannot_be_had_or_built_is_named_with_the_reason() {
    let scene = Scene::new();
    let mac = "native-1.0-cp313-cp313-macosx_11_0_arm64";
    scene.wheel(mac, &[]);
    scene.venv(&scene.lock(&[mac]), &[]).exits(1).says(&["native==1.0", "o matching distribution", "the whole log is"]);
    // The compiler's own error is shown.
    scene.source("broken", "gcc", "", "#include <Python.h>\nint broken(void) { return undeclared_name; }\n");
    let ended = scene.venv(&scene.lock(&["broken-1.0"]), &[]).exits(1);
    ended.says(&["module.c:2:", "error: ", "undeclared_name", "the whole log is"]);
    assert!(!scene.path("srv/app").exists());
}

#[test]
fn a_full_disk_leaves_no_environment() {
    let scene = Scene::new();
    scene.wheel("large-1.0-py3-none-any", &[("large.py", &"x = 'a'\n".repeat(1 << 20))]);
    let Some(_mounted) = Mounted::tmpfs(&scene.path("srv"), "size=2m") else {
        skip!(Missing::Mounts, "nothing can be mounted here")
    };
    scene.venv(&scene.lock(&["large-1.0-py3-none-any"]), &[]).exits(1).says(&["No space left on device"]);
    assert_eq!(fs_err::read_dir(scene.path("srv")).expect("a directory").count(), 0);
    scene.venv(&scene.lock(&[PURE]), &[]).exits(0);
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
