//! What takes up the size of an image: by layer, and by owner.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::rc::Rc;

use serde::Serialize;

use super::subject::Subject;

/// What takes up the size of an image.
#[derive(Debug, Serialize)]
pub struct Sizes {
    /// All files, without what later layers hide, in bytes.
    pub bytes: u64,
    /// The number of files.
    pub files: u64,
    /// By layer, the lowest first.
    pub layers: Vec<LayerSize>,
    /// By owner, the largest first.
    pub owners: Vec<OwnerSize>,
}

/// The size of a layer.
#[derive(Debug, Serialize)]
pub struct LayerSize {
    /// Its digest or name.
    pub layer: String,
    /// What made it, as the image says.
    pub made_by: Option<String>,
    /// The bytes of its files that are in the image.
    pub bytes: u64,
    /// The number of these files.
    pub files: u64,
    /// The bytes of its files that later layers hide.
    pub hidden: u64,
}

/// The size of what belongs to one owner.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct OwnerSize {
    /// A package of the distribution (`package libc6`), a Python (`python /usr/local`), a virtual environment
    /// (`venv /app`), or a directory at the top (`/opt`).
    pub owner: String,
    /// The bytes of its files.
    pub bytes: u64,
    /// The number of its files.
    pub files: u64,
}

impl Sizes {
    /// Adds up the files of an image. Hard links count once.
    #[must_use]
    pub fn of(subject: &Subject<'_>) -> Self {
        let layer = |(index, layer): (usize, &super::image::Layer)| LayerSize {
            layer: layer.name.clone(),
            made_by: layer.made_by.clone(),
            bytes: 0,
            files: 0,
            hidden: subject.tree.hidden(index),
        };
        let mut layers: Vec<LayerSize> = subject.image.layers.iter().enumerate().map(layer).collect();
        let mut owners: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut seen = HashSet::new();
        let (mut bytes, mut files) = (0, 0);
        for (path, node) in subject.tree.iter() {
            let Some(file) = node.file().filter(|file| seen.insert(Rc::as_ptr(file))) else { continue };
            bytes += file.size;
            files += 1;
            if let Some(layer) = layers.get_mut(node.layer) {
                layer.bytes += file.size;
                layer.files += 1;
            }
            let owner = owners.entry(owner(subject, path)).or_default();
            *owner = (owner.0 + file.size, owner.1 + 1);
        }
        let mut owners: Vec<OwnerSize> =
            owners.into_iter().map(|(owner, (bytes, files))| OwnerSize { owner, bytes, files }).collect();
        owners.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.owner.cmp(&b.owner)));
        Self { bytes, files, layers, owners }
    }
}

fn owner(subject: &Subject<'_>, path: &str) -> String {
    if let Some(package) = subject.packages.owner(path) {
        return format!("package {}", package.name);
    }
    let is_below = |root: &String| path.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if let Some(venv) = subject.venvs.iter().find(|venv| is_below(&venv.root)) {
        return format!("venv {}", venv.root);
    }
    let of_python = subject.python_of(path).or_else(|| {
        subject
            .pythons
            .iter()
            .find(|python| python.program.as_deref() == Some(path) || python.site.iter().any(is_below))
    });
    match of_python {
        Some(python) => format!("python {}", python.prefix),
        None => path.match_indices('/').nth(1).map_or(path, |(end, _)| &path[..end]).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Fixture, standards};
    use super::*;

    #[test]
    fn every_file_belongs_to_a_layer_and_an_owner() {
        let image = Fixture::default()
            .package("libc6", "2.41", &["/usr/lib/libc.so.6"])
            .file("/usr/lib/libc.so.6", 2_000)
            .next_layer()
            .python("/opt/python", "3.13", "3.13.9")
            .venv("/app", "/opt/python/bin", "python3.13")
            .file("/app/lib/a.py", 300)
            .file("/srv/data", 10)
            .image();
        let standards = standards();
        let sizes = Sizes::of(&Subject::new(&image, &standards));
        let of = |owner: &str| sizes.owners.iter().find(|size| size.owner == owner).unwrap().bytes;
        assert_eq!((of("package libc6"), of("/srv")), (2_000, 10));
        assert!(of("venv /app") > 300 && of("python /opt/python") > 5_000_000);
        assert_eq!(sizes.owners[0].owner, "python /opt/python");
        assert!(sizes.layers[0].bytes >= 2_000 && sizes.layers[1].bytes > 5_000_000);
        assert_eq!(sizes.bytes, sizes.layers.iter().map(|layer| layer.bytes).sum::<u64>());
    }
}
