//! What the replicas say while the database says nothing.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::replicas::Cluster;
use super::run::Stop;
use crate::support::{Answer, Client, integration_id};

/// The setting `database-timeout`, which nobody changes here.
const LIMIT: Duration = Duration::from_secs(10);
/// On a machine with more processes than cores an answer comes later than it is made.
const SLACK: Duration = Duration::from_secs(3);
const GROUPS: &str = "/api/svc/v1/secret-groups";
const SECRETS: &str = "/api/svc/v1/secrets";

/// Pauses the database for a time, and checks what each replica answers meanwhile and afterwards.
pub(super) fn hang(cluster: &Cluster, time: Duration) {
    let mut admin = cluster.admin(0);
    let integration = integration_id(&mut admin);
    let mut group = |name| {
        let body = json!({"name": name, "integrationId": integration, "secrets": both("first")});
        admin.post(GROUPS, &body).unwrap().success()["data"]["id"].as_str().unwrap().to_owned()
    };
    let groups = [group("quiet"), group("crowded")];
    let over = AtomicBool::new(false);
    let server = cluster.database.postgres().unwrap().lock().unwrap();
    server.pause();
    let paused = Instant::now();
    let wrong = thread::scope(|scope| {
        let stop = Stop(&over);
        let mut watching = Vec::new();
        for number in 0..cluster.len() {
            let over = &over;
            watching.push(scope.spawn(move || alive(cluster, number, over)));
            watching.push(scope.spawn(move || unready(cluster, number, paused)));
            for (what, limit, call) in calls(&groups) {
                watching.push(scope.spawn(move || answered(&mut cluster.admin(number), what, limit, call)));
            }
        }
        thread::sleep(time.saturating_sub(paused.elapsed()));
        server.resume();
        let resumed = Instant::now();
        for number in 0..cluster.len() {
            watching.push(scope.spawn(move || ready(cluster, number, resumed)));
        }
        let ready: Vec<Vec<String>> =
            watching.drain(watching.len() - cluster.len()..).map(|one| one.join().unwrap()).collect();
        drop(stop);
        let wrong = watching.into_iter().map(|one| one.join().unwrap());
        wrong.chain(ready).flatten().collect::<Vec<String>>()
    });
    assert!(wrong.is_empty(), "while the database hung:\n{}", wrong.join("\n"));
    // Of an update that nobody answered for there is all or nothing.
    for group in groups {
        let list = json!({"secretGroupId": group, "withValue": true});
        let values = cluster.admin(0).post(SECRETS, &list).unwrap().success();
        let value = |at: usize| values["data"][at]["value"].as_str().unwrap().to_owned();
        assert_eq!(value(0), value(1), "half of an update");
    }
}

/// Two keys with the same value.
fn both(value: &str) -> Value {
    json!([{"key": "A", "value": value}, {"key": "B", "value": value}])
}

type Call = Box<dyn FnOnce(&mut Client) -> std::io::Result<Answer> + Send>;

/// Calls of each kind, with the time in which they must be answered.
fn calls([quiet, crowded]: &[String; 2]) -> Vec<(&'static str, Duration, Call)> {
    let get = |group: &str| -> Call {
        let path = format!("{GROUPS}/{group}");
        Box::new(move |client| client.get(&path))
    };
    let values = |group: &str| -> Call {
        let list = json!({"secretGroupId": group, "withValue": true});
        Box::new(move |client| client.post(SECRETS, &list))
    };
    let update = |group: &str, number: usize| -> Call {
        let path = format!("{GROUPS}/{group}");
        Box::new(move |client| client.put(&path, &json!({"secrets": both(&format!("update {number}"))})))
    };
    // A write whose fate is unclear is asked for once more.
    let twice = 2 * LIMIT;
    let mut calls = vec![
        ("a read", LIMIT, get(quiet)),
        ("a read of values", LIMIT, values(quiet)),
        ("an update", twice, update(quiet, 0)),
    ];
    // They wait for each other in the replica.
    calls.extend((0..4).map(|number| ("an update among others of its group", twice, update(crowded, number))));
    calls
}

/// A call is answered 503 in time.
fn answered(client: &mut Client, what: &str, limit: Duration, call: Call) -> Vec<String> {
    let began = Instant::now();
    let answer = call(client);
    let took = began.elapsed();
    let status = answer.map(|answer| answer.status);
    let told = format!("{what} was answered {status:?} after {took:.1?}");
    say(&told);
    if matches!(status, Ok(503)) && took <= limit + SLACK { Vec::new() } else { vec![told] }
}

/// `/healthz` says all the time that the process is alive.
fn alive(cluster: &Cluster, number: usize, over: &AtomicBool) -> Vec<String> {
    let mut slowest = Duration::ZERO;
    while !over.load(Ordering::SeqCst) {
        let began = Instant::now();
        let answer = cluster.admin(number).get("/healthz").map(|answer| answer.status);
        slowest = slowest.max(began.elapsed());
        if !matches!(answer, Ok(200)) || slowest > SLACK {
            return vec![format!("/healthz of replica {number}: {answer:?} after {slowest:.1?}")];
        }
        thread::sleep(Duration::from_millis(100));
    }
    say(&format!("the slowest /healthz of replica {number} took {slowest:.1?}"));
    Vec::new()
}

/// `/readyz` says soon that the database can't be asked.
fn unready(cluster: &Cluster, number: usize, since: Instant) -> Vec<String> {
    comes(cluster, number, 503, since, Duration::from_secs(2))
}

/// `/readyz` says soon that it can again.
fn ready(cluster: &Cluster, number: usize, since: Instant) -> Vec<String> {
    comes(cluster, number, 200, since, Duration::from_secs(5))
}

fn comes(cluster: &Cluster, number: usize, wanted: u16, since: Instant, within: Duration) -> Vec<String> {
    while since.elapsed() < within + SLACK {
        if cluster.admin(number).get("/readyz").is_ok_and(|answer| answer.status == wanted) {
            say(&format!("/readyz of replica {number} was {wanted} after {:.1?}", since.elapsed()));
            return Vec::new();
        }
        thread::sleep(Duration::from_millis(50));
    }
    vec![format!("/readyz of replica {number} does not come to {wanted} within {within:?}")]
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "hang: {text}");
}
