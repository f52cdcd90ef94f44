//! How long the parts of a build took: `steps` makes steps from events, `loads` says how many processors
//! were busy, `table` and `html` render them.
//!
//! `page.html` is the template of the page; `script.js` shows details of the bar under the pointer.

pub mod html;
mod loads;
pub mod steps;
pub mod table;
