//! Clients that hang up, dawdle or hog, and the others, who don't notice.

use std::thread;

use serde_json::{Value, json};

use crate::support::random::Random;
use crate::support::{Client, Launch, Raw, Server, http2, integration_id, request};

fn path(id: &str) -> String {
    format!("/api/svc/v1/secret-groups/{id}")
}

/// A group with the keys A and B.
fn make_group(client: &mut Client, name: &str) -> String {
    let integration = integration_id(client);
    let secrets = both("first");
    let body = json!({"name": name, "integrationId": integration, "secrets": secrets});
    let made = client.post("/api/svc/v1/secret-groups", &body).unwrap().success();
    made["data"]["id"].as_str().unwrap().to_owned()
}

fn both(write: &str) -> Value {
    json!([{"key": "A", "value": write}, {"key": "B", "value": write}])
}

/// The values of both keys, which one write gave.
fn whole(client: &mut Client, id: &str) -> String {
    let body = json!({"secretGroupId": id, "withValue": true});
    let read = client.post("/api/svc/v1/secrets", &body).unwrap().success();
    let value = |at: usize| read["data"][at]["value"].as_str().unwrap().to_owned();
    assert_eq!(value(0), value(1), "half of a write");
    value(0)
}

/// Asks again and again until something holds; the test ends without it by the client's own patience.
fn until(mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !holds() {
        assert!(std::time::Instant::now() < end, "it never came to hold");
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_write_cut_anywhere_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut client = server.client();
    let id = make_group(&mut client, "cut");
    let (token, mut random) = (server.token(), Random::new(3));
    let mut last = "first".to_owned();
    for number in 0..150 {
        let write = format!("w{number}-{}", "x".repeat(random.index(2_000)));
        let text = request("PUT", &path(&id), &token, Some(&json!({"secrets": both(&write)}).to_string()));
        let head = text.find("\r\n\r\n").unwrap() + 4;
        let end = match number % 4 {
            0 => random.index(head),
            1 => head,
            2 => head + random.index(text.len() - head),
            _ => text.len(),
        };
        let mut raw = Raw::connect(server.address());
        raw.send(&text[..end]);
        drop(raw);
        let seen = whole(&mut client, &id);
        assert!(end == text.len() || seen == last, "a write that was never sent whole was done");
        if end == text.len() {
            // It has begun or will begin: wait, so that the next round knows what came before it.
            until(|| whole(&mut client, &id) == write);
        }
        last = whole(&mut client, &id);
    }
    server.stop();
}

/// Writes that wait for their turn when their client is gone are done all the same: they don't run in its requests,
/// which end with the connection.
#[test]
fn writes_go_on_when_their_client_hangs_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut client = server.client();
    let id = make_group(&mut client, "contended");
    let (token, writes) = (server.token(), 64);
    let bodies = (0..writes).map(|number| json!({"secrets": both(&format!("w{number}"))}).to_string());
    let mut raw = Raw::connect(server.address());
    raw.send(http2::requests("PUT", &path(&id), &token, bodies));
    // The first answer shows that the writes have begun; the others wait for each other.
    http2::until_an_answer(&mut raw);
    drop(raw);
    until(|| client.get(&path(&id)).unwrap().revision() == Some(1 + writes));
    whole(&mut client, &id);
    let count = format!("/api/svc/v1/audit-logs?metric=count&resourceId={id}");
    assert_eq!(client.get(&count).unwrap().success()["count"], 1 + writes);
    server.stop();
}

#[test]
fn slow_clients_are_cut_by_the_time_limits() {
    let folder = tempfile::tempdir().unwrap();
    let server = Launch::on(folder.path()).arg("header-timeout", "1").arg("body-timeout", "1").start();
    let mut client = server.client();
    let id = make_group(&mut client, "slow");
    let text = request("PUT", &path(&id), &server.token(), Some(&json!({"secrets": both("late")}).to_string()));
    let head = text.find("\r\n\r\n").unwrap() + 4;

    let mut silent = Raw::connect(server.address());
    let mut half_head = Raw::connect(server.address());
    half_head.send(&text[..head / 2]);
    let mut half_body = Raw::connect(server.address());
    half_body.send(&text[..head + 5]);
    let mut trickle = Raw::connect(server.address());
    trickle.send(&text[..head]);
    // A byte now and then doesn't extend the time.
    let trickled = thread::spawn(move || {
        for byte in text.as_bytes()[head..].chunks(1) {
            trickle.send(byte);
            thread::sleep(std::time::Duration::from_millis(50));
        }
        trickle
    });
    silent.closed();
    half_head.closed();
    let answer = half_body.answer().expect("an answer says why");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (408, Some("body_timeout")));
    half_body.closed();
    trickled.join().unwrap().closed();
    assert_eq!(whole(&mut server.client(), &id), "first");
    server.stop();
}

#[test]
fn a_half_closed_connection_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut client = server.client();
    let id = make_group(&mut client, "half-closed");
    let body = json!({"secrets": both("second")}).to_string();
    for (method, body) in [("GET", None), ("PUT", Some(body.as_str()))] {
        let mut raw = Raw::connect(server.address());
        raw.send(request(method, &path(&id), &server.token(), body)).half_close();
        let answer = raw.answer().expect("who only stopped sending still listens");
        assert_eq!(answer.status, 200, "{}", answer.text());
        raw.closed();
    }
    assert_eq!(whole(&mut client, &id), "second");
    server.stop();
}

#[test]
fn idle_connections_beyond_the_limit_dont_stop_others_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let server = Launch::on(folder.path()).arg("max-connections", "8").arg("header-timeout", "1").start();
    let idle: Vec<Raw> = (0..64).map(|_| Raw::connect(server.address())).collect();
    // Waits until the idle ones before it are cut, eight at a time.
    server.client().get("/api/svc/v1/session").unwrap().success();
    drop(idle);
    server.client().get("/api/svc/v1/session").unwrap().success();
    server.stop();
}
