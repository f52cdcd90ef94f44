//! An object store on the loopback, in memory: as much of S3, Google Cloud Storage and Azure Blob Storage as is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// What the server makes of `If-Match` and `If-None-Match` of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    /// It keeps to them.
    Kept,
    /// It writes in any case.
    Ignored,
    /// It answers 501.
    Unknown,
}

/// A request, whose body has arrived.
pub struct Question {
    /// How many came before it.
    pub number: usize,
    pub method: String,
    /// Without the bucket: `team/index.json`.
    pub key: String,
    pub query: String,
    /// The headers, in lower case but for their values.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Question {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

type Objects = BTreeMap<String, (Vec<u8>, u64)>;
type Fault = dyn Fn(&Question) -> Option<Vec<u8>> + Send + Sync;

/// The store; its threads end with the tests.
#[derive(Clone)]
pub struct ObjectServer {
    address: SocketAddr,
    objects: Arc<Mutex<Objects>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ObjectServer {
    /// Starts one with the bucket `pythons`, but for what `fault` answers.
    pub fn start(conditions: Conditions, fault: impl Fn(&Question) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Self { address, objects: Arc::default(), asked: Arc::default() };
        let (own, fault): (Self, Arc<Fault>) = (server.clone(), Arc::new(fault));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (own, fault) = (own.clone(), Arc::clone(&fault));
                // A client that has gone is no fault of the server's.
                std::thread::spawn(move || own.serve(stream, conditions, &*fault));
            }
        });
        server
    }

    /// Sets what leads a program to it.
    pub fn lead<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let base = format!("http://{}", self.address);
        command.env("AWS_ENDPOINT_URL", &base).env("AWS_ACCESS_KEY_ID", "toykey");
        command.env("AWS_SECRET_ACCESS_KEY", "s3cretsesame").env("AWS_REGION", "eu-toy-1");
        command.env("GOOGLE_BASE_URL", &base).env("GOOGLE_BEARER_TOKEN", "s3cretsesame");
        command.env("AZURE_STORAGE_ENDPOINT", &base).env("AZURE_STORAGE_ACCOUNT_NAME", "toy");
        command.env("AZURE_STORAGE_ACCOUNT_KEY", "czNjcmV0c2VzYW1l").env("NO_PROXY", "127.0.0.1")
    }

    /// The methods and keys that were asked for so far: `PUT team/index.json`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("the list").clone()
    }

    /// The names of the files.
    pub fn keys(&self) -> Vec<String> {
        self.objects.lock().expect("the files").keys().cloned().collect()
    }

    /// A file.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.objects.lock().expect("the files").get(key).map(|(bytes, _)| bytes.clone())
    }

    /// Writes or removes a file.
    pub fn set(&self, key: &str, bytes: Option<Vec<u8>>) {
        let mut objects = self.objects.lock().expect("the files");
        match bytes {
            Some(bytes) => drop(objects.insert(key.to_owned(), (bytes, 1_000_000))),
            None => drop(objects.remove(key)),
        }
    }

    fn serve(&self, mut stream: TcpStream, conditions: Conditions, fault: &Fault) -> io::Result<()> {
        let question = {
            let mut question = read(&mut stream)?;
            let mut asked = self.asked.lock().expect("the list");
            question.number = asked.len();
            asked.push(format!("{} {}", question.method, question.key));
            question
        };
        let answer = fault(&question).unwrap_or_else(|| self.answer(question, conditions));
        stream.write_all(&answer)
    }

    fn answer(&self, question: Question, conditions: Conditions) -> Vec<u8> {
        let mut objects = self.objects.lock().expect("the files");
        if let Some(prefix) = value(&question.query, "prefix") {
            return reply("200 OK", "", list(&objects, &prefix, question.query.contains("comp=list")).as_bytes());
        }
        if question.query.contains("uploads") {
            // Parts are taken and forgotten: nobody asks for the file.
            return reply(
                "200 OK",
                "",
                b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>",
            );
        }
        if question.query.contains("uploadId") {
            return reply("200 OK", "ETag: \"part\"\r\n", b"");
        }
        match question.method.as_str() {
            "GET" | "HEAD" => objects
                .get(&question.key)
                .map_or_else(|| error("404 Not Found", "NoSuchKey"), |object| content(&question, object)),
            "PUT" => put(&mut objects, question, conditions),
            "DELETE" => {
                objects.remove(&question.key);
                reply("204 No Content", "", b"")
            }
            // Azure removes files in batches, here of one.
            "POST" if question.query.contains("comp=batch") => {
                let body = String::from_utf8_lossy(&question.body).into_owned();
                let target = body.lines().find_map(|line| line.strip_prefix("DELETE /")?.split_whitespace().next());
                let key = decoded(target.expect("a file")).split_once('/').expect("a container").1.to_owned();
                objects.remove(&key);
                let part = "--x\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n\
                            HTTP/1.1 202 Accepted\r\n\r\n\r\n--x--\r\n";
                reply("202 Accepted", "Content-Type: multipart/mixed; boundary=x\r\n", part.as_bytes())
            }
            _ => error("405 Method Not Allowed", "MethodNotAllowed"),
        }
    }
}

/// The headers of a version of a file.
fn tag(number: u64) -> String {
    format!("ETag: \"{number}\"\r\nx-goog-generation: {number}\r\n{MODIFIED}")
}

/// A file, or the part of it that was asked for.
fn content(question: &Question, (bytes, number): &(Vec<u8>, u64)) -> Vec<u8> {
    let from: Option<usize> =
        question.header("range").and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
    let (size, tag) = (bytes.len(), tag(*number));
    match from {
        Some(from) => {
            let range = format!("{tag}Content-Range: bytes {from}-{}/{size}\r\n", size - 1);
            reply("206 Partial Content", &range, &bytes[from..])
        }
        None if question.method == "HEAD" => {
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {size}\r\n{tag}\r\n").into()
        }
        None => reply("200 OK", &tag, bytes),
    }
}

/// Writes a file, if it is what the question says that it is.
fn put(objects: &mut Objects, question: Question, conditions: Conditions) -> Vec<u8> {
    let number = objects.get(&question.key).map(|(_, number)| *number);
    let unquoted = |text: &str| text.trim_matches('"').parse::<u64>().ok();
    let mut wanted = None;
    for (name, is_create) in [("if-none-match", true), ("if-match", false), ("x-goog-if-generation-match", false)] {
        if let Some(text) = question.header(name) {
            wanted = Some(if is_create || text == "0" { None } else { unquoted(text) });
        }
    }
    match (wanted, conditions) {
        (Some(_), Conditions::Unknown) => return error("501 Not Implemented", "NotImplemented"),
        (Some(wanted), Conditions::Kept) if wanted != number => {
            return error("412 Precondition Failed", "PreconditionFailed");
        }
        _ => {}
    }
    let next = number.unwrap_or(0) + 1;
    objects.insert(question.key, (question.body, next));
    reply("201 Created", &tag(next), b"")
}

const MODIFIED: &str = "Last-Modified: Sat, 28 Nov 2026 09:00:00 GMT\r\n";

/// An answer.
pub fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// An answer that is an error.
pub fn error(status: &str, code: &str) -> Vec<u8> {
    let body =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>x</Message></Error>");
    reply(status, "", body.as_bytes())
}

fn list(objects: &Objects, prefix: &str, is_azure: bool) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    text.push_str(if is_azure { "<EnumerationResults><Blobs>" } else { "<ListBucketResult>" });
    for (key, (bytes, number)) in objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        let size = bytes.len();
        let _ = if is_azure {
            write!(
                text,
                "<Blob><Name>{key}</Name><Properties><Last-Modified>Sat, 28 Nov 2026 09:00:00 GMT</Last-Modified>\
                 <Content-Length>{size}</Content-Length><Content-Type>x</Content-Type><Etag>{number}</Etag>\
                 </Properties></Blob>"
            )
        } else {
            write!(
                text,
                "<Contents><Key>{key}</Key><LastModified>2026-11-28T09:00:00.000Z</LastModified><Size>{size}</Size>\
                 <ETag>\"{number}\"</ETag></Contents>"
            )
        };
    }
    text.push_str(if is_azure { "</Blobs><NextMarker /></EnumerationResults>" } else { "</ListBucketResult>" });
    text
}

fn value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| Some(decoded(pair.strip_prefix(name)?.strip_prefix('=')?)))
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("text")
}

fn read(stream: &mut TcpStream) -> io::Result<Question> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    let lower = |line: &str| {
        line.split_once(':').map_or(String::new(), |(name, value)| format!("{}:{value}\n", name.to_ascii_lowercase()))
    };
    let headers: String = rest.lines().map(lower).collect();
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while body.len() < length {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => body.extend_from_slice(&buffer[..read]),
        }
    }
    let mut words = first.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decoded(path);
    let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key).to_owned();
    Ok(Question { number: 0, method, key, query: query.to_owned(), headers, body })
}
