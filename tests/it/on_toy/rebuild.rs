//! `verify --rebuild`: builds an artifact again by its own plan, and names every difference.

use std::path::{Path, PathBuf};
use std::process::Command;

use pykeel::domain::artifact::Format;
use pykeel::domain::digest::Digest;
use pykeel::domain::manifest::{MANIFEST_PATH, Manifest};
use pykeel::sys::archive;
use serde_json::Value;

use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, check, run};
use crate::toy::{Behaviour, Toy};

/// Builds a toy into a directory of its own: the tarball of the store and that directory.
pub fn built(toy: &Toy, options: &[&str]) -> (Value, PathBuf) {
    let out = toy.path("out");
    let mut command = toy.build_command();
    command.arg("--out").arg(&out).args(options);
    let built = run(&mut command).exits(0).json()[0].clone();
    let tarball = built["tarball"].as_str().expect("a path").into();
    (built, tarball)
}

/// `verify --rebuild` with the toy's recipes and source.
pub fn rebuild(toy: &Toy, tarball: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = toy.command(&["verify", "--rebuild", "--offline", "--mirror"]);
    command.arg(toy.mirror()).arg(tarball);
    command
}

fn rebuilt(toy: &Toy, tarball: &Path) -> Ended {
    run(&mut rebuild(toy, tarball))
}

/// Makes another tarball of an artifact: its tree is changed, and packed as pykeel does.
pub fn altered(toy: &Toy, tarball: &Path, change: impl FnOnce(&Path)) -> PathBuf {
    altered_in(&toy.path(""), tarball, change)
}

/// The same in a directory.
pub fn altered_in(place: &Path, tarball: &Path, change: impl FnOnce(&Path)) -> PathBuf {
    let tree = place.join("altered");
    fs_err::create_dir_all(&tree).expect("a directory");
    let top = tree.join("python-3.13");
    check("tar", &[Path::new("--zstd"), Path::new("-C"), &tree, Path::new("-xf"), tarball]);
    let manifest: Manifest =
        serde_json::from_slice(&fs_err::read(top.join(MANIFEST_PATH)).expect("the manifest")).expect("a manifest");
    change(&top);
    let path = place.join("altered.tar.zst");
    let file = fs_err::File::create(&path).expect("a file");
    archive::encode(Format::Zst, file, |writer| archive::pack(&top, "python-3.13", manifest.source_date_epoch, writer))
        .expect("a tarball");
    path
}

/// Changes the manifest of an unpacked artifact.
fn edit_manifest(top: &Path, change: impl FnOnce(&mut Manifest)) {
    let path = top.join(MANIFEST_PATH);
    let mut manifest = serde_json::from_slice(&fs_err::read(&path).expect("the manifest")).expect("a manifest");
    change(&mut manifest);
    fs_err::write(path, manifest.to_json()).expect("a file");
}

fn edit(path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let bytes = change(fs_err::read(path).expect("a file"));
    fs_err::write(path, bytes).expect("a file");
}

#[test]
fn what_is_built_again_is_the_same_wherever_it_is_built() {
    let toy = Toy::new(Behaviour::default());
    let (built, tarball) = built(&toy, &["--bytecode", "unchecked-hash"]);
    let digest = built["digest"].as_str().expect("a digest");
    // In a store that has neither the artifact nor anything that its build kept.
    let ended = run(rebuild(&toy, &tarball).env("PYKEEL_STORE", toy.path("other/store"))).exits(0);
    assert!(ended.out.contains(digest) && ended.out.contains("the rebuild is identical"), "{}", ended.out);
    ended.says(&["compile", "compare"]);
    assert!(!toy.path("other/store/artifacts").exists(), "it is not published");
    // Of the store, by its digest.
    let json = run(rebuild(&toy, format!("sha256:{digest}")).arg("--json")).exits(0).json();
    assert_eq!((&json["same"], &json["rebuilt"]), (&true.into(), &built["digest"]));
    assert_eq!(json["differences"], serde_json::json!([]));
    // In another format, where the tar stream is compared.
    check("sh", &["-c", &format!("zstd -dqc '{0}' | xz -0 > '{0}.tar.xz'", tarball.display())]);
    rebuilt(&toy, &PathBuf::from(format!("{}.tar.xz", tarball.display()))).exits(0);
    // Packed by somebody else it has another digest, and that is all.
    let other = toy.path("other.tar.zst");
    check("sh", &["-c", &format!("zstd -dqc '{}' | zstd -q -1 > '{}'", tarball.display(), other.display())]);
    rebuilt(&toy, &other).exits(4).says(&["the tar stream is the same to the byte"]).says_not(&["manifest.json"]);
    toy.left_nothing();
}

#[test]
fn a_launcher_of_the_environment_is_not_used_for_a_rebuild() {
    if run(Command::new("which").arg("ccache")).code != 0 {
        skip!(Missing::Program("ccache"), "there is no ccache");
    }
    let toy = Toy::new(Behaviour::default());
    let (_, tarball) = built(&toy, &[]);
    let mut command = rebuild(&toy, &tarball);
    command.env("PYKEEL_LAUNCHER", "ccache").arg("--verbose");
    run(&mut command).exits(0).says_not(&["ccache"]);
    run(command.args(["--launcher", "ccache"])).exits(0).says(&["objects that ccache has cached are not compiled"]);
}

#[test]
fn every_difference_is_named_with_its_place() {
    let toy = Toy::new(Behaviour::default());
    let (_, tarball) = built(&toy, &[]);
    let module = fs_err::read_dir(toy.path("real/lib/python3.13/lib-dynload")).expect("modules");
    let mut names = module.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let module = names.find(|name| name.starts_with("_ssl.")).expect("the module");
    let given = altered(&toy, &tarball, |top| {
        let library = top.join("lib/python3.13");
        edit(&library.join("ssl.py"), |bytes| [b"# changed\n".to_vec(), bytes].concat());
        edit(&library.join("lib-dynload").join(&module), |mut bytes| {
            let at = memchr::memmem::find(&bytes, b"PyInit__ssl").expect("its function");
            bytes[at + 7] = b'X';
            bytes
        });
        fs_err::remove_file(library.join("this.py")).expect("a file");
        fs_err::write(library.join("more.py"), "").expect("a file");
        check("chmod", &[Path::new("755"), &library.join("os.py")]);
        fs_err::remove_file(top.join("bin/python3")).expect("a link");
        fs_err::os::unix::fs::symlink("python", top.join("bin/python3")).expect("a link");
        edit_manifest(top, |manifest| manifest.sizes.files += 1);
    });
    let report = toy.path("report.txt");
    let ended = run(rebuild(&toy, &given).args(["--json", "--diffoscope-report"]).arg(&report)).exits(4);
    let json = ended.json();
    let ended = ended.says(&["the rebuild is not identical", "bin/python3", "section .dynstr"]);
    assert_eq!(json["same"], false);
    let differences: Vec<(String, String, String)> = json["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|difference| {
            let text = |key: &str| difference[key].as_str().expect("text").to_owned();
            (text("path"), text("kind"), difference["details"].to_string())
        })
        .collect();
    let library = "lib/python3.13";
    let expected = [
        ("bin/python3".to_owned(), "entry", "link is python in the artifact, python3.13 in the rebuild"),
        (format!("{library}/lib-dynload/{module}"), "content", "section .dynstr (1 of"),
        (format!("{library}/more.py"), "only-given", ""),
        (format!("{library}/os.py"), "entry", "mode is 755 in the artifact, 644 in the rebuild"),
        (format!("{library}/ssl.py"), "content", "line 1: `# changed` in the artifact"),
        (format!("{library}/this.py"), "only-rebuilt", ""),
        ("share/pykeel/manifest.json".to_owned(), "content", "sizes.files is "),
    ];
    assert_eq!(differences.len(), expected.len(), "{differences:?}");
    for ((path, kind, details), (expected_path, expected_kind, part)) in differences.iter().zip(&expected) {
        assert_eq!((path, kind.as_str()), (expected_path, *expected_kind));
        assert!(details.contains(part), "{path}: {details}");
    }
    if Path::new("/usr/bin/diffoscope").exists() {
        assert_eq!(json["diffoscope"], report.to_str().expect("UTF-8"));
        ended.says(&["see diffoscope's report"]);
        let text = fs_err::read_to_string(&report).expect("the report");
        assert!(text.contains("ssl.py") && text.contains("# changed"), "{text}");
    }
    toy.left_nothing();
}

#[test]
fn a_build_that_is_not_reproducible_is_found_out() {
    let install = "od -An -N16 -tx1 /dev/urandom | sed 's/^/# /' > lib/python3.13/stamp.py";
    let toy = Toy::new(Behaviour { install, ..Behaviour::default() });
    let (_, tarball) = built(&toy, &[]);
    let ended = rebuilt(&toy, &tarball).exits(4);
    ended
        .says(&["lib/python3.13/stamp.py has different content: line 1", "SHA256SUMS", "sums is "])
        .says_not(&["os.py"]);
    toy.left_nothing();
}

#[test]
fn a_wrong_answer_that_a_build_kept_is_found_out() {
    let behaviour = Behaviour {
        configure: "echo right > answer",
        install: "cp $$OLDPWD/answer lib/python3.13/answer.txt",
        ..Behaviour::default()
    };
    let toy = Toy::new(behaviour);
    built(&toy, &[]);
    // Somebody changes what configure said, and it is taken for the truth by the next build.
    let kept: Vec<PathBuf> = fs_err::read_dir(toy.store().join("intermediates"))
        .expect("what was kept")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [path] = &kept[..] else { panic!("{kept:?}") };
    let bytes = fs_err::read(path).expect("a file");
    let tree = toy.path("answers");
    fs_err::create_dir(&tree).expect("a directory");
    archive::unpack("answers", archive::decoder(Format::Zst, &bytes[64..]).expect("zstd"), &tree).expect("an archive");
    edit(&tree.join("answer"), |_| b"wrong\n".to_vec());
    let (bytes, ()) =
        archive::encode(Format::Zst, Vec::new(), |writer| archive::pack(&tree, "answers", 0, writer)).expect("packed");
    fs_err::write(path, [Digest::of(&bytes).to_string().into_bytes(), bytes].concat()).expect("a file");
    fs_err::remove_dir_all(toy.store().join("artifacts")).expect("a directory");
    let (_, tarball) = built(&toy, &[]);
    rebuilt(&toy, &tarball)
        .exits(4)
        .says(&["answer.txt has different content: line 1: `wrong` in the artifact, `right` in the rebuild"]);
}

#[test]
fn what_cannot_be_built_here_is_explained_before_anything_is_built() {
    let toy = Toy::new(Behaviour::default());
    let (_, tarball) = built(&toy, &[]);
    let ended = run(rebuild(&toy, &tarball).env("CFLAGS", "-O1").arg("--json")).exits(4);
    assert_eq!(ended.json()["plan"][0]["name"], "compiler_variables.CFLAGS");
    ended.says(&["the variable CFLAGS is -O1 here; the artifact was built without", "set CC"]).says_not(&["compile"]);
    toy.write_recipe(|recipe| recipe.replacen("arguments = [", "arguments = [\n  \"--with-dtrace\",", 1));
    let ended = rebuilt(&toy, &tarball).exits(4).says_not(&["compile", "fetch"]);
    ended.says(&["`configure` here adds: --with-dtrace", "--recipes DIR"]);
}

#[test]
fn what_an_artifact_says_is_not_believed() {
    let toy = Toy::new(Behaviour::default());
    let (_, tarball) = built(&toy, &[]);
    // A compiler that the artifact names is not run.
    let trap = toy.path("trap");
    fs_err::write(&trap, format!("#!/bin/sh\ntouch {}\nexec gcc \"$@\"\n", toy.path("sprung").display()))
        .expect("a file");
    check("chmod", &[Path::new("755"), &trap]);
    let cc = trap.to_str().expect("UTF-8").to_owned();
    let given = altered(&toy, &tarball, |top| {
        edit_manifest(top, |manifest| {
            manifest.plan.request.policies.compiler_variables.insert("CC".into(), cc.clone());
            manifest.plan.environment.insert("CC".into(), cc.clone());
            manifest.build_key = manifest.plan.build_key();
        });
    });
    rebuilt(&toy, &given).exits(4).says(&["the variable CC is not set here", &cc]);
    assert!(!toy.path("sprung").exists());
    // A plan has the key that it has.
    let given =
        altered(&toy, &tarball, |top| edit_manifest(top, |manifest| manifest.plan.request.policies.debug_files = true));
    rebuilt(&toy, &given).exits(4).says(&["build key", "is damaged"]);
    // One of a pykeel of another time.
    let given = altered(&toy, &tarball, |top| {
        edit_manifest(top, |manifest| {
            manifest.plan.request.format += 1;
            manifest.build_key = manifest.plan.build_key();
        });
    });
    rebuilt(&toy, &given).exits(4).says(&["the format is ", "use the pykeel that made it"]);
    // A profile that nobody has, and a release that no recipe has.
    let profile = Digest::of("a profile");
    let given = altered(&toy, &tarball, |top| {
        edit_manifest(top, |manifest| {
            manifest.plan.profile = Some(profile);
            manifest.build_key = manifest.plan.build_key();
        });
    });
    rebuilt(&toy, &given).exits(4).says(&["the profile is not available here", &profile.to_string(), "--profile FILE"]);
    let given = altered(&toy, &tarball, |top| {
        edit_manifest(top, |manifest| {
            manifest.plan.request.release = "3.13.4".parse().expect("a release");
            manifest.build_key = manifest.plan.build_key();
        });
    });
    rebuilt(&toy, &given).exits(4).says(&["the recipe of the release is not available here", "--recipes DIR"]);
    toy.left_nothing();
}

#[test]
fn only_a_tarball_can_be_rebuilt() {
    let toy = Toy::new(Behaviour::default());
    rebuilt(&toy, &toy.path("real")).exits(2).says(&["is an installed prefix", "name the tarball"]);
    rebuilt(&toy, &toy.path("nothing.tar.zst")).exits(2).says(&["there is no such file"]);
    run(toy.command(&["verify", "--rebuild", "sha256:12"]).arg("--offline")).exits(2);
    let unknown = format!("sha256:{}", Digest::of("nothing"));
    run(&mut rebuild(&toy, &unknown)).exits(2).says(&["no artifact"]);
    // What a build needs means nothing without one.
    run(toy.command(&["verify", "--offline"]).arg(toy.path("real"))).exits(2).says(&["--rebuild"]);
}
