//! The client certificate by which this machine's user is known to servers that want one.

use std::io::Read as _;
use std::path::Path;

use reqwest::Identity;

use super::reason;

/// The variable that names the file, as for uv: the certificate and its key, in PEM.
const VARIABLE: &str = "SSL_CLIENT_CERT";
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Reads the user's certificate; none if there is no variable.
///
/// # Errors
/// Why it cannot be used, in words, which quote nothing of it.
pub(super) fn of_user() -> Result<Option<Identity>, String> {
    match std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        None => Ok(None),
        Some(path) => read(Path::new(&path)).map(Some),
    }
}

fn read(path: &Path) -> Result<Identity, String> {
    let wrong = |reason: String| format!("{VARIABLE} names {}: {reason}", path.display());
    let mut pem = Vec::new();
    let opened = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut pem));
    opened.map_err(|error| wrong(error.to_string()))?;
    let none = |_| wrong("it has no certificate with its private key in PEM".into());
    let identity = Identity::from_pem(&pem).map_err(none)?;
    // Whether the key is that of the certificate shows only when a client is made.
    let client = reqwest::blocking::Client::builder().tls_certs_only([]).identity(identity.clone()).build();
    client.map_err(|error| wrong(reason::chain(&error)))?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(content: &[u8]) -> String {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("client.pem");
        fs_err::write(&path, content).unwrap();
        let error = read(&path).err().unwrap();
        assert!(error.starts_with(&format!("SSL_CLIENT_CERT names {}: ", path.display())), "{error}");
        error
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_without_its_content() {
        let pair = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let ((first, key), (_, other)) = (pair("a.test"), pair("b.test"));
        for content in ["", "secret", &first, &key] {
            let error = error(content.as_bytes());
            assert!(error.ends_with("it has no certificate with its private key in PEM"), "{error}");
        }
        let error = error(format!("{first}{other}").as_bytes());
        assert!(!error.contains("PRIVATE"), "{error}");
        assert!(read(Path::new("/nonexistent/client.pem")).err().unwrap().contains("No such file"));
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("client.pem");
        fs_err::write(&path, format!("{first}{key}")).unwrap();
        assert!(read(&path).is_ok());
    }
}
