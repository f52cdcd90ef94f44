//! Pages for a browser that load nothing else, neither files nor anything from the network.
//!
//! A page has a template in minijinja's syntax, a style and a script. Every text that a template
//! prints is escaped, unless the template itself marks it as `safe`.

use base64::Engine as _;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, Output, State, UndefinedBehavior, Value, context, escape_formatter};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::report::text::shown;

/// The files of a page.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The template, `page.html`.
    pub template: &'static str,
    /// The style sheet, which the template prints as `style`.
    pub style: &'static str,
    /// The script, which the template prints as `script`.
    pub script: &'static str,
}

impl Page {
    /// Renders the template with the fields of `values`, and `style`, `script` and, for the content
    /// security policy, `style_source` and `script_source`.
    ///
    /// # Panics
    /// If the template does not fit the values. Both are compiled in, and each page has a test.
    #[must_use]
    pub fn render(&self, values: &impl Serialize) -> String {
        let values = context! {
            style => self.style,
            script => self.script,
            style_source => source(self.style),
            script_source => source(self.script),
            ..Value::from(Serde(values)),
        };
        // The name decides how values are escaped.
        render("page.html", self.template, values).expect("the template fits its values")
    }
}

/// Renders a template. A name that ends in `.html` escapes values as HTML.
fn render(name: &str, template: &str, values: Value) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(print);
    environment.render_named_str(name, template, values)
}

/// Writes a value: without control characters, then escaped as the template's name says.
fn print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() => escape_formatter(out, state, &Value::from(shown(text))),
        _ => escape_formatter(out, state, value),
    }
}

/// Returns the name of an inline style or script in a content security policy: no other may run.
fn source(text: &str) -> String {
    format!("'sha256-{}'", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_in_elements_and_attributes_and_never_taken_for_a_template() {
        let template = "<a title=\"{{ text }}\">{{ text }}</a>{{ text|safe }}\n";
        let text = render("a.html", template, context! { text => "<b>\"'&{{ text }}\u{202e}\n" }).unwrap();
        let escaped = "&lt;b&gt;&quot;&#x27;&amp;{{ text }}\\u{202e}\\n";
        assert_eq!(text, format!("<a title=\"{escaped}\">{escaped}</a><b>\"'&{{{{ text }}}}\u{202e}\n\n"));
    }

    #[test]
    fn a_name_that_has_no_value_is_an_error() {
        assert!(render("a.html", "{{ text }}", context! {}).is_err());
    }

    #[test]
    fn a_source_is_the_digest_that_a_browser_computes() {
        // The example of the Content Security Policy specification, level 2, section 7.17.2.
        let digest = "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='";
        assert_eq!(source("alert('Hello, world.');"), digest);
    }
}
