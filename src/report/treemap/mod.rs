//! The sizes of an artifact as a treemap for a browser. The same contents give the same bytes.
//!
//! `page.html` is the template; `script.js` lays out the rectangles from the data that `tree` makes.

mod tree;

use serde::Serialize;

use crate::domain::contents::{Contents, PartSize};
use crate::domain::manifest::BundledLibrary;
use crate::report::page::Page;
use crate::report::text::{human, percent};

const PAGE: Page =
    Page { template: include_str!("page.html"), style: include_str!("style.css"), script: include_str!("script.js") };

/// The values of the template.
#[derive(Serialize)]
struct View {
    name: String,
    release: String,
    flavor: String,
    figures: Vec<(String, String)>,
    parts: Vec<PartRow>,
    libraries: Vec<LibraryRow>,
    facts: Vec<(&'static str, String)>,
    /// JSON without `<`.
    data: String,
}

/// The sizes of a part.
#[derive(Serialize)]
struct PartRow {
    part: String,
    title: String,
    size: String,
    share: String,
    files: u64,
}

/// A bundled library.
#[derive(Serialize)]
struct LibraryRow {
    soname: String,
    package: String,
    version: String,
    size: String,
}

/// Renders the page.
#[must_use]
pub fn page(contents: &Contents) -> String {
    let manifest = &contents.manifest;
    let plan = &manifest.plan;
    let view = View {
        name: manifest.name.to_string(),
        release: format!("{}{}", plan.request.release, plan.request.variant),
        flavor: plan.request.flavor.to_string(),
        figures: figures(contents),
        parts: parts(contents),
        libraries: libraries(contents),
        facts: facts(contents),
        data: tree::data(contents),
    };
    PAGE.render(&view)
}

fn figures(contents: &Contents) -> Vec<(String, String)> {
    let manifest = &contents.manifest;
    let total = contents.total();
    let mut figures = vec![("in all".to_owned(), human(total.bytes)), ("files".to_owned(), total.files.to_string())];
    if let Some(tarball) = &contents.tarball {
        figures.push((format!("as .tar.{}", tarball.format), human(tarball.size)));
    }
    figures.push(("extension modules".to_owned(), manifest.modules.len().to_string()));
    figures.push(("bundled libraries".to_owned(), manifest.libraries.len().to_string()));
    figures.push(("glibc, or newer".to_owned(), manifest.glibc_floor.to_string()));
    figures
}

/// Returns the sizes by part, for browsers without scripts; the script replaces them.
fn parts(contents: &Contents) -> Vec<PartRow> {
    let total = contents.total().bytes;
    let row = |part: PartSize| PartRow {
        part: part.part.to_string(),
        title: capital(part.part.title()),
        size: human(part.bytes),
        share: percent(part.bytes, total),
        files: part.files,
    };
    contents.parts().into_iter().map(row).collect()
}

/// Returns the bundled libraries, the largest first.
fn libraries(contents: &Contents) -> Vec<LibraryRow> {
    let mut libraries: Vec<_> = contents.manifest.libraries.iter().collect();
    libraries.sort_by_key(|library| std::cmp::Reverse(library.size));
    let row = |library: &BundledLibrary| LibraryRow {
        soname: library.soname.clone(),
        package: library.package.clone(),
        version: library.version.clone(),
        size: human(library.size),
    };
    libraries.into_iter().map(row).collect()
}

fn facts(contents: &Contents) -> Vec<(&'static str, String)> {
    let manifest = &contents.manifest;
    let plan = &manifest.plan;
    let mut facts = vec![
        ("Prefix", plan.request.prefix.to_string()),
        ("Target", plan.request.target.to_string()),
        ("Optimisation", plan.request.optimize.to_string()),
        ("Bytecode", plan.request.policies.bytecode.to_string()),
        ("Libraries", plan.request.policies.library_policy.to_string()),
        ("Compiler", plan.toolchain.compiler.clone()),
        ("Build key", manifest.build_key.to_string()),
    ];
    if let Some(tarball) = &contents.tarball {
        facts.push(("SHA-256", tarball.sha256.to_string()));
    }
    if !manifest.runtime_packages.is_empty() {
        facts.push(("Needs", manifest.runtime_packages.join(" ")));
    }
    facts
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;

    use super::*;
    use crate::domain::contents::Part;
    use crate::domain::contents::tests::{contents, contents_of};

    /// The data of a page, as a browser reads it: to the first end of the element.
    fn embedded(page: &str) -> serde_json::Value {
        let (_, data) = page.split_once("id=\"data\">").unwrap();
        serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn a_page_needs_nothing_else() {
        let page = page(&contents(&[("bin/python3.13", 500), ("lib/python3.13/ssl.py", 10)]));
        assert!(!page.contains("{{"), "every place is filled");
        for source in ["http:", "https:", "src=", "href=", "url(", "@import", "//cdn"] {
            assert!(!page.contains(source), "{source}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn the_same_contents_give_the_same_page() {
        let files = [("bin/python3.13", 500), ("lib/python3.13/b/ssl.py", 10), ("lib/python3.13/a/ssl.py", 10)];
        let mut turned = files;
        turned.reverse();
        assert_eq!(page(&contents(&files)), page(&contents(&turned)));
    }

    #[test]
    fn the_tree_is_of_parts_and_their_directories() {
        let contents = contents(&[
            ("bin/python3.13", 500),
            ("lib/python3.13/json/a.py", 30),
            ("lib/python3.13/json/b.py", 20),
            ("lib/python3.13/ssl.py", 90),
            ("lib/libz.so.1", 7),
            ("share/licenses/a/copyright", 1),
            ("share/licenses/b/copyright", 2),
        ]);
        let tree = embedded(&page(&contents));
        let names = |node: &serde_json::Value| -> Vec<String> {
            node["c"].as_array().unwrap().iter().map(|node| node["n"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&tree), ["Interpreter", "Standard library", "Bundled libraries", "Licence texts"]);
        let stdlib = &tree["c"][1];
        assert_eq!((stdlib["p"].as_str(), stdlib["d"].as_str()), (Some("stdlib"), Some("lib/python3.13")));
        assert_eq!(names(stdlib), ["ssl.py", "json"]);
        assert_eq!(names(&stdlib["c"][1]), ["a.py", "b.py"]);
        assert_eq!(tree["c"][3]["d"], "share/licenses");
        assert_eq!(names(&tree["c"][3]), ["b", "a"]);
    }

    #[test]
    fn no_name_breaks_out_of_the_page() {
        let names: [&[u8]; 6] = [
            b"</script><script>alert(1)</script>",
            b"<!--<script>",
            b"a\"b'c&d\\",
            b"line\nbreak",
            b"\xff\xfe",
            b"{{script}}",
        ];
        let path = |name: &&[u8]| {
            Path::new("lib/python3.13")
                .join(OsStr::from_bytes(&name.iter().map(|b| if *b == b'/' { b'|' } else { *b }).collect::<Vec<_>>()))
        };
        let files: Vec<_> =
            names.iter().map(|name| (path(name), 10)).chain([("lib/python3.13/</script>/x".into(), 5)]).collect();
        let mut contents = contents_of(&files);
        contents.manifest.libraries[0].package = "<b>\"x\"".into();
        let page = page(&contents);
        // The page has the elements that its template has, and no other.
        assert_eq!(page.matches("</script>").count(), PAGE.template.matches("</script>").count());
        assert_eq!(page.matches("<script").count(), PAGE.template.matches("<script").count());
        assert!(!page.contains("<!--") && !page.contains("<b>\"x\"") && page.contains("&lt;b&gt;&quot;x&quot;"));
        assert_eq!(page.matches(PAGE.script).count(), 1);
        let tree = embedded(&page);
        let stdlib = tree["c"][0]["c"].as_array().unwrap();
        let found: Vec<&str> = stdlib.iter().filter_map(|node| node["n"].as_str()).collect();
        for name in [
            "<|script><script>alert(1)<|script>",
            "<!--<script>",
            "a\"b'c&d\\",
            "line\nbreak",
            "\\xFF\\xFE",
            "{{script}}",
            "<",
        ] {
            assert!(found.contains(&name), "{name}: {found:?}");
        }
    }

    #[test]
    fn every_part_has_its_colour_in_both_schemes() {
        for part in Part::ALL {
            assert!(PAGE.style.contains(&format!("[data-part=\"{part}\"] {{ --color: var(--{part}); }}")), "{part}");
            assert_eq!(PAGE.style.matches(&format!("--{part}: #")).count(), 2, "{part}");
        }
    }

    /// How people see linear RGB whose red, green or blue cones are missing, after Machado, Oliveira
    /// and Fernandes 2009 (severity 1.0), and those who have all.
    const VISIONS: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]],
        [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
        [[1.255_528, -0.076_749, -0.178_779], [-0.078_411, 0.930_809, 0.147_602], [0.004_733, 0.691_367, 0.303_900]],
    ];

    fn times(matrix: &[[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
    }

    /// A colour as Oklab has it, in which distances are as people see them.
    fn oklab(rgb: [f64; 3]) -> [f64; 3] {
        let cones = [
            [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
            [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
            [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
        ];
        let opponents = [
            [0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8],
            [1.977_998_495_1, -2.428_592_205_0, 0.450_593_709_9],
            [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766_0],
        ];
        times(&opponents, times(&cones, rgb.map(|value| value.max(0.0))).map(f64::cbrt))
    }

    /// The colours of the style that have a name, as linear RGB: in the light scheme and in the dark.
    fn colours(name: &str) -> Vec<[f64; 3]> {
        let place = format!("--{name}: #");
        let digits = PAGE.style.split(&place).skip(1).map(|rest| &rest[..6]);
        let linear = |pair: &str| {
            let value = f64::from(u8::from_str_radix(pair, 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        digits.map(|digits| [linear(&digits[..2]), linear(&digits[2..4]), linear(&digits[4..])]).collect()
    }

    #[test]
    fn the_large_parts_are_told_apart_by_everybody() {
        let large = &Part::ALL[..7];
        for scheme in 0..2 {
            for vision in &VISIONS {
                let seen = |part: &Part| oklab(times(vision, colours(part.name())[scheme]));
                for (index, a) in large.iter().enumerate() {
                    for b in &large[index + 1..] {
                        let far = seen(a).iter().zip(seen(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                        assert!(far > 0.085, "{a} and {b} are {far} apart in scheme {scheme} with {vision:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_ink_is_legible_on_every_part() {
        let luminance = |rgb: [f64; 3]| times(&[[0.2126, 0.7152, 0.0722], [0.0; 3], [0.0; 3]], rgb)[0] + 0.05;
        for part in Part::ALL {
            for (colour, ink) in colours(part.name()).into_iter().zip(colours("tile-ink")) {
                let (a, b) = (luminance(colour), luminance(ink));
                // WCAG 2.2, success criterion 1.4.3.
                assert!(a.max(b) / a.min(b) >= 4.5, "{part}: {}", a.max(b) / a.min(b));
            }
        }
    }
}
