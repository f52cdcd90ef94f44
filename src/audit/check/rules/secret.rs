//! Secrets and credentials.

use memchr::memmem;

use super::super::finding::{Found, Severity};
use super::super::image::Content;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK307",
    name: "secret",
    severity: Severity::Error,
    what: "Credentials are in the image: `.netrc`, `.pypirc`, a private key, a URL with a password in `pip.conf`, a \
           token of docker; or the history of the sources, `.git`.",
    why: "Whoever can pull the image can read them, also if a later layer removes them.",
    remedy: "give secrets to the build by `RUN --mount=type=secret`, put `.git` into `.dockerignore`, and revoke what was published",
    judge: Judge::Always(judge),
};

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (path, node) in subject.tree.iter() {
        let (directory, name) = path.rsplit_once('/').unwrap_or_default();
        if name == ".git" && node.is_directory() && subject.tree.get(&format!("{path}/config")).is_some() {
            found.push(Found::at(path, "the history of the sources is in the image").with(Severity::Warning));
        }
        let Some(file) = node.file() else { continue };
        let text = file.content.text().unwrap_or_default();
        let has = |needle: &str| memmem::find(text, needle.as_bytes()).is_some();
        let message = match name {
            ".netrc" | ".pypirc" if has("password") => Some("it has a password"),
            ".npmrc" if has("_authToken=") && !has("${") => Some("it has a token"),
            "pip.conf" | ".pip.conf" | "uv.toml" if has_password(text) => Some("it has a URL with a password"),
            "config.json" if directory.ends_with("/.docker") && has("\"auth\"") => {
                Some("it has credentials of a registry")
            }
            "credentials" if directory.ends_with("/.aws") => Some("it has credentials of AWS"),
            _ if matches!(file.content, Content::PrivateKey) && !is_of_tests(path) => Some("it is a private key"),
            _ => None,
        };
        found.extend(message.map(|message| Found::at(path, message)));
    }
    for (name, value) in subject.image.config.iter().flat_map(|config| &config.environment) {
        if has_password(value.as_bytes()) {
            found.push(Found::of_image(format!("the variable {name} of the image has a URL with a password")));
        }
    }
    found
}

/// Whether a text has a URL such as `https://user:password@host`.
fn has_password(text: &[u8]) -> bool {
    memmem::find_iter(text, b"://").any(|at| {
        let rest = &text[at + 3..];
        let end =
            rest.iter().position(|byte| byte.is_ascii_whitespace() || b"/\"'".contains(byte)).unwrap_or(rest.len());
        let user = rest[..end].rsplitn(2, |byte| *byte == b'@').nth(1);
        // A variable is filled in at run time.
        user.is_some_and(|user| user.contains(&b':') && !user.contains(&b'$'))
    })
}

/// Whether it is among the tests of a package, where keys are examples.
fn is_of_tests(path: &str) -> bool {
    path.split('/')
        .any(|name| matches!(name, "test" | "tests" | "testing" | "testdata" | "certdata" | "examples" | "doc"))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn good() {
        let fixture = Fixture::default()
            .text("/etc/pip.conf", "[global]\nindex-url = https://mirror.test/simple\n")
            .key("/usr/lib/python3.13/test/certdata/keycert.pem")
            .text("/root/.npmrc", "//mirror.test/:_authToken=${TOKEN}\n")
            .file("/app/.gitignore", 10)
            .variable("DATABASE", "postgres://user:$PASSWORD@db/x");
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = Fixture::default()
            .text("/root/.netrc", "machine mirror.test login a password b\n")
            .text("/etc/pip.conf", "[global]\nindex-url = https://user:secret@mirror.test/simple\n")
            .key("/root/.ssh/id_ed25519")
            .text("/app/.git/config", "[core]\n")
            .variable("PIP_INDEX_URL", "https://a:b@mirror.test/simple")
            .judged(&RULE);
        let expected = [
            "warning /app/.git: the history of the sources is in the image",
            "error /etc/pip.conf: it has a URL with a password",
            "error /root/.netrc: it has a password",
            "error /root/.ssh/id_ed25519: it is a private key",
            "error -: the variable PIP_INDEX_URL of the image has a URL with a password",
        ];
        assert_eq!(found, expected);
    }
}
