//! One connection, from the handshake to its end.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;
use tracing::debug;

use super::{
    ClientAddress, TransportSettings,
    activity::{Activity, Noted},
    body::TimedBody,
};

/// Bounds the head of an HTTP/1 request and what is buffered of its body.
const HTTP1_BUFFER: usize = 64 * 1024;
const HTTP2_HEADER_LIST: u32 = 64 * 1024;
const HTTP2_STREAMS: u32 = 256;

/// What all connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// Finish what is running, take nothing new.
    Draining,
    /// End now.
    Cut,
}

/// What all connections have in common.
pub(super) struct Shared {
    router: Router,
    settings: TransportSettings,
    idle_bound: Duration,
    builder: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
}

impl Shared {
    pub(super) fn new(router: Router, settings: TransportSettings, idle_bound: Duration) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        // `max_headers` stays at hyper's 100: setting it costs an allocation a request.
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.header_timeout)
            // A client that has said all it has to say may still listen.
            .half_close(true)
            .max_buf_size(HTTP1_BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS)
            .max_header_list_size(HTTP2_HEADER_LIST);
        let tls = settings.tls.clone().map(TlsAcceptor::from);
        Self { router, settings, idle_bound, builder, tls }
    }
}

/// Serves one connection to its end, which always comes: each wait in here has a bound.
pub(super) async fn run(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr, mut phase: watch::Receiver<Phase>) {
    let Some(tls) = &shared.tls else {
        return serve(&shared, stream, peer, phase).await;
    };
    let handshake = timeout(shared.settings.header_timeout, tls.accept(stream));
    let accepted = tokio::select! {
        accepted = handshake => accepted,
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
    };
    match accepted {
        Ok(Ok(stream)) => serve(&shared, stream, peer, phase).await,
        Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => debug!(%peer, "TLS handshake took too long"),
    }
}

async fn serve<S>(shared: &Shared, stream: S, peer: SocketAddr, mut phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let header_timeout = shared.settings.header_timeout;
    let service = service_fn(|mut request: Request<Incoming>| {
        let working = activity.request();
        let address = ClientAddress::find(peer.ip(), request.headers(), &shared.settings.trusted_proxies);
        request.extensions_mut().insert(address);
        let deadline = Instant::now() + shared.settings.body_timeout;
        let response = shared.router.clone().call(request.map(|body| TimedBody::new(body, deadline)));
        async move {
            let response = response.await;
            drop(working);
            response
        }
    });
    let io = Noted::new(TokioIo::new(stream), Arc::clone(&activity));
    let mut connection = pin!(shared.builder.serve_connection(io, service));
    let mut timer = pin!(sleep(header_timeout));
    let mut told_to_finish = false;

    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%peer, %error, "connection ended with an error");
                }
                return;
            }
            changed = phase.changed() => {
                if changed.is_err() || *phase.borrow_and_update() == Phase::Cut {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
            () = timer.as_mut() => {
                // hyper starts its own clock for the head only once it knows which protocol is spoken.
                if !activity.has_requests() {
                    debug!(%peer, "no request in time");
                    return;
                }
                let now = Instant::now();
                let bound = if told_to_finish { header_timeout } else { shared.idle_bound };
                let since = activity.quiet_since().unwrap_or(now);
                if now < since + bound {
                    timer.as_mut().reset(since + bound);
                } else if told_to_finish {
                    debug!(%peer, "connection makes no progress");
                    return;
                } else {
                    told_to_finish = true;
                    connection.as_mut().graceful_shutdown();
                    timer.as_mut().reset(now + header_timeout);
                }
            }
        }
    }
}
