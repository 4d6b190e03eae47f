//! Requests to checked addresses.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    AddressPolicy, EgressError, EgressUrl, Host, Refusal,
    resolve::{Resolve, SystemResolver},
};

/// For resolving, connecting, sending and receiving together.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Of the addresses of one host; all are checked.
const MOST_ATTEMPTS: usize = 4;
/// Of an answer, in bytes and in number.
const LARGEST_HEAD: usize = 64 * 1024;
const MOST_HEADERS: usize = 100;

/// Sends requests to addresses that the policy allows, and bounds what comes back in time and size.
pub struct EgressClient {
    policy: AddressPolicy,
    time_limit: Duration,
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
        self.send(url, request, max_bytes).await
    }

    /// `request` brings method, headers and body; where it goes and the header `Host` come from `url` alone.
    async fn send(
        &self,
        url: &EgressUrl,
        request: Request<Bytes>,
        max_bytes: usize,
    ) -> Result<Response<Bytes>, EgressError> {
        let request = addressed(url, request);
        let exchange = async {
            let stream = self.connect(url).await?;
            if url.is_plain_text() {
                exchange(url, stream, request, max_bytes).await
            } else {
                exchange(url, self.secure(url, stream).await?, request, max_bytes).await
            }
        };
        let limit = self.time_limit;
        timeout(limit, exchange).await.unwrap_or_else(|_| Err(EgressError::Timeout { host: url.authority(), limit }))
    }

    /// A connection to one of the host's addresses, all of which are allowed.
    async fn connect(&self, url: &EgressUrl) -> Result<TcpStream, EgressError> {
        let addresses = self.addresses(url).await?;
        let attempts = &addresses[..addresses.len().min(MOST_ATTEMPTS)];
        // A share for each, so that one that swallows packets leaves time for the next.
        let share = self.time_limit / u32::try_from(attempts.len()).unwrap_or(1).max(1);
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

fn addressed(url: &EgressUrl, mut request: Request<Bytes>) -> Request<Full<Bytes>> {
    *request.uri_mut() = url.path_and_query().clone().into();
    let host = HeaderValue::try_from(url.authority()).expect("a host and a port are ASCII");
    request.headers_mut().insert(header::HOST, host);
    let agent = const { concat!("strongroom/", env!("CARGO_PKG_VERSION")) };
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(agent));
    request.map(Full::new)
}

/// One request and its answer over a connection of their own.
async fn exchange(
    url: &EgressUrl,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
    max_bytes: usize,
) -> Result<Response<Bytes>, EgressError> {
    let failed = |source| EgressError::Http { host: url.authority(), source };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LARGEST_HEAD).max_headers(MOST_HEADERS);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.into()))?;
    // Ends with this function, however that ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let (head, body) = sender.send_request(request).await.map_err(|error| failed(error.into()))?.into_parts();
    let body = Limited::new(body, max_bytes).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            EgressError::TooLarge { host: url.authority(), limit: max_bytes }
        } else {
            failed(error)
        }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
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
