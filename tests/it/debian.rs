//! Minimal Debians to run things in.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::missing::Missing;
use crate::support::{check, is_root, run, shared_store};

/// A path beside the shared store that outlives the tests as it does.
pub fn beside_store(name: &str) -> PathBuf {
    shared_store().with_file_name(name)
}

/// Makes a directory that outlives the tests, once: no other test makes it at the same time, and
/// it has its name when it is whole.
pub fn made_once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    // A test that failed in here has left something half-made under the other name, and that is all.
    let _alone = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let root = beside_store(name);
    if !root.exists() {
        let new = beside_store(&format!("{name}.new"));
        let _absent = fs_err::remove_dir_all(&new);
        make(&new);
        fs_err::rename(new, &root).expect("a directory");
    }
    root
}

/// The first site of apt's own configuration that is Debian's.
fn site() -> Option<String> {
    let sites = check("sh", &["-c", "apt-get indextargets --format '$(SITE)' 'Origin: Debian' | sort -u"]);
    sites.lines().find(|site| site.ends_with("/debian")).or(sites.lines().next()).map(str::to_owned)
}

/// A minimal Debian, made once and kept beside the shared store; or why there is none.
fn bootstrapped(name: &str, codename: &str) -> Result<PathBuf, (Missing, String)> {
    if beside_store(name).exists() {
        return Ok(beside_store(name));
    }
    if !Path::new("/usr/sbin/debootstrap").exists() {
        return Err((Missing::Program("debootstrap"), "there is no debootstrap".into()));
    }
    let site = site().ok_or((Missing::DebianMirror, "apt knows no site of Debian".into()))?;
    Ok(made_once(name, |root| {
        check("debootstrap", &["--variant=minbase", codename, &root.display().to_string(), &site]);
    }))
}

/// A minimal Debian of this host's release.
pub fn minbase() -> Result<PathBuf, (Missing, String)> {
    let codename = check("sh", &["-c", ". /etc/os-release && echo $VERSION_CODENAME"]);
    bootstrapped("pykeel-tests-minbase", codename.trim())
}

/// A minimal Debian 13.
pub fn trixie() -> Result<PathBuf, (Missing, String)> {
    bootstrapped("pykeel-tests-minbase-trixie", "trixie")
}

/// A minimal Ubuntu, from the archive that lies beside a Debian's on the same site.
pub fn ubuntu(codename: &str) -> Result<PathBuf, (Missing, String)> {
    let name = format!("pykeel-tests-minbase-{codename}");
    if beside_store(&name).exists() {
        return Ok(beside_store(&name));
    }
    if !Path::new("/usr/sbin/debootstrap").exists() {
        return Err((Missing::Program("debootstrap"), "there is no debootstrap".into()));
    }
    let mut sites = sites_beside().into_iter().filter(|site| site.ends_with("/ubuntu"));
    let site = sites.next().ok_or((Missing::UbuntuMirror, "no site of apt's is beside one of Ubuntu".into()))?;
    let root = beside_store(&format!("{name}.trial"));
    let _absent = fs_err::remove_dir_all(&root);
    // Debian has no package of Ubuntu's keys. The root is thrown away, and nothing of it is shipped.
    let words = ["--no-check-gpg", "--variant=minbase", "--components=main,universe", codename];
    // One script serves all of Ubuntu's releases; debootstrap has no link to it for those that are newer than itself.
    let script = Path::new("/usr/share/debootstrap/scripts/gutsy");
    let mut command = Command::new("debootstrap");
    let ended = run(command.args(words).arg(&root).arg(&site).arg(script));
    if ended.code != 0 {
        return Err((Missing::UbuntuMirror, format!("debootstrap of {codename} failed: {}{}", ended.out, ended.err)));
    }
    // As images have it. 24.04 began with gcc 13.2, and has 13.3.
    let updates = format!("deb {site} {codename} main universe\ndeb {site} {codename}-updates main universe\n");
    fs_err::write(root.join("etc/apt/sources.list"), updates).expect("a file");
    Ok(made_once(&name, |new| fs_err::rename(&root, new).expect("a directory")))
}

/// The archives of the other distribution beside those of the host's apt sites: most sites have both.
pub fn sites_beside() -> Vec<String> {
    let sites = check("apt-get", &["indextargets", "--format", "$(SITE)"]);
    let mut found: Vec<String> = sites
        .lines()
        .map(|site| site.trim_end_matches('/'))
        .filter_map(|site| match site.rsplit_once('/')? {
            (start, "debian") => Some(format!("{start}/ubuntu")),
            (start, "ubuntu") => Some(format!("{start}/debian")),
            _ => None,
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A root to run things in, with `/proc`, `/dev` and further directories of this system in it
/// while something runs.
pub struct Root {
    path: PathBuf,
    binds: Vec<(PathBuf, PathBuf)>,
    _copy: Option<tempfile::TempDir>,
}

impl Root {
    /// A root as it is.
    pub fn at(path: PathBuf) -> Self {
        Self { path, binds: Vec::new(), _copy: None }
    }

    /// A copy that goes away.
    pub fn copy_of(template: &Path) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("root");
        check("cp", &[Path::new("-a"), template, &path]);
        Self { path, binds: Vec::new(), _copy: Some(place) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Shows a file or directory of this system in the root.
    pub fn bind(mut self, from: impl Into<PathBuf>, to: &str) -> Self {
        let from = from.into();
        let target = self.path.join(to.trim_start_matches('/'));
        if from.is_dir() {
            fs_err::create_dir_all(&target).expect("a directory");
        } else if !target.exists() {
            fs_err::create_dir_all(target.parent().expect("a parent")).expect("a directory");
            fs_err::write(&target, "").expect("a file");
        }
        self.binds.push((from, target));
        self
    }

    /// Has this pykeel in it, a store at its path, and temporary files at theirs.
    pub fn with_pykeel(self, store: &Path) -> Self {
        let temporary = std::env::temp_dir();
        let same = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        self.bind(env!("CARGO_BIN_EXE_pykeel"), "/usr/local/bin/pykeel")
            .bind(store, &same(store))
            .bind(&temporary, &same(&temporary))
    }

    /// A command in it, as root with a bare environment.
    pub fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        // A root that is a mount point of its own is one in which namespaces can be made.
        const SCRIPT: &str = r#"
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
root=$ROOT; unset ROOT OLDPWD PWD
exec chroot "$root" "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-ec", SCRIPT, "sh"]);
        command.args(self.binds.iter().flat_map(|(from, to)| [from, to])).arg("--").args(words);
        command.env_clear().env("ROOT", &self.path);
        for (name, value) in [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("DEBIAN_FRONTEND", "noninteractive"),
        ] {
            command.env(name, value);
        }
        command
    }

    /// Runs a shell script in it that must succeed, and gives its standard output.
    #[track_caller]
    pub fn check(&self, script: &str) -> String {
        run(&mut self.command(&["/bin/sh", "-ec", script])).exits(0).out
    }
}

/// Why nothing can be mounted and run in roots here, if so.
pub fn cannot_enter() -> Option<(Missing, &'static str)> {
    if !is_root() {
        return Some((Missing::Root, "only root can chroot"));
    }
    let trial = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    if trial.is_ok_and(|output| output.status.success()) {
        None
    } else {
        Some((Missing::Mounts, "this container cannot mount"))
    }
}
