//! Rate limits: who keeps within them never meets them, who doesn't is told when to come again, and nobody pays for
//! others.
//!
//! The clock stands but for a millisecond at each look, so what is asked in a test is asked at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::header::RETRY_AFTER;
use serde_json::json;
use strongroom_server::Refusals;
use strongroom_server::http::transport::{self, TransportSettings};
use strongroom_testkit::{Answer, Client, FakeIdp, Setup, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::GROUPS;

const BY_SUBJECT: &str = "STRONGROOM_RATE_LIMIT_SUBJECT";
const BY_ADDRESS: &str = "STRONGROOM_RATE_LIMIT_ADDRESS";
const PUBLIC: &str = "/api/svc/v1/min-cli-version";

/// Where several clients come from.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// At one request a second: so many at once.
const BURST: usize = 10;

/// One request a second, of a subject or from an address.
fn one_a_second(name: &str) -> Setup {
    let other = if name == BY_SUBJECT { BY_ADDRESS } else { BY_SUBJECT };
    TestApp::with(name, "1").set(other, "0")
}

#[track_caller]
fn refused(answer: &Answer, seconds: &str) {
    assert_eq!(answer.refused(429, "rate_limited"), "too many requests; try again after the seconds in `Retry-After`");
    assert_eq!(answer.headers[RETRY_AFTER], seconds);
    assert!(answer.json["details"].is_null());
}

/// Another token of a person.
async fn second_token(app: &TestApp, person: &Client) -> Client {
    let wanted = json!({"name": "second", "userEmail": person.name()});
    let made = app.admin().post("/api/svc/v1/personal-access-tokens/for-user", wanted).await.expect(200);
    app.client(person.name(), made["token"].as_str())
}

/// A token of nobody, tried from an address.
async fn try_unknown(app: &TestApp, address: IpAddr) -> Answer {
    app.client("unknown", Some(&app.unknown_token())).request("GET", GROUPS).from(address).send().await
}

#[tokio::test]
async fn over_the_limit_a_subject_waits_as_long_as_it_is_told() {
    let app = one_a_second(BY_SUBJECT).start().await;
    let person = app.person("one@example.com").await;
    for _ in 0..BURST {
        person.get(GROUPS).await.expect(200);
    }
    refused(&person.get(GROUPS).await, "1");
    refused(&person.post(GROUPS, json!({})).await, "1");
    assert_eq!(app.instance().refusals(), Refusals { by_subject: 2, by_address: 0 });

    app.clock.advance_seconds(1);
    person.get(GROUPS).await.expect(200);
    refused(&person.get(GROUPS).await, "1");
}

#[tokio::test]
async fn within_the_limits_nobody_is_refused() {
    let app = TestApp::with(BY_SUBJECT, "1").set(BY_ADDRESS, "1").start().await;
    let (person, nobody) = (app.person("one@example.com").await, app.client("nobody", None));
    for _ in 0..3 * BURST {
        person.get(GROUPS).await.expect(200);
        nobody.get(GROUPS).await.expect(401);
        app.clock.advance_seconds(1);
    }
    assert_eq!(app.instance().refusals(), Refusals::default());
}

#[tokio::test]
async fn the_tokens_of_a_subject_share_and_subjects_do_not() {
    let app = one_a_second(BY_SUBJECT).start().await;
    let (one, other) = (app.person("one@example.com").await, app.person("other@example.com").await);
    let ones_second = second_token(&app, &one).await;
    let machine = app.machine("machine", &[]).await;
    for _ in 0..BURST / 2 {
        one.get(GROUPS).await.expect(200);
        ones_second.get(GROUPS).await.expect(200);
    }
    refused(&one.get(GROUPS).await, "1");
    refused(&ones_second.get(GROUPS).await, "1");
    for _ in 0..BURST {
        other.get(GROUPS).await.expect(200);
        machine.get(GROUPS).await.expect(200);
    }
    refused(&machine.get(GROUPS).await, "1");
}

/// Spends what an address may fail at.
async fn spend(app: &TestApp, address: IpAddr) {
    for _ in 0..BURST {
        try_unknown(app, address).await.refused(401, "unauthenticated");
    }
    refused(&try_unknown(app, address).await, "1");
}

#[tokio::test]
async fn a_good_token_is_let_in_whatever_others_fail_at() {
    let app = one_a_second(BY_ADDRESS).start().await;
    let valid = app.person("valid@example.com").await;
    spend(&app, HERE).await;
    for token in [None, Some("tfy_mistyped"), Some(app.unknown_token().as_str())] {
        refused(&app.client("somebody", token).get(GROUPS).await, "1");
    }
    // This server has not seen the token before.
    valid.get(GROUPS).await.expect(200);
    app.client("nobody", None).get(PUBLIC).await.expect(200);
    assert_eq!(app.instance().refusals(), Refusals { by_subject: 0, by_address: 4 });
    // Asking for what one may not have any more doesn't make the wait longer.
    app.clock.advance_seconds(1);
    try_unknown(&app, HERE).await.refused(401, "unauthenticated");
    refused(&try_unknown(&app, HERE).await, "1");
}

/// Whether any of these is refused: each look at the clock takes a while in which one more may be tried.
async fn are_refused(clients: &[Client]) -> bool {
    let mut refused = false;
    for client in clients {
        refused |= client.get(GROUPS).await.status == 429;
    }
    refused
}

#[tokio::test]
async fn so_many_tokens_are_looked_up_and_no_more() {
    let app = one_a_second(BY_ADDRESS).start().await;
    let mut people = Vec::new();
    for number in 0..6 {
        people.push(app.person(&format!("{number}@example.com")).await);
    }
    let (known, new) = people.split_at(1);
    known[0].get(GROUPS).await.expect(200);
    for _ in 0..200 * BURST {
        try_unknown(&app, HERE).await;
    }
    assert!(are_refused(new).await);
    known[0].get(GROUPS).await.expect(200);
    app.clock.advance_seconds(1);
    assert!(!are_refused(new).await);
}

#[tokio::test]
async fn forged_signatures_keep_out_no_token_but_a_provider_s() {
    let app = TestApp::with(FakeIdp::EGRESS.0, FakeIdp::EGRESS.1).set(BY_ADDRESS, "1").start().await;
    let idp = FakeIdp::start(&app.clock).await;
    let mut provider = idp.manifest("idp");
    provider["users"] = true.into();
    app.apply(&provider).await;
    let person = app.person("anna@example.com").await;
    let token = |number: usize| idp.token(&json!({"sub": number.to_string(), "email": person.name()}));
    let good: Vec<_> = (0..5).map(|number| app.client("anna", Some(&token(number)))).collect();
    let other = token(9);
    let (content, _) = other.rsplit_once('.').unwrap();
    let forged = app.client("forged", Some(&format!("{content}.AAAA")));
    for _ in 0..40 * BURST {
        assert_ne!(forged.get(GROUPS).await.status, 200);
    }
    assert!(are_refused(&good).await);
    person.get(GROUPS).await.expect(200);
    app.clock.advance_seconds(1);
    assert!(!are_refused(&good).await);
}

#[tokio::test]
async fn a_token_that_is_known_goes_on_whatever_others_fail_at() {
    let app = one_a_second(BY_ADDRESS).start().await;
    let (known, revoked) = (app.person("known@example.com").await, app.person("revoked@example.com").await);
    for client in [&known, &revoked] {
        client.get(GROUPS).await.expect(200);
    }
    spend(&app, HERE).await;
    for _ in 0..3 * BURST {
        known.get(GROUPS).await.expect(200);
        refused(&try_unknown(&app, HERE).await, "1");
    }
    // Once identities have changed, everybody is looked up again.
    let path = "/api/svc/v1/personal-access-tokens/revoke/all";
    let body = json!({"email": revoked.name()});
    app.admin().request("DELETE", path).json(&body).send().await.expect(200);
    known.get(GROUPS).await.expect(200);
    refused(&revoked.get(GROUPS).await, "1");
}

#[tokio::test]
async fn addresses_are_counted_apart_and_an_ipv6_network_as_one() {
    let app = one_a_second(BY_ADDRESS).start().await;
    let address = |text: &str| text.parse().unwrap();
    spend(&app, address("2001:db8:0:1::1")).await;
    refused(&try_unknown(&app, address("2001:db8:0:1:ffff::2")).await, "1");
    try_unknown(&app, address("2001:db8:0:2::1")).await.refused(401, "unauthenticated");
    spend(&app, address("198.51.100.1")).await;
    spend(&app, address("198.51.100.2")).await;
}

#[tokio::test]
async fn what_takes_no_token_is_counted_but_probes_are_not() {
    let app = one_a_second(BY_ADDRESS).start().await;
    let nobody = app.client("nobody", None);
    for round in 0..BURST {
        nobody.get("/healthz").await.expect(200);
        nobody.get("/readyz").await.expect(200);
        nobody.get(if round % 2 == 0 { PUBLIC } else { "/openapi.json" }).await.expect(200);
    }
    for path in [PUBLIC, "/openapi.json"] {
        refused(&nobody.get(path).await, "1");
    }
    nobody.get(GROUPS).await.refused(401, "unauthenticated");
    for path in ["/healthz", "/readyz"] {
        nobody.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn many_tries_at_once_are_no_more_than_one_after_the_other() {
    let app = one_a_second(BY_ADDRESS).start().await;
    let tries = (0..100).map(|_| try_unknown(&app, HERE));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), BURST);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 100 - BURST);
}

#[tokio::test]
async fn zero_is_without_limit() {
    let app = TestApp::with(BY_SUBJECT, "0").set(BY_ADDRESS, "0").start().await;
    let person = app.person("one@example.com").await;
    for _ in 0..3 * BURST {
        person.get(GROUPS).await.expect(200);
        try_unknown(&app, HERE).await.refused(401, "unauthenticated");
    }
}

/// The status of a public operation asked over a socket, for somebody else as the header says.
async fn status_for(server: SocketAddr, forwarded_for: &str) -> u16 {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let head =
        format!("GET {PUBLIC} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-forwarded-for: {forwarded_for}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn only_a_trusted_proxy_says_for_whom_it_asks() {
    for (trusted, expected) in [(vec![], 429), (vec!["127.0.0.0/8".parse().unwrap()], 200)] {
        let app = one_a_second(BY_ADDRESS).start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let settings = TransportSettings {
            header_timeout: Duration::from_mins(1),
            body_timeout: Duration::from_mins(1),
            max_connections: 10,
            drain_timeout: Duration::ZERO,
            tls: None,
            trusted_proxies: trusted,
        };
        let router = app.instance().router("http://strongroom.test");
        let serving = tokio::spawn(transport::serve(listener, router, settings, std::future::pending()));
        for client in 0..BURST {
            assert_eq!(status_for(server, &format!("198.51.100.{client}")).await, 200);
        }
        assert_eq!(status_for(server, "198.51.100.77").await, expected);
        serving.abort();
    }
}
