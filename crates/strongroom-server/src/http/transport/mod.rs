//! The accept loop: sockets in, an [`axum::Router`] behind, bounds on everything a client may take.
//!
//! What a client may cost is bounded in time and number: TLS handshake and request head by `header_timeout`, the whole
//! request body by `body_timeout`, a connection that makes no progress by [`IDLE_BOUND`], the number of connections by
//! `max_connections`. Beyond that number clients wait in the kernel's backlog; nothing is refused and nothing grows.

mod activity;
mod body;
mod client_address;
mod connection;
mod tls;

#[cfg(test)]
mod tests;

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use strongroom_domain::Network;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tracing::{info, warn};

use self::connection::{Phase, Shared};
pub use self::{
    body::BodyTimeout,
    client_address::ClientAddress,
    tls::{TlsError, load_tls},
};

/// How long a connection may make no progress: idle between HTTP/2 requests, or not taking the answer it asked for.
///
/// Longer than the 60 seconds after which common load balancers close from their side, so that they, who know of it,
/// are the ones to close. Idle HTTP/1 connections are closed sooner, after `header_timeout`.
pub const IDLE_BOUND: Duration = Duration::from_secs(75);

/// How long tasks that were told to end at once may take to be gone.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// The bounds that a server keeps its clients within.
#[derive(Clone)]
pub struct TransportSettings {
    /// Time for a TLS handshake, for the first request to begin, and for each request head; also the longest time that
    /// an HTTP/1 connection may be idle.
    pub header_timeout: Duration,
    /// Time from a request's head until its body is there in full. Slow trickles don't extend it.
    pub body_timeout: Duration,
    /// Connections open at once, at least 1; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// How long running requests may go on after the shutdown signal.
    pub drain_timeout: Duration,
    /// Speak TLS with this; plain text when `None`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// What became of the connections that were open when the shutdown began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Ended by themselves within the drain time.
    pub finished: usize,
    /// Cut off at its end.
    pub cut: usize,
}

/// Serves `router` on `listener` until `shutdown` completes, then drains.
///
/// Never ends for an error: what goes wrong with one client is that client's, and a failing `accept` is tried again.
/// Each request carries its [`ClientAddress`] as an extension.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: TransportSettings,
    shutdown: impl Future<Output = ()>,
) -> DrainReport {
    serve_with_idle_bound(listener, router, settings, IDLE_BOUND, shutdown).await
}

async fn serve_with_idle_bound(
    listener: TcpListener,
    router: Router,
    settings: TransportSettings,
    idle_bound: Duration,
    shutdown: impl Future<Output = ()>,
) -> DrainReport {
    let capacity = u32::try_from(settings.max_connections.max(1))
        .unwrap_or(u32::MAX)
        .min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
    let slots = Arc::new(Semaphore::new(capacity as usize));
    let drain_timeout = settings.drain_timeout;
    let shared = Arc::new(Shared::new(router, settings, idle_bound));
    let (phase, _) = watch::channel(Phase::Serving);

    let accepting = async {
        loop {
            // The slot is taken before the connection: without one there is nothing to accept it into.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let (stream, peer) = accept(&listener).await;
            let connection = connection::run(Arc::clone(&shared), stream, peer, phase.subscribe());
            tokio::spawn(async move {
                connection.await;
                drop(slot);
            });
        }
    };
    tokio::select! {
        biased;
        () = pin!(shutdown) => {}
        () = accepting => {}
    }
    drop(listener);

    let open = || capacity as usize - slots.available_permits();
    let all_gone = || slots.acquire_many(capacity);
    let at_start = open();
    phase.send_replace(Phase::Draining);
    let cut = if timeout(drain_timeout, all_gone()).await.is_ok() {
        0
    } else {
        let cut = open();
        phase.send_replace(Phase::Cut);
        if timeout(CUT_GRACE, all_gone()).await.is_err() {
            warn!(open = open(), "connections still open after they were cut");
        }
        cut
    };
    let report = DrainReport { finished: at_start.saturating_sub(cut), cut };
    info!(finished = report.finished, cut = report.cut, "connections drained");
    report
}

/// The next connection, however often `accept` fails first.
async fn accept(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr) {
    const FIRST_PAUSE: Duration = Duration::from_millis(10);
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // An answer is small and complete: waiting for more to send only costs the client time. A socket that
                // is dead already says so here and again at the first read, where it is handled.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if concerns_one_client(&error) => {}
            // Out of descriptors or memory: the connection stays in the backlog and `accept` would spin.
            Err(error) => {
                warn!(%error, pause_ms = pause.as_millis(), "accepting a connection failed; trying again");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
