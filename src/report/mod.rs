//! What is drawn: tables and pages, as pure functions of what is known.

pub mod page;
pub mod text;
pub mod timings;
pub mod treemap;
