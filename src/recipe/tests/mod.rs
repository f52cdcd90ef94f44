//! Tests of recipes as wholes: what is refused and where, what the digest covers.

mod overlays;
mod shipped;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use super::files::{Files, RECIPES};
use super::*;
use crate::domain::digest::Digest;
use crate::domain::version::{Release, Variant};

/// The whole recipe of 3.13 as one text.
fn whole() -> String {
    Catalog::load(None).unwrap().resolved("3.13".parse().unwrap()).unwrap()
}

fn error(text: &str) -> String {
    Recipe::parse("3.13.toml", text).unwrap_err().to_string()
}

/// An overlay with some files.
fn overlay(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs_err::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn release(recipe: &Recipe, version: &str, variant: Variant) -> ReleaseRecipe {
    let row = recipe.releases.iter().find(|row| row.version.to_string() == version).unwrap();
    recipe.release(row, variant).unwrap()
}

#[test]
fn mistakes_are_named_with_their_place() {
    let whole = whole();
    let line_of = |text: &str, needle: &str| text[..text.rfind(needle).unwrap()].matches('\n').count() + 1;
    let cases = [
        ("series = \"3.13\"", "serie = \"3.13\"", "unknown field `serie`, expected one of `series`"),
        ("series = \"3.13\"", "series = \"3\"", "`3` is not a series such as 3.13"),
        ("OPT = ", "CC = ", "a recipe cannot set CC"),
        ("series = \"3.13\"", "series = 3.13", "invalid type: floating point `3.13`, expected a string"),
        ("end-of-life = \"2029-10\"", "end-of-life = \"soon\"", "`soon` is not a day"),
        ("end-of-life = \"2029-10\"", "end-of-life = \"2029-99\"", "`2029-99` is not a day"),
        ("end-of-life = \"2029-10\"", "end-of-life = \"2029-02-29\"", "`2029-02-29` is not a day"),
        ("end-of-life = \"2029-10\"", "end-of-life = \"20291031\"", "`20291031` is not a day"),
        ("pip = false", "pip = \"no\"", "invalid type: string \"no\", expected a boolean"),
        ("\"_ssl\", \"_uuid\"", "\"_ssl\", \"_ssl\"", "module _ssl is listed twice"),
        ("_queue = \"_queuemodule.c\"", "_ssl = \"_ssl.c\"", "module _ssl is listed twice"),
        ("_queue = \"_queuemodule.c\"", "_queue = \"absent.c -O0\"", "`absent.c -O0` is not a C file"),
        ("_queue = \"_queuemodule.c\"", "\"a b\" = \"absent.c\"", "`a b` is not a name of letters"),
        ("modules = [\"_uuid\"]", "modules = [\"_uid\"]", "which `modules.required` does not have"),
        ("\"**/*.a\"", "\"**/[*.a\"", "unclosed character class"),
        ("/{file}\"", "/file\"", "has no `{file}`"),
        ("{flags})", "flags)", "`module-link` is NAME=VALUE"),
        ("[variant.d]", "[variant.x]", "`x` is not one of , t, d"),
        ("file = \"3.13/sysconfig", "file = \"../3.13/sysconfig", "is not a name below patches/"),
        ("\"3.13.4\" =", "\"3.12.4\" =", "release 3.12.4 is not of the series 3.13"),
        ("\"3.13.4\" =", "\"3.13.3\" =", "duplicate key"),
        ("\"93e583f2", "\"93e583F2", "is not a SHA-256 digest"),
        ("built-variants = [\"t\"", "built-variants = [\"x\"", "`x` is not one of , t, d"),
        ("built-variants = [\"t\"", "built-variants = [\"\"", "the series has no variant ``"),
        ("\"3.13.5\".x86", "\"3.13.55\".x86", "there is no release 3.13.55"),
        ("\"3.13.5\".x86", "\"3.13\".x86", "`3.13` is not a release such as"),
        ("x86_64-linux-gnu.\"gcc 12.2\"", "x86_64-linux-gnu.\"gcc\"", "`gcc` is not a compiler"),
        ("file = \"3.13.5-x86_64-gcc12", "file = \"a/3.13.5-x86_64-gcc12", "is not the name of a file"),
        ("link = [\"sqlite3\"]", "link.add = [\"sqlite3\"]", "there is no inherited list `library.sqlite.link`"),
        ("end-of-life =", "remove = [\"variant.t\"]\nend-of-life =", "nothing is inherited"),
    ];
    for (before, after, expected) in cases {
        assert!(whole.contains(before), "{before}");
        let text = whole.replacen(before, after, 1);
        let message = error(&text);
        assert!(message.contains(expected), "{message}\n does not contain {expected}");
        let line = line_of(&text, if after.starts_with("remove") { "remove" } else { after });
        assert!(message.starts_with(&format!("3.13.toml:{line}:")), "{message}\n is not at line {line}");
    }
    assert!(error("series = ").starts_with("3.13.toml:1:"));
    assert!(error("series = \"3.13\"").contains("missing field"));
    let text = whole.replacen("\n[release]\n", "\n[release]\n\"3.13.99\" = {}\n", 1);
    assert!(error(&text).contains("has neither `xz` nor `tgz`"), "{}", error(&text));
}

#[test]
fn mistakes_of_a_change_are_named_with_their_place() {
    let cases = [
        ("extends = \"commn\"", "1:11: there is no recipe file `commn`; there are 3.10, 3.11,"),
        ("extends = \"3.12\"", "1:11: `3.12` is another series"),
        ("extends = 3", "1:11: `extends` is the name of a recipe file"),
        ("serie = \"3.13\"", "2:1: unknown field `serie`"),
        ("remove = \"variant.t\"", "2:10: `remove` is a list of keys"),
        ("remove = [\"variant.x\"]", "2:11: nothing inherited has this key"),
        ("remove = [\"series.x\"]", "2:11: nothing inherited has this key"),
        ("remove = [\"variant.\"]", "2:11: this is not a key"),
        ("remove = [1]", "2:11: this is not a key"),
        ("remove = [\"source.url\"]\n[source]", "3:1: missing field `url`"),
        ("configure.arguments.add = [\"--disable-test-modules\"]", "2:28: `configure.arguments` has it already"),
        ("configure.arguments.add = [\"--x\", \"--x\"]", "2:35: `configure.arguments` has it already"),
        ("configure.arguments.remove = [\"--x\"]", "2:31: the inherited `configure.arguments` does not have it"),
        ("configure.arguments.append = [\"--x\"]", "`configure.arguments` is a list: expected [ … ], or { add"),
        ("configure.arguments.add = \"--x\"", "`configure.arguments` is a list: expected [ … ], or { add"),
        ("configure.arguments = \"--x\"", "2:23: invalid type: string \"--x\", expected a sequence"),
        ("configure = 1", "2:13: invalid type: integer `1`"),
        ("configure.argument.add = [\"--x\"]", "there is no inherited list `configure.argument` to change"),
        ("library.x.link.add = [\"x\"]", "there is no inherited list `library.x.link` to change"),
        ("pgo.training.remove = [[\"-m\"]]", "2:24: the inherited `pgo.training` does not have it"),
        ("release.\"3.12.1\" = {}", "2:9: release 3.12.1 is not of the series 3.13"),
        ("configure.environment.\"\" = \"x\"", "2:23: `` is not a name of letters"),
        ("configure.environment.\"A=B\" = \"x\"", "2:23: `A=B` is not a name of letters"),
        ("configure.environment.\"1A\" = \"x\"", "2:23: `1A` begins with a digit"),
        ("configure.environment.A = \"x\\u0000y\"", "2:27: a text cannot have the character U+0000"),
        ("configure.environment.\"A\\u0000\" = \"x\"", "2:23: a text cannot have the character U+0000"),
        ("configure.environment.LD_PRELOAD = \"/x.so\"", "2:23: a recipe cannot set LD_PRELOAD: programs would run"),
        ("configure.environment.MAKEFLAGS = \"-n\"", "2:23: a recipe cannot set MAKEFLAGS: programs would run"),
        ("configure.environment.PATH = \"/x\"", "2:23: a recipe cannot set PATH: pykeel or the user does"),
        ("configure.cache.\"ac_cv x\" = \"no\"", "2:17: `ac_cv x` is not a name of letters"),
        ("configure.arguments.add = [\"--prefix=/x\"]", "2:28: a recipe cannot give configure"),
        ("variant.t.arguments.add = [\"--host=x\"]", "2:28: a recipe cannot give configure"),
        ("shared.configure.add = [\"CFLAGS=-O2\"]", "2:25: a recipe cannot give configure"),
        ("make.install.add = [\"a\\u0007\"]", "2:21: a text cannot have the character U+0007"),
        ("end-of-life = \"2029-13\"", "2:15: `2029-13` is not a day"),
    ];
    for (text, expected) in cases {
        let text = if text.starts_with("extends") { text.to_owned() } else { format!("extends = \"3.13\"\n{text}\n") };
        let message = error(&text);
        assert!(message.starts_with("3.13.toml:") && message.contains(expected), "{text}\n{message}\n{expected}");
    }
}

#[test]
fn a_mistake_points_into_the_file_that_says_it() {
    let common = RECIPES.get_file("common.toml").unwrap().contents_utf8().unwrap();
    let wrong = common.replace("modules = [\"_uuid\"]", "modules = [\"_uid\"]");
    let line = wrong[..wrong.find("\"_uid\"").unwrap()].matches('\n').count() + 1;
    // The series compiled in are laid over the common file of the overlay.
    let directory = overlay(&[("common.toml", &wrong)]);
    let message = Catalog::load(Some(directory.path())).unwrap_err().to_string();
    let file = directory.path().join("common.toml").display().to_string();
    assert!(message.starts_with(&format!("{file}:{line}:12: library libuuid is for module _uid")), "{message}");

    // What an overlay says is in the overlay, though the base is read before it.
    let directory = overlay(&[("3.13.toml", "extends = \"3.13\"\n\n[library.zlib]\nmodules.add = [\"_x\"]\n")]);
    let message = Catalog::load(Some(directory.path())).unwrap_err().to_string();
    let file = directory.path().join("3.13.toml").display().to_string();
    assert!(message.starts_with(&format!("{file}:4:16: library zlib is for module _x")), "{message}");

    // A syntax error, too.
    let directory = overlay(&[("common.toml", "extends = \"common\"\nx = \n")]);
    let message = Catalog::load(Some(directory.path())).unwrap_err().to_string();
    assert!(message.contains("common.toml:2:"), "{message}");
}

/// Changes of the recipe of 3.13 that change no byte.
const NEUTRAL: &[(&str, &str)] = &[
    ("\nseries", "\n# A comment.\nseries"),
    ("www.python.org", "mirror.test"),
    ("mirrors = []", "mirrors = [\"https://mirror.test/{file}\"]"),
    ("pool = \"python{series}\"", "pool = \"python3\""),
    ("end-of-life = \"2029-10\"", "end-of-life = \"2029-11\""),
    ("built = true, built-variants = [\"t\", \"d\"]", "built = false"),
    ("module-link =", "launcher = \"ccache\"\nmodule-link ="),
    ("\"60\"]", "\"61\"]"),
    ("Python/ceval.gcda", "Python/other.gcda"),
    ("_PyEval_EvalFrameDefault", "other"),
    ("max-dropped = 20", "max-dropped = 21"),
    ("max-missing = 40", "max-missing = 41"),
    ("debian = \"libssl-dev\"", "debian = \"libssl3-dev\""),
    ("fedora = \"openssl-devel\"", "fedora = \"openssl3-devel\""),
    ("headers = [\"zlib.h\"]", "headers = [\"zlib.h\", \"zconf.h\"]"),
    ("[library.xz]", "[library.lzma]"),
    ("OPENSSL_VERSION_NUMBER >= 0x10101000L", "OPENSSL_VERSION_NUMBER >= 0x10102000L"),
    ("file = \"3.13.5-x86_64-gcc12", "file = \"other-gcc12"),
    ("\"--disable-gil\"", "\"--disable-gil\", \"--with-x\""),
];

/// Changes of the recipe of 3.13 that change bytes.
const DECIDING: &[(&str, &str)] = &[
    ("\"--without-ensurepip\"", "\"--with-dtrace\""),
    ("OPT = \"-O3", "OPT = \"-O2"),
    ("ac_cv_working_tzset = \"yes\"", "ac_cv_working_tzset = \"no\""),
    ("Programs/_testembed", "Programs/other"),
    ("BLDSHARED=$(CC) -shared", "BLDSHARED=$(CC) -g -shared"),
    ("COMPILEALL_OPTS=--help", "COMPILEALL_OPTS=-h"),
    ("compile = \"-flto", "compile = \"-g -flto"),
    ("link = \"-flto", "link = \"-g -flto"),
    ("instrument = \"-fprofile-generate", "instrument = \"-g -fprofile-generate"),
    ("LINKCC=+$(CC)", "LINKCC=$(CC)"),
    ("static-library = \"-f", "static-library = \"-g -f"),
    ("\"--enable-shared\", ", ""),
    ("-fno-semantic-interposition", "-fsemantic-interposition"),
    ("-rpath,$$ORIGIN/../lib", "-rpath,$$ORIGIN/.."),
    ("targets = [\"Python/frozen.o\"]", "targets = [\"Python/other.o\"]"),
    ("Python/frozen_modules/*.h", "Python/frozen_modules/*"),
    ("_bootstrap_python", "_other"),
    ("\"mmap\", ", ""),
    ("\"_dbm\"", "\"_ndbm\""),
    ("_queue = \"_queuemodule.c\"", "_typing = \"_typingmodule.c\""),
    ("link = [\"z\"]", "link = [\"zz\"]"),
    ("modules = [\"zlib\", \"binascii\"]", "modules = [\"zlib\"]"),
    ("pkg-config = [\"zlib\"]", "pkg-config = []"),
    ("pip = true", "pip = false"),
    ("pip = false", "pip = true"),
    ("has no pip", "has no pip at all"),
    ("\"**/*.a\"", "\"**/*.o\""),
    ("e949d8a0", "e949d8a1"),
    ("3.13/sysconfig-relocatable", "3.13/sysconfig-moved"),
    ("\"93e583f2", "\"93e583f3"),
    ("\"1ed8f89b", "\"1ed8f89c"),
    ("x86_64-linux-gnu.\"gcc 12.2\"", "aarch64-linux-gnu.\"gcc 12.2\""),
    ("\"gcc 12.2\"", "\"gcc 12.3\""),
    ("-fstack-protector-strong", "-fstack-protector"),
    ("frame-pointers = \"\"", "frame-pointers = \"-fno-omit-frame-pointer\""),
    ("-Wl,-z,noexecstack", "-Wl,-z,execstack"),
    ("-export-dynamic -pie", "-export-dynamic"),
    ("-fPIE", "-fpie"),
    ("-fcf-protection", "-fcf-protection=none"),
    ("\"lib/ossl-modules/legacy.so\"", "\"lib/ossl-modules/other.so\""),
];

#[test]
fn the_digest_covers_what_decides_bytes_and_nothing_else() {
    let whole = whole();
    let read = |text: &str| Recipe::parse("3.13.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let digest = |text: &str| release(&read(text), "3.13.5", Variant::Default).digest();
    let sum = "a".repeat(64);
    let row = format!("[release]\n\"3.13.99\" = {{ xz = \"{sum}\" }}\n");
    for (before, after) in NEUTRAL.iter().copied().chain([("[release]\n", row.as_str())]) {
        assert!(format!("\n{whole}").contains(before), "{before}");
        assert_eq!(digest(&format!("\n{whole}").replacen(before, after, 1)), digest(&whole), "{before}");
    }
    let mut seen = BTreeSet::from([digest(&whole)]);
    for (before, after) in DECIDING {
        assert!(whole.contains(before), "{before}");
        assert!(seen.insert(digest(&whole.replacen(before, after, 1))), "{before}");
    }
    let recipe = read(&whole);
    assert!(seen.insert(release(&recipe, "3.13.4", Variant::Default).digest()));
    assert!(seen.insert(release(&recipe, "3.13.5", Variant::FreeThreaded).digest()));
    let more = "extends = \"3.13\"\nconfigure.arguments.add = [\"--with-dtrace\"]\n";
    assert!(seen.insert(digest(more)), "an overlay that adds an argument");
    assert_eq!(digest("extends = \"3.13\"\n"), digest(&whole));
}

#[test]
fn a_file_is_checked_with_the_files_beside_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let checked = |name: &str| check_file(&root.join(name)).unwrap().len();
    assert_eq!((checked("3.13.toml"), checked("up-to-3.10.toml"), checked("common.toml")), (1, 2, 7));
    let directory = overlay(&[("alone.toml", "extends = \"common\"\n")]);
    let message = check_file(&directory.path().join("alone.toml")).unwrap_err().to_string();
    assert!(message.contains("no recipe extends it"), "{message}");
    fs_err::write(directory.path().join("3.13.txt"), "").unwrap();
    let message = check_file(&directory.path().join("3.13.txt")).unwrap_err().to_string();
    assert!(message.contains("3.13.txt:1:1: it is not named as a recipe file"), "{message}");
    assert!(check_file(Path::new("/no/such.toml")).unwrap_err().to_string().contains("/no/such.toml"));
}

proptest! {
    #[test]
    fn no_change_of_the_text_panics(at in 0usize..14_000, length in 0usize..20, put in "\\PC{0,3}") {
        let whole = whole();
        let (at, end) = (at.min(whole.len()), (at + length).min(whole.len()));
        prop_assume!(whole.is_char_boundary(at) && whole.is_char_boundary(end));
        let _ = Recipe::parse("3.13.toml", &format!("{}{put}{}", &whole[..at], &whole[end..]));
    }

    #[test]
    fn what_an_overlay_adds_is_there_in_the_end(words in proptest::collection::btree_set("--with-[a-z]{1,9}=\\PC{0,9}", 1..5)) {
        let list = words.iter().map(|word| toml_edit::Value::from(word.as_str()).to_string()).collect::<Vec<_>>().join(", ");
        let recipe = Recipe::parse("3.13.toml", &format!("extends = \"3.13\"\nconfigure.arguments.add = [{list}]\n")).unwrap();
        let arguments = &recipe.shared.configure.arguments;
        prop_assert!(arguments.ends_with(&words.into_iter().collect::<Vec<_>>()));
    }
}
