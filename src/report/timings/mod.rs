//! Where the time of a build went: `steps` makes steps of events, `table` and `html` draw them.
//!
//! `page.html` is the frame of the page, `style.css` how it looks, `script.js` what explains a bar under the pointer.

pub mod html;
pub mod steps;
pub mod table;
