//! The Pythons and virtual environments of an image, and what is on their `sys.path`.

use std::collections::{BTreeMap, BTreeSet};

use super::image::{Content, Tree};
use crate::domain::version::Series;

/// A Python: a standard library with its interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// Where it is installed: `/usr/local`.
    pub prefix: String,
    /// The series.
    pub series: Series,
    /// The directory of its standard library: `/usr/local/lib/python3.13`.
    pub stdlib: String,
    /// The real path of its interpreter, if there is one.
    pub program: Option<String>,
    /// Its release, as its code says: `3.13.5`.
    pub version: Option<String>,
    /// The directories of its packages that exist.
    pub site: Vec<String>,
}

/// A virtual environment (PEP 405).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Venv {
    /// Its directory.
    pub root: String,
    /// The keys of its `pyvenv.cfg`.
    pub settings: BTreeMap<String, String>,
    /// The directories of its packages that exist.
    pub site: Vec<String>,
    /// The place of its Python among those of the image, if that is in the image.
    pub base: Option<usize>,
}

/// What one interpreter imports from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The prefix or the virtual environment.
    pub root: String,
    /// The real path of the interpreter.
    pub program: Option<String>,
    /// The real paths of the directories of `sys.path`: the standard library first.
    pub paths: Vec<String>,
}

impl Python {
    /// Finds every Python of an image.
    #[must_use]
    pub fn find_all(tree: &Tree) -> Vec<Self> {
        let mut found = Vec::new();
        for (path, node) in tree.iter() {
            let stdlib = path.strip_suffix("/os.py").or_else(|| path.strip_suffix("/os.pyc"));
            let Some((stdlib, (lib, name))) = stdlib.and_then(|stdlib| Some((stdlib, stdlib.rsplit_once('/')?))) else {
                continue;
            };
            let series = name.strip_prefix("python").and_then(|name| name.trim_end_matches(['t', 'd']).parse().ok());
            let prefix = lib.strip_suffix("/lib64").or_else(|| lib.strip_suffix("/lib"));
            if let (Some(series), Some(prefix), Some(_)) = (series, prefix, node.file())
                && tree.has_directory(&format!("{stdlib}/encodings"))
                && !found.iter().any(|python: &Self| python.stdlib == stdlib)
            {
                found.push(Self::new(tree, prefix, stdlib, series));
            }
        }
        found
    }

    fn new(tree: &Tree, prefix: &str, stdlib: &str, series: Series) -> Self {
        let name = stdlib.rsplit('/').next().unwrap_or_default();
        let mut site = vec![format!("{stdlib}/site-packages"), format!("{stdlib}/dist-packages")];
        if prefix == "/usr" {
            // Debian's own Python.
            site.push("/usr/lib/python3/dist-packages".to_owned());
            site.extend(["dist", "site"].map(|kind| format!("/usr/local/lib/{name}/{kind}-packages")));
        }
        site.retain(|directory| tree.has_directory(directory));
        let program = tree.real(&format!("{prefix}/bin/{name}"));
        let libpython = tree.below(&format!("{prefix}/lib"));
        let libpython =
            libpython.filter(|(path, _)| path.rsplit('/').next().is_some_and(|file| file.starts_with("libpython")));
        let libpython = libpython.filter(|(path, _)| path.contains(&format!("lib{name}.")));
        let programs = program.iter().filter_map(|path| tree.get(path));
        let version = programs.chain(libpython.map(|(_, node)| node)).find_map(|node| match &node.file()?.content {
            Content::Elf(_, version) => version.clone(),
            _ => None,
        });
        Self { prefix: prefix.to_owned(), series, stdlib: stdlib.to_owned(), program, version, site }
    }
}

impl Venv {
    /// Finds every virtual environment of an image.
    #[must_use]
    pub fn find_all(tree: &Tree, pythons: &[Python]) -> Vec<Self> {
        let configurations = tree.iter().filter(|(path, _)| path.ends_with("/pyvenv.cfg"));
        configurations.filter_map(|(path, node)| Self::new(tree, path, node.file()?.content.text()?, pythons)).collect()
    }

    fn new(tree: &Tree, path: &str, text: &[u8], pythons: &[Python]) -> Option<Self> {
        let root = path.strip_suffix("/pyvenv.cfg")?;
        let text = String::from_utf8_lossy(text);
        let settings = text.lines().filter_map(|line| line.split_once('='));
        let settings: BTreeMap<String, String> =
            settings.map(|(key, value)| (key.trim().to_lowercase(), value.trim().to_owned())).collect();
        settings.get("home")?;
        let libraries = ["lib", "lib64"].into_iter().flat_map(|lib| {
            let lib = format!("{root}/{lib}");
            let names = tree.children(&lib).filter(|(name, _)| name.starts_with("python3."));
            names.map(|(name, _)| format!("{lib}/{name}/site-packages")).collect::<Vec<_>>()
        });
        let site: Vec<String> = libraries.filter(|directory| tree.has_directory(directory)).collect();
        let program = tree.real(&format!("{root}/bin/python"));
        let of_program = |python: &Python| python.program.is_some() && python.program == program;
        // A copy of the interpreter has its library where `home` says.
        let home = settings.get("home").and_then(|home| tree.real(home));
        let of_home = |python: &Python| {
            home.as_ref().is_some_and(|home| tree.real(&format!("{}/bin", python.prefix)).as_ref() == Some(home))
                && site.iter().any(|site| site.contains(&format!("/python{}", python.series)))
        };
        let base = pythons.iter().position(of_program).or_else(|| pythons.iter().position(of_home));
        Some(Self { root: root.to_owned(), settings, site, base })
    }
}

impl Environment {
    /// What each Python and each virtual environment imports from.
    #[must_use]
    pub fn find_all(tree: &Tree, pythons: &[Python], venvs: &[Venv], search: Option<&str>) -> Vec<Self> {
        let more = |paths: Vec<String>| with_path_files(tree, &paths);
        let given: Vec<String> = search.into_iter().flat_map(|paths| paths.split(':')).map(str::to_owned).collect();
        let library = |python: &Python| vec![python.stdlib.clone(), format!("{}/lib-dynload", python.stdlib)];
        let of_python = pythons.iter().map(|python| Self {
            root: python.prefix.clone(),
            program: python.program.clone(),
            paths: more([given.clone(), library(python), python.site.clone()].concat()),
        });
        let of_venv = venvs.iter().map(|venv| {
            let base = venv.base.and_then(|base| pythons.get(base));
            let system = venv.settings.get("include-system-site-packages").is_some_and(|value| value == "true");
            let below = base.filter(|_| system).map(|python| python.site.clone()).unwrap_or_default();
            Self {
                root: venv.root.clone(),
                program: base.and_then(|python| python.program.clone()),
                paths: more([given.clone(), base.map(library).unwrap_or_default(), venv.site.clone(), below].concat()),
            }
        });
        of_python.chain(of_venv).collect()
    }
}

/// Returns the real paths of directories and of those that their `.pth` files name. It leaves out what does not exist,
/// and relative paths: a process may be anywhere.
fn with_path_files(tree: &Tree, paths: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let absolute = paths.iter().filter(|path| path.starts_with('/'));
    let real = absolute.filter_map(|path| tree.real(path).filter(|real| tree.has_directory(real)));
    let mut paths: Vec<String> = real.filter(|real| seen.insert(real.clone())).collect();
    let mut more = Vec::new();
    for directory in paths.iter().filter(|path| path.ends_with("-packages")) {
        for (_, node) in tree.children(directory).filter(|(name, _)| name.rsplit('.').next() == Some("pth")) {
            let Some(text) = node.file().and_then(|file| file.content.text()) else { continue };
            let text = String::from_utf8_lossy(text);
            let lines = text.lines().map(str::trim_end).filter(|line| {
                !line.is_empty()
                    && !line.starts_with('#')
                    && !line.starts_with("import ")
                    && !line.starts_with("import\t")
            });
            for line in lines {
                let whole = if line.starts_with('/') { line.to_owned() } else { format!("{directory}/{line}") };
                let real = tree.real(&whole).filter(|real| tree.has_directory(real));
                more.extend(real.filter(|real| seen.insert(real.clone())));
            }
        }
    }
    paths.extend(more);
    paths
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn a_python_and_its_virtual_environment_are_found() {
        let image = Fixture::default()
            .python("/usr/local", "3.13", "3.13.5")
            .venv("/app", "/usr/local/bin", "python3.13")
            .text("/app/lib/python3.13/site-packages/own.pth", "/srv/code\nimport os\nabsent\n")
            .text("/srv/code/a.py", "")
            .image();
        let pythons = Python::find_all(&image.tree);
        assert_eq!(pythons.len(), 1);
        let python = &pythons[0];
        assert_eq!((python.prefix.as_str(), python.version.as_deref()), ("/usr/local", Some("3.13.5")));
        assert_eq!(python.program.as_deref(), Some("/usr/local/bin/python3.13"));
        let venvs = Venv::find_all(&image.tree, &pythons);
        assert_eq!((venvs.len(), venvs[0].base), (1, Some(0)));
        let environments = Environment::find_all(&image.tree, &pythons, &venvs, Some("/srv:/absent"));
        let paths = &environments[1].paths;
        let expected =
            ["/srv", "/usr/local/lib/python3.13", "/app/lib/python3.13/site-packages", "/srv/code"].map(str::to_owned);
        assert_eq!(*paths, expected);
        assert_eq!(environments[1].program.as_deref(), Some("/usr/local/bin/python3.13"));
    }

    #[test]
    fn a_search_path_is_taken_by_its_real_directories() {
        use super::super::fixtures::standards;
        use super::super::judge;

        let image = Fixture::default()
            .python("/usr/local", "3.13", "3.13.5")
            .text("/srv/é.py", "")
            .link("/code", "/srv")
            .variable("PYTHONPATH", "/srv////:/code:/usr/../srv::srv:/absent:/srv/é.py")
            .image();
        let pythons = Python::find_all(&image.tree);
        let search = image.config.as_ref().map(|config| config.environment["PYTHONPATH"].as_str());
        let environments = Environment::find_all(&image.tree, &pythons, &[], search);
        assert_eq!(environments[0].paths[..2], ["/srv", "/usr/local/lib/python3.13"]);
        assert!(judge("image", &image, &standards(), &[]).findings.iter().any(|finding| finding.rule == "PK501"));
    }
}
