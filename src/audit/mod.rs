//! What is said of artifacts that are there: what one holds, and in what two differ.

pub mod compare;
pub mod inspect;
