//! Tests of dpkg's database.

use super::*;
use crate::sys::distro::{Distro, Family};

#[test]
fn dpkg_knows_the_shell() {
    let distro = Distro::read(Path::new("/"));
    if distro.family != Family::Debian {
        return crate::sys::skipped(&format!("{} has no dpkg", distro.name));
    }
    let database = Dpkg::default();
    let file = fs_err::canonicalize("/bin/sh").unwrap();
    let nobody = PathBuf::from("/usr/lib/no-such-file");
    let owners = database.owners(&[file.clone(), nobody]).unwrap();
    assert_eq!(owners.len(), 1);
    let owner = &owners[&file];
    assert!(!owner.version.is_empty() && !owner.source_package.is_empty(), "{owner:?}");
    let recorded = database.recorded_checksum(&owner.package, &file).unwrap().unwrap();
    assert_eq!(recorded.of_file_as(&file).unwrap(), recorded);
    let names = installed(Path::new("/")).unwrap().unwrap();
    assert!(names.contains(&owner.package) && names.contains("libc6"), "{names:?}");
}

#[test]
fn what_is_installed_is_read_with_what_it_provides() {
    // From /var/lib/dpkg/status of Debian 13, shortened.
    let status = "Package: libssl3t64\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.5.4\n\
                  Source: openssl\nProvides: libssl3 (= 3.5.4-1~deb13u1)\nDescription: Secure Sockets Layer toolkit\n \
                  Package: not-a-field\n\n\
                  Package: libedit2\nStatus: deinstall ok config-files\n\n\
                  Package: zlib1g\nStatus: install ok half-configured\nVersion: 1\n\n\
                  Package: tzdata\nStatus: install ok installed\nVersion: 1\nProvides: tzdata-trixie\n";
    let records: Vec<Record> = status.split("\n\n").filter_map(|text| record(text, false)).collect();
    let expected = ["libssl3", "libssl3t64", "tzdata", "tzdata-trixie"];
    assert_eq!(names(&records).into_iter().collect::<Vec<_>>(), expected);
    // One that is not configured yet has its files.
    assert!(records.iter().any(|record| record.installed.name == "zlib1g"));
}

#[test]
fn a_distroless_root_has_its_records_one_by_one() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(installed(root.path()).unwrap(), None);
    let place = root.path().join("var/lib/dpkg/status.d");
    fs_err::create_dir_all(&place).unwrap();
    fs_err::write(place.join("tzdata"), "Package: tzdata\nVersion: 2025b-0+deb12u2\n").unwrap();
    fs_err::write(place.join("tzdata.md5sums"), "Package: no\n").unwrap();
    assert_eq!(installed(root.path()).unwrap().unwrap().into_iter().collect::<Vec<_>>(), ["tzdata"]);
}

/// A database in memory, which counts how often each file is read.
#[derive(Default)]
struct InMemory {
    texts: BTreeMap<&'static str, String>,
    read: std::cell::RefCell<BTreeMap<PathBuf, usize>>,
}

impl Files for InMemory {
    type Error = std::convert::Infallible;

    fn text(&self, path: &Path) -> Result<Option<String>, Self::Error> {
        let text = path.strip_prefix(PLACE).ok().and_then(|name| self.texts.get(name.to_str()?));
        if text.is_some() {
            *self.read.borrow_mut().entry(path.to_owned()).or_default() += 1;
        }
        Ok(text.cloned())
    }

    fn names(&self, _: &Path) -> Result<Vec<String>, Self::Error> {
        Ok(Vec::new())
    }
}

fn installed_record(name: &str, architecture: &str) -> String {
    format!("Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\nVersion: 1\n\n")
}

#[test]
fn a_file_that_is_diverted_belongs_to_whose_it_is() {
    let mut files = InMemory::default();
    files.texts.insert("status", installed_record("dash", "amd64") + &installed_record("own", "all"));
    files.texts.insert("info/dash.list", "/bin/sh\n/usr/bin/dash\n".to_owned());
    files.texts.insert("info/own.list", "/bin/sh\n".to_owned());
    files.texts.insert("diversions", "/bin/sh\n/bin/sh.distrib\nown\n/usr/bin/dash\n/usr/bin/x\n:\nrest".to_owned());
    let Ok(database) = Database::read(&files);
    let of = |file: &str| database.package_of(Path::new(file)).map(|package| package.name.as_str());
    assert_eq!((of("/usr/bin/sh"), of("/bin/sh.distrib")), (Some("own"), Some("dash")));
    assert_eq!((of("/usr/bin/dash"), of("/usr/bin/x")), (None, Some("dash")));
}

#[test]
fn many_diversions_and_many_records_take_no_longer_for_each_file() {
    let mut files = InMemory::default();
    let lines = |prefix: &str| (0..20_000).map(|number| format!("/{prefix}/{number}\n")).collect::<String>();
    files.texts.insert("diversions", lines("d").replace('\n', "\n/to\nby\n"));
    // One list is claimed by many.
    let records = (0..20_000).map(|number| installed_record("a", &format!("x{number}")));
    files.texts.insert("status", records.collect());
    files.texts.insert("info/a.list", lines("f"));
    let Ok(database) = Database::read(&files);
    assert!(files.read.borrow().values().all(|times| *times == 1), "{:?}", files.read);
    assert_eq!(database.package_of(Path::new("/f/7")).unwrap().architecture, "x0");
}

#[test]
fn a_record_names_no_other_directory() {
    for (name, architecture) in [("../../x", "all"), ("x", "../all")] {
        assert!(record(&installed_record(name, architecture), false).is_none(), "{name} {architecture}");
    }
}

#[test]
fn a_database_without_end_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join("var/lib/dpkg");
    fs_err::create_dir_all(&place).unwrap();
    fs_err::write(place.join("status"), installed_record("a", "all")).unwrap();
    let files = OfRoot { root: root.path(), left: Cell::new(400) };
    assert_eq!(Database::read(&files).unwrap().packages().count(), 1);
    // The same bytes once more are too many.
    let Err(error) = Database::read(&files) else { panic!("it was read") };
    assert!(matches!(&error, Error::Damaged { reason, .. } if reason.contains("status")), "{error}");
}
