//! Closed inputs: what changes the bytes of a build changes its key, or is refused before configure, or is
//! kept out. Each change is made in a mount namespace of its own, so that the host stays as it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::debian::cannot_enter;
use crate::skip;
use crate::support::{Ended, check, run, start};
use crate::toy::{Behaviour, Toy};

/// A command in a mount namespace, after a shell script that changes what it sees. `$work` in the script is a
/// directory of the test.
fn changed(script: &str, work: &Path, command: &Command) -> Command {
    let mut shown = Command::new("unshare");
    let script = format!("work=$1; shift; {script}\nexec \"$@\"");
    shown.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-ec", &script, "sh"]).arg(work);
    start(&mut shown, command);
    shown
}

/// A toy, and its plans in changed systems.
struct Host {
    toy: Toy,
    work: tempfile::TempDir,
}

impl Host {
    fn new(behaviour: Behaviour) -> Self {
        Self { toy: Toy::without_tree(behaviour), work: tempfile::tempdir().expect("a directory") }
    }

    /// The dry run on a system that a script changed.
    fn plan_after(&self, script: &str) -> Ended {
        let mut command = self.toy.command(&["build", "3.13.5", "--optimize", "none", "--dry-run", "--json"]);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        run(&mut changed(script, self.work.path(), &command))
    }

    fn plan(&self, script: &str) -> Value {
        self.plan_after(script).exits(0).json()[0].clone()
    }

    /// The build on a system that a script changed.
    fn build_after(&self, script: &str) -> Ended {
        let mut command = self.toy.build_command();
        run(&mut changed(script, self.work.path(), command.args(["--optimize", "none"])))
    }
}

/// The plan without its provenance.
fn key_of(plan: &Value) -> Value {
    let mut plan = plan.clone();
    plan.as_object_mut().expect("an object").remove("provenance");
    plan
}

/// Mounts a copy of a file over it, with one more byte at its end.
fn altered(file: &Path) -> String {
    let file = fs_err::canonicalize(file).expect("a file");
    format!(
        "rm -f $work/copy && cp -p {0} $work/copy && echo >> $work/copy && mount --bind $work/copy {0}",
        file.display()
    )
}

/// The path of a file that gcc finds.
fn of_gcc(name: &str) -> PathBuf {
    let path = check("gcc", &[format!("-print-file-name={name}")]);
    fs_err::canonicalize(path.trim()).expect("a file of the compiler")
}

/// The libbfd that the assembler loads.
fn libbfd() -> PathBuf {
    let loaded = check("ldd", &["/usr/bin/as"]);
    let line = loaded.lines().find(|line| line.contains("libbfd")).expect("the assembler loads libbfd");
    PathBuf::from(line.split_whitespace().find(|word| word.starts_with('/')).expect("a path"))
}

#[test]
fn an_altered_file_of_a_package_is_refused_by_name() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let files = [
        PathBuf::from("/usr/include/zlib.h"),
        of_gcc("crt1.o"),
        of_gcc("libgcc.a"),
        of_gcc("liblto_plugin.so"),
        libbfd(),
        PathBuf::from("/usr/bin/sed"),
        // Of a package that no build needs. Configure runs it if it is there.
        PathBuf::from("/usr/bin/python3"),
    ];
    for file in files {
        let ended = host.plan_after(&altered(&file)).exits(4);
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        ended.says(&[&name, "it was changed", "apt-get install --reinstall"]);
    }
    let ended = host.build_after(&altered(Path::new("/usr/include/zlib.h"))).exits(4);
    ended.says(&["/usr/include/zlib.h", "zlib1g-dev"]);
    host.toy.left_nothing();
}

#[test]
fn a_header_that_no_package_owns_is_refused_where_the_compiler_looks() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let place = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    // A copy of the directory is mounted over it, with one more file.
    let script =
        format!("cp -a {place} $work/include; touch $work/include/pthread.h; mount --bind $work/include {place}");
    let ended = host.plan_after(&script).exits(4);
    ended.says(&[&format!("{place}/pthread.h"), "no package owns it", "libc6-dev"]);
    // A link counts as its target.
    let script = format!(
        "cp -a {place} $work/linked; touch $work/evil.h; ln -s $work/evil.h $work/linked/evil.h; \
         mount --bind $work/linked {place}"
    );
    host.plan_after(&script).exits(4).says(&["evil.h", "no package owns it"]);
}

/// A script that mounts an overlay over `/usr` and changes something in it.
fn over_usr(change: &str) -> String {
    format!(
        "mkdir -p $work/over; mount -t tmpfs tmpfs $work/over; mkdir $work/over/upper $work/over/work; \
         mount -t overlay -o lowerdir=/usr,upperdir=$work/over/upper,workdir=$work/over/work overlay /usr; {change}"
    )
}

#[test]
fn a_program_or_plugin_that_no_package_owns_is_refused_where_the_toolchain_looks() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let gcc = of_gcc("libgcc.a").parent().expect("a directory").to_owned();
    let machine = gcc.parent().expect("a directory").display().to_string();
    let gcc = gcc.display();
    for (change, named) in [
        (format!("gcc -dumpspecs > {machine}/specs"), "specs"),
        (format!("cp /usr/bin/true {machine}/real-ld"), "real-ld"),
        (format!("cp {gcc}/liblto_plugin.so /usr/lib/bfd-plugins/other.so"), "other.so"),
        ("cp /usr/bin/true /usr/sbin/touch".to_owned(), "/usr/sbin/touch"),
        ("cp /usr/bin/true /usr/sbin/git".to_owned(), "/usr/sbin/git"),
        // A link to another file that a package owns is another file.
        (format!("ln -s {gcc}/crtbegin.o {gcc}/Scrt1.o"), "Scrt1.o"),
        (
            "mkdir -p $work/x; cp /usr/bin/sed $work/x/gcc-ar; ln -sf $work/x/gcc-ar /usr/bin/gcc-ar".to_owned(),
            "gcc-ar",
        ),
    ] {
        host.plan_after(&over_usr(&change)).exits(4).says(&[named, "no package owns it"]);
    }
    // Files that no tool of a build looks for are ignored.
    let change = "touch /usr/sbin/somebodys-own-tool /usr/lib/note.txt; rm -f /usr/lib/*/gconv/IBM*.so";
    assert_eq!(host.plan(&over_usr(change)), host.plan(""));
}

#[test]
fn a_library_that_the_loader_would_take_from_elsewhere_is_refused() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let loaded = check("ldd", &["/usr/bin/sed"]);
    let mut lines = loaded.lines().filter(|line| line.contains("=> /") && !line.contains("libc.so"));
    let library = lines.find_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    let library = library.expect("sed loads a library besides the C library's");
    let script = format!(
        "mount -t tmpfs tmpfs /usr/local; mkdir /usr/local/lib; cp {library} /usr/local/lib/; \
         cp /etc/ld.so.cache $work/cache; touch $work/cache; mount --bind $work/cache /etc/ld.so.cache; \
         /sbin/ldconfig -C $work/new 2>/dev/null; cat $work/new > /etc/ld.so.cache"
    );
    let ended = host.plan_after(&script).exits(4);
    ended.says(&["/usr/local/lib/", "no package owns it, and it is used in place of", "run ldconfig"]);
}

#[test]
fn a_launcher_is_compared_with_its_package_and_one_without_a_package_is_named() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let through = |launcher: &str, script: &str| {
        let mut command = host.toy.command(&["build", "3.13.5", "--optimize", "none", "--dry-run", "--json"]);
        command.args(["--launcher", launcher]);
        run(&mut changed(script, host.work.path(), &command))
    };
    through("ccache", &altered(Path::new("/usr/bin/ccache"))).exits(4).says(&["/usr/bin/ccache", "it was changed"]);
    let of_ccache = check("ldd", &["/usr/bin/ccache"]);
    let library = of_ccache.lines().find(|line| line.contains("libhiredis")).expect("ccache loads libhiredis");
    let library = library.split_whitespace().find(|word| word.starts_with('/')).expect("a path");
    through("ccache", &altered(Path::new(library))).exits(4).says(&["libhiredis", "it was changed"]);

    let own = "mount -t tmpfs tmpfs /usr/local; mkdir /usr/local/bin; cp /usr/bin/ccache /usr/local/bin/sccache; \
               rm /usr/bin/sccache";
    let ended = through("sccache", &over_usr(own)).exits(0).says(&["no package owns /usr/local/bin/sccache"]);
    assert_eq!(ended.json()[0], host.plan(""));
    let of_a_package = through("ccache", "").exits(0);
    assert!(!of_a_package.err.contains("no package owns"), "{}", of_a_package.err);
}

#[test]
fn a_link_that_says_another_thing_is_another_key() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let library = of_gcc("libz.a").parent().expect("a directory").display().to_string();
    let change = format!("ln -sf libz.a {library}/libz.so");
    let ended = host.plan_after(&over_usr(&change));
    // A linker would take the static library: either there is no such plan, or it is another.
    assert!(ended.code != 0 || key_of(&ended.json()[0]) != key_of(&host.plan("")), "{}", ended.out);
    let change = "ln -sf libm-2.36.a \"$(dirname $(gcc -print-file-name=libresolv.so))/libresolv.so\"";
    let ended = host.plan_after(&over_usr(change));
    assert!(ended.code != 0 || key_of(&ended.json()[0]) != key_of(&host.plan("")), "{}", ended.out);
}

#[test]
fn what_is_below_usr_local_is_neither_read_nor_run() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let behaviour = Behaviour {
        configure: "echo '#include <pthread.h>' > a.c; gcc -E a.c > seen; if grep -q planted seen; then exit 9; fi; \
                    echo 'int main(void) { return 0; }' > b.c; gcc b.c -o b -lplanted 2>/dev/null && exit 8; \
                    sed --version > /dev/null",
        // What make compiles and links by its rules, and by commands of its own.
        program: "#include <pthread.h>\n#ifdef PLANTED\n#error planted\n#endif\nint main(void) { return 0; }\n",
        all: "test -x python; if $(CC) Python/ceval.o -lplanted -o c; then exit 7; fi; sed --version > /dev/null",
        ..Behaviour::default()
    };
    let host = Host { toy: Toy::new(behaviour), work: tempfile::tempdir().expect("a directory") };
    let script = "mount -t tmpfs tmpfs /usr/local; mkdir -p /usr/local/include /usr/local/lib /usr/local/bin; \
                  printf '#include_next <pthread.h>\\n#define PLANTED\\nconst char planted[] = \"planted\";\\n' \
                  > /usr/local/include/pthread.h; \
                  echo 'int planted;' > $work/planted.c; gcc -shared -o /usr/local/lib/libplanted.so $work/planted.c; \
                  for name in gcc make sed as ld; do printf '#!/bin/sh\\ntouch %s/ran\\nexec /usr/bin/%s \"$@\"\\n' $work $name \
                  > /usr/local/bin/$name; chmod +x /usr/local/bin/$name; done";
    assert_eq!(host.plan(script), host.plan(""));
    let digest = |ended: Ended| ended.exits(0).json()[0]["digest"].clone();
    let with_others = digest(host.build_after(script));
    fs_err::remove_dir_all(host.toy.store()).expect("the store");
    assert_eq!(with_others, digest(host.build_after("")));
    assert!(!host.work.path().join("ran").exists(), "a program of /usr/local/bin was run");
}

#[test]
fn a_path_that_the_search_path_finds_is_the_compiler_of_that_name() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    // Configure is not given a script for a compiler that is named by its path: this header would be refused.
    let script = "mount -t tmpfs tmpfs /usr/local; mkdir /usr/local/include; touch /usr/local/include/pthread.h";
    let plan = |cc: &str| {
        let mut command = host.toy.command(&["build", "3.13.5", "--optimize", "none", "--dry-run", "--json"]);
        command.env("CC", cc);
        run(&mut changed(script, host.work.path(), &command)).exits(0).json()[0].clone()
    };
    assert_eq!(plan("/usr/bin/gcc"), plan("gcc"));
}

#[test]
fn the_environment_shows_no_other_package_database() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let script = "mkdir -p $work/db $work/bin; touch $work/db/status; export DPKG_ADMINDIR=$work/db DPKG_ROOT=$work/db; \
                  for name in dpkg dpkg-query rpm; do printf '#!/bin/sh\\necho libssl3: 9.9.9\\n' > $work/bin/$name; \
                  chmod +x $work/bin/$name; done; export PATH=$work/bin:$PATH LD_LIBRARY_PATH=$work CPATH=$work \
                  GCC_EXEC_PREFIX=$work/ COMPILER_PATH=$work LIBRARY_PATH=$work C_INCLUDE_PATH=$work";
    assert_eq!(host.plan(script), host.plan(""));
}

/// Mounts a copy of a file of dpkg's database over it, changed by a sed script.
fn database(file: &str, change: &str) -> String {
    format!("sed {change} /var/lib/dpkg/{file} > $work/db; mount --bind $work/db /var/lib/dpkg/{file}")
}

#[test]
fn another_version_of_a_shells_tool_is_the_same_key_and_recorded() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let here = host.plan("");
    let there = host.plan(&database("status", "'/^Package: sed$/,/^$/s/^Version: .*/Version: 99-1/'"));
    assert_eq!(key_of(&there), key_of(&here));
    let environment = there["provenance"]["environment"].as_array().expect("a list");
    assert!(
        environment
            .iter()
            .any(|entry| entry.as_str().is_some_and(|entry| entry.starts_with("sed:") && entry.ends_with("=99-1")))
    );
    assert_ne!(there["provenance"], here["provenance"]);
    // Sorted, so that two hosts give the same list.
    let mut sorted: Vec<&str> = environment.iter().map(|entry| entry.as_str().expect("text")).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, environment.iter().map(|entry| entry.as_str().expect("text")).collect::<Vec<_>>());
}

#[test]
fn another_build_of_a_compilers_package_is_another_key() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let host = Host::new(Behaviour::default());
    let here = host.plan("");
    let owner = check("dpkg", &["--search", of_gcc("cc1").to_str().expect("UTF-8")]);
    let package = owner.split(':').next().expect("a package").to_owned();
    let info = Path::new("/var/lib/dpkg/info");
    let arch = check("dpkg", &["--print-architecture"]);
    let sums = [format!("{package}.md5sums"), format!("{package}:{}.md5sums", arch.trim())];
    let sums = sums.iter().find(|name| info.join(name).exists()).expect("the checksums of the compiler");
    // The checksum of a file that no tool reads changes.
    let there = host.plan(&database(&format!("info/{sums}"), "'/usr.share/s/^......../00000000/'"));
    assert_eq!(
        there["toolchain"]["packages"][format!("{package}:{}", arch.trim())]["version"],
        here["toolchain"]["packages"][format!("{package}:{}", arch.trim())]["version"]
    );
    assert_ne!(key_of(&there), key_of(&here));
    let newer = host.plan(&database("status", &format!("'/^Package: {package}$/,/^$/s/^Version: .*/Version: 99-1/'")));
    assert_ne!(key_of(&newer), key_of(&here));
}

#[test]
fn a_file_that_the_plan_does_not_name_fails_the_build_when_it_was_read() {
    let behaviour = Behaviour {
        configure: "mkdir -p @toy@/other; echo 'int other;' > @toy@/other/other.h; \
                    echo '#include \"@toy@/other/other.h\"' > Python/included.h",
        program: "#include \"included.h\"\nint main(void) { return 0; }\n",
        ..Behaviour::default()
    };
    let host = Host::new(behaviour);
    let ended = run(host.toy.build_command().args(["--optimize", "none"])).exits(4);
    ended.says(&["other.h", "it belongs to no package of the plan"]);
    host.toy.left_nothing();
    // If the plan has its digest, it may be read, and other content gives another key.
    let flags = format!("-I{}", host.toy.path("other").display());
    let plan = |flags: &str| {
        let mut command = host.toy.command(&["build", "3.13.5", "--optimize", "none", "--dry-run", "--json"]);
        run(command.env("CFLAGS", flags)).exits(0).json()[0].clone()
    };
    let first = plan(&flags);
    assert_eq!(first["toolchain"]["trees"].as_object().expect("an object").len(), 1, "{first}");
    fs_err::write(host.toy.path("other/other.h"), "long other;\n").expect("a file");
    assert_ne!(plan(&flags), first);
}

#[test]
fn a_compiler_outside_packages_is_in_the_key_with_its_whole_tree() {
    let host = Host::new(Behaviour::default());
    let tree = host.work.path().join("gcc");
    fs_err::create_dir_all(tree.join("bin")).expect("a directory");
    fs_err::create_dir_all(tree.join("share")).expect("a directory");
    fs_err::write(tree.join("share/specs"), "one").expect("a file");
    let compiler = tree.join("bin/gcc");
    fs_err::write(&compiler, "#!/bin/sh\nexec /usr/bin/gcc \"$@\"\n").expect("a file");
    check("chmod", &["+x".as_ref(), compiler.as_os_str()]);
    let plan = || {
        let mut command = host.toy.command(&["build", "3.13.5", "--optimize", "none", "--dry-run", "--json"]);
        run(command.env("CC", &compiler)).exits(0).json()[0].clone()
    };
    let first = plan();
    let tree_name = fs_err::canonicalize(&tree).expect("a directory").display().to_string();
    assert!(first["toolchain"]["trees"][&tree_name].is_string(), "{}", first["toolchain"]["trees"]);
    let path = first["environment"]["PATH"].as_str().expect("text");
    assert!(path.starts_with(&tree.join("bin").display().to_string()), "{path}");
    fs_err::write(tree.join("share/specs"), "two").expect("a file");
    assert_ne!(key_of(&plan()), key_of(&first));
}
