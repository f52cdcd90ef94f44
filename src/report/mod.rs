//! Renders tables and pages, without I/O.

pub mod page;
pub mod text;
pub mod timings;
pub mod treemap;
