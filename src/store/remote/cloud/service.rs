//! What carries the requests to a cloud: bounded, in the clear only where that is acceptable, without redirects.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use tokio::time::timeout;

use crate::sys::http::{Nonblocking, is_metadata};

/// The longest text of an error that is read, in bytes. It holds a code.
const LONGEST_ERROR: usize = 4 << 10;
/// The largest answer that is no file, in bytes: a thousand names of a list.
const LARGEST_ANSWER: usize = 8 << 20;
/// How long a server may be silent before it answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to send a part of a file, and to hear of it.
const PATIENCE_FOR_PART: Duration = Duration::from_secs(25);
/// Requests with more than this many bytes are parts of files.
const LARGEST_SMALL_REQUEST: usize = 64 << 10;

/// The reason where credentials are asked for in vain.
pub(super) const NO_CREDENTIALS: &str = "there are no credentials in the environment";

/// Why the last request failed, in words that hold no secret.
#[derive(Debug, Clone, Default)]
pub(super) struct LastFailure(Arc<Mutex<Option<Failure>>>);

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The status, if there was an answer.
    pub(super) status: Option<u16>,
    /// In words.
    pub(super) reason: String,
}

impl LastFailure {
    pub(super) fn get(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn set(&self, status: Option<u16>, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Failure { status, reason });
    }
}

/// Sends the requests of an object store.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) clients: Nonblocking,
    pub(super) failure: LastFailure,
}

/// What went wrong before or after an exchange.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Trouble(String);

impl HttpConnector for Service {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        // What the environment may say of TLS and proxies to that crate does not count here.
        Ok(HttpClient::new(self.clone()))
    }
}

impl Service {
    /// An error that was noted in the given words.
    fn failed(&self, kind: HttpErrorKind, reason: String) -> HttpError {
        self.failure.set(None, reason.clone());
        HttpError::new(kind, Trouble(reason))
    }

    /// Makes an answer that is an error a small one, and notes it.
    async fn refusal(&self, response: HttpResponse, is_metadata: bool) -> Result<HttpResponse, HttpError> {
        let (parts, body) = response.into_parts();
        let status = parts.status;
        let mut pieces = body.bytes_stream();
        let mut text = Vec::new();
        // A connection that breaks meanwhile changes nothing of what the status says.
        while let Ok(Some(Ok(piece))) = timeout(PATIENCE, pieces.next()).await {
            text.extend_from_slice(&piece[..piece.len().min(LONGEST_ERROR - text.len())]);
            if text.len() == LONGEST_ERROR {
                break;
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        self.failure.set(Some(status.as_u16()), answered(status.as_u16(), code_in(&text), is_metadata));
        Ok(HttpResponse::from_parts(parts, text.into()))
    }

    /// Reads an answer that is no file, which has to be small.
    async fn small(&self, response: HttpResponse) -> Result<HttpResponse, HttpError> {
        let (parts, body) = response.into_parts();
        let mut pieces = body.bytes_stream();
        let mut whole = Vec::new();
        loop {
            match timeout(PATIENCE, pieces.next()).await {
                Ok(None) if names_others(&whole) => {
                    return Err(self.failed(HttpErrorKind::Decode, "it answers what was not asked".into()));
                }
                Ok(None) => return Ok(HttpResponse::from_parts(parts, whole.into())),
                Ok(Some(Ok(piece))) if whole.len() + piece.len() <= LARGEST_ANSWER => whole.extend_from_slice(&piece),
                Ok(Some(Ok(_))) => {
                    let reason = format!("the server sends more than {LARGEST_ANSWER} bytes");
                    return Err(self.failed(HttpErrorKind::Decode, reason));
                }
                Ok(Some(Err(error))) => return Err(self.failed(error.kind(), "the connection broke".into())),
                Err(_) => return Err(self.failed(HttpErrorKind::Timeout, silent(PATIENCE))),
            }
        }
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = request.uri().to_string();
        let client = self.clients.client_for(&url).map_err(|reason| self.failed(HttpErrorKind::Unknown, reason))?;
        let is_metadata = is_metadata(&url);
        let is_file = request.method() == reqwest::Method::GET && !is_list(request.uri().query().unwrap_or_default());
        let is_head = request.method() == reqwest::Method::HEAD;
        let is_part = request.body().content_length() > LARGEST_SMALL_REQUEST;
        let patience = if is_part { PATIENCE_FOR_PART } else { PATIENCE };
        let response = match timeout(patience, client.call(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<reqwest::Error>());
                let reason = match cause {
                    _ if is_metadata => NO_CREDENTIALS.to_owned(),
                    Some(cause) => self.clients.reason(cause, &url),
                    None => "the connection broke".to_owned(),
                };
                return Err(self.failed(error.kind(), reason));
            }
            Err(_) if is_metadata => {
                return Err(self.failed(HttpErrorKind::Timeout, NO_CREDENTIALS.into()));
            }
            Err(_) => return Err(self.failed(HttpErrorKind::Timeout, silent(patience))),
        };
        if !response.status().is_success() {
            return self.refusal(response, is_metadata).await;
        }
        self.failure.clear();
        if is_file || is_head { Ok(response) } else { self.small(response).await }
    }
}

/// What an answer that is an error says. A metadata service has credentials, or there are none.
fn answered(status: u16, code: Option<&str>, is_metadata: bool) -> String {
    let code = code.map(|code| format!(", {code}")).unwrap_or_default();
    if is_metadata {
        format!("{NO_CREDENTIALS}, and the machine's metadata service answered {status}{code}")
    } else {
        format!("the server answered {status}{code}")
    }
}

fn silent(patience: Duration) -> String {
    format!("the server was silent for {} s", patience.as_secs())
}

/// Whether the query of a GET asks for a list. That of a file may have a signature.
fn is_list(query: &str) -> bool {
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.into_iter().any(|name| matches!(name, "list-type" | "prefix" | "comp" | "restype"))
}

/// Whether the parts of an answer are of other requests than the first and only one of a batch. The crate takes their
/// numbers as they are.
fn names_others(answer: &[u8]) -> bool {
    let number = |line: &[u8]| {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase();
        line.strip_prefix("content-id:").map(|number| number.trim().to_owned())
    };
    answer.split(|byte| *byte == b'\n').filter_map(number).any(|number| number != "0")
}

/// The code in the text of an error: `<Code>NoSuchBucket</Code>`.
pub(super) fn code_in(text: &str) -> Option<&str> {
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metadata_service_that_refuses_means_that_there_are_no_credentials() {
        assert_eq!(answered(503, Some("SlowDown"), false), "the server answered 503, SlowDown");
        let text = answered(403, None, true);
        assert!(text.starts_with(NO_CREDENTIALS) && text.ends_with("metadata service answered 403"), "{text}");
    }

    #[test]
    fn a_code_is_taken_from_an_error_and_nothing_else() {
        assert_eq!(code_in("<?xml?><Error><Code>NoSuchBucket</Code><Key>x</Key></Error>"), Some("NoSuchBucket"));
        for none in ["", "<Code>", "<Code></Code>", "<Code>\x1b[31m</Code>", "<Code>a b</Code>"] {
            assert_eq!(code_in(none), None, "{none}");
        }
        assert_eq!(code_in(&format!("<Code>{}</Code>", "a".repeat(65))), None);
    }

    #[test]
    fn an_answer_to_a_batch_of_one_is_of_that_one() {
        for (answer, expected) in [
            ("--x\r\nContent-ID: 0\r\n\r\nHTTP/1.1 202 Accepted\r\n", false),
            ("--x\r\nContent-ID: 1\r\n", true),
            ("content-id:0\ncontent-id: x", true),
            ("<ListBucketResult/>", false),
        ] {
            assert_eq!(names_others(answer.as_bytes()), expected, "{answer}");
        }
    }

    #[test]
    fn a_list_is_told_from_a_file_by_its_query() {
        for list in ["list-type=2&prefix=a", "prefix=a", "restype=container&comp=list"] {
            assert!(is_list(list), "{list}");
        }
        for file in ["", "sv=2020&sig=abc", "x=prefix"] {
            assert!(!is_list(file), "{file}");
        }
    }
}
