//! `pykeel inspect`.

use std::fmt::Write as _;

use super::super::args::PathArgs;
use super::super::config::Config;
use super::{megabytes, print};
use crate::domain::manifest::Manifest;
use crate::domain::plan::LibraryPolicy;
use crate::error::Result;
use crate::stages::verify;

pub(super) fn run(args: &PathArgs, config: &Config) -> Result<u8> {
    let manifest =
        if args.path.is_dir() { verify::read_manifest(&args.path)? } else { verify::manifest_of_tarball(&args.path)? };
    print(config, &manifest, || text(&manifest))?;
    Ok(0)
}

fn text(manifest: &Manifest) -> String {
    let plan = &manifest.plan;
    let mut text = format!("{}\n", manifest.name);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<14} {value}");
    };
    row("build key", manifest.build_key.to_string());
    row("prefix", plan.prefix.to_string());
    row("optimise", plan.optimize.to_string());
    row("bytecode", plan.bytecode.to_string());
    row("compiler", plan.toolchain.compiler.clone());
    row("glibc floor", manifest.glibc_floor.to_string());
    row("size", format!("{} in {} files", megabytes(manifest.sizes.bytes), manifest.sizes.files));
    for (part, bytes) in &manifest.sizes.parts {
        row("", format!("{:>9}  {part}", megabytes(*bytes)));
    }
    row("modules", format!("{}: {}", manifest.modules.len(), manifest.modules.join(" ")));
    row("libraries", format!("{} ({})", manifest.libraries.len(), plan.library_policy));
    for library in &manifest.libraries {
        row("", format!("{:>9}  {}  {} {}", megabytes(library.size), library.soname, library.package, library.version));
    }
    if plan.library_policy == LibraryPolicy::System {
        for library in plan.libraries.iter().filter(|library| manifest.runtime_packages.contains(&library.package)) {
            row("", format!("{}  {} {}", library.soname, library.package, library.version));
        }
    }
    row("packages", manifest.runtime_packages.join(" "));
    text
}
