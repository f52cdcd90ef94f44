//! Releases of distributions: their names, their glibc, and how a build shows on which one it ran.

use std::fmt;

/// A release of Debian or Ubuntu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistroRelease {
    /// The name of the distribution, which is that of its images: `debian`.
    pub distro: &'static str,
    /// Its number, `13` or `24.04`.
    pub number: String,
}

const DEBIAN: &str = "debian";
const UBUNTU: &str = "ubuntu";

/// A release that is known by its code name.
struct Known {
    distro: &'static str,
    number: &'static str,
    codename: &'static str,
    /// Its glibc, which stays the same for the life of a release; `None` before the release is out.
    glibc: Option<&'static str>,
}

const fn known(distro: &'static str, number: &'static str, codename: &'static str, glibc: &'static str) -> Known {
    Known { distro, number, codename, glibc: Some(glibc) }
}

/// The releases, those of a distribution in the order of their age.
/// <https://tracker.debian.org/pkg/glibc>, <https://launchpad.net/ubuntu/+source/glibc>
const RELEASES: [Known; 10] = [
    known(DEBIAN, "11", "bullseye", "2.31"),
    known(DEBIAN, "12", "bookworm", "2.36"),
    known(DEBIAN, "13", "trixie", "2.41"),
    Known { distro: DEBIAN, number: "14", codename: "forky", glibc: None },
    known(UBUNTU, "20.04", "focal", "2.31"),
    known(UBUNTU, "22.04", "jammy", "2.35"),
    known(UBUNTU, "24.04", "noble", "2.39"),
    known(UBUNTU, "25.04", "plucky", "2.41"),
    known(UBUNTU, "25.10", "questing", "2.42"),
    known(UBUNTU, "26.04", "resolute", "2.43"),
];

impl DistroRelease {
    /// Returns the release that `ID` and `VERSION_ID` of an `os-release` file name, if it is one of Debian or Ubuntu.
    #[must_use]
    pub fn of_os_release(id: &str, version: &str) -> Option<Self> {
        let distro = [DEBIAN, UBUNTU].into_iter().find(|distro| *distro == id)?;
        (!version.is_empty()).then(|| Self { distro, number: version.to_owned() })
    }

    /// Returns the release that the first word of an image's tag names: `13` and `13.2` of `debian`, `noble` of
    /// `ubuntu`.
    #[must_use]
    pub fn of_image(name: &str, word: &str) -> Option<Self> {
        let is_of = |number: &str| {
            let rest = word.strip_prefix(number);
            rest.is_some_and(|rest| rest.is_empty() || (name == DEBIAN && rest.starts_with('.')))
        };
        let mut known = RELEASES.iter().filter(|release| release.distro == name);
        known.find(|release| release.codename == word || is_of(release.number)).map(Known::release)
    }

    /// Returns the release that a build ran on, as far as its plan shows it: by the packages of its environment, each
    /// as `name:architecture=version`, by the first line of `cc --version`, and by the version of its glibc.
    #[must_use]
    pub fn of_build<'a>(environment: impl IntoIterator<Item = &'a str>, compiler: &str, glibc: &str) -> Option<Self> {
        let base_files = environment.into_iter().find_map(|package| {
            let (name, version) = package.split_once('=')?;
            (name.split(':').next() == Some("base-files")).then_some(version)
        })?;
        if !base_files.contains("ubuntu") {
            // `12.4+deb12u11`. A derivative's has another form, or another number.
            let number = base_files.split(['.', '+']).next().filter(|number| number.parse::<u16>().is_ok())?;
            return Some(Self { distro: DEBIAN, number: number.to_owned() });
        }
        // `gcc (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0`, if the compiler was updated since the release.
        let of_ubuntu = || RELEASES.iter().filter(|release| release.distro == UBUNTU);
        let updated = of_ubuntu().find(|release| compiler.contains(&format!("~{}", release.number)));
        updated.or_else(|| of_ubuntu().find(|release| release.glibc == Some(glibc))).map(Known::release)
    }

    /// Whether it is known to have an older glibc than another release.
    #[must_use]
    pub fn has_older_glibc_than(&self, other: &Self) -> bool {
        let place = |release: &Self| RELEASES.iter().position(|known| known.is(release));
        let (Some(own), Some(others)) = (place(self), place(other)) else { return false };
        if self.distro == other.distro {
            return own < others;
        }
        let number = |glibc: &str| glibc.split_once('.')?.1.parse::<u16>().ok();
        let glibc = |place: usize| RELEASES[place].glibc.and_then(number);
        glibc(own).zip(glibc(others)).is_some_and(|(own, others)| own < others)
    }
}

impl Known {
    fn release(&self) -> DistroRelease {
        DistroRelease { distro: self.distro, number: self.number.to_owned() }
    }

    fn is(&self, release: &DistroRelease) -> bool {
        (self.distro, self.number) == (release.distro, release.number.as_str())
    }
}

impl fmt::Display for DistroRelease {
    /// Writes it as distributions do: `Debian 12`, `Ubuntu 24.04`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.distro == DEBIAN { "Debian" } else { "Ubuntu" };
        write!(f, "{name} {}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(text: &str) -> DistroRelease {
        let (name, word) = text.split_once(':').unwrap();
        DistroRelease::of_image(name, word).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn the_glibc_of_releases_is_compared_across_distributions() {
        for (older, newer) in [
            ("debian:12", "debian:13"),
            ("debian:13", "debian:forky"),
            ("debian:12", "ubuntu:24.04"),
            ("ubuntu:24.04", "debian:13"),
            ("ubuntu:jammy", "debian:bookworm"),
            ("debian:trixie", "ubuntu:26.04"),
        ] {
            assert!(image(older).has_older_glibc_than(&image(newer)), "{older} {newer}");
            assert!(!image(newer).has_older_glibc_than(&image(older)), "{newer} {older}");
        }
        // The same glibc, and one that is not out.
        for (one, other) in
            [("debian:11", "ubuntu:20.04"), ("debian:13", "ubuntu:25.04"), ("debian:14", "ubuntu:26.04")]
        {
            assert!(!image(one).has_older_glibc_than(&image(other)), "{one} {other}");
            assert!(!image(other).has_older_glibc_than(&image(one)), "{other} {one}");
        }
    }

    #[test]
    fn a_build_shows_on_which_release_it_ran() {
        let gcc = "gcc (Debian 12.2.0-14+deb12u1) 12.2.0";
        let updated = "gcc (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0";
        let of = |package: &str, compiler: &str, glibc: &str| {
            DistroRelease::of_build(["awk:amd64=1", package], compiler, glibc).map(|release| release.to_string())
        };
        for (package, compiler, glibc, expected) in [
            ("base-files:amd64=12.4+deb12u11", gcc, "2.36", Some("Debian 12")),
            ("base-files:amd64=13.8", gcc, "2.41", Some("Debian 13")),
            ("base-files:arm64=13ubuntu10.3", updated, "2.39", Some("Ubuntu 24.04")),
            ("base-files:amd64=13ubuntu10", "gcc (Ubuntu 13.2.0-23ubuntu4) 13.2.0", "2.39", Some("Ubuntu 24.04")),
            ("base-files:amd64=99ubuntu1", "gcc (Ubuntu 99.1.0-1ubuntu1) 99.1.0", "2.99", None),
            ("base-files:amd64=zorin1", gcc, "2.36", None),
            ("glibc:x86_64=2.39-38.fc40", "gcc (GCC) 14.2.1", "2.39", None),
        ] {
            assert_eq!(of(package, compiler, glibc).as_deref(), expected, "{package} {compiler}");
        }
        let of = |id, version| DistroRelease::of_os_release(id, version).map(|release| release.to_string());
        assert_eq!(of("debian", "12").as_deref(), Some("Debian 12"));
        assert_eq!(of("ubuntu", "24.04").as_deref(), Some("Ubuntu 24.04"));
        // Debian's next release has no number yet.
        assert_eq!((of("debian", ""), of("fedora", "42")), (None, None));
    }
}
