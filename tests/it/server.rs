//! An HTTP server on the loopback that answers as a test tells it, also over TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A request.
pub struct Request {
    /// How many came before it.
    pub number: usize,
    /// Its head in lower case.
    pub head: String,
    /// Where the range begins that it asks for.
    pub range: Option<usize>,
}

impl Request {
    /// The value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A server; its threads end with the tests.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts one. `answer` writes what it likes; the connection is closed when it returns.
    pub fn start(answer: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::with(None, answer)
    }

    /// Starts one that speaks TLS.
    pub fn start_tls(
        config: rustls::ServerConfig,
        answer: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::with(Some(Arc::new(config)), answer)
    }

    fn with(
        tls: Option<Arc<rustls::ServerConfig>>,
        answer: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let heads = Arc::new(Mutex::new(Vec::new()));
        let server = Self { address, scheme, heads: Arc::clone(&heads) };
        let (answer, count) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, count, heads, tls) = (answer.clone(), count.clone(), heads.clone(), tls.clone());
                std::thread::spawn(move || {
                    let serve = |stream: &mut dyn ReadWrite| {
                        let request = read_request(stream, &count)?;
                        heads.lock().expect("the list").push(request.head.clone());
                        answer(&request, stream)
                    };
                    // A client that has gone, or does not trust the certificate, is no fault of the server's.
                    let _gone = match tls {
                        None => serve(&mut { stream }),
                        Some(config) => {
                            let connection = rustls::ServerConnection::new(config).expect("a connection");
                            let mut stream = rustls::StreamOwned::new(connection, stream);
                            let done = serve(&mut stream).and_then(|()| {
                                stream.conn.send_close_notify();
                                stream.flush()
                            });
                            if done.is_err() {
                                // A client whose words were not read would hear of a broken connection, and not why.
                                let _gone = stream.sock.shutdown(Shutdown::Write);
                                let _gone = io::copy(&mut stream.sock, &mut io::sink());
                            }
                            done
                        }
                    };
                });
            }
        });
        server
    }

    /// `http://127.0.0.1:4242`, with a user and password if there is one: `user:password@`.
    pub fn base(&self, user: &str) -> String {
        format!("{}://{user}{}", self.scheme, self.address)
    }

    /// A mirror's URL.
    pub fn mirror(&self) -> String {
        format!("{}/{{version}}/{{file}}", self.base(""))
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("the list").clone()
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn read_request(stream: &mut dyn ReadWrite, count: &AtomicUsize) -> io::Result<Request> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    Ok(Request { number: count.fetch_add(1, Ordering::SeqCst), head, range })
}

/// An answer.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A whole file.
pub fn whole(file: &[u8]) -> Vec<u8> {
    response("200 OK", &format!("Content-Length: {}\r\n", file.len()), file)
}

/// A file that ends too early.
pub fn cut(file: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = whole(file);
    bytes.truncate(bytes.len() - (file.len() - at));
    bytes
}

/// The rest of a file.
pub fn rest(from: usize, file: &[u8]) -> Vec<u8> {
    let headers = format!(
        "Content-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\n",
        file.len() - from,
        file.len() - 1,
        file.len()
    );
    response("206 Partial Content", &headers, &file[from..])
}

/// An answer without a body.
pub fn empty(status: &str) -> Vec<u8> {
    response(status, "Content-Length: 0\r\n", b"")
}

/// Sends the client to another URL.
pub fn redirect(to: &str) -> Vec<u8> {
    response("302 Found", &format!("Location: {to}\r\nContent-Length: 0\r\n"), b"")
}
