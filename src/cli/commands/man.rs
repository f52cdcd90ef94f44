//! `pykeel man`.

use std::path::PathBuf;

use serde::Serialize;

use super::super::args::{self, ManArgs};
use super::super::config::Config;
use super::print;
use crate::error::Result;
use crate::sys::fs;

#[derive(Debug, Serialize)]
struct Page {
    /// `pykeel-build.1`.
    file: String,
    /// The file that was written, if any.
    path: Option<PathBuf>,
    text: String,
}

pub(super) fn run(args: &ManArgs, config: &Config) -> Result<u8> {
    let mut command = args::command();
    command.build();
    let mut pages = Vec::new();
    render(&command, &mut pages)?;
    if let Some(directory) = &args.out {
        for page in &mut pages {
            let path = directory.join(&page.file);
            fs::write_atomically(&path, page.text.as_bytes())?;
            page.path = Some(path);
        }
    }
    print(config, &pages, || match &args.out {
        // `pykeel man | man -l -` shows the page of the program.
        None => pages.first().map(|page| page.text.clone()).unwrap_or_default(),
        Some(_) => pages.iter().flat_map(|page| &page.path).map(|path| format!("{}\n", path.display())).collect(),
    })?;
    Ok(0)
}

/// The page of a command and those of its subcommands.
fn render(command: &clap::Command, pages: &mut Vec<Page>) -> Result<()> {
    let source = concat!("pykeel ", env!("CARGO_PKG_VERSION"));
    // Without a date roff would read the next argument as one: `\&` prints nothing, but is not empty.
    let man = clap_mangen::Man::new(command.clone()).date("\\&").source(source).manual("pykeel");
    let mut text = Vec::new();
    man.render(&mut text)?;
    pages.push(Page { file: man.get_filename(), path: None, text: String::from_utf8_lossy(&text).into_owned() });
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        render(subcommand, pages)?;
    }
    Ok(())
}
