//! The timings of a build: `steps` collects steps from events, and `table` and `html` render them.
//!
//! `page.html` is the template of the page. `script.js` shows the details of a bar.

pub mod html;
pub mod steps;
pub mod table;
