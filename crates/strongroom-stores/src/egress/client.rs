//! Requests to checked addresses.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    AddressPolicy, EgressError, EgressUrl, Host, Refusal,
    connection::{Connection, addressed},
    pool::{End, KeepAlive, Pool},
    resolve::{Resolve, SystemResolver},
};

/// For resolving, connecting, sending and receiving together.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Of the addresses of one host; all are checked.
const MOST_ATTEMPTS: usize = 4;
/// What one request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// For resolving, connecting, sending and receiving together.
    pub time: Duration,
    /// The longest body of an answer, in bytes.
    pub bytes: usize,
}

/// Sends requests to addresses that the policy allows, and bounds what comes back in time and size.
pub struct EgressClient {
    policy: AddressPolicy,
    time_limit: Duration,
    /// Without it each request has a connection of its own.
    pool: Option<Pool>,
    resolver: Arc<dyn Resolve>,
    /// Believed beside the system's CAs.
    extra_roots: Vec<CertificateDer<'static>>,
    /// Made at the first use: reading the system's CAs takes a while, and many installations never need them.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl EgressClient {
    /// A client under `policy`. A request may take ten seconds.
    #[must_use]
    pub fn new(policy: AddressPolicy) -> Self {
        Self {
            policy,
            time_limit: TIME_LIMIT,
            pool: None,
            resolver: Arc::new(SystemResolver),
            extra_roots: Vec::new(),
            tls: OnceLock::new(),
        }
    }

    /// The same with another bound on the time of a request.
    #[must_use]
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// The same, leaving connections open for the next request to the same host.
    #[must_use]
    pub fn keeping_connections(self, bounds: KeepAlive) -> Self {
        Self { pool: Some(Pool::new(bounds)), ..self }
    }

    /// The same, believing one more CA.
    #[must_use]
    pub fn with_root(mut self, root: CertificateDer<'static>) -> Self {
        self.extra_roots.push(root);
        self
    }

    /// Whether the policy refuses `url` already by what is written there: an address, or this machine's name. What other
    /// names stand for is found out when they are called.
    pub fn check(&self, url: &EgressUrl) -> Result<(), Refusal> {
        let check = |address| {
            if url.is_plain_text() { self.policy.check_plain_text(address) } else { self.policy.check(address) }
        };
        match url.host() {
            Host::Address(address) => check(*address),
            Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
                check(Ipv4Addr::LOCALHOST.into()).or_else(|_| check(Ipv6Addr::LOCALHOST.into()))
            }
            Host::Name(_) => Ok(()),
        }
    }

    /// What is at `url`: whatever status the server answers with, redirects too, and a body of at most `max_bytes`.
    pub async fn get(&self, url: &EgressUrl, max_bytes: usize) -> Result<Response<Bytes>, EgressError> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        self.send(url, request, Bounds { time: self.time_limit, bytes: max_bytes }).await
    }

    /// `request` brings method, headers and body; where it goes and the header `Host` come from `url` alone. Sent once:
    /// a second time only where surely nothing of it went out over a connection that had died while it was kept. The
    /// answer's body is wiped when the last clone of it is dropped.
    pub async fn send(
        &self,
        url: &EgressUrl,
        request: Request<Bytes>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, EgressError> {
        let deadline = Instant::now() + bounds.time;
        let timed_out = |sent| EgressError::Timeout { host: url.authority(), limit: bounds.time, sent };
        let mut request = addressed(url, request);
        let end = End::of(url);
        while let Some(mut kept) = self.pool.as_ref().and_then(|pool| pool.take(&end)) {
            let ended = timeout_at(deadline, kept.exchange(url, request, bounds.bytes)).await;
            match ended.map_err(|_| timed_out(true))? {
                Ok(answer) => {
                    self.keep(end, kept);
                    return Ok(answer);
                }
                Err(failed) => {
                    self.pool.as_ref().inspect(|pool| pool.forget(&end));
                    request = failed.unsent.ok_or(failed.error)?;
                }
            }
        }
        let opened = timeout_at(deadline, self.open(url, bounds.time)).await;
        let mut connection = opened.map_err(|_| timed_out(false))??;
        let ended = timeout_at(deadline, connection.exchange(url, request, bounds.bytes)).await;
        let answer = ended.map_err(|_| timed_out(true))?.map_err(|failed| failed.error)?;
        self.keep(end, connection);
        Ok(answer)
    }

    fn keep(&self, end: End, connection: Connection) {
        if let Some(pool) = &self.pool {
            pool.put(end, connection);
        }
    }

    /// A new connection to one of the host's addresses.
    async fn open(&self, url: &EgressUrl, time: Duration) -> Result<Connection, EgressError> {
        let stream = self.connect(url, time).await?;
        if url.is_plain_text() {
            Connection::over(url, stream).await
        } else {
            Connection::over(url, self.secure(url, stream).await?).await
        }
    }

    /// A connection to one of the host's addresses, all of which are allowed.
    async fn connect(&self, url: &EgressUrl, time: Duration) -> Result<TcpStream, EgressError> {
        let addresses = self.addresses(url).await?;
        let attempts = &addresses[..addresses.len().min(MOST_ATTEMPTS)];
        // A share for each, so that one that swallows packets leaves time for the next.
        let share = time / u32::try_from(attempts.len()).unwrap_or(1).max(1);
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in attempts {
            match timeout(share, TcpStream::connect(SocketAddr::new(*address, url.port()))).await {
                Ok(Ok(stream)) => {
                    // Without it the end of a body may wait for an acknowledgement; it's no loss where it isn't had.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = error,
                Err(_) => failed = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(EgressError::Connect { host: url.authority(), source: failed })
    }

    /// The host's addresses. One that must not be reached spoils them all: a name that points both ways is either a
    /// mistake or an attempt.
    async fn addresses(&self, url: &EgressUrl) -> Result<Vec<IpAddr>, EgressError> {
        let addresses = match url.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let resolved = self.resolver.resolve(name).await;
                resolved.map_err(|source| EgressError::Resolve { host: url.authority(), source })?
            }
        };
        for address in &addresses {
            let verdict =
                if url.is_plain_text() { self.policy.check_plain_text(*address) } else { self.policy.check(*address) };
            verdict.map_err(|refusal| EgressError::Refused { host: url.authority(), refusal })?;
        }
        Ok(addresses)
    }

    async fn secure(
        &self,
        url: &EgressUrl,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, EgressError> {
        let failed = |source| EgressError::Tls { host: url.authority(), source };
        let name = match url.host() {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| failed(error.into()))?,
            Host::Address(address) => ServerName::IpAddress((*address).into()),
        };
        let config = if let Some(config) = self.tls.get() {
            config
        } else {
            let config = tls_config(&self.extra_roots).map_err(|error| failed(error.into()))?;
            self.tls.get_or_init(|| Arc::new(config))
        };
        TlsConnector::from(config.clone()).connect(name, stream).await.map_err(|error| failed(error.into()))
    }
}

/// Never with the process's default provider: another library may have set it.
fn tls_config(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    // What can't be read of the system's is missing, and the handshake says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(extra_roots.iter().cloned());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let mut config = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "pool_tests.rs"]
mod pool_tests;
