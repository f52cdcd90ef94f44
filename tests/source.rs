//! The source: files import each other in one direction, and none is long. `docs/architecture.md` describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

/// The most lines of a Rust file.
const LONGEST_FILE: usize = 500;

/// A module by its path from the root of the crate: `["domain", "plan"]`.
type Name = Vec<String>;

/// A module that is a file.
#[derive(Default)]
struct Module {
    /// The names that it gives to what others define: `pub use self::request::Policies`.
    given_on: BTreeMap<String, Name>,
    /// The modules whose names it gives on: `pub use self::request::*`.
    given_on_whole: Vec<Name>,
    /// What it defines itself.
    defined: BTreeSet<String>,
    /// The paths that it uses, from the root of the crate.
    used: BTreeSet<Name>,
}

/// All modules of the crate without those of tests.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<Name, Module>,
}

impl Crate {
    /// Reads a module's file and those below it. `directory` has the files of its child modules.
    fn read(&mut self, name: &Name, file: &Path, directory: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut reader = Reader { name, module: Module::default(), children: Vec::new() };
        for item in &syntax.items {
            reader.visit_item(item);
        }
        let Reader { module, children, .. } = reader;
        self.modules.insert(name.clone(), module);
        for child in children {
            let below = directory.join(&child);
            let files = [directory.join(format!("{child}.rs")), below.join("mod.rs")];
            let file = files.iter().find(|file| file.exists()).unwrap_or_else(|| panic!("no file of {child}"));
            self.read(&[&name[..], &[child]].concat(), file, &below);
        }
    }

    /// The module that defines what a path names.
    fn definer(&self, path: &[String]) -> Option<Name> {
        let known = (0..=path.len()).rev().find(|&length| self.modules.contains_key(&path[..length]))?;
        let (name, rest) = path.split_at(known);
        let module = &self.modules[name];
        let Some(wanted) = rest.first() else { return Some(name.to_vec()) };
        if module.defined.contains(wanted) {
            return Some(name.to_vec());
        }
        let whole = module.given_on_whole.iter().find(|other| self.modules[*other].defined.contains(wanted));
        match module.given_on.get(wanted) {
            Some(target) => self.definer(target),
            None => Some(whole.cloned().unwrap_or_else(|| name.to_vec())),
        }
    }

    /// The modules that each module uses, without those that it is in.
    fn uses(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        let of = |(name, module): (&Name, &Module)| {
            // A module's file `mod.rs` may define what the files below it share.
            let used = module.used.iter().filter_map(|path| self.definer(path)).filter(|used| !name.starts_with(used));
            (name.clone(), used.collect())
        };
        self.modules.iter().map(of).collect()
    }
}

/// Reads one file.
struct Reader<'a> {
    name: &'a Name,
    module: Module,
    children: Vec<String>,
}

impl Reader<'_> {
    /// A path from the root of the crate, or `None` if it is of another crate or of this file.
    fn rooted(&self, path: &[String]) -> Option<Name> {
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([self.name, &path[1..]].concat()),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let above = self.name.len().checked_sub(ups)?;
                Some([&self.name[..above], &path[ups..]].concat())
            }
            child if self.children.iter().any(|known| known == child) => Some([self.name, path].concat()),
            _ => None,
        }
    }

    fn imports(&mut self, tree: &UseTree, path: &mut Name, is_public: bool) {
        let depth = path.len();
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.imports(&part.tree, path, is_public);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.imports(tree, path, is_public)),
            UseTree::Name(name) => self.import(path, &name.ident.to_string(), &name.ident.to_string(), is_public),
            UseTree::Rename(name) => self.import(path, &name.ident.to_string(), &name.rename.to_string(), is_public),
            UseTree::Glob(_) => {
                if let Some(target) = self.rooted(path) {
                    self.module.given_on_whole.extend(is_public.then_some(target));
                }
            }
        }
        path.truncate(depth);
    }

    fn import(&mut self, path: &[String], wanted: &str, given: &str, is_public: bool) {
        let path = if wanted == "self" { path.to_vec() } else { [path, &[wanted.to_owned()]].concat() };
        let Some(target) = self.rooted(&path) else { return };
        if is_public {
            self.module.given_on.insert(given.to_owned(), target);
        } else {
            self.module.used.insert(target);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, defined): (&[Attribute], _) = match item {
            Item::Mod(item) => (&item.attrs, None),
            Item::Use(item) => (&item.attrs, None),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Impl(item) => (&item.attrs, None),
            _ => (&[], None),
        };
        if !attributes.iter().any(is_of_tests) {
            self.module.defined.extend(defined.map(ToString::to_string));
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_none() {
            self.children.push(item.ident.to_string());
        } else {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.imports(&item.tree, &mut Vec::new(), is_public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Name = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if parts.len() > 1 {
            self.module.used.extend(self.rooted(&parts));
        }
        visit::visit_path(self, path);
    }
}

fn is_of_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().starts_with("test"))
}

/// The uses that are on a circle: what is used reaches its user.
fn circles(uses: &BTreeMap<Name, BTreeSet<Name>>) -> Vec<String> {
    let reaches = |start: &Name, end: &Name| {
        let (mut seen, mut queue) = (BTreeSet::new(), vec![start]);
        while let Some(name) = queue.pop() {
            if name == end {
                return true;
            }
            queue.extend(uses.get(name).into_iter().flatten().filter(|next| seen.insert(*next)));
        }
        false
    };
    let all = uses.iter().flat_map(|(user, used)| used.iter().map(move |used| (user, used)));
    let on_circle = all.filter(|(user, used)| reaches(used, user));
    on_circle.map(|(user, used)| format!("{} uses {}", user.join("::"), used.join("::"))).collect()
}

/// The names of modules shortened to the folder below `src/`.
fn by_folder(uses: &BTreeMap<Name, BTreeSet<Name>>) -> BTreeMap<Name, BTreeSet<Name>> {
    let folder = |name: &Name| name.iter().take(1).cloned().collect::<Name>();
    let mut folders: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
    for (name, used) in uses {
        let others = used.iter().map(folder).filter(|other| *other != folder(name));
        folders.entry(folder(name)).or_default().extend(others);
    }
    folders
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn uses() -> BTreeMap<Name, BTreeSet<Name>> {
    let mut whole = Crate::default();
    whole.read(&Vec::new(), &source().join("lib.rs"), &source());
    whole.uses()
}

#[test]
fn neither_files_nor_folders_use_each_other_in_a_circle() {
    let uses = uses();
    assert_eq!(circles(&uses), Vec::<String>::new());
    assert_eq!(circles(&by_folder(&uses)), Vec::<String>::new());
}

#[test]
fn uses_are_seen_whatever_their_form() {
    let name = |path: &str| path.split("::").map(str::to_owned).collect::<Name>();
    let uses = uses();
    // In a group; by `super`; through a name that a module above gives on; by a path in the text.
    for (user, used) in [
        ("stages::bundle", "sys::elf"),
        ("stages::bundle", "stages::staging"),
        ("stages::bundle", "domain::plan::parts"),
        ("cli::config", "planning::choices"),
        ("domain::plan::request", "domain::digest"),
    ] {
        assert!(uses[&name(user)].contains(&name(used)), "{user} uses {used}: {:?}", uses[&name(user)]);
    }
    assert!(!uses.contains_key(&name("stages::toy")), "modules of tests do not count");
    let mut turned = uses;
    turned.get_mut(&name("sys::elf")).expect("a module").insert(name("stages::bundle"));
    assert!(circles(&turned).contains(&"sys::elf uses stages::bundle".to_owned()));
    assert!(circles(&by_folder(&turned)).contains(&"sys uses stages".to_owned()));
}

#[test]
fn no_file_is_long() {
    let top = source();
    let files = [top.clone(), top.with_file_name("tests")];
    let files = files.iter().flat_map(walkdir::WalkDir::new).map(|entry| entry.expect("an entry").into_path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let lines = fs::read_to_string(&file).expect("a source file").lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", file.display());
    }
}
