//! As much of an HTTP/1.1 client as the tests need: one request at a time, answers with a length.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Long enough for any answer on a busy machine; a test that gets there has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// One connection, opened when needed and again after an error.
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
    stream: Option<TcpStream>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: &str) -> Self {
        Self { address, token: token.to_owned(), stream: None }
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, None)
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> io::Result<Answer> {
        self.send("POST", path, Some(body))
    }

    pub(crate) fn put(&mut self, path: &str, body: &Value) -> io::Result<Answer> {
        self.send("PUT", path, Some(body))
    }

    pub(crate) fn delete(&mut self, path: &str) -> io::Result<Answer> {
        self.send("DELETE", path, None)
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        let body = body.map(Value::to_string);
        let request = request(method, path, &self.token, body.as_deref());
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        stream.write_all(request.as_bytes())?;
        let answer = Answer::read(&mut stream)?;
        if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

/// A connection that doesn't wait for ever.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    connect_within(address, PATIENCE)
}

/// A connection that waits so long for each thing.
pub(crate) fn connect_within(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// The text of a request.
pub(crate) fn request(method: &str, path: &str, token: &str, body: Option<&str>) -> String {
    request_with(method, path, token, &[], body)
}

/// The text of a request with more headers.
pub(crate) fn request_with(
    method: &str,
    path: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: strongroom\r\nauthorization: Bearer {token}\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    if let Some(body) = body {
        write!(text, "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    } else {
        text.push_str("\r\n");
    }
    text
}

impl Answer {
    /// Reads one answer. An end of the connection before the answer's own end is an error.
    pub(crate) fn read(stream: &mut impl Read) -> io::Result<Self> {
        let mut received = Vec::new();
        let head_end = loop {
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            more(stream, &mut received)?;
        };
        let head = String::from_utf8_lossy(&received[..head_end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Self { status: status.ok_or_else(|| malformed(&head))?, headers, body: Vec::new() };
        let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
        let end = head_end + 4 + length.ok_or_else(|| malformed(&head))?;
        while received.len() < end {
            more(stream, &mut received)?;
        }
        answer.body = received.drain(head_end + 4..end).collect();
        Ok(answer)
    }

    /// A header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The revision in `ETag`.
    pub(crate) fn revision(&self) -> Option<i64> {
        self.header("etag")?.trim_matches('"').parse().ok()
    }

    /// The JSON of a success; the caller's test fails at anything else.
    #[track_caller]
    pub(crate) fn success(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }
}

fn more(stream: &mut impl Read, received: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    match stream.read(&mut buffer)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before the answer")),
        read => {
            received.extend_from_slice(&buffer[..read]);
            Ok(())
        }
    }
}

fn malformed(head: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this client can't read an answer with the head {head:?}"))
}
