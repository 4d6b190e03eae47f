//! The leanest HTTP/1.1 client that is still honest: one keep-alive connection, one request at a time, answers read to
//! their end by `Content-Length`. A generic client would spend more of the shared cores than some of the servers do.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer read to its end.
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects, with Nagle's delay off.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8 * 1024) })
    }

    /// Sends a whole request and reads the whole answer. After an error the connection is of no more use.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Response<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.fill().await?;
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
        };
        let end = head.length + head.content_length;
        while self.buffer.len() < end {
            self.fill().await?;
        }
        if self.buffer.len() > end {
            return Err(malformed("bytes after the answer's end"));
        }
        Ok(Response { status: head.status, body: &self.buffer[head.length..end] })
    }

    async fn fill(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes up to and with the empty line.
    length: usize,
    content_length: usize,
}

impl Head {
    /// `None` until the head is complete.
    fn parse(received: &[u8]) -> Result<Option<Self>> {
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&received[..end]).map_err(|_| malformed("a head that is not text"))?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|line| line.get(..3)?.parse().ok())
            .ok_or_else(|| malformed("no HTTP/1.1 status line"))?;
        let mut content_length = None;
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header line without a colon"))?;
            if name.eq_ignore_ascii_case("content-length") {
                let length = value.trim().parse().map_err(|_| malformed("a Content-Length that is no number"))?;
                content_length = Some(length);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(malformed("a chunked answer: this client reads answers with a Content-Length only"));
            }
        }
        let content_length = match content_length {
            Some(length) => length,
            None if status == 204 => 0,
            None => return Err(malformed("an answer without Content-Length")),
        };
        Ok(Some(Self { status, length: end + 4, content_length }))
    }
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\netag: \"1\"\r\n\r\n{\"a\":\"b\"}";
        assert_eq!(Head::parse(&answer[..30]).unwrap(), None);
        let head = Head::parse(answer).unwrap();
        assert_eq!(head, Some(Head { status: 200, length: answer.len() - 9, content_length: 12 }));
    }

    #[test]
    fn an_answer_without_content_needs_no_length() {
        let head = Head::parse(b"HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.status, head.content_length), (204, 0));
    }

    #[test]
    fn what_it_cannot_frame_is_an_error() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nDate: today\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            b"SSH-2.0-server\r\n\r\n",
        ] {
            assert!(Head::parse(answer).is_err());
        }
    }
}
