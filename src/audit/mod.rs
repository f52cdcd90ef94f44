//! What is said of artifacts that are there: what one holds, in what two differ, and
//! whether one is reproducible.

pub mod compare;
pub mod inspect;
pub mod reproduce;
