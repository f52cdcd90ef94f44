//! Tests on the artifacts of CPython 3.13.5, which the first of them builds.

mod cache;
pub mod embedding;
mod extensions;
pub mod inspect;
pub mod install;
mod json;
mod lock;
pub mod packages;
mod policies;
mod python_build;
mod real_packages;
mod repair;
mod results;
mod rootfs;
pub mod roots;
mod settings;
mod sysconfig;

pub mod system;
mod treemap;
mod uninstall;
mod uv;
mod venv;
mod verification;
