//! SIGTERM: what runs is finished, what is new is refused, and the end comes in time.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::{Launch, Raw, Server, integration_id, request};

/// Sends the head of a request and waits until the server asks for the body, which is what is left to send.
fn begin(server: &Server, text: &str) -> (Raw, String) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut raw = Raw::connect(server.address());
    raw.send(format!("{head}\r\nexpect: 100-continue\r\n\r\n"));
    assert_eq!(raw.receive::<25>(), *b"HTTP/1.1 100 Continue\r\n\r\n");
    (raw, body.to_owned())
}

#[test]
fn requests_in_flight_are_finished_and_new_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let integration = integration_id(&mut server.client());
    let create = |name: &str| {
        let body = json!({"name": name, "integrationId": integration, "secrets": [{"key": "K", "value": "v"}]});
        request("POST", "/api/svc/v1/secret-groups", &server.token(), Some(&body.to_string()))
    };
    let mut running: Vec<(Raw, String)> = (0..8).map(|number| begin(&server, &create(&format!("g{number}")))).collect();
    let mut idle = server.client();
    idle.get("/healthz").unwrap().success();
    server.terminate();
    while TcpStream::connect_timeout(&server.address(), Duration::from_secs(1)).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // The idle connection is closed, at the latest with the answer to a request that came at the same moment.
    while idle.get("/healthz").is_ok() {}
    for (raw, body) in &mut running {
        let answer = raw.send(body).answer().expect("a running request is finished");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{}", answer.text());
        raw.closed();
    }
    let status = server.ended();
    assert!(status.success(), "{status}: {}", server.log());

    let server = Server::start(folder.path());
    let groups = server.client().get("/api/svc/v1/secret-groups").unwrap().success();
    assert_eq!(groups["pagination"]["total"], 8, "what was answered is there");
    server.stop();
}

#[test]
fn a_client_that_stalls_doesnt_hold_the_end_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Launch::on(folder.path()).arg("drain-timeout", "1").arg("body-timeout", "3600").start();
    let text = request("POST", "/api/svc/v1/secrets", &server.token(), Some("{\"withValue\": true}"));
    let (mut stalled, _) = begin(&server, &text);
    server.terminate();
    let status = server.ended();
    assert!(status.success(), "{status}: {}", server.log());
    assert!(server.log().contains("cut=1"), "{}", server.log());
    stalled.closed();
}

#[test]
fn the_log_of_the_database_is_empty_after_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    integration_id(&mut server.client());
    server.stop();
    let log = std::fs::metadata(folder.path().join("strongroom.db-wal")).map_or(0, |file| file.len());
    assert_eq!(log, 0);
}
