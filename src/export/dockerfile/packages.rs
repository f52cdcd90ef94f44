//! The commands that install packages: one for each stage that needs some.

use serde::Serialize;

use super::choices::{Choices, Images, PythonStage};
use super::values::{DebianPackage, Runtime};
use crate::domain::image::Builder;
use crate::domain::manifest::RUNTIME_PACKAGES_PATH;
use crate::domain::plan::LibraryPolicy;
use crate::export::image::APP_USER;

/// Where the base keeps the settings of apt.
const APT_SETTINGS: &str = "/etc/apt/apt.conf.d";
/// What package managers leave behind, besides apt's own caches.
const LEFTOVERS: &str = "/var/lib/dpkg/*-old /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \\\n        \
                         /var/log/apt /var/log/dpkg.log /var/log/alternatives.log";
/// The same where nobody is asked questions and no package is made: the questions of packages, which debconf reads again
/// from where dpkg keeps them, and the symbols of libraries.
const LEFTOVERS_OF_RUNTIME: &str = "/var/lib/dpkg/*-old /var/lib/dpkg/info/*.symbols /var/cache/debconf/* \\\n        \
                                    /var/cache/ldconfig/aux-cache /var/log/apt /var/log/dpkg.log \
                                    /var/log/alternatives.log";

/// What is installed in a stage, and how.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Installation {
    /// The mounts of the command, one a line.
    mounts: String,
    /// The commands before it.
    before: Vec<String>,
    /// Whether what is there is updated too.
    upgrades: bool,
    /// Files that list packages, one a line.
    lists: Vec<String>,
    /// The packages that are named.
    packages: Vec<String>,
    /// The commands after it.
    after: Vec<String>,
    /// The rules of hadolint that it breaks.
    ignored: String,
}

/// The installations of all stages.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Installations {
    builder: Installation,
    build: Installation,
    system: Installation,
    environment: Installation,
    files: Installation,
}

/// What becomes of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Somebody gets it.
    Shipped,
    /// Later stages copy from it.
    Left,
}

impl Installations {
    pub(super) fn new(choices: &Choices) -> Self {
        Self {
            builder: choices.in_builder(),
            build: choices.in_build(),
            system: choices.in_system(),
            environment: choices.in_environment(),
            files: choices.in_files(),
        }
    }
}

impl Choices {
    /// The packages of every stage that compiles. Without a runtime image, the application's are copied from here.
    fn in_builder(&self) -> Installation {
        let own = ["ca-certificates"].into_iter().chain(self.is_from_scratch().then_some("tzdata")).map(str::to_owned);
        let of_app = self.run_packages.iter().filter(|_| self.is_from_scratch() && self.lock.is_none());
        let keeps_packages = self.has_apt_cache().then(|| format!("rm -f {APT_SETTINGS}/docker-clean"));
        // The image to build with is made of it.
        let stage = if self.images == Images::Runtime { Stage::Left } else { Stage::Shipped };
        self.installation(Installation {
            mounts: self.apt_mounts(),
            before: [updates()].into_iter().chain(keeps_packages).collect(),
            upgrades: true,
            packages: own.chain(of_app.map(DebianPackage::to_string)).collect(),
            after: self.update_certificates().chain(self.cleaning(stage)).collect(),
            ..Installation::default()
        })
    }

    fn in_build(&self) -> Installation {
        // Whoever installs packages in the image has no cache for them.
        let restored = self.has_apt_cache().then(|| format!("cp -a /mnt/. {APT_SETTINGS}/"));
        let base = format!("--mount=type=bind,from={},source={APT_SETTINGS},target=/mnt", self.base);
        let base = restored.iter().map(|_| line(&base));
        self.installation(Installation {
            mounts: self.apt_mounts() + &base.collect::<String>(),
            lists: self.lists(&self.pythons, ""),
            packages: COMPILER.map(str::to_owned).into(),
            after: restored.clone().into_iter().chain(self.cleaning(Stage::Shipped)).collect(),
            ..Installation::default()
        })
    }

    fn in_system(&self) -> Installation {
        let uses_system = self.libraries == LibraryPolicy::System;
        let lists = if self.has_mounts() {
            self.lists(&self.pythons, "/mnt")
        } else {
            let places = self.pythons.iter().map(PythonStage::copied_list);
            places.filter(|_| uses_system).collect()
        };
        let mount =
            (uses_system && self.has_mounts()).then(|| line("--mount=type=bind,from=assemble,source=/out,target=/mnt"));
        let always = ["ca-certificates", "tzdata"].into_iter().filter(|_| !uses_system).map(str::to_owned);
        let (user, id) = APP_USER;
        let of_user = [
            format!("groupadd --gid {id} {user}"),
            format!(
                "useradd --uid {id} --gid {id} --no-create-home --home-dir /nonexistent --no-log-init \\\n        \
                 --shell /usr/sbin/nologin {user}"
            ),
        ];
        let cleaning = ["apt-get clean".to_owned(), format!("rm -rf /var/lib/apt/lists/* {LEFTOVERS_OF_RUNTIME}")];
        Installation {
            ignored: ignored(false, uses_system),
            mounts: mount.unwrap_or_default(),
            before: vec![updates()],
            upgrades: true,
            lists,
            packages: always.chain(self.run_packages.iter().map(DebianPackage::to_string)).collect(),
            after: self.update_certificates().chain(cleaning).chain(of_user).collect(),
        }
    }

    /// The packages of the stage that makes the environment.
    fn in_environment(&self) -> Installation {
        let compiler = COMPILER.map(str::to_owned).into_iter();
        let copied = self.run_packages.iter().filter(|_| self.is_from_scratch());
        let of_app = self.build_packages.iter().chain(copied).map(DebianPackage::to_string);
        self.installation(Installation {
            mounts: self.apt_mounts(),
            lists: self.lists(&self.pythons[..1], ""),
            packages: compiler.chain(of_app).collect(),
            after: self.cleaning(Stage::Left),
            ..Installation::default()
        })
    }

    /// The packages that files are copied of, for all Pythons.
    fn in_files(&self) -> Installation {
        self.installation(Installation {
            mounts: self.apt_mounts(),
            lists: self.lists(&self.pythons, "/out"),
            after: self.cleaning(Stage::Left),
            ..Installation::default()
        })
    }

    fn installation(&self, installation: Installation) -> Installation {
        Installation { ignored: ignored(self.has_apt_cache(), !installation.lists.is_empty()), ..installation }
    }

    /// The lists of some Pythons below a root, if they have one.
    fn lists(&self, pythons: &[PythonStage], root: &str) -> Vec<String> {
        let uses_system = self.libraries == LibraryPolicy::System;
        let pythons = pythons.iter().filter(|_| uses_system);
        pythons.map(|python| format!("{root}{}/{RUNTIME_PACKAGES_PATH}", python.prefix)).collect()
    }

    /// The caches of apt. They are those of the base: another release of a distribution has other packages.
    fn apt_mounts(&self) -> String {
        let mount = |name: &str, target: &str| {
            line(&format!("--mount=type=cache,id={name}:{},target={target},sharing=locked", self.base))
        };
        if self.has_apt_cache() {
            mount("apt-archives", "/var/cache/apt") + &mount("apt-lists", "/var/lib/apt/lists")
        } else {
            String::new()
        }
    }

    fn update_certificates(&self) -> impl Iterator<Item = String> {
        (!self.ca.is_empty()).then(|| "update-ca-certificates".to_owned()).into_iter()
    }

    /// The commands that remove what nobody needs.
    fn cleaning(&self, stage: Stage) -> Vec<String> {
        match (self.has_apt_cache(), stage) {
            (true, Stage::Left) => Vec::new(),
            (true, Stage::Shipped) => vec![format!("rm -rf {LEFTOVERS}")],
            (false, Stage::Left) => vec!["rm -rf /var/lib/apt/lists/*".into()],
            (false, Stage::Shipped) => {
                vec!["apt-get clean".into(), format!("rm -rf /var/lib/apt/lists/* {LEFTOVERS}")]
            }
        }
    }

    pub(super) fn is_from_scratch(&self) -> bool {
        self.runtime == Runtime::Scratch
    }

    pub(super) fn has_mounts(&self) -> bool {
        self.builder != Builder::Classic
    }

    /// Whether packages and lists stay in caches. buildah 1.28 waits for ever for a cache that an earlier command of the
    /// same build had locked.
    pub(super) fn has_apt_cache(&self) -> bool {
        self.builder == Builder::BuildKit
    }
}

impl PythonStage {
    /// Where a builder without mounts copies the list of packages to.
    pub(super) fn copied_list(&self) -> String {
        format!("/usr/share/pykeel/python-{}", self.version)
    }
}

const COMPILER: [&str; 4] = ["gcc", "g++", "libc6-dev", "make"];

/// The beginning of a command that runs again with a new value of `UPDATES`.
fn updates() -> String {
    "echo \"updates: ${UPDATES}\"".into()
}

/// A mount with the end of its line.
pub(super) fn line(mount: &str) -> String {
    format!("{mount} \\\n    ")
}

/// The rules of hadolint that a command breaks: the release of the distribution decides the versions; lists that are in a
/// cache are not removed; a list of packages is split into words.
fn ignored(keeps_lists: bool, splits_words: bool) -> String {
    let rules = [Some("DL3008"), keeps_lists.then_some("DL3009"), splits_words.then_some("SC2086")];
    rules.into_iter().flatten().collect::<Vec<_>>().join(",")
}
