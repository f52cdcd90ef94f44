//! The packages of a compiler by the name of its program.

use std::path::Path;

use crate::domain::target::Target;
use crate::sys::distro::Family;

/// Directories that packages install programs into.
const PACKAGED: &[&str] = &["/usr/bin", "/bin"];

/// Returns the packages that bring the compiler of `CC`, with the C library's headers, or nothing if none is known.
pub(super) fn packages(cc: &str, family: Family) -> Vec<String> {
    let program = program(cc);
    let directory = program.parent().filter(|directory| !directory.as_os_str().is_empty());
    // No package installs `/opt/gcc/bin/gcc`.
    if directory.is_some_and(|directory| !PACKAGED.iter().any(|packaged| directory == Path::new(packaged))) {
        return Vec::new();
    }
    let Some((compiler, version)) = parts(name(program)) else { return Vec::new() };
    match (family, version) {
        (Family::Debian, None) => vec![compiler.to_owned(), "libc6-dev".into()],
        (Family::Debian, Some(version)) => vec![format!("{compiler}-{version}"), "libc6-dev".into()],
        (Family::Fedora, None) => vec![compiler.to_owned(), "glibc-devel".into()],
        // Fedora names the packages of older versions otherwise in each release.
        (Family::Fedora, Some(_)) | (Family::Other, _) => Vec::new(),
    }
}

/// Whether the compiler of `CC` is clang by its name.
pub(super) fn is_clang(cc: &str) -> bool {
    parts(name(program(cc))).is_some_and(|(compiler, _)| compiler == "clang")
}

fn program(cc: &str) -> &Path {
    Path::new(cc.split_whitespace().next().unwrap_or_default())
}

/// The name of a program without the target before it.
fn name(program: &Path) -> &str {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let target = Target::OF_THIS_PROGRAM.name();
    name.strip_prefix(target).and_then(|rest| rest.strip_prefix('-')).unwrap_or(name)
}

/// Splits `gcc-14` into the compiler and its version, or returns `None` for another program.
fn parts(name: &str) -> Option<(&str, Option<&str>)> {
    let (compiler, version) = match name.split_once('-') {
        Some((compiler, version)) => (compiler, Some(version)),
        None => (name, None),
    };
    let compiler = match compiler {
        "cc" if version.is_none() => "gcc",
        "gcc" | "clang" => compiler,
        _ => return None,
    };
    let is_number = |version: &str| version.split('.').all(|part| part.parse::<u16>().is_ok());
    version.is_none_or(is_number).then_some((compiler, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_is_in_the_package_of_its_name() {
        let debian = |cc: &str| packages(cc, Family::Debian).join(" ");
        let fedora = |cc: &str| packages(cc, Family::Fedora).join(" ");
        assert_eq!(debian("gcc"), "gcc libc6-dev");
        assert_eq!(debian("cc"), "gcc libc6-dev");
        assert_eq!(debian("clang"), "clang libc6-dev");
        assert_eq!(debian("gcc-14 -m64"), "gcc-14 libc6-dev");
        assert_eq!(debian("/usr/bin/clang-19"), "clang-19 libc6-dev");
        assert_eq!(debian(&format!("{}-gcc-12", Target::OF_THIS_PROGRAM)), "gcc-12 libc6-dev");
        assert_eq!((fedora("clang"), fedora("gcc")), ("clang glibc-devel".into(), "gcc glibc-devel".into()));
        for unknown in
            ["", "tcc", "/opt/gcc/bin/gcc", "./gcc", "gcc-", "gcc-snapshot", "my-gcc", "riscv64-linux-gnu-gcc"]
        {
            assert_eq!(debian(unknown), "", "{unknown}");
        }
        assert_eq!((fedora("gcc-14"), packages("gcc", Family::Other)), (String::new(), Vec::new()));
    }
}
