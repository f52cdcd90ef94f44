//! Tables and pages: pure functions from data to text.

pub mod page;
pub mod text;
pub mod timings;
pub mod treemap;
