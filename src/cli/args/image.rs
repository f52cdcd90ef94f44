//! The command that makes images: `image`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::values::{app, named, reference};
use super::wanted::WantedArtifacts;
use crate::domain::image::{Compression, Label, Libc};
use crate::domain::prefix::PrefixTemplate;
use crate::domain::version::VersionRequest;

const IMAGE_OPTIONS: &str = "Image options";
const ROOT_OPTIONS: &str = "Files of an image from scratch";

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ImageArgs {
    /// File to write [default: python-VERSION-ARCHITECTURE.tar in `out`, else in dist]
    #[arg(long, value_name = "FILE", help_heading = IMAGE_OPTIONS)]
    pub output: Option<PathBuf>,

    /// Image to build on: an OCI image layout, an OCI archive, or what `docker save` writes [default: none]
    #[arg(long, value_name = "LAYOUT", help_heading = IMAGE_OPTIONS)]
    pub base: Option<PathBuf>,

    /// Tree of an application to add, and its absolute path in the image [default: the path of the tree]; can be given
    /// several times. One that is no environment is the working directory
    #[arg(long, value_name = "TREE[:PATH]", value_parser = app, help_heading = IMAGE_OPTIONS)]
    pub app: Vec<(PathBuf, Option<PathBuf>)>,

    /// Name of the image [default: localhost/python:VERSION]
    #[arg(long, value_name = "NAME[:TAG]", value_parser = reference, help_heading = IMAGE_OPTIONS)]
    pub tag: Option<String>,

    /// Version that `python` and `python3` are [default: the first]
    #[arg(long = "default", value_name = "VERSION", help_heading = IMAGE_OPTIONS)]
    pub default: Option<VersionRequest>,

    /// User that the image runs as [default: 10001:10001, or the base's]
    #[arg(long, value_name = "USER", help_heading = IMAGE_OPTIONS)]
    pub user: Option<String>,

    /// Certificates of a company to trust, in PEM; can be given several times
    #[arg(long, value_name = "FILE", help_heading = IMAGE_OPTIONS)]
    pub ca: Vec<PathBuf>,

    /// Label of the image; can be given several times
    #[arg(long, value_name = "KEY=VALUE", help_heading = IMAGE_OPTIONS)]
    pub label: Vec<Label>,

    /// Where the C library of an image without a base comes from
    #[arg(long, value_name = "FROM", value_parser = named::<Libc>(), default_value = "bundle")]
    #[arg(conflicts_with = "base", help_heading = IMAGE_OPTIONS)]
    pub libc: Libc,

    /// How the new layers are compressed
    #[arg(long, value_name = "HOW", value_parser = named::<Compression>(), default_value = "gzip")]
    #[arg(help_heading = IMAGE_OPTIONS)]
    pub compression: Compression,

    /// Write only the files below an image from scratch, for what is in the trees, into a new directory; it takes no
    /// artifact
    #[arg(long, value_name = "DIR", requires = "trees", help_heading = ROOT_OPTIONS)]
    pub rootfs: Option<PathBuf>,

    /// Root that Pythons were installed into, or that an application is in; can be given several times
    #[arg(long = "tree", id = "trees", value_name = "DIR", requires = "rootfs", help_heading = ROOT_OPTIONS)]
    pub trees: Vec<PathBuf>,

    /// Package of this system whose files are wanted too, such as one of a library that is loaded by name; can be given
    /// several times
    #[arg(long = "package", id = "packages", value_name = "NAME", requires = "rootfs", help_heading = ROOT_OPTIONS)]
    pub packages: Vec<String>,

    /// Prefix of the artifacts; it may have {series}, {version} and {variant} in it
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PrefixTemplate>,

    #[command(flatten)]
    pub artifacts: WantedArtifacts,
}
