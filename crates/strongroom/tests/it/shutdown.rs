//! SIGTERM: what runs is finished, what is new is refused, and the end comes in time.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::{Launch, Raw, Server, integration_id, request};

#[test]
fn requests_in_flight_are_finished_and_new_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let integration = integration_id(&mut server.client());
    let create = |name: &str| {
        let body = json!({"name": name, "integrationId": integration, "secrets": [{"key": "K", "value": "v"}]});
        request("POST", "/api/svc/v1/secret-groups", &server.token(), Some(&body.to_string()))
    };
    // Each has sent a part of its request, so that the server waits for the rest.
    let mut running: Vec<(Raw, String)> =
        (0..8).map(|number| (Raw::connect(server.address()), create(&format!("g{number}")))).collect();
    for (raw, text) in &mut running {
        raw.send(&text[..text.len() - 3]);
    }
    let mut idle = server.client();
    idle.get("/healthz").unwrap().success();
    // The requests' heads are taken once later ones were answered.
    for _ in 0..3 {
        server.client().get("/healthz").unwrap().success();
    }
    server.terminate();
    while TcpStream::connect_timeout(&server.address(), Duration::from_secs(1)).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(idle.get("/healthz").is_err(), "an idle connection is closed");
    for (raw, text) in &mut running {
        let answer = raw.send(&text[text.len() - 3..]).answer().expect("a running request is finished");
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
    let mut stalled = Raw::connect(server.address());
    stalled.send(&text[..text.len() - 3]);
    server.client().get("/healthz").unwrap().success();
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
