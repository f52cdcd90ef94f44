//! The treemap of `inspect --html`, in a browser.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::browser::{Browser, Scheme, report, with_probe};
use crate::missing::Missing;
use crate::on_cpython::inspect::hostile_names;
use crate::skip;
use crate::support::{artifact, pykeel, run, unpack};

const PROBE: &str = include_str!("treemap_probe.js");

/// Where the map has its largest size, whatever the browser takes of the window for itself.
const WIDE: (u32, u32) = (1400, 1700);

/// What the probe says of one rectangle.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tile {
    path: String,
    up: String,
    up_part: String,
    part: String,
    file: bool,
    size: f64,
    frame: bool,
    is_part: bool,
    x: f64,
    y: f64,
    w: f64,
    h: f64,
    text: String,
    role: String,
    label: String,
    level: u32,
    background: [u8; 3],
    contrast: Option<f64>,
}

impl Tile {
    fn area(&self) -> f64 {
        self.w * self.h
    }

    /// Whether it is within a rectangle, but for the rounding of a browser's layout (1/64 pixel).
    fn within(&self, x: f64, y: f64, w: f64, h: f64) -> bool {
        let slack = 0.1;
        self.x >= x - slack
            && self.y >= y - slack
            && self.x + self.w <= x + w + slack
            && self.y + self.h <= y + h + slack
    }

    fn overlaps(&self, other: &Self) -> bool {
        let across = (self.x + self.w).min(other.x + other.w) - self.x.max(other.x);
        let down = (self.y + self.h).min(other.y + other.h) - self.y.max(other.y);
        across > 0.1 && down > 0.1
    }
}

/// A page, and a copy that a probe runs in.
struct Pages {
    _directory: tempfile::TempDir,
    page: PathBuf,
    probed: PathBuf,
    json: Value,
}

fn pages(tarball: &Path) -> Pages {
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("sizes.html");
    let json = run(pykeel().args(["inspect", "--json", "--html"]).arg(&page).arg(tarball)).exits(0).json();
    let probed = with_probe(&page, PROBE);
    Pages { _directory: directory, page, probed, json }
}

fn tiles(seen: &Value) -> Vec<Tile> {
    Vec::deserialize(&seen["drawn"]).expect("tiles")
}

/// Rectangles are as large as what they stand for, lie in what holds them, and do not overlap.
fn is_a_map(tiles: &[Tile], map: &Value) {
    let number = |key: &str| map[key].as_f64().expect(key);
    let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
    let mut families: BTreeMap<(&str, &str), Vec<&Tile>> = BTreeMap::new();
    for tile in tiles {
        families.entry((&tile.up_part, &tile.up)).or_default().push(tile);
    }
    assert!(families.len() > 20, "directories are opened: {}", families.len());
    for ((part, path), family) in families {
        // Between directories and the frame around them is room, so areas compare among siblings.
        let scale =
            family.iter().map(|tile| tile.area()).sum::<f64>() / family.iter().map(|tile| tile.size).sum::<f64>();
        for tile in &family {
            let off = (tile.area() - tile.size * scale).abs();
            assert!(
                off <= 0.01 * tile.area() + 2.0 * (tile.w + tile.h) / 64.0 + 1.0,
                "{} is off by {off}: {tile:?}",
                tile.path
            );
        }
        for (index, tile) in family.iter().enumerate() {
            let other = family[index + 1..].iter().find(|other| tile.overlaps(other));
            assert!(other.is_none(), "{tile:?} overlaps {other:?}");
        }
        let holder = tiles.iter().find(|tile| tile.frame && tile.path == path && tile.part == part);
        match holder {
            Some(holder) => {
                assert!(family.iter().all(|tile| tile.within(holder.x, holder.y, holder.w, holder.h)), "{path}");
                assert!(family.iter().all(|tile| tile.level == holder.level + 1), "{path}");
            }
            None => assert!(part.is_empty() && path.is_empty(), "{part} {path} has no rectangle"),
        }
    }
    let parts = tiles.iter().filter(|tile| tile.is_part);
    let covered: f64 = parts.map(Tile::area).sum();
    assert!(tiles.iter().all(|tile| tile.within(x, y, w, h)));
    assert!((covered / (w * h) - 1.0).abs() < 0.005, "the parts cover {covered} of {}", w * h);
}

#[test]
fn the_map_is_true_and_legible() {
    let Some(browser) = Browser::find() else { skip!(Missing::Program("chromium"), "there is no chromium") };
    let pages = pages(&artifact("builder").tarball);
    for scheme in [Scheme::Light, Scheme::Dark] {
        let seen = report(&browser.document(&pages.probed, scheme, WIDE));
        let tiles = tiles(&seen);
        is_a_map(&tiles, &seen["map"]);
        let sizes: BTreeMap<&str, f64> = pages.json["files"]
            .as_array()
            .expect("files")
            .iter()
            .map(|file| (file["path"].as_str().expect("a path"), file["size"].as_f64().expect("a size")))
            .collect();
        let drawn: Vec<&Tile> = tiles.iter().filter(|tile| tile.file).collect();
        assert!(drawn.iter().all(|tile| sizes.get(tile.path.as_str()) == Some(&tile.size)));
        let shown = tiles.iter().filter(|tile| !tile.frame);
        let of_all = shown.map(|tile| tile.size).sum::<f64>() / sizes.values().sum::<f64>();
        assert!(of_all > 0.98, "{of_all} of the bytes have a rectangle");
        for tile in &tiles {
            assert_eq!(tile.role, "treeitem");
            assert!(
                tile.label.contains(" of all") && tile.label.contains(if tile.file { "file" } else { "directory" })
            );
            // WCAG 2.2 asks for 4.5.
            assert!(tile.contrast.is_none_or(|contrast| contrast >= 4.5), "{scheme:?}: {tile:?}");
        }
        for name in ["libcrypto.so.3", "python3.13", "encodings", "Standard library", "Extension modules"] {
            assert!(tiles.iter().any(|tile| tile.text == name), "{name} has no label");
        }
        assert_eq!(seen["resources"], 0, "nothing is loaded");
        assert_eq!(seen["overflow"], 0);
    }
}

#[test]
fn the_map_is_used_with_mouse_and_keyboard() {
    let Some(browser) = Browser::find() else { skip!(Missing::Program("chromium"), "there is no chromium") };
    let pages = pages(&artifact("runtime").tarball);
    let seen = report(&browser.document(&pages.probed, Scheme::Light, WIDE));
    let steps = &seen["steps"];
    let under = steps["under"].as_str().expect("a path");
    assert!(under.starts_with("lib/python3.13/asyncio"), "a frame with the focus hides what it holds: {under}");
    let hovered = steps["hovered"]["text"].as_str().expect("a text");
    assert_eq!(steps["hovered"]["shown"], true);
    assert!(
        hovered.starts_with("lib/python3.13/asyncio\n") && hovered.contains(" kB, ") && hovered.contains(" % of all")
    );
    let clicked = &steps["clicked"];
    assert_eq!(clicked["hash"], "#stdlib/asyncio");
    assert_eq!(clicked["title"], "In lib/python3.13/asyncio");
    let files = pages.json["files"].as_array().expect("files");
    let of = |start: &'static str| {
        files.iter().filter(move |file| file["path"].as_str().is_some_and(|path| path.starts_with(start)))
    };
    let asyncio = of("lib/python3.13/asyncio/").count();
    assert_eq!((clicked["tiles"].as_u64(), clicked["rows"].as_u64()), (Some(asyncio as u64), Some(asyncio as u64)));
    // What was open has the focus when one comes back, so that the arrows go on from there.
    assert_eq!(
        (&steps["escaped"]["hash"], &steps["escaped"]["focused"]),
        (&"#stdlib".into(), &"lib/python3.13/asyncio".into())
    );
    let moved = steps["moved"]["focused"].as_str().expect("a path");
    assert!(moved.starts_with("lib/python3.13/asyncio/"), "{moved}");
    assert_eq!(steps["entered"]["hash"], "#stdlib/asyncio");
    assert_eq!((&steps["back"]["hash"], &steps["back"]["title"]), (&"".into(), &"Sizes by part".into()));
    assert_eq!(steps["slash"], "query");
    let ssl = of("lib/python3.13/lib-dynload/_ssl.").next().expect("_ssl");
    assert_eq!(steps["found"]["files"], serde_json::json!([ssl["path"]]));
    assert!(steps["found"]["text"].as_str().is_some_and(|text| text.starts_with("1 file, ")), "{}", steps["found"]);
    assert_eq!(steps["cleared"], serde_json::json!({"query": "", "finding": false}));
    assert_eq!(steps["listed"]["hash"], "#modules");
    // Drawn anew for another window, and the focus is where it was.
    assert_eq!(steps["resized"]["focused"], steps["focused"]["focused"]);
    assert!(steps["resized"]["height"].as_u64() <= Some(501), "{}", steps["resized"]);
    for step in ["clicked", "escaped", "moved", "entered", "listed"] {
        assert_eq!(steps[step]["outside"], 0, "{step} shows what is elsewhere");
        assert_eq!(steps[step]["stops"], 1, "one rectangle is in the tab order: {step}");
    }
}

#[test]
fn the_map_looks_as_it_should() {
    let Some(browser) = Browser::find() else { skip!(Missing::Program("chromium"), "there is no chromium") };
    let pages = pages(&artifact("runtime").tarball);
    // The colours of style.css, which the largest of its siblings has without change.
    let schemes = [
        (Scheme::Light, [0xf7, 0xf7, 0xf5], [0xfb, 0xeb, 0x80], [0xce, 0x8b, 0x53]),
        (Scheme::Dark, [0x14, 0x17, 0x1b], [0x57, 0x3d, 0x01], [0x89, 0x4d, 0x36]),
    ];
    for (scheme, ground, interpreter, library) in schemes {
        let picture = browser.picture(&pages.page, scheme, WIDE);
        let seen = report(&browser.document(&pages.probed, scheme, WIDE));
        let tiles = tiles(&seen);
        assert_eq!((picture.width, picture.height), (WIDE.0 as usize, WIDE.1 as usize));
        let is = |x: f64, y: f64, expected: [u8; 3]| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the picture")]
            let found = picture.pixel(x as usize, y as usize);
            found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 2)
        };
        assert!(is(4.0, 4.0, ground), "the page");
        for (path, colour) in [("bin/python3.13", interpreter), ("lib/libcrypto.so.3", library)] {
            let tile = tiles.iter().find(|tile| tile.path == path).expect(path);
            assert!(is(tile.x + tile.w / 2.0, tile.y + tile.h / 2.0, colour), "{scheme:?} {path}");
        }
        // What the document says is what is painted: the middle of every file that has room for one.
        let open: Vec<&Tile> = tiles.iter().filter(|tile| !tile.frame && tile.w > 12.0 && tile.h > 44.0).collect();
        let painted =
            open.iter().filter(|tile| is(tile.x + tile.w / 2.0, tile.y + tile.h - 5.0, tile.background)).count();
        assert!(open.len() > 60 && painted == open.len(), "{scheme:?}: {painted} of {}", open.len());
        // Text is drawn with soft edges, in the colours of many parts.
        assert!(picture.colours() > 500, "{} colours", picture.colours());
    }
}

#[test]
fn the_map_fits_a_telephone() {
    let Some(browser) = Browser::find() else { skip!(Missing::Program("chromium"), "there is no chromium") };
    let pages = pages(&artifact("runtime").tarball);
    let seen = report(&browser.document(&pages.probed, Scheme::Light, (500, 900)));
    assert_eq!(seen["overflow"], 0, "the page is not wider than the window");
    assert!(seen["map"]["w"].as_f64() < Some(500.0) && seen["map"]["h"].as_f64() > Some(350.0), "{}", seen["map"]);
    is_a_map(&tiles(&seen), &seen["map"]);
}

#[test]
fn the_page_runs_its_own_script_and_no_other() {
    let Some(browser) = Browser::find() else { skip!(Missing::Program("chromium"), "there is no chromium") };
    let pages = pages(&artifact("runtime").tarball);
    let document = browser.document(&pages.page, Scheme::Light, WIDE);
    assert!(document.matches("role=\"treeitem\"").count() > 400, "the policy lets the page draw");
    // The same page with a script and a picture that it does not know.
    let html = fs_err::read_to_string(&pages.page).expect("the page");
    let evil = "<script>document.title = 'evil'</script><img src=\"https://picture.invalid/x.png\"></body>";
    let path = pages.page.with_file_name("evil.html");
    fs_err::write(&path, html.replace("</body>", evil)).expect("a file");
    let complaints = browser.complaints(&path);
    assert_eq!(complaints.matches("Content Security Policy").count(), 2, "{complaints}");
}

#[test]
fn hostile_names_are_names_and_nothing_else() {
    let Some(browser) = Browser::find() else { skip!(Missing::Program("chromium"), "there is no chromium") };
    let directory = tempfile::tempdir().expect("a directory");
    let prefix = directory.path().join("python");
    unpack(&artifact("runtime"), &prefix);
    let names = hostile_names();
    for name in &names {
        fs_err::write(prefix.join("lib/python3.13").join(name), vec![b'x'; 400_000]).expect("a file");
    }
    let page = directory.path().join("sizes.html");
    run(pykeel().args(["inspect", "--html"]).arg(&page).arg(&prefix)).exits(0);
    let document = browser.document(&page, Scheme::Light, WIDE);
    assert!(!document.contains("<img") && !document.contains("evil</title>"), "nothing of a name is run");
    // As the browser writes text and attributes.
    for shown in ["&lt;img src=x onerror=", "q\"uo'te&amp;", "line\nbreak", "\\xFFbytes"] {
        assert!(document.contains(shown), "{shown} is not in the page");
    }
}
