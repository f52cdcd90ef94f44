//! Images for the tests of rules, file by file.

use std::fmt::Write as _;
use std::rc::Rc;

use super::finding::Severity;
use super::image::{Content, File, Header, Image, ImageConfig, Kind, Layer, Node, Tree};
use super::index::Index;
use super::rule::Rule;
use super::subject::{KnownSeries, Standards, Subject};
use crate::sys::elf::Linkage;

/// An image in the making. What is added later may replace what is there.
#[derive(Default)]
pub(super) struct Fixture {
    tree: Tree,
    config: Option<ImageConfig>,
    layer: usize,
    status: String,
}

/// A library for x86-64.
pub(super) fn library(soname: &str, needed: &[&str]) -> Linkage {
    let needed = needed.iter().map(ToString::to_string).collect();
    Linkage { machine: 62, is_64: true, soname: Some(soname.to_owned()), needed, ..Linkage::default() }
}

/// A program for x86-64. The fixture's loader is `/lib64/ld.so`.
pub(super) fn program(needed: &[&str]) -> Linkage {
    Linkage { soname: None, interpreter: Some("/lib64/ld.so".to_owned()), ..library("", needed) }
}

impl Fixture {
    fn place(mut self, path: &str, kind: Kind, mode: u32) -> Self {
        let node = Node { kind, mode, uid: 0, gid: 0, mtime: 1_000_000, layer: self.layer };
        self.tree.place(path, node);
        self
    }

    fn content(self, path: &str, content: Content, size: u64, mode: u32) -> Self {
        self.place(path, Kind::File(Rc::new(File { size, digest: None, content })), mode)
    }

    /// A file whose beginning or text is kept. One with a `#!` can be run.
    pub(super) fn bytes(self, path: &str, bytes: &[u8]) -> Self {
        let size = bytes.len() as u64;
        if bytes.starts_with(b"#!") {
            self.content(path, Content::Script(bytes.into()), size, 0o755)
        } else {
            self.content(path, Content::Text(bytes.into()), size, 0o644)
        }
    }

    pub(super) fn text(self, path: &str, text: &str) -> Self {
        self.bytes(path, text.as_bytes())
    }

    /// A file of which nothing is kept but its size.
    pub(super) fn file(self, path: &str, size: u64) -> Self {
        self.content(path, Content::Unread, size, 0o644)
    }

    /// A file whose content is known by its digest.
    pub(super) fn hashed(self, path: &str, size: u64, content: &str) -> Self {
        let digest = Some(crate::domain::digest::Digest::of(content));
        self.place(path, Kind::File(Rc::new(File { size, digest, content: Content::Unread })), 0o644)
    }

    pub(super) fn key(self, path: &str) -> Self {
        self.content(path, Content::PrivateKey, 400, 0o600)
    }

    pub(super) fn elf(self, path: &str, linkage: Linkage) -> Self {
        self.content(path, Content::Elf(Box::new(linkage), None), 1000, 0o755)
    }

    pub(super) fn bytecode(self, path: &str, header: Header) -> Self {
        self.content(path, Content::Bytecode(header), 100, 0o644)
    }

    pub(super) fn link(self, path: &str, target: &str) -> Self {
        self.place(path, Kind::Link(target.into()), 0o777)
    }

    pub(super) fn directory(self, path: &str) -> Self {
        self.place(path, Kind::Directory, 0o755)
    }

    fn change(mut self, path: &str, change: impl FnOnce(&mut Node)) -> Self {
        let mut node = self.tree.get(path).expect("a path of the fixture").clone();
        change(&mut node);
        self.tree.place(path, node);
        self
    }

    pub(super) fn mode(self, path: &str, mode: u32) -> Self {
        self.change(path, |node| node.mode = mode)
    }

    pub(super) fn owner(self, path: &str, uid: u32) -> Self {
        self.change(path, |node| node.uid = uid)
    }

    pub(super) fn mtime(self, path: &str, mtime: i64) -> Self {
        self.change(path, |node| node.mtime = mtime)
    }

    /// Begins another layer.
    pub(super) fn next_layer(mut self) -> Self {
        self.layer += 1;
        self
    }

    pub(super) fn user(mut self, user: &str) -> Self {
        self.config.get_or_insert_default().user = user.to_owned();
        self
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.config.get_or_insert_default().environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A package of dpkg with its files, which are not made.
    pub(super) fn package(mut self, name: &str, version: &str, files: &[&str]) -> Self {
        let short = name.split(':').next().unwrap_or_default();
        let _infallible = write!(
            self.status,
            "Package: {short}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
        );
        let list = files.iter().map(|file| format!("{file}\n")).collect::<String>();
        self.text(&format!("/var/lib/dpkg/info/{name}.list"), &list)
    }

    /// A Python with a small standard library, all of it with bytecode.
    pub(super) fn python(self, prefix: &str, series: &str, version: &str) -> Self {
        let lib = format!("{prefix}/lib/python{series}");
        let interpreter = Linkage { soname: None, ..library("", &[]) };
        let tag = series.replace('.', "");
        let mut fixture = self
            .content(
                &format!("{prefix}/bin/python{series}"),
                Content::Elf(Box::new(interpreter), Some(version.to_owned())),
                5_000_000,
                0o755,
            )
            .link(&format!("{prefix}/bin/python3"), &format!("python{series}"))
            .directory(&format!("{lib}/site-packages"))
            .directory(&format!("{lib}/encodings"));
        for module in ["os", "site", "json", "encodings/__init__"] {
            fixture = fixture.file(&format!("{lib}/{module}.py"), 100);
            let (directory, name) = module.rsplit_once('/').unwrap_or(("", module));
            fixture = fixture.bytecode(
                &format!("{lib}/{directory}/__pycache__/{name}.cpython-{tag}.pyc").replace("//", "/"),
                Header::Hash,
            );
        }
        fixture
    }

    /// A virtual environment whose `bin/python` is a link into `home`.
    pub(super) fn venv(self, root: &str, home: &str, python: &str) -> Self {
        self.text(&format!("{root}/pyvenv.cfg"), &format!("home = {home}\n"))
            .link(&format!("{root}/bin/python"), &format!("{home}/{python}"))
            .directory(&format!("{root}/lib/{python}/site-packages"))
    }

    pub(super) fn image(self) -> Image {
        let status = self.status.clone();
        let fixture = if status.is_empty() { self } else { self.text("/var/lib/dpkg/status", &status) };
        let layer = |index| Layer { name: format!("layer {index}"), made_by: None };
        let layers = (0..=fixture.layer).map(layer).collect();
        Image { tree: fixture.tree, config: fixture.config, layers }
    }

    /// What a rule finds in the image: the severity, the path and the message of each.
    pub(super) fn judged(self, rule: &Rule) -> Vec<String> {
        self.judged_by(rule, &standards()).expect("the rule can judge")
    }

    pub(super) fn judged_by(self, rule: &Rule, standards: &Standards) -> Result<Vec<String>, String> {
        let image = self.image();
        let found = rule.judge.run(&Subject::new(&image, standards))?;
        let line = |found: &super::finding::Found| {
            let severity: Severity = found.severity.unwrap_or(rule.severity);
            format!("{severity} {}: {}", found.path.as_deref().unwrap_or("-"), found.message)
        };
        Ok(found.iter().map(line).collect())
    }
}

/// 3.12 has ended, 3.13.9 is the newest of 3.13, and libssl3 has an update.
pub(super) fn standards() -> Standards {
    let known = |series: &str, newest: &str, end: &str| KnownSeries {
        series: series.parse().expect("a series"),
        newest: newest.parse().expect("a release"),
        end_of_life: Some(end.to_owned()),
    };
    let release = Some("Debian 12".to_owned());
    let mut index = Index { lists: 1, age_days: Some(2), release, ..Index::default() };
    index.packages.insert(("libssl3".into(), "amd64".into()), "3.0.17-1~deb12u3".into());
    Standards {
        series: vec![known("3.12", "3.12.12", "2025-10"), known("3.13", "3.13.9", "2029-10")],
        today: "2026-01-15".to_owned(),
        index: Some(index),
        user: None,
    }
}
