//! The lowest layer of an image without a base: what a Python needs of a system, and nothing else.
//!
//! The layer depends on this system's packages and on the libraries that are needed. All its times are 0, so that the
//! images of all Pythons share it.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::authorities::{self, Authorities};
use super::base::BaseTree;
use super::host::Host;
use super::needed::{Need, Needed};
use crate::domain::image::Libc;
use crate::error::Result;
use crate::event::{Event, Reporter};
use crate::sys::distro::{OwnedFile, unmerged};
use crate::sys::elf;
use crate::sys::fs;
use crate::sys::oci::LayerWriter;
use crate::sys::stamp;

/// The user that the image runs as, and its number.
pub const APP_USER: (&str, u32) = ("app", 10001);

/// The users of the image.
pub(super) const USERS: [(&str, u32, &str); 3] =
    [("root", 0, "/root"), (APP_USER.0, APP_USER.1, "/nonexistent"), ("nobody", 65534, "/nonexistent")];

/// The parts of glibc that programs load without naming them, or that wheels were linked with before glibc 2.34 made one
/// library of them.
const GLIBC: [&str; 10] = [
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libanl.so.1",
    "libnss_dns.so.2",
    "libnss_files.so.2",
];

/// The top directories that are links, as in every distribution of today.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// The directories of what nobody reads in an image.
const DOCUMENTATION: [&str; 8] = [
    "/usr/share/doc",
    "/usr/share/doc-base",
    "/usr/share/man",
    "/usr/share/info",
    "/usr/share/locale",
    "/usr/share/lintian",
    "/usr/share/bug",
    "/usr/share/gdb",
];

/// The directories whose modes are not 755.
const MODES: [(&str, u32); 3] = [("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777)];

/// What matters of the layer for those above it, which are written before it.
pub(super) fn tree() -> BaseTree {
    let mut tree = BaseTree::default();
    for (path, _) in MODES {
        tree.add_directory(path);
    }
    for name in MERGED {
        tree.add_link(name, &format!("usr/{name}"));
    }
    tree.add_link("var/run", "/run");
    tree
}

/// Something in the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Directory(u32),
    File(Vec<u8>),
    Program(Vec<u8>),
    Link(PathBuf),
}

/// What somebody chose of the layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// Where the C library comes from.
    pub(super) libc: Libc,
    /// Certificates that are trusted besides the public ones.
    pub(super) authorities: &'a Authorities,
}

/// The content of the layer.
#[derive(Debug, Default)]
pub(super) struct Root {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Root {
    /// Collects the files.
    ///
    /// # Errors
    /// [`crate::error::ImageError::HostFile`] for what this system lacks or its packages do not confirm;
    /// [`crate::error::Error::Io`].
    pub(super) fn collect(
        &mut self,
        host: &Host<'_>,
        needed: &Needed,
        parts: Parts<'_>,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let Parts { libc, authorities } = parts;
        self.skeleton();
        self.file("etc/ssl/certs/ca-certificates.crt", authorities.bundle(&certificates(host)?));
        self.time_zones(host)?;
        if libc == Libc::Bundle {
            self.libraries(host, needed, reporter)?;
            self.locale(host)?;
        }
        self.packages(host)
    }

    /// Adds the files of packages, and notes the libraries that these need: what somebody runs with and no file names,
    /// because it is loaded by name or read. Their dependencies are not added.
    ///
    /// # Errors
    /// [`crate::error::ImageError::HostFile`] for a package that is not installed, and for a file that was changed;
    /// [`crate::error::Error::Io`].
    pub(super) fn add_packages(&mut self, host: &Host<'_>, packages: &[String], needed: &mut Needed) -> Result<()> {
        for package in packages {
            for path in host.files_of(package, Path::new("/"))? {
                let is_documentation = DOCUMENTATION.iter().any(|place| path.starts_with(place));
                // A file may have been left out when the package was installed.
                let Some(metadata) = std::fs::symlink_metadata(&path).ok().filter(|_| !is_documentation) else {
                    continue;
                };
                let target = path.strip_prefix("/").unwrap_or(&path).to_owned();
                if metadata.is_symlink() {
                    self.nodes.insert(target, Node::Link(fs_err::read_link(&path)?));
                } else if metadata.is_file() {
                    // What an administrator may change has no checksum.
                    let is_setting = path.starts_with("/etc");
                    let bytes = if is_setting { fs_err::read(&path)? } else { host.read(&path)? };
                    needed.note(&target, &bytes, Need::Required);
                    let is_program = metadata.permissions().mode() & 0o111 != 0;
                    self.nodes.insert(target, if is_program { Node::Program(bytes) } else { Node::File(bytes) });
                }
            }
        }
        Ok(())
    }

    /// Writes the layer.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`].
    pub(super) fn write(&self, layer: &mut LayerWriter<'_>) -> Result<()> {
        for (path, node) in &self.nodes {
            match node {
                Node::Directory(mode) => layer.directory(path, *mode)?,
                Node::File(bytes) => layer.file(path, 0o644, bytes.len() as u64, &bytes[..])?,
                Node::Program(bytes) => layer.file(path, 0o755, bytes.len() as u64, &bytes[..])?,
                Node::Link(target) => layer.link(path, target)?,
            }
        }
        Ok(())
    }

    /// Writes the files into a directory, with the times of the layer. Returns their number and their size in bytes.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`].
    pub(super) fn place(&self, directory: &Path) -> Result<(u64, u64)> {
        for (path, node) in &self.nodes {
            let target = directory.join(path);
            fs_err::create_dir_all(target.parent().unwrap_or(directory))?;
            let (bytes, mode) = match node {
                Node::Directory(_) => {
                    fs_err::create_dir_all(&target)?;
                    continue;
                }
                Node::Link(content) => {
                    fs_err::os::unix::fs::symlink(content, &target)?;
                    continue;
                }
                Node::File(bytes) => (bytes, 0o644),
                Node::Program(bytes) => (bytes, 0o755),
            };
            fs_err::write(&target, bytes)?;
            fs_err::set_permissions(&target, Permissions::from_mode(mode))?;
        }
        let mode = |path: &Path, usual: u32| match self.nodes.get(path) {
            Some(Node::Directory(mode)) => *mode,
            _ => usual,
        };
        stamp::normalise(directory, 0, mode)
    }

    fn file(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.nodes.insert(path.into(), Node::File(content.into()));
    }

    /// Directories, users, and how names are resolved.
    fn skeleton(&mut self) {
        let directories = [
            "dev",
            "etc",
            "home",
            "proc",
            "run",
            "sys",
            "usr/bin",
            "usr/lib",
            "usr/lib64",
            "usr/sbin",
            "var/lib",
            "var/log",
        ];
        self.nodes.extend(directories.map(|path| (path.into(), Node::Directory(0o755))));
        self.nodes.extend(MODES.map(|(path, mode)| (path.into(), Node::Directory(mode))));
        self.nodes.extend(MERGED.map(|name| (name.into(), Node::Link(Path::new("usr").join(name)))));
        self.nodes.insert("var/run".into(), Node::Link("/run".into()));
        let users = USERS.map(|(name, id, home)| format!("{name}:x:{id}:{id}:{name}:{home}:/sbin/nologin\n"));
        self.file("etc/passwd", users.concat());
        self.file("etc/group", USERS.map(|(name, id, _)| format!("{name}:x:{id}:\n")).concat());
        self.file(
            "etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
        );
    }

    /// The time zones, without the two further copies of them that some distributions have.
    fn time_zones(&mut self, host: &Host<'_>) -> Result<()> {
        let place = Path::new("/usr/share/zoneinfo");
        for path in host.files_of("tzdata", place)? {
            let below = path.strip_prefix(place).unwrap_or(&path);
            let is_copy = ["right", "posix", "localtime"].iter().any(|top| below.starts_with(top));
            let Some(metadata) = std::fs::symlink_metadata(&path).ok().filter(|_| !is_copy) else { continue };
            let target = path.strip_prefix("/").unwrap_or(&path).to_owned();
            if metadata.is_symlink() {
                self.nodes.insert(target, Node::Link(fs_err::read_link(&path)?));
            } else if metadata.is_file() {
                self.file(target, host.read(&path)?);
            }
        }
        self.nodes.insert("etc/localtime".into(), Node::Link("/usr/share/zoneinfo/Etc/UTC".into()));
        Ok(())
    }

    /// The C library, its loader, and every other library that a file needs and that no tree brings.
    fn libraries(&mut self, host: &Host<'_>, needed: &Needed, reporter: &dyn Reporter) -> Result<()> {
        let mut needed = needed.clone();
        let loader = host.target().loader();
        let name = loader.rsplit('/').next().unwrap_or_default();
        let glibc = GLIBC.iter().filter(|soname| host.library(soname, "the image").is_ok());
        let mut queue: Vec<(String, String)> =
            glibc.map(|soname| ((*soname).to_owned(), "the image".to_owned())).collect();
        queue.push((name.to_owned(), "every program".to_owned()));
        for (soname, by, need) in needed.missing() {
            match (need, host.library(soname, by)) {
                (Need::Optional, Err(error)) => reporter.report(Event::Warning(error.to_string())),
                _ => queue.push((soname.to_owned(), by.to_owned())),
            }
        }
        while let Some((soname, by)) = queue.pop() {
            let path = host.library(&soname, &by)?;
            let target = unmerged(&path);
            let target = target.strip_prefix("/").unwrap_or(&target).to_owned();
            if self.nodes.contains_key(&target) {
                continue;
            }
            let bytes = host.read(&path)?;
            needed.note(&target, &bytes, Need::Required);
            let file = elf::parse(&bytes).map(|file| file.needed).unwrap_or_default();
            queue.extend(file.into_iter().map(|next| (next, soname.clone())));
            // The loader is a program too, and some distributions mark every library as one.
            self.nodes.insert(target.clone(), Node::Program(bytes));
            let named = unmerged(Path::new(loader));
            let named = named.strip_prefix("/").unwrap_or(&named).to_owned();
            if soname == name && named != target {
                self.nodes.insert(named, Node::Link(Path::new("/").join(target)));
            }
        }
        Ok(())
    }

    /// The locale that images set. glibc has a part of it in itself, which is not enough for `setlocale`.
    fn locale(&mut self, host: &Host<'_>) -> Result<()> {
        let names = ["C.utf8", "C.UTF-8"].map(|name| Path::new("/usr/lib/locale").join(name));
        let Some(place) = names.into_iter().find(|place| place.is_dir()) else { return Ok(()) };
        for entry in fs::walk(&place)?.into_iter().filter(fs::Entry::is_file) {
            let path = place.join(&entry.path);
            let target = path.strip_prefix("/").unwrap_or(&path).to_owned();
            self.file(target, host.read(&path)?);
        }
        Ok(())
    }

    /// What the packages are that something is from, as scanners read it, and their licences.
    fn packages(&mut self, host: &Host<'_>) -> Result<()> {
        let release = Path::new("/usr/lib/os-release");
        if release.exists() {
            self.file("usr/lib/os-release", host.read(release)?);
            self.nodes.insert("etc/os-release".into(), Node::Link("../usr/lib/os-release".into()));
        }
        for package in host.used() {
            for (name, text) in host.license(&package.package)? {
                self.file(Path::new("usr/share/doc").join(&package.package).join(name), text);
            }
            if host.is_debian() {
                self.file(Path::new("var/lib/dpkg/status.d").join(&package.package), record(&package));
            }
        }
        Ok(())
    }
}

/// Returns a package's record for scanners, at the place where images without a package manager have them.
fn record(package: &OwnedFile) -> String {
    let architecture = package.id.rsplit(':').next().unwrap_or_default();
    format!(
        "Package: {}\nStatus: install ok installed\nArchitecture: {architecture}\nSource: {} ({})\nVersion: {}\n",
        package.package, package.source_package, package.source_version, package.version
    )
}

/// The certificates of this system's package, one after the other. What somebody added to this system is not among them.
pub(super) fn certificates(host: &Host<'_>) -> Result<Vec<u8>> {
    let made = Path::new("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
    if made.exists() {
        // Red Hat's package has them in another form, and makes this file of it.
        return Ok(fs_err::read(made)?);
    }
    let mut bundle = Vec::new();
    for path in host.files_of("ca-certificates", Path::new("/usr/share/ca-certificates"))? {
        if path.extension().is_some_and(|extension| extension == "crt") {
            authorities::append(&mut bundle, &host.read(&path)?);
        }
    }
    Ok(bundle)
}
