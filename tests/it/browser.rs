//! A headless browser: Chromium with no profile, no network of its own, and no screen.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::run;

/// Which colours a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

/// A picture: three bytes a pixel, row by row.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    bytes: Vec<u8>,
}

impl Picture {
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]]
    }

    /// How many different colours there are.
    pub fn colours(&self) -> usize {
        self.bytes.chunks_exact(3).collect::<std::collections::HashSet<_>>().len()
    }
}

pub struct Browser {
    program: PathBuf,
    directory: tempfile::TempDir,
}

impl Browser {
    /// The browser that is installed here, if one is.
    pub fn find() -> Option<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let path = std::env::var_os("PATH")?;
        let programs = std::env::split_paths(&path).flat_map(|directory| names.map(|name| directory.join(name)));
        let program = programs.into_iter().find(|program| program.is_file())?;
        Some(Self { program, directory: tempfile::tempdir().expect("a directory") })
    }

    fn command(&self, scheme: Scheme, size: (u32, u32)) -> Command {
        let mut command = Command::new(&self.program);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            "--force-color-profile=srgb",
            // Timers of the page run as fast as it draws, so that nothing waits for a clock.
            "--virtual-time-budget=5000",
        ]);
        command.arg(format!("--user-data-dir={}", self.directory.path().join("profile").display()));
        command.arg(format!("--window-size={},{}", size.0, size.1));
        // Blink's enum: 0 is dark, 1 is light.
        command.arg(format!("--blink-settings=preferredColorScheme={}", u8::from(scheme == Scheme::Light)));
        command
    }

    /// Opens a page, and gives its document after its scripts ran. What they complain of is an error.
    pub fn document(&self, page: &Path, scheme: Scheme, size: (u32, u32)) -> String {
        let url = format!("file://{}", page.display());
        let ended = run(self.command(scheme, size).arg("--dump-dom").arg(url)).exits(0);
        let complaints: Vec<&str> = ended.err.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        ended.out
    }

    /// Opens a page that is expected to be complained of, and gives what the browser says.
    pub fn complaints(&self, page: &Path) -> String {
        let url = format!("file://{}", page.display());
        run(self.command(Scheme::Light, (800, 800)).arg("--dump-dom").arg(url)).exits(0).err
    }

    /// Takes a picture of a page.
    pub fn picture(&self, page: &Path, scheme: Scheme, size: (u32, u32)) -> Picture {
        let file = self.directory.path().join("picture.png");
        let url = format!("file://{}", page.display());
        run(self.command(scheme, size).arg(format!("--screenshot={}", file.display())).arg(url)).exits(0);
        let decoder = png::Decoder::new(std::io::BufReader::new(fs_err::File::open(&file).expect("a picture")));
        let mut reader = decoder.read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("a picture");
        bytes.truncate(info.buffer_size());
        let samples = info.color_type.samples();
        let bytes = bytes.chunks_exact(samples).flat_map(|pixel| pixel[..3].to_vec()).collect();
        Picture { width: info.width as usize, height: info.height as usize, bytes }
    }
}

/// A copy of a page, beside it, in which a probe runs that the page's own policy would not let.
pub fn with_probe(page: &Path, probe: &str) -> PathBuf {
    let html = fs_err::read_to_string(page).expect("the page");
    let (before, rest) = html.split_once("<meta http-equiv=\"Content-Security-Policy\"").expect("a policy");
    let (_, after) = rest.split_once('>').expect("its end");
    let after = after.replace("</body>", &format!("<script>{probe}</script></body>"));
    let probed = page.with_extension("probed.html");
    fs_err::write(&probed, format!("{before}{after}")).expect("a file");
    probed
}

/// What a probe says, in a document.
pub fn report(document: &str) -> Value {
    let (_, report) = document.split_once("<pre id=\"report\">").expect("the probe ended");
    let text = report.split('<').next().unwrap_or_default();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
            let [Some(high), Some(low)] = digits else { panic!("a percent sign and no digits") };
            bytes.push(u8::try_from(high * 16 + low).expect("a byte"));
        } else {
            bytes.push(byte);
        }
    }
    serde_json::from_slice(&bytes).expect("JSON")
}
