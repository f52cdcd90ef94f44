//! What is made of artifacts for other tools.

pub mod dockerfile;
pub mod image;
pub mod matrix;
pub mod uv_index;
