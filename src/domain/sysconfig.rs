//! Parses `_sysconfigdata*.py`, the variables that CPython's build recorded.
//!
//! The file has a literal as `pprint` writes it: `build_time_vars = {'NAME': 'text', 'OTHER': 1, …}`.
//! Adjacent strings are concatenated. The file is parsed and never executed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// The error for a text that is not such a literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct SysconfigError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected on the line, or what is wrong.
    pub reason: String,
}

/// Parses the variables.
///
/// # Errors
/// [`SysconfigError`] with the first line that is not part of such a literal.
pub fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Value>, SysconfigError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        SysconfigError { line: memchr::memchr_iter(b'\n', before).count() + 1, reason: "it is not UTF-8".into() }
    })?;
    let mut parser = Parser { rest: text, line: 1 };
    parser.word("build_time_vars")?;
    parser.word("=")?;
    parser.word("{")?;
    let mut variables = BTreeMap::new();
    while !parser.takes("}") {
        let name = parser.string()?;
        parser.word(":")?;
        let value = parser.value()?;
        if variables.insert(name.clone(), value).is_some() {
            return Err(parser.error(format!("`{name}` occurs twice")));
        }
        if !parser.takes(",") {
            parser.word("}")?;
            break;
        }
    }
    parser.skip();
    if parser.rest.is_empty() { Ok(variables) } else { Err(parser.expected("the end of the file")) }
}

struct Parser<'a> {
    rest: &'a str,
    line: usize,
}

impl Parser<'_> {
    fn error(&self, reason: String) -> SysconfigError {
        SysconfigError { line: self.line, reason }
    }

    fn expected(&self, what: &str) -> SysconfigError {
        let found: String = self.rest.chars().take_while(|c| *c != '\n').take(20).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{}`", found.escape_debug()) };
        self.error(format!("expected {what}, found {found}"))
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        self.line += usize::from(next == '\n');
        Some(next)
    }

    /// Skips white space and comments.
    fn skip(&mut self) {
        loop {
            match self.rest.as_bytes().first() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => {
                    self.next();
                }
                Some(b'#') => self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..],
                _ => return,
            }
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self, word: &str) -> Result<(), SysconfigError> {
        if self.takes(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    fn value(&mut self) -> Result<Value, SysconfigError> {
        self.skip();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        if number.is_empty() {
            return Ok(Value::Text(self.string()?));
        }
        let value = number.parse().map_err(|_| self.expected("a string or an integer"))?;
        self.rest = rest;
        Ok(Value::Number(value))
    }

    /// Parses one string, or adjacent strings as one.
    fn string(&mut self) -> Result<String, SysconfigError> {
        let mut text = String::new();
        let mut any = false;
        while let Some(quote) = ['\'', '"'].into_iter().find(|quote| self.takes(quote.encode_utf8(&mut [0; 4]))) {
            any = true;
            self.quoted(quote, &mut text)?;
        }
        if any { Ok(text) } else { Err(self.expected("a string")) }
    }

    fn quoted(&mut self, quote: char, text: &mut String) -> Result<(), SysconfigError> {
        loop {
            match self.next() {
                None | Some('\n') => return Err(self.error("a string has no end".into())),
                Some('\\') => text.push(self.escape()?),
                Some(c) if c == quote => return Ok(()),
                Some(c) => text.push(c),
            }
        }
    }

    /// Parses the escapes that `repr` of a string writes, after the backslash.
    fn escape(&mut self) -> Result<char, SysconfigError> {
        let digits = match self.next() {
            Some(c @ ('\\' | '\'' | '"')) => return Ok(c),
            Some('n') => return Ok('\n'),
            Some('r') => return Ok('\r'),
            Some('t') => return Ok('\t'),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => return Err(self.error("a string has an unknown escape".into())),
        };
        let code = self.rest.get(..digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let c = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        let c = c.ok_or_else(|| self.error("a string has a damaged escape".into()))?;
        self.rest = &self.rest[digits..];
        Ok(c)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_literal_is_read() {
        let text = "# generated\nbuild_time_vars = {'A': '', 'N': -1,\n 'L': 'one '\n      \"two's\", # three\n 'Q': '\\\\\\'\\n\\xe9\\u20ac',\n}\n";
        let variables = parse(text.as_bytes()).unwrap();
        let expected = [
            ("A", Value::Text(String::new())),
            ("L", Value::Text("one two's".into())),
            ("N", Value::Number(-1)),
            ("Q", Value::Text("\\'\n\u{e9}\u{20ac}".into())),
        ];
        assert_eq!(variables.into_iter().collect::<Vec<_>>(), expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(parse(b"build_time_vars = {}").unwrap(), BTreeMap::new());
    }

    #[test]
    fn what_is_no_literal_is_an_error_with_its_line() {
        let cases = [
            ("", 1, "`build_time_vars`"),
            ("import os\n", 1, "`import os`"),
            ("build_time_vars = {\n'A': os.sep}", 2, "a string or an integer"),
            ("build_time_vars = {\n'A': 1.5}", 2, "`}`"),
            ("build_time_vars = {\n'A': f'x'}", 2, "a string or an integer"),
            ("build_time_vars = {\n'A': 'x' 'y\n'}", 3, "no end"),
            ("build_time_vars = {\n'A': '\\q'}", 2, "unknown escape"),
            ("build_time_vars = {\n'A': '\\xfg'}", 2, "damaged escape"),
            ("build_time_vars = {'A': '\\ud800'}", 1, "damaged escape"),
            ("build_time_vars = {'A': 1,\n'A': 2}", 2, "occurs twice"),
            ("build_time_vars = {'A': 1", 1, "the end"),
            ("build_time_vars = {}\nimport os", 2, "the end of the file"),
            ("build_time_vars = {'A': 99999999999999999999}", 1, "an integer"),
        ];
        for (text, line, reason) in cases {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.reason.contains(reason), "{text}: {error}");
        }
        assert_eq!(parse(b"\n\n\xff").unwrap_err().line, 3);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "build_time_vars = \\{['\"a\\\\xu:0,\n#}\u{e9}]{0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}
