//! What a connection is doing, for the timer that ends those that do nothing.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Instant;

/// Shared by a connection's timer, its socket and its requests.
pub(super) struct Activity {
    begun: Instant,
    requests: AtomicU64,
    working: AtomicU32,
    progress_millis: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            requests: AtomicU64::new(0),
            working: AtomicU32::new(0),
            progress_millis: AtomicU64::new(0),
        })
    }

    /// Notes that a request came in; it counts as being worked on until the guard is dropped.
    pub(super) fn request(self: &Arc<Self>) -> Working {
        self.requests.fetch_add(1, Relaxed);
        self.working.fetch_add(1, Relaxed);
        self.progressed();
        Working(Arc::clone(self))
    }

    /// Whether any request ever came in.
    pub(super) fn has_requests(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// Since when nothing has happened; `None` while the app works on a request, however long that takes.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        (self.working.load(Relaxed) == 0)
            .then(|| self.begun + Duration::from_millis(self.progress_millis.load(Relaxed)))
    }

    fn progressed(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress_millis.store(millis, Relaxed);
    }
}

/// A request that the app is working on.
pub(super) struct Working(Arc<Activity>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.progressed();
        self.0.working.fetch_sub(1, Relaxed);
    }
}

/// A socket that notes when the client takes bytes. Reads are no progress: a client may send without end.
pub(super) struct Noted<I> {
    inner: I,
    activity: Arc<Activity>,
}

impl<I> Noted<I> {
    pub(super) fn new(inner: I, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl<I: Read + Unpin> Read for Noted<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<I: Write + Unpin> Write for Noted<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        self.activity.progressed();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs));
        self.activity.progressed();
        Poll::Ready(written)
    }
}
