//! The form of `.netrc`: words in any lines, such as `machine mirror.test login me password secret`.

/// What the next word is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Key,
    Machine,
    Login,
    Password,
    /// Of no use here.
    Other,
}

/// What a file says of one host.
#[derive(Default)]
struct Entry {
    /// None for `default`, which would give a secret to any server that asks for one.
    host: Option<String>,
    login: String,
    password: Option<String>,
}

/// Returns the user and the password for a host, `mirror.test:8443`: of the entry with its port, else of that without.
pub(super) fn find(text: &str, host: &str) -> Option<(String, String)> {
    let entries = entries(text);
    let without_port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let names = [Some(host), without_port.map(|(name, _)| name)];
    let of_name = |name: &str| {
        let found = entries.iter().find(|entry| entry.host.as_deref() == Some(name))?;
        found.password.clone().map(|password| (found.login.clone(), password))
    };
    names.into_iter().flatten().find_map(of_name)
}

fn entries(text: &str) -> Vec<Entry> {
    let (mut entries, mut next, mut is_macro) = (Vec::<Entry>::new(), Next::Key, false);
    for line in text.lines() {
        if is_macro {
            // A macro ends with an empty line.
            is_macro = !line.trim().is_empty();
            continue;
        }
        if line.trim_start().starts_with('#') {
            continue;
        }
        for word in words(line) {
            let entry = entries.last_mut();
            match next {
                Next::Key | Next::Other => {}
                Next::Machine => entries.push(Entry { host: Some(word.clone()), ..Entry::default() }),
                Next::Login => entry.into_iter().for_each(|entry| entry.login.clone_from(&word)),
                Next::Password => entry.into_iter().for_each(|entry| entry.password = Some(word.clone())),
            }
            if next != Next::Key {
                next = Next::Key;
                continue;
            }
            match word.as_str() {
                "machine" => next = Next::Machine,
                "default" => entries.push(Entry::default()),
                "login" => next = Next::Login,
                "password" => next = Next::Password,
                "account" => next = Next::Other,
                "macdef" => {
                    is_macro = true;
                    break;
                }
                _ => {}
            }
        }
    }
    entries
}

/// The words of a line. One that begins with `"` ends with the next one, and `\\` takes the special meaning of what
/// follows.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = line.chars().peekable();
    while let Some(first) = letters.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if first == '"' {
            while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
                word.extend(if letter == '\\' { letters.next() } else { Some(letter) });
            }
        } else {
            word.push(first);
            while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace()) {
                word.push(letter);
            }
        }
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str) -> Option<String> {
        find(text, host).map(|(user, password)| format!("{user}:{password}"))
    }

    #[test]
    fn a_host_has_the_words_that_follow_it() {
        let text = "# machine mirror.test login no password no\n\
                    machine mirror.test login me password pass#word\n\
                    machine other.test\n\tlogin machine\n\tpassword \"a \\\"b\\\\c\"\naccount x\n\
                    macdef init\nmachine macro.test login no password no\n\n\
                    machine mirror.test:8443 password only\n\
                    machine empty.test login me\n\
                    default login anonymous password secret\n";
        assert_eq!(found(text, "mirror.test"), Some("me:pass#word".into()));
        assert_eq!(found(text, "mirror.test:80"), Some("me:pass#word".into()));
        assert_eq!(found(text, "mirror.test:8443"), Some(":only".into()));
        assert_eq!(found(text, "other.test"), Some("machine:a \"b\\c".into()));
        for host in ["macro.test", "empty.test", "unknown.test", "irror.test", "default", "", "test"] {
            assert_eq!(found(text, host), None, "{host}");
        }
        for odd in ["", "machine", "machine x password", "login a password b", "machine \"", "macdef", "\"\\"] {
            assert_eq!(found(odd, "x"), None, "{odd}");
        }
    }
}
