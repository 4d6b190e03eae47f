//! Real sockets against the real accept loop.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    http::StatusCode,
    routing::{get, post},
};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::*;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);
const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<DrainReport>,
    /// Handlers of `/slow` that are running.
    running: Arc<AtomicUsize>,
}

fn settings() -> TransportSettings {
    TransportSettings {
        header_timeout: LONG,
        body_timeout: LONG,
        max_connections: 64,
        drain_timeout: LONG,
        tls: None,
        trusted_proxies: Vec::new(),
    }
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

async fn start(settings: TransportSettings, idle_bound: Duration) -> Server {
    let running = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&running);
    let slow = move || async move {
        counted.fetch_add(1, SeqCst);
        let _running = Running(counted);
        sleep(SHORT * 3).await;
        "slow"
    };
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/who", get(|Extension(who): Extension<ClientAddress>| async move { who.0.to_string() }))
        .route("/slow", get(slow))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
        .route("/echo", post(echo));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(serve_with_idle_bound(listener, router, settings, idle_bound, async {
        stopped.await.unwrap();
    }));
    Server { address, stop, ended, running }
}

async fn echo(body: Body) -> (StatusCode, String) {
    match to_bytes(body, 1 << 20).await {
        Ok(bytes) => (StatusCode::OK, bytes.len().to_string()),
        Err(error) if BodyTimeout::caused(&error) => (StatusCode::REQUEST_TIMEOUT, String::new()),
        Err(_) => (StatusCode::BAD_REQUEST, String::new()),
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) -> DrainReport {
        self.stop.send(()).unwrap();
        timeout(LONG, self.ended).await.unwrap().unwrap()
    }

    async fn wait_for_running(&self, count: usize) {
        let wait = async {
            while self.running.load(SeqCst) != count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), wait).await.expect("handlers should start or end");
    }
}

/// What the server sends until `end` stands in it, or until the connection ends.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut received = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    let reading = async {
        while !String::from_utf8_lossy(&received).contains(end) {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(count) => received.extend_from_slice(&chunk[..count]),
            }
        }
    };
    timeout(LONG, reading).await.expect("the server should answer or hang up");
    String::from_utf8_lossy(&received).into_owned()
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &[u8], end: &str) -> String {
    stream.write_all(request).await.unwrap();
    read_until(stream, end).await
}

/// Ends when the server has closed the connection, and says how long that took.
async fn until_closed(stream: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    read_until(stream, "\0").await;
    begun.elapsed()
}

#[tokio::test]
async fn a_slow_head_is_cut() {
    let server = start(TransportSettings { header_timeout: SHORT, ..settings() }, LONG).await;
    // The second and third never get past the point where the protocol is known; hyper has no clock for them.
    for beginning in [&b"GET / HTTP/1.1\r\nhost: "[..], b"", b"PRI * HT"] {
        let mut stream = server.connect().await;
        stream.write_all(beginning).await.unwrap();
        let took = until_closed(&mut stream).await;
        assert!(took < SHORT * 10, "{took:?}");
    }
    let mut trickling = server.connect().await;
    let begun = Instant::now();
    for byte in GET.iter().cycle().take(30).filter(|byte| **byte != b'\r') {
        if trickling.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(SHORT / 10).await;
    }
    assert_eq!(read_until(&mut trickling, "\0").await, "");
    assert!(begun.elapsed() < SHORT * 10);
}

#[tokio::test]
async fn a_slow_body_is_an_error_that_says_so() {
    let server = start(TransportSettings { body_timeout: SHORT, ..settings() }, LONG).await;
    let head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n";
    let mut silent = server.connect().await;
    assert!(ask(&mut silent, head, "\r\n\r\n").await.starts_with("HTTP/1.1 408"));

    // Each byte comes well within the time, all of them together don't.
    let stream = server.connect().await;
    let (mut receive, mut send) = stream.into_split();
    let sending = tokio::spawn(async move {
        send.write_all(head).await.unwrap();
        for _ in 0..100 {
            if send.write_all(b"x").await.is_err() {
                break;
            }
            sleep(SHORT / 10).await;
        }
    });
    let begun = Instant::now();
    assert!(read_until(&mut receive, "\r\n\r\n").await.starts_with("HTTP/1.1 408"));
    assert!(begun.elapsed() < SHORT * 5);
    sending.abort();

    let mut prompt = server.connect().await;
    let whole = [&head[..], &[b'x'; 100]].concat();
    assert!(ask(&mut prompt, &whole, "100").await.ends_with("\r\n\r\n100"));
}

#[tokio::test]
async fn one_connection_too_many_waits_and_is_served() {
    let server = start(TransportSettings { max_connections: 2, ..settings() }, LONG).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for stream in [&mut first, &mut second] {
        assert!(ask(stream, GET, "hello").await.ends_with("hello"));
    }
    let mut third = server.connect().await;
    third.write_all(GET).await.unwrap();
    assert!(timeout(SHORT, third.read_u8()).await.is_err(), "the third should wait");
    drop(first);
    assert!(read_until(&mut third, "hello").await.ends_with("hello"));
}

#[tokio::test]
async fn idle_connections_and_clients_that_do_not_read_are_cut() {
    let server = start(TransportSettings { header_timeout: SHORT, ..settings() }, SHORT).await;
    let mut idle = server.connect().await;
    ask(&mut idle, GET, "hello").await;
    assert!(until_closed(&mut idle).await < SHORT * 10);

    let mut deaf = server.connect().await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    sleep(SHORT * 5).await;
    assert!(read_until(&mut deaf, "\0").await.len() < 64 << 20);

    let mut idle_h2 = server.connect().await;
    ask_h2(&mut idle_h2).await;
    assert!(until_closed(&mut idle_h2).await < SHORT * 10);

    // A handler that takes long is no idle connection.
    let mut slow = server.connect().await;
    assert!(ask(&mut slow, b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n", "slow").await.ends_with("slow"));
}

#[tokio::test]
async fn draining_lets_a_running_request_finish() {
    let server = start(settings(), LONG).await;
    let mut idle = server.connect().await;
    ask(&mut idle, GET, "hello").await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.wait_for_running(1).await;
    let (address, running) = (server.address, Arc::clone(&server.running));
    let nobody_comes_in = async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(running.load(SeqCst), 1, "the door should close before the last request ends");
    };
    let begun = Instant::now();
    let (report, answer, ()) = tokio::join!(server.stop(), read_until(&mut busy, "slow"), nobody_comes_in);
    assert!(answer.ends_with("slow"), "{answer}");
    assert_eq!(report, DrainReport { finished: 2, cut: 0 });
    assert!(begun.elapsed() < LONG / 2);
}

#[tokio::test]
async fn draining_cuts_at_the_deadline() {
    let server = start(TransportSettings { drain_timeout: SHORT, ..settings() }, LONG).await;
    let running = Arc::clone(&server.running);
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.wait_for_running(1).await;
    let report = server.stop().await;
    assert_eq!(report, DrainReport { finished: 0, cut: 1 });
    assert_eq!(running.load(SeqCst), 0, "what was cut should be gone");
    assert_eq!(read_until(&mut busy, "slow").await, "");
}

#[tokio::test]
async fn clients_that_hang_up_leave_nothing() {
    let server = start(settings(), LONG).await;
    let mut half_closed = server.connect().await;
    half_closed.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.wait_for_running(1).await;
    half_closed.shutdown().await.unwrap();
    server.wait_for_running(0).await;

    for turn in 0..1_000 {
        let mut stream = server.connect().await;
        let request: &[u8] = match turn % 4 {
            0 => b"",
            1 => b"GET / HT",
            2 => b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc",
            _ => GET,
        };
        stream.write_all(request).await.unwrap();
    }
    let mut last = server.connect().await;
    ask(&mut last, GET, "hello").await;
    drop(last);
    sleep(SHORT).await;
    assert_eq!(server.stop().await, DrainReport { finished: 0, cut: 0 });
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = start(settings(), LONG).await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert!(ask(&mut server.connect().await, many.as_bytes(), "\r\n\r\n").await.starts_with("HTTP/1.1 431"));
    let large = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(65 * 1024));
    assert!(ask(&mut server.connect().await, large.as_bytes(), "\r\n\r\n").await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn the_client_address_comes_from_trusted_proxies_only() {
    let request = b"GET /who HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 198.51.100.1\r\n\r\n";
    let server = start(settings(), LONG).await;
    assert!(ask(&mut server.connect().await, request, ".0.1").await.ends_with("127.0.0.1"));
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server = start(TransportSettings { trusted_proxies, ..settings() }, LONG).await;
    assert!(ask(&mut server.connect().await, request, ".100.1").await.ends_with("198.51.100.1"));
}

#[tokio::test]
async fn tls_serves_both_protocols_and_does_not_wait_for_a_handshake() {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
    std::fs::write(&cert_file, identity.cert.pem()).unwrap();
    std::fs::write(&key_file, identity.signing_key.serialize_pem()).unwrap();
    let tls = Some(load_tls(&cert_file, &key_file).unwrap());
    let server = start(TransportSettings { tls, header_timeout: SHORT * 3, ..settings() }, LONG).await;

    let mut silent = server.connect().await;
    assert!(until_closed(&mut silent).await < SHORT * 15);

    let certificate = identity.cert.der();
    let mut h1 = connect_tls(&server, certificate, b"http/1.1").await;
    assert!(ask(&mut h1, GET, "hello").await.ends_with("hello"));
    let mut h2 = connect_tls(&server, certificate, b"h2").await;
    ask_h2(&mut h2).await;
}

async fn connect_tls(
    server: &Server,
    certificate: &CertificateDer<'static>,
    protocol: &[u8],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let stream =
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    stream
}

/// `GET /` in HTTP/2, written by hand: preface, empty SETTINGS, one HEADERS frame that ends head and stream.
async fn ask_h2(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    request.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    request.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a']);
    assert!(ask(stream, &request, "hello").await.contains("hello"));
}

#[tokio::test]
async fn a_slow_head_is_cut_on_a_used_connection_too() {
    let server = start(TransportSettings { header_timeout: SHORT, ..settings() }, LONG).await;
    let mut stream = server.connect().await;
    ask(&mut stream, GET, "hello").await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    assert!(until_closed(&mut stream).await < SHORT * 10);
}
