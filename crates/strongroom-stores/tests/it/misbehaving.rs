//! The adapter for Vault against sockets that answer with anything.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use strongroom_stores::{Condition, SecretStore, StoreErrorKind, VaultSettings, VaultStore, outer::OuterPolicy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::support::{entry, put, settings, token, with_policy};

const TOKEN: &str = "token-canary";
const VALUE: &str = "value-canary";

/// Gives one prepared answer to each request, the last again and again, and hangs up after it.
struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let (counted, answers) = (requests.clone(), Arc::new(Mutex::new(VecDeque::from(answers))));
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = {
                    let mut answers = answers.lock().unwrap();
                    if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
                };
                answer_one(stream, &answer).await;
            }
        });
        Self { port, requests, _task: task }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn store(&self) -> VaultStore {
        let settings: VaultSettings = settings(format!("http://127.0.0.1:{}", self.port), token(TOKEN));
        with_policy(&settings, OuterPolicy { request: Duration::from_secs(20), ..OuterPolicy::default() })
    }
}

/// Reads the whole request first: closing with some of it unread would break the answer off.
async fn answer_one(mut stream: TcpStream, answer: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    // Whatever was sent comes back, which is what must not get into errors.
    let echoed = answer.replace("{echo}", &String::from_utf8_lossy(&body).replace('"', "'"));
    let _ = stream.write_all(echoed.as_bytes()).await;
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n{body}")
}

fn written() -> String {
    answer(
        "200 OK",
        "",
        r#"{"data":{"version":2,"custom_metadata":{"strongroom_instance":"instance-1","strongroom_secret":"00000000-0000-0000-0000-000000000007"}}}"#,
    )
}

#[tokio::test]
async fn whatever_comes_is_an_error_with_a_meaning_and_without_secrets() {
    use StoreErrorKind::{Integrity, PermissionDenied, Refused, Unavailable};
    let huge = "x".repeat(3 * 1024 * 1024);
    for (raw, kind) in [
        (answer("200 OK", "", "<html>{echo}</html>"), Unavailable),
        (answer("200 OK", "", r#"{"data":{"version":"{echo}"}}"#), Unavailable),
        (answer("200 OK", "content-length: 100\r\n", r#"{"data":{"#), Unavailable),
        (answer("200 OK", "", &huge), Integrity),
        (answer("200 OK", "content-length: 999999999999\r\n", "{}"), Integrity),
        (answer("302 Found", "location: http://127.0.0.1:1/{echo}\r\n", ""), Unavailable),
        (answer("400 Bad Request", "", r#"{"errors":["{echo}"]}"#), Refused),
        (answer("403 Forbidden", "", r#"{"errors":["{echo}"]}"#), PermissionDenied),
        (answer("404 Not Found", "", "<html>{echo}</html>"), Unavailable),
        (answer("413 Too Large", "", "{echo}"), Refused),
        (answer("500 Oops", "", r#"{"errors":["{echo}"]}"#), Unavailable),
        (answer("501 Not Implemented", "", "{echo}"), Unavailable),
        ("SSH-2.0-OpenSSH\r\n".to_owned(), Unavailable),
        (String::new(), Unavailable),
    ] {
        // A 403 is followed by the question whether the token lives.
        let lives = answer("200 OK", "", r#"{"data":{}}"#);
        let is_forbidden = raw.contains("403");
        let server = Server::start(if is_forbidden { vec![raw.clone(), lives] } else { vec![raw.clone()] }).await;
        let store = server.store();
        let error = put(&store, entry("g", "KEY"), VALUE, Condition::Absent, None).await.unwrap_err();
        let shown = raw.chars().take(60).collect::<String>();
        assert_eq!(error.kind, kind, "{shown}: {error}");
        let told = format!("{error} {error:?} {store:?}");
        assert!(!told.contains("canary"), "{told}");
        // Without a mark it is sent once, whatever became of it.
        assert_eq!(server.requests(), if is_forbidden { 2 } else { 1 }, "{shown}: {error}");
        let is_open = matches!(kind, Unavailable | Integrity) && !["302", "404", "501"].iter().any(|s| raw.contains(s));
        assert_eq!(error.may_have_happened, is_open, "{shown}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::start(vec![written()]).await;
    let location = format!("location: http://127.0.0.1:{}/v1/secret/data/x\r\n", target.port);
    let server = Server::start(vec![answer("307 Temporary Redirect", &location, "")]).await;
    let error = put(&server.store(), entry("g", "KEY"), VALUE, Condition::Absent, None).await.unwrap_err();
    assert!(error.reason.contains("redirects (status 307)"), "{error}");
    assert_eq!(target.requests(), 0);
}

#[tokio::test]
async fn a_throttled_write_is_sent_again() {
    let later = answer("429 Too Many Requests", "retry-after: 0\r\n", "");
    let server = Server::start(vec![later.clone(), later, written()]).await;
    let condition = strongroom_stores::StoreVersion("1".to_owned());
    let made = put(&server.store(), entry("g", "KEY"), VALUE, Condition::LatestIs(&condition), None).await.unwrap();
    assert_eq!((made.0.as_str(), server.requests()), ("2", 3));
}

#[tokio::test]
async fn a_list_of_anything_is_a_list_or_an_error() {
    for (body, expected) in [
        (r#"{"data":{"keys":["..","./","","/","a"]}}"#, Some(vec!["tfy-secret/acme/g/a"])),
        (r#"{"data":{"keys":[]}}"#, Some(vec![])),
        (r#"{"data":{"keys":"canary"}}"#, None),
        (r#"{"data":null}"#, None),
    ] {
        let server = Server::start(vec![answer("200 OK", "", body)]).await;
        let listed = server.store().list("tfy-secret/acme/g/", "", 10).await;
        assert_eq!(listed.ok(), expected.map(|names| names.into_iter().map(str::to_owned).collect()), "{body}");
    }
}
