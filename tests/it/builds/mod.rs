//! Tests that build a CPython of their own: minutes each.

mod baseline;
mod containers;
mod definitions;
mod newest;
mod other_pool;
mod overlays;
mod regression;
mod release;
mod reproducible;
mod series;
mod shared;
mod trixie;
mod ubuntu;
mod variants;
