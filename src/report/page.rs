//! Pages for a browser that need nothing else, neither file nor network: what fills their templates.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use crate::report::text::shown;

/// Fills a template in one pass, so that what is filled in is never taken for a place.
#[must_use]
pub fn filled(template: &str, fields: &[(&str, String)]) -> String {
    let mut pieces = template.split("{{");
    let mut page = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        page.extend(fields.iter().find(|(field, _)| *field == name).map(|(_, text)| text.as_str()));
        page.push_str(rest);
    }
    page
}

/// How a content security policy names a script or a style: nothing else may run.
#[must_use]
pub fn source(text: &str) -> String {
    format!("'sha256-{}'", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text)))
}

/// Text as HTML, in elements and in attributes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let text = shown(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}
