//! What is made of artifacts for other tools.

pub mod dockerfile;
pub mod image;
pub mod uv_index;
