//! Kept connections against real sockets.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request};
use proptest::{prelude::*, test_runner::Config};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::timeout,
};

use super::{AddressPolicy, Bounds, EgressClient, EgressError, EgressUrl, KeepAlive, tests::with_dns};

const BOUNDS: Bounds = Bounds { time: Duration::from_secs(20), bytes: 1_000 };
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What a server does on each connection.
#[derive(Clone, Copy)]
enum Plan {
    AnswerAll,
    CloseAfterOne,
    /// So many are answered; the one after is read, and then the connection is closed.
    HangUpAfter(usize),
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    closed: Notify,
}

struct Server {
    port: u16,
    seen: Arc<Seen>,
    _task: JoinSet<()>,
}

async fn serve(mut stream: TcpStream, plan: Plan, seen: &Seen) {
    for nth in 0.. {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else {
                seen.closed.notify_one();
                return;
            };
            head.push(byte);
        }
        seen.requests.fetch_add(1, Ordering::SeqCst);
        if matches!(plan, Plan::HangUpAfter(answered) if nth >= answered) {
            return;
        }
        stream.write_all(ANSWER).await.unwrap();
        if matches!(plan, Plan::CloseAfterOne) {
            return;
        }
    }
}

impl Server {
    async fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let mut task = JoinSet::new();
        let to_tell = seen.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                to_tell.connections.fetch_add(1, Ordering::SeqCst);
                let seen = to_tell.clone();
                connections.spawn(async move { serve(stream, plan, &seen).await });
            }
        });
        Self { port, seen, _task: task }
    }

    /// Connections and requests.
    fn seen(&self) -> (usize, usize) {
        (self.seen.connections.load(Ordering::SeqCst), self.seen.requests.load(Ordering::SeqCst))
    }

    fn url(&self, host: &str) -> EgressUrl {
        format!("http://{host}:{}/", self.port).parse().unwrap()
    }
}

fn policy() -> AddressPolicy {
    AddressPolicy { deny_private: false, allow: vec!["127.0.0.1/32".parse().unwrap()] }
}

fn client(keep: KeepAlive) -> EgressClient {
    EgressClient::new(policy()).keeping_connections(keep)
}

async fn ask(client: &EgressClient, url: &EgressUrl, method: Method) -> Result<Bytes, EgressError> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    client.send(url, request, BOUNDS).await.map(http::Response::into_body)
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Server::start(Plan::AnswerAll).await;
    let client = client(KeepAlive::default());
    for _ in 0..5 {
        assert_eq!(ask(&client, &server.url("127.0.0.1"), Method::GET).await.unwrap(), "ok");
    }
    assert_eq!(server.seen(), (1, 5));
    // Without being told to, a client keeps none.
    let plain = EgressClient::new(policy());
    for _ in 0..2 {
        ask(&plain, &server.url("127.0.0.1"), Method::GET).await.unwrap();
    }
    assert_eq!(server.seen(), (3, 7));
}

#[tokio::test]
async fn each_host_has_its_own() {
    let server = Server::start(Plan::AnswerAll).await;
    let client = with_dns(policy(), &[&["127.0.0.1"]]).keeping_connections(KeepAlive::default());
    for host in ["a.example", "b.example", "127.0.0.1", "a.example"] {
        ask(&client, &server.url(host), Method::GET).await.unwrap();
    }
    assert_eq!(server.seen(), (3, 4));
}

#[tokio::test]
async fn one_that_is_idle_is_closed_and_one_that_is_old_is_not_used() {
    let server = Server::start(Plan::AnswerAll).await;
    let idle = client(KeepAlive { idle: Duration::from_millis(20), ..KeepAlive::default() });
    ask(&idle, &server.url("127.0.0.1"), Method::GET).await.unwrap();
    timeout(Duration::from_secs(20), server.seen.closed.notified()).await.expect("closed without another request");
    let old = client(KeepAlive { age: Duration::ZERO, ..KeepAlive::default() });
    for _ in 0..2 {
        ask(&old, &server.url("127.0.0.1"), Method::GET).await.unwrap();
    }
    assert_eq!(server.seen(), (3, 3));
}

#[tokio::test]
async fn so_many_are_kept() {
    let server = Server::start(Plan::AnswerAll).await;
    let client = client(KeepAlive { most_per_host: 1, ..KeepAlive::default() });
    let url = server.url("127.0.0.1");
    let (a, b) = tokio::join!(ask(&client, &url, Method::GET), ask(&client, &url, Method::GET));
    assert!(a.is_ok() && b.is_ok());
    timeout(Duration::from_secs(20), server.seen.closed.notified()).await.expect("the second is closed");
    ask(&client, &url, Method::GET).await.unwrap();
    assert_eq!(server.seen(), (2, 3));
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again() {
    for method in [Method::POST, Method::GET] {
        let server = Server::start(Plan::HangUpAfter(1)).await;
        let (client, url) = (client(KeepAlive::default()), server.url("127.0.0.1"));
        ask(&client, &url, method.clone()).await.unwrap();
        let error = ask(&client, &url, method.clone()).await.unwrap_err();
        assert!(error.may_have_arrived(), "{error}");
        // The second was read over the kept connection, and nowhere else.
        assert_eq!(server.seen(), (1, 2));
    }
}

#[tokio::test]
async fn one_that_died_while_it_waited_costs_nothing() {
    let server = Server::start(Plan::CloseAfterOne).await;
    let (client, url) = (client(KeepAlive::default()), server.url("127.0.0.1"));
    for nth in 1..=3 {
        ask(&client, &url, Method::POST).await.unwrap();
        let noticed = async {
            while !client.pool.as_ref().unwrap().all_closed() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), noticed).await.expect("a closed connection is noticed");
        assert_eq!(server.seen(), (nth, nth));
    }
}

proptest! {
    #![proptest_config(Config { cases: 32, ..Config::default() })]

    /// Whatever the DNS says from one request to the next, and however connections are kept.
    #[test]
    fn what_is_refused_is_never_reached(
        answers in prop::collection::vec(prop::sample::subsequence(vec!["127.0.0.1", "127.0.0.2"], 1..=2), 1..8),
        most_per_host in 0..2_usize,
        old in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let allowed = Server::start(Plan::AnswerAll).await;
            let Ok(forbidden) = std::net::TcpListener::bind(("127.0.0.2", allowed.port)) else { return };
            forbidden.set_nonblocking(true).unwrap();
            let said: Vec<&[&str]> = answers.iter().map(Vec::as_slice).collect();
            let age = if old { Duration::ZERO } else { Duration::from_mins(5) };
            let keep = KeepAlive { age, most_per_host, ..KeepAlive::default() };
            let client = with_dns(policy(), &said).keeping_connections(keep);
            let is_asked_each_time = old || most_per_host == 0;
            let url = allowed.url("vault.example");
            for addresses in &said {
                let is_allowed = *addresses == ["127.0.0.1"];
                match ask(&client, &url, Method::GET).await {
                    Ok(body) => assert!(body == "ok" && (is_allowed || !is_asked_each_time)),
                    Err(error) => {
                        assert!(matches!(error, EgressError::Refused { .. }), "{error}");
                        assert!(!(is_allowed && is_asked_each_time));
                    }
                }
                let reached = forbidden.accept().map(|(_, from)| from).map_err(|error| error.kind());
                assert_eq!(reached, Err(io::ErrorKind::WouldBlock));
            }
        });
    }
}
