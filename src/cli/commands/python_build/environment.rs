//! The environment variables of python-build, and what they mean here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::num::NonZeroU16;
use std::path::PathBuf;

use super::configure::Asked;
use crate::domain::version::Variant;
use crate::error::{Error, Result};
use crate::stages::fetch::Mirror;

/// What the environment asks for.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// What the arguments of configure ask for.
    pub(super) asked: Asked,
    /// Words that come after those of `CFLAGS`, `CPPFLAGS` and `LDFLAGS`.
    pub(super) compiler_words: BTreeMap<String, String>,
    pub(super) jobs: Option<NonZeroU16>,
    /// The places that are tried first.
    pub(super) mirrors: Vec<Mirror>,
    /// A directory of source archives, which gets those that are downloaded.
    pub(super) cache: Option<PathBuf>,
    /// Where the build works, with the variable that says so.
    pub(super) work_in: Option<(&'static str, PathBuf)>,
    /// Variables, options and words that have no effect.
    pub(super) ignored: Vec<String>,
}

/// Variables without effect, if they are set: those of Homebrew, `MacPorts`, OpenSSL and Tk, tools for downloads, and steps
/// that are not the user's here. `PYTHON_BUILD_SKIP_HOMEBREW` and `PYTHON_BUILD_SKIP_MACPORTS` are met anyway.
const IGNORED: &[&str] = &[
    "PYTHON_BUILD_USE_HOMEBREW",
    "PYTHON_BUILD_HOMEBREW_OPENSSL_FORMULA",
    "PYTHON_BUILD_USE_MACPORTS",
    "PYTHON_BUILD_MACPORTS_OPENSSL_FORMULA",
    "PYTHON_BUILD_CONFIGURE_WITH_OPENSSL",
    "PYTHON_BUILD_CONFIGURE_WITH_OPENSSL_RPATH",
    "PYTHON_BUILD_CONFIGURE_WITH_DSYMUTIL",
    "PYTHON_BUILD_TCLTK_FORMULA",
    "PYTHON_BUILD_TCLTK_USE_PKGCONFIG",
    "TCLTK_CFLAGS",
    "TCLTK_LIBS",
    "OPENSSLDIR",
    "OPENSSL_CONFIGURE",
    "OPENSSL_CONFIGURE_OPTS",
    "PYTHON_BUILD_HTTP_CLIENT",
    "PYTHON_BUILD_ARIA2_OPTS",
    "PYTHON_BUILD_CURL_OPTS",
    "PYTHON_BUILD_WGET_OPTS",
    "PYTHON_CONFIGURE",
    "PYTHON_PREFIX_PATH",
    "MAKE",
    "MAKE_INSTALL_OPTS",
    "PYTHON_MAKE_INSTALL_OPTS",
    "PYTHON_MAKE_INSTALL_TARGET",
    "PKG_CONFIG_PATH",
    "EXTRA_CFLAGS",
    "BASECFLAGS",
    "CFLAGS_NODIST",
    "LDFLAGS_NODIST",
    "GET_PIP",
    "GET_PIP_URL",
    "PIP_VERSION",
    "EZ_SETUP",
    "SETUPTOOLS_VERSION",
];

impl Environment {
    /// Reads the variables. One that is empty counts as unset.
    ///
    /// # Errors
    /// [`Error::Usage`] for a value that cannot be read, [`Error::Mirror`].
    pub(super) fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| variable(name).map(|value| utf8(name, &value)).transpose();
        let mut read = Self::default();
        for name in ["CONFIGURE_OPTS", "PYTHON_CONFIGURE_OPTS"] {
            let Some(value) = text(name)? else { continue };
            let words = shlex::split(&value)
                .ok_or_else(|| Error::Usage(format!("{name} has a quote without its partner: {value}")))?;
            for word in words {
                read.asked.add(word);
            }
        }
        if variable("PYTHON_BUILD_FREE_THREADING").is_some() {
            read.asked.ask_for(Variant::FreeThreaded);
        }
        for name in ["CFLAGS", "CPPFLAGS", "LDFLAGS"] {
            if let Some(words) = text(&format!("PYTHON_{name}"))? {
                read.compiler_words.insert(name.to_owned(), words);
            }
        }
        // As in python-build, one takes the place of the other.
        let common = if variable("MAKEOPTS").is_some() { "MAKEOPTS" } else { "MAKE_OPTS" };
        for name in [common, "PYTHON_MAKE_OPTS"] {
            if let Some(value) = text(name)? {
                read.take_make_options(name, &value)?;
            }
        }
        let set = IGNORED.iter().filter(|name| variable(name).is_some());
        read.ignored.extend(set.map(|name| (*name).to_owned()));
        read.take_places(&variable)?;
        Ok(read)
    }

    /// Takes the number of jobs from options of make.
    fn take_make_options(&mut self, name: &str, value: &str) -> Result<()> {
        let mut words = value.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let number = match word {
                // Without a number make starts as many jobs as it can.
                "-j" | "--jobs" => match words.next_if(|next| next.starts_with(|c: char| c.is_ascii_digit())) {
                    None => continue,
                    number => number,
                },
                _ => word.strip_prefix("--jobs=").or_else(|| word.strip_prefix("-j")),
            };
            match number {
                None => self.ignored.push(format!("{word} in {name}")),
                Some(number) => {
                    let jobs = number.parse();
                    self.jobs = Some(jobs.map_err(|_| Error::Usage(format!("{name}: `{word}` is no number of jobs")))?);
                }
            }
        }
        Ok(())
    }

    /// Takes the places of sources and of the build.
    fn take_places(&mut self, variable: &impl Fn(&str) -> Option<OsString>) -> Result<()> {
        self.cache = variable("PYTHON_BUILD_CACHE_PATH").map(PathBuf::from).filter(|path| path.is_dir());
        self.mirrors.extend(self.cache.clone().map(Mirror::Directory));
        if let Some(url) =
            variable("PYTHON_BUILD_MIRROR_URL").filter(|_| variable("PYTHON_BUILD_SKIP_MIRROR").is_none())
        {
            // The sum is checked whether it is asked for or not; the name only says how the mirror is laid out.
            let layout =
                if variable("PYTHON_BUILD_MIRROR_URL_SKIP_CHECKSUM").is_some() { "{base}/{file}" } else { "{sha256}" };
            let url = utf8("PYTHON_BUILD_MIRROR_URL", &url)?;
            let mirror = Mirror::parse(OsStr::new(&format!("{}/{layout}", url.trim_end_matches('/'))))?;
            if matches!(mirror, Mirror::Directory(_)) {
                return Err(Error::Usage(format!("PYTHON_BUILD_MIRROR_URL={url} is not a URL: write file://{url}")));
            }
            self.mirrors.push(mirror);
        }
        for name in ["PYTHON_BUILD_BUILD_PATH", "TMPDIR"] {
            if let (None, Some(directory)) = (&self.work_in, variable(name)) {
                self.work_in = Some((name, std::path::absolute(directory)?));
            }
        }
        Ok(())
    }
}

fn utf8(name: &str, value: &OsStr) -> Result<String> {
    value.to_str().map(str::to_owned).ok_or_else(|| Error::Usage(format!("{name} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, String> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Environment::read(&find).map_err(|error| error.to_string())
    }

    #[test]
    fn quotes_and_spaces_are_those_of_a_shell() {
        let opts = "  --with-tzpath='/a b:/c'\t--without-doc-strings --with-x=\"1 2\"  ";
        let read_opts = read(&[("CONFIGURE_OPTS", "--disable-ipv6"), ("PYTHON_CONFIGURE_OPTS", opts)]).unwrap();
        let expected = ["--disable-ipv6", "--with-tzpath=/a b:/c", "--without-doc-strings", "--with-x=1 2"];
        assert_eq!(read_opts.asked.arguments, expected);
        let error = read(&[("PYTHON_CONFIGURE_OPTS", "--with-x='a")]).unwrap_err();
        assert!(error.contains("PYTHON_CONFIGURE_OPTS has a quote without its partner"), "{error}");
    }

    #[test]
    fn jobs_are_taken_from_options_of_make_and_the_rest_is_ignored() {
        let jobs = |value: &str| {
            let read = read(&[("MAKE_OPTS", value)]).unwrap();
            (read.jobs.map(u16::from), read.ignored)
        };
        for (value, expected) in
            [("-j4", Some(4)), ("-j 8", Some(8)), ("--jobs=2", Some(2)), ("--jobs 3", Some(3)), ("-j", None)]
        {
            assert_eq!(jobs(value), (expected, Vec::new()), "{value}");
        }
        assert_eq!(jobs("-k -j2 V=1"), (Some(2), vec!["-k in MAKE_OPTS".to_owned(), "V=1 in MAKE_OPTS".to_owned()]));
        let both = read(&[("MAKE_OPTS", "-j2"), ("MAKEOPTS", "-j3"), ("PYTHON_MAKE_OPTS", "")]).unwrap();
        assert_eq!(both.jobs.map(u16::from), Some(3));
        for wrong in ["-j0", "-jx", "-j4000000"] {
            assert!(read(&[("MAKE_OPTS", wrong)]).unwrap_err().contains("no number of jobs"), "{wrong}");
        }
    }

    #[test]
    fn flags_are_appended_and_variants_asked_for() {
        let read = read(&[("PYTHON_CFLAGS", "-O1 -g"), ("PYTHON_LDFLAGS", "-s"), ("PYTHON_BUILD_FREE_THREADING", "1")]);
        let read = read.unwrap();
        let words: Vec<_> = read.compiler_words.iter().map(|(name, words)| format!("{name}={words}")).collect();
        assert_eq!(words, ["CFLAGS=-O1 -g", "LDFLAGS=-s"]);
        assert_eq!(read.asked.variants, [Variant::FreeThreaded]);
    }

    #[test]
    fn a_mirror_has_archives_by_their_sums_or_as_upstream() {
        let mirrors = |more: &[(&str, &str)]| {
            let variables = [&[("PYTHON_BUILD_MIRROR_URL", "https://m.test/x/")], more].concat();
            read(&variables).unwrap().mirrors
        };
        assert_eq!(mirrors(&[]), [Mirror::Url("https://m.test/x/{sha256}".into())]);
        let plain = [("PYTHON_BUILD_MIRROR_URL_SKIP_CHECKSUM", "1")];
        assert_eq!(mirrors(&plain), [Mirror::Url("https://m.test/x/{base}/{file}".into())]);
        assert_eq!(mirrors(&[("PYTHON_BUILD_SKIP_MIRROR", "1")]), []);
        for (wrong, reason) in
            [("/srv", "write file:///srv"), ("ftp://m.test", "the scheme"), ("https://m/{x}", "braces")]
        {
            let error = read(&[("PYTHON_BUILD_MIRROR_URL", wrong)]).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_cache_is_a_directory_and_a_missing_one_is_ignored() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().to_str().unwrap();
        let with =
            read(&[("PYTHON_BUILD_CACHE_PATH", path), ("PYTHON_BUILD_CURL_OPTS", "-s"), ("TMPDIR", "/t")]).unwrap();
        assert_eq!((with.cache.as_deref(), with.mirrors.len()), (Some(place.path()), 1));
        assert_eq!(with.ignored, ["PYTHON_BUILD_CURL_OPTS"]);
        let libraries = [
            "PYTHON_BUILD_USE_HOMEBREW",
            "PYTHON_BUILD_CONFIGURE_WITH_OPENSSL",
            "PYTHON_BUILD_TCLTK_FORMULA",
            "TCLTK_LIBS",
        ];
        let set = read(&libraries.map(|name| (name, "1"))).unwrap();
        assert_eq!(set.ignored, libraries);
        assert!(read(&[("PYTHON_BUILD_SKIP_HOMEBREW", "1")]).unwrap().ignored.is_empty());
        assert_eq!(with.work_in, Some(("TMPDIR", "/t".into())));
        let without =
            read(&[("PYTHON_BUILD_CACHE_PATH", "/nowhere"), ("PYTHON_BUILD_BUILD_PATH", "/b"), ("TMPDIR", "/t")]);
        let without = without.unwrap();
        assert_eq!((without.cache, without.mirrors.len()), (None, 0));
        assert_eq!(without.work_in, Some(("PYTHON_BUILD_BUILD_PATH", "/b".into())));
    }
}
