//! One connection to one host: opened to a checked address, then used for one exchange after the other.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{EgressError, EgressUrl};
use crate::wiped::WipedBuffer;

/// Of an answer, in bytes and in number.
pub(super) const LARGEST_HEAD: usize = 64 * 1024;
pub(super) const MOST_HEADERS: usize = 100;

/// Closed when it is dropped.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    pub(super) opened: Instant,
    driver: Driver,
}

/// What reads and writes. Whoever waits for an answer runs it: on a task of its own each request would wait for that to
/// have its turn, twice.
struct Driver {
    /// Dropped as soon as it has ended: only then does a request that it had not taken yet learn that it was not sent.
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

impl Driver {
    fn new(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        Self { connection: Some(Box::pin(connection)) }
    }

    fn poll(&mut self, task: &mut Context<'_>) {
        // How it ended is told to whoever waits for an answer.
        if self.connection.as_mut().is_some_and(|connection| connection.as_mut().poll(task).is_ready()) {
            self.connection = None;
        }
    }

    /// Waits for what comes of reading and writing.
    async fn drive<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        poll_fn(|task| {
            if let Poll::Ready(done) = awaited.as_mut().poll(task) {
                return Poll::Ready(done);
            }
            self.poll(task);
            // It may have come just now.
            awaited.as_mut().poll(task)
        })
        .await
    }
}

/// An exchange that came to nothing.
pub(super) struct Failed {
    pub(super) error: EgressError,
    /// The request, where surely not a byte of it was sent.
    pub(super) unsent: Option<Request<Full<Bytes>>>,
}

impl Connection {
    pub(super) async fn over(
        url: &EgressUrl,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, EgressError> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(LARGEST_HEAD).max_headers(MOST_HEADERS);
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| EgressError::Http { host: url.authority(), sent: false, source: error.into() })?;
        Ok(Self { sender, opened: Instant::now(), driver: Driver::new(connection) })
    }

    /// Whether it is known that the other side has closed it.
    pub(super) fn is_closed(&mut self) -> bool {
        self.driver.poll(&mut Context::from_waker(Waker::noop()));
        self.driver.connection.is_none() || self.sender.is_closed()
    }

    /// One request and its answer. The body is wiped once nobody has it any more.
    pub(super) async fn exchange(
        &mut self,
        url: &EgressUrl,
        request: Request<Full<Bytes>>,
        max_bytes: usize,
    ) -> Result<Response<Bytes>, Failed> {
        // Fails only where the connection is closed, and then sending tells.
        let _ = self.driver.drive(self.sender.ready()).await;
        let answer = self.sender.try_send_request(request);
        let answered = self.driver.drive(answer).await.map_err(|mut error| {
            let unsent = error.take_message();
            let sent = unsent.is_none();
            let error = EgressError::Http { host: url.authority(), sent, source: error.into_error().into() };
            Failed { error, unsent }
        })?;
        let (head, body) = answered.into_parts();
        let body = self.driver.drive(collect(url, body, max_bytes)).await;
        let body = body.map_err(|error| Failed { error, unsent: None })?;
        Ok(Response::from_parts(head, body))
    }
}

async fn collect(url: &EgressUrl, mut body: Incoming, max_bytes: usize) -> Result<Bytes, EgressError> {
    let too_large = || EgressError::TooLarge { host: url.authority(), limit: max_bytes };
    // What the head announces is neither believed beyond the bound nor waited for.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max_bytes {
        return Err(too_large());
    }
    let mut collected = WipedBuffer::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| EgressError::Http { host: url.authority(), sent: true, source: error.into() })?;
        let Some(data) = frame.data_ref() else { continue };
        if collected.len() + data.len() > max_bytes {
            return Err(too_large());
        }
        collected.extend(data);
    }
    Ok(collected.into_bytes())
}

/// The request as it goes to `url`, and nowhere else.
pub(super) fn addressed(url: &EgressUrl, mut request: Request<Bytes>) -> Request<Full<Bytes>> {
    *request.uri_mut() = url.path_and_query().clone().into();
    let host = http::HeaderValue::try_from(url.authority()).expect("a host and a port are ASCII");
    request.headers_mut().insert(header::HOST, host);
    let agent = const { concat!("strongroom/", env!("CARGO_PKG_VERSION")) };
    request.headers_mut().insert(header::USER_AGENT, http::HeaderValue::from_static(agent));
    request.map(Full::new)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Between the look at a kept connection and the request the other side closes it.
    #[tokio::test]
    async fn a_request_that_meets_the_end_of_its_connection_comes_back_unsent() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let url: EgressUrl = "http://store.example.com/v1".parse().unwrap();
        let mut connection = Connection::over(&url, ours).await.unwrap();
        let request = || addressed(&url, Request::new(Bytes::from_static(b"body")));
        // Only a connection that was used before ends without an error.
        let answered = theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let (first, ()) = tokio::join!(connection.exchange(&url, request(), 10), async { answered.await.unwrap() });
        assert!(first.is_ok() && !connection.is_closed());
        let request = request();
        let mut answer = pin!(connection.sender.try_send_request(request));
        drop(theirs);
        // It ends before it has taken the request.
        let answer = async {
            poll_fn(|task| {
                connection.driver.poll(task);
                answer.as_mut().poll(task)
            })
            .await
        };
        let answered = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("an end");
        let unsent = answered.unwrap_err().take_message();
        assert!(unsent.is_some() && connection.is_closed());
    }
}
