//! A file for `docker buildx bake`.

use std::fmt::Write as _;

use super::Cell;

const BEGINNING: &str = r#"# Made by `pykeel matrix --for bake`. It builds what is missing, and keeps no image:
#
#     docker buildx bake --file docker-bake.hcl
#
# The system to build on, and an image that has pykeel as /pykeel, can be set in the environment.
variable "BASE" {
  default = "debian:13"
}

variable "PYKEEL" {
  default = "localhost/pykeel:VERSION"
}

# The directory of the credentials of the remote: `docker login` writes its config.json.
variable "HOME" {
  default = "/root"
}

variable "DOCKER_CONFIG" {
  default = "${HOME}/.docker"
}
"#;

const COMMON: &str = r#"
target "_python" {
  context = "."
  args = {
    BASE   = BASE
    PYKEEL = PYKEEL
  }
  # Whether the remote has it is no business of a cache.
  no-cache = true
  output   = ["type=cacheonly"]
  secret   = ["id=docker-config,src=${DOCKER_CONFIG}/config.json"]
  dockerfile-inline = <<EOT
ARG BASE
ARG PYKEEL
FROM $${PYKEEL} AS pykeel
FROM $${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates
COPY --from=pykeel /pykeel /usr/local/bin/pykeel
ENV PYKEEL_INSTALL_DEPS=true
ARG COMMAND
RUN --mount=type=secret,id=docker-config,target=/root/.docker/config.json eval "$${COMMAND}"
EOT
}
"#;

/// Returns the file: a target for each cell, and a group with all of them.
#[must_use]
pub fn bake(cells: &[Cell]) -> String {
    let mut text = BEGINNING.replace("VERSION", env!("CARGO_PKG_VERSION"));
    let names: Vec<String> = cells.iter().map(name).collect();
    let list: Vec<String> = names.iter().map(|name| format!("    {},\n", quoted(name))).collect();
    let _ = write!(text, "\ngroup \"default\" {{\n  targets = [\n{}  ]\n}}\n", list.concat());
    text.push_str(COMMON);
    for (cell, name) in cells.iter().zip(names) {
        let command = cell.push.iter().fold(cell.build.clone(), |build, push| format!("{build} && {push}"));
        let _ = write!(
            text,
            "\ntarget {} {{\n  inherits  = [\"_python\"]\n  platforms = [{}]\n  args = {{\n    COMMAND = {}\n  }}\n}}\n",
            quoted(&name),
            quoted(&cell.platform),
            quoted(&command)
        );
    }
    text
}

/// The name of a target, which has letters, digits, `_` and `-` alone.
fn name(cell: &Cell) -> String {
    format!("python-{}-{}", cell.version, cell.target.arch()).replace('.', "-")
}

/// A text of HCL, in which `${` and `%{` begin a template. It has no control characters.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
    format!("\"{text}\"")
}
