//! RECORD files, in which an installer lists what it installed: `path,sha256=digest,size`.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::error::Result;

/// The text with new sums and sizes for the files whose content `read` returns, and without bytecode caches, which
/// `strip` removes; none if nothing changes.
pub(super) fn rewrite(text: &str, read: impl Fn(&str) -> std::io::Result<Option<Vec<u8>>>) -> Result<Option<String>> {
    let mut updated = String::with_capacity(text.len());
    for line in text.lines() {
        let path = line.split(',').next().unwrap_or_default();
        if Path::new(path).extension().is_some_and(|extension| extension == "pyc") {
            continue;
        }
        match read(path)? {
            Some(content) => {
                let sum = URL_SAFE_NO_PAD.encode(Sha256::digest(&content));
                let _ = writeln!(updated, "{path},sha256={sum},{}", content.len());
            }
            None => updated.extend([line, "\n"]),
        }
    }
    Ok((updated != text).then_some(updated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewritten_files_get_new_sums_and_caches_go() {
        let text = "../../../bin/pip,sha256=old,3\npip/__init__.py,sha256=x,1\npip/__pycache__/a.pyc,,\n";
        let read = |path: &str| Ok(path.ends_with("bin/pip").then(|| b"abc".to_vec()));
        assert_eq!(
            rewrite(text, read).unwrap().unwrap(),
            "../../../bin/pip,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\npip/__init__.py,sha256=x,1\n"
        );
        assert_eq!(rewrite("a,b,c\n", |_| Ok(None)).unwrap(), None);
    }
}
