//! Without PostgreSQL; `tls_tests` has what needs one.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    PostgresAddress,
    connect::{ConnectError, ConnectSetup},
};

const CANARY: &str = "canary5f1c9a";

const SETUP: ConnectSetup<'_> = ConnectSetup { application_name: "strongroom", options: None };

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn failure(rest: &str) -> String {
    let address = PostgresAddress::parse(&format!("postgres://u:{CANARY}@{rest}"), None).unwrap();
    let error = address.connect(&SETUP, drop).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn every_host_is_tried_and_named() {
    let (listener, closed) = listen().await;
    drop(listener);
    let problem = failure(&format!("127.0.0.1:{closed},%2Fnowhere/d")).await;
    let expected = format!("can't connect to postgres://u@127.0.0.1:{closed},%2Fnowhere:5432/d: 127.0.0.1:{closed}: ");
    assert!(problem.starts_with(&expected) && problem.contains("; %2Fnowhere:5432: "), "{problem}");
}

#[tokio::test]
async fn a_name_that_is_nowhere_is_said() {
    // Too long for any resolver to ask for.
    let problem = failure(&format!("{}/d?sslmode=disable&connect_timeout=60", "a".repeat(64))).await;
    assert!(problem.contains("the name can't be looked up"), "{problem}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_and_the_next_one_is_tried() {
    let (_silent, port) = listen().await;
    let problem = failure(&format!("127.0.0.1:{port},%2Fnowhere/d?connect_timeout=1")).await;
    assert!(problem.contains("no answer within 1 s (parameter connect_timeout); %2Fnowhere"), "{problem}");
}

#[tokio::test]
async fn without_tls_at_the_server_no_password_leaves() {
    let (listener, port) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(b"N").await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        (request, rest)
    });
    let problem = failure(&format!("127.0.0.1:{port}/d?sslmode=require")).await;
    assert!(problem.contains("server does not support TLS (turn ssl on there, or write sslmode=disable)"), "{problem}");
    // The request for TLS, and nothing after it was refused.
    assert_eq!(server.await.unwrap(), ([0, 0, 0, 8, 4, 210, 22, 47], Vec::new()));
}

#[tokio::test]
async fn wrong_files_are_no_trouble_with_the_server() {
    let address = PostgresAddress::parse("postgres://u@h/d?sslrootcert=/nowhere/ca.pem", None).unwrap();
    let error = address.connect(&SETUP, drop).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(ref problem) if problem.starts_with("sslrootcert: ")), "{error}");
}
