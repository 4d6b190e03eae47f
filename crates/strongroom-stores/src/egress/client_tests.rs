use std::{future::Future, sync::Mutex};

use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::egress::{
    Refusal,
    connection::{LARGEST_HEAD, MOST_HEADERS},
};

const LIMIT: usize = 1_000;

/// A server that answers each request with the same bytes, and tells the heads that it got.
struct Server {
    port: u16,
    heads: mpsc::UnboundedReceiver<String>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(tls: Option<TlsAcceptor>, answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, heads) = mpsc::unbounded_channel();
        let answer: Arc<[u8]> = answer.into().into();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, answer, tell) = (tls.clone(), answer.clone(), tell.clone());
                connections.spawn(async move {
                    match tls {
                        None => answer_one(stream, &answer, &tell).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer_one(stream, &answer, &tell).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, heads, _task: task }
    }

    fn url(&self, path: &str) -> EgressUrl {
        format!("http://127.0.0.1:{}{path}", self.port).parse().unwrap()
    }

    /// Nobody asked for anything that wasn't told yet.
    fn is_quiet(&mut self) -> bool {
        self.heads.try_recv().is_err()
    }
}

async fn answer_one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
    tell: &mpsc::UnboundedSender<String>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    tell.send(String::from_utf8(head).unwrap()).unwrap();
    let _ = stream.write_all(answer).await;
    // An answer without its end stays open until the client goes.
    let _ = stream.read_u8().await;
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nx-test: yes\r\n\r\n{body}", body.len())
}

fn local() -> AddressPolicy {
    AddressPolicy { deny_private: false, allow: vec!["127.0.0.0/8".parse().unwrap()] }
}

/// The DNS of a test: what it says each time, the last answer again and again.
struct Dns(Mutex<Vec<Vec<IpAddr>>>);

impl Dns {
    fn saying(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

#[async_trait::async_trait]
impl Resolve for Dns {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

pub(super) fn with_dns(policy: AddressPolicy, answers: &[&[&str]]) -> EgressClient {
    EgressClient { resolver: Dns::saying(answers), ..EgressClient::new(policy) }
}

#[tokio::test]
async fn gets_status_headers_and_body() {
    let mut server = Server::start(None, ok("hello")).await;
    let answer = EgressClient::new(local()).get(&server.url("/keys?a=b"), LIMIT).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-test"], "yes");
    assert_eq!(answer.body(), "hello");
    let head = server.heads.recv().await.unwrap();
    assert!(head.starts_with("GET /keys?a=b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)), "{head}");
}

#[tokio::test]
async fn loopback_is_refused_unless_listed() {
    let mut server = Server::start(None, ok("")).await;
    for scheme in ["http", "https"] {
        for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "localhost"] {
            let url = format!("{scheme}://{host}:{}/", server.port).parse().unwrap();
            let error = EgressClient::new(AddressPolicy::default()).get(&url, LIMIT).await.unwrap_err();
            assert!(matches!(error, EgressError::Refused { refusal: Refusal::Address { .. }, .. }), "{error}");
            assert!(error.to_string().contains("STRONGROOM_EGRESS_ALLOW"), "{error}");
        }
    }
    assert!(server.is_quiet());
}

#[tokio::test]
async fn plain_text_goes_to_listed_addresses_only() {
    let url = "http://vault.example/".parse().unwrap();
    let error = with_dns(local(), &[&["203.0.113.9"]]).get(&url, LIMIT).await.unwrap_err();
    assert!(matches!(error, EgressError::Refused { refusal: Refusal::PlainText { .. }, .. }), "{error}");
}

#[tokio::test]
async fn one_forbidden_address_among_several_spoils_the_name() {
    let mut server = Server::start(None, ok("")).await;
    let url = format!("http://vault.example:{}/", server.port).parse().unwrap();
    for addresses in [&["127.0.0.1", "169.254.169.254"], &["::1", "127.0.0.1"]] {
        let error = with_dns(local(), &[addresses]).get(&url, LIMIT).await.unwrap_err();
        assert!(matches!(error, EgressError::Refused { .. }), "{error}");
    }
    assert!(server.is_quiet());
}

#[tokio::test]
async fn a_name_is_resolved_once() {
    let server = Server::start(None, ok("checked")).await;
    let url = format!("http://vault.example:{}/", server.port).parse().unwrap();
    // A second question would get the metadata service: refused, or worse, reached.
    let client = with_dns(local(), &[&["127.0.0.1"], &["169.254.169.254"]]);
    assert_eq!(client.get(&url, LIMIT).await.unwrap().body(), "checked");
    assert!(matches!(client.get(&url, LIMIT).await, Err(EgressError::Refused { .. })));
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let server = Server::start(None, ok("second")).await;
    let url = format!("http://vault.example:{}/", server.port).parse().unwrap();
    // Nobody listens at the first.
    let client = with_dns(local(), &[&["127.9.9.9", "127.0.0.1"]]);
    assert_eq!(client.get(&url, LIMIT).await.unwrap().body(), "second");
    let nobody = with_dns(local(), &[&["127.9.9.9"]]).get(&url, LIMIT).await.unwrap_err();
    assert!(matches!(nobody, EgressError::Connect { .. }), "{nobody}");
    let none = with_dns(local(), &[&[]]).get(&url, LIMIT).await.unwrap_err();
    assert!(matches!(none, EgressError::Connect { .. }), "{none}");
}

#[tokio::test]
async fn redirects_are_answers() {
    let mut target = Server::start(None, ok("stolen")).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", target.port);
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let server = Server::start(None, format!("HTTP/1.1 {status}\r\n{location}content-length: 0\r\n\r\n")).await;
        let answer = EgressClient::new(local()).get(&server.url("/"), LIMIT).await.unwrap();
        assert!(answer.status().is_redirection());
        assert_eq!(answer.body(), "");
    }
    assert!(target.is_quiet());
}

#[tokio::test]
async fn a_body_may_be_as_long_as_asked_for() {
    let fits = "a".repeat(LIMIT);
    let server = Server::start(None, ok(&fits)).await;
    let client = EgressClient::new(local());
    assert_eq!(client.get(&server.url("/"), LIMIT).await.unwrap().body(), &fits);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{0}{0}{0}",
        format_args!("200\r\n{}\r\n", "b".repeat(512))
    );
    for answer in [ok(&"a".repeat(LIMIT + 1)), chunked, "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"c".repeat(2 * LIMIT)] {
        let server = Server::start(None, answer).await;
        let error = client.get(&server.url("/"), LIMIT).await.unwrap_err();
        assert!(matches!(error, EgressError::TooLarge { limit: LIMIT, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_head_has_bounds() {
    let many = "a: b\r\n".repeat(MOST_HEADERS + 1);
    let long = format!("a: {}\r\n", "b".repeat(2 * LARGEST_HEAD));
    for headers in [many, long] {
        let server = Server::start(None, format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n")).await;
        let error = EgressClient::new(local()).get(&server.url("/"), LIMIT).await.unwrap_err();
        assert!(matches!(error, EgressError::Http { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_is_cut_off_is_no_answer() {
    let server = Server::start(None, "SSH-2.0-OpenSSH\r\n").await;
    let error = EgressClient::new(local()).get(&server.url("/"), LIMIT).await.unwrap_err();
    assert!(matches!(error, EgressError::Http { .. }), "{error}");
}

#[tokio::test]
async fn the_whole_exchange_has_a_time_limit() {
    let limit = Duration::from_millis(50);
    let client = EgressClient::new(local()).with_time_limit(limit);
    // No head, half a head, and a body that never ends.
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"] {
        let server = Server::start(None, answer).await;
        let error = ends(client.get(&server.url("/"), LIMIT)).await.unwrap_err();
        assert!(matches!(error, EgressError::Timeout { .. }), "{error}");
    }
    // A name server that never answers.
    let client = EgressClient { resolver: Arc::new(Silent), ..client };
    let error = ends(client.get(&"http://vault.example/".parse().unwrap(), LIMIT)).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { .. }), "{error}");
    // A handshake that never comes.
    let server = Server::start(None, "").await;
    let url = format!("https://127.0.0.1:{}/", server.port).parse().unwrap();
    let error = ends(EgressClient::new(local()).with_time_limit(limit).get(&url, LIMIT)).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { .. }), "{error}");
}

/// Far longer than any limit here, so that a missing one fails the test and doesn't hang it.
async fn ends<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("has a time limit")
}

struct Silent;

#[async_trait::async_trait]
impl Resolve for Silent {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn https_believes_who_shows_the_hosts_certificate() {
    let ours = rcgen::generate_simple_self_signed(["vault.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = ours.cert.der().clone();
    let server = Server::start(Some(acceptor(&ours)), ok("secret")).await;
    let client = |root: Option<&CertificateDer<'static>>| {
        let client = with_dns(local(), &[&["127.0.0.1"]]);
        root.into_iter().cloned().fold(client, EgressClient::with_root)
    };
    let url = |host: &str| format!("https://{host}:{}/", server.port).parse::<EgressUrl>().unwrap();
    for host in ["vault.example", "127.0.0.1"] {
        let answer = client(Some(&certificate)).get(&url(host), LIMIT).await.unwrap();
        assert_eq!(answer.body(), "secret");
    }
    let other = rcgen::generate_simple_self_signed(["vault.example".to_owned()]).unwrap();
    let unknown = client(Some(other.cert.der())).get(&url("vault.example"), LIMIT).await.unwrap_err();
    let wrong_name = client(Some(&certificate)).get(&url("other.example"), LIMIT).await.unwrap_err();
    let unbelieved = client(None).get(&url("vault.example"), LIMIT).await.unwrap_err();
    for error in [unknown, wrong_name, unbelieved] {
        assert!(matches!(error, EgressError::Tls { .. }), "{error}");
    }
}

fn acceptor(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
