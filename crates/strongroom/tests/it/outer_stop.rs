//! Two replicas over PostgreSQL write to a real OpenBao. One is stopped (SIGSTOP) in the middle of its writes, the other
//! settles them and goes on writing, and then the first one continues: it overwrites nothing, and says of its writes what
//! became of them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_throwaway::{OpenBao, Postgres, PostgresOptions, postgres_programs};

use crate::support::random::Random;
use crate::support::{Client, Launch, Server};

const ROUNDS: u64 = 2;
const GROUPS: usize = 6;
const KEYS: usize = 20;
/// Longer than a writer that gives no sign of life keeps an operation.
const UNTIL_SETTLED: Duration = Duration::from_mins(1);
/// The first write that goes through elsewhere.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a writer was told of its last write.
struct Told {
    write: String,
    status: Option<u16>,
    /// The one before it, which was acknowledged.
    before: String,
}

fn all(write: &str) -> Value {
    (0..KEYS).map(|key| json!({"key": format!("K{key}"), "value": format!("{write}-{key}")})).collect()
}

/// The one write that all values of a group are of.
fn whole(client: &mut Client, id: &str) -> String {
    let end = Instant::now() + PATIENCE;
    let read = loop {
        let read = client.post("/api/svc/v1/secrets", &json!({"secretGroupId": id, "withValue": true})).unwrap();
        // To one that stood still its store seems to have been silent for long: for a moment it asks nothing more of it.
        if read.status != 424 || Instant::now() > end {
            break read.success();
        }
        thread::sleep(Duration::from_millis(200));
    };
    let of = |secret: &Value| secret["value"].as_str().unwrap().rsplit_once('-').unwrap().0.to_owned();
    let mut writes: Vec<String> = read["data"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(writes.len(), KEYS);
    writes.dedup();
    assert_eq!(writes.len(), 1, "half of a write: {writes:?}");
    writes.remove(0)
}

fn directly(store: &OpenBao, group: usize, key: usize) -> String {
    let answer = store.ask("GET", &format!("secret/data/tfy-secret/default/group{group}/K{key}"), &[], "").unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["data"]["data"]["value"].as_str().unwrap().to_owned()
}

fn replicas(folder: &Path, url: &str) -> [Server; 2] {
    let key = folder.join("root.key");
    strongroom_server::make_root_key_file(&key).unwrap();
    let start = |number: usize| {
        let launch = Launch::on(&folder.join(format!("replica-{number}")))
            .arg("root-key-file", key.to_str().unwrap())
            .arg("database-url", url)
            .env("STRONGROOM_EGRESS_ALLOW", "127.0.0.0/8");
        launch.start()
    };
    let first = start(0);
    let token = first.token();
    [first, start(1).with_token(&token)]
}

/// Writes the group again and again, until it is told to stop or a write isn't acknowledged.
fn writer(mut client: Client, id: String, round: u64, before: String, stop: &'static AtomicBool) -> JoinHandle<Told> {
    thread::spawn(move || {
        let mut told = Told { write: before.clone(), status: Some(200), before };
        for number in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let write = format!("round{round}write{number}");
            let answer = client.put(&format!("/api/svc/v1/secret-groups/{id}"), &json!({"secrets": all(&write)}));
            told = Told { before: told.write, write, status: answer.ok().map(|answer| answer.status) };
            if told.status != Some(200) {
                break;
            }
        }
        told
    })
}

#[test]
fn a_stopped_writer_overwrites_nothing_when_it_goes_on() {
    let Some(program) = std::env::var_os("STRONGROOM_TEST_BAO").map(PathBuf::from) else { return };
    if postgres_programs().is_none() {
        assert!(std::env::var("CI").is_err(), "there is no PostgreSQL, which CI must have");
        return;
    }
    let (store, folder) = (OpenBao::start(&program).unwrap(), tempfile::tempdir().unwrap());
    let database = Postgres::start(PostgresOptions::default()).unwrap();
    database.create_database("strongroom").unwrap();
    let [stopped, other] = replicas(folder.path(), &database.url("strongroom"));
    let mut client = stopped.client();
    let manifest = json!({
        "type": "provider-account/hashicorp", "name": "hc",
        "integrations": [{
            "type": "integration/secret-store/hashicorp/vault", "name": "bao", "vault_url": store.url(),
            "kv_mount_path": "secret", "auth_data": {"type": "token", "token": store.root_token()},
        }],
    });
    client.put("/api/svc/v1/apply", &json!({"manifest": manifest})).unwrap().success();
    let make = |number: usize| {
        let body = json!({
            "name": format!("group{number}"), "integrationId": "default:hashicorp:hc:secret-store:bao",
            "secrets": all("first"),
        });
        let made = stopped.client().post("/api/svc/v1/secret-groups", &body).unwrap().success();
        made["data"]["id"].as_str().unwrap().to_owned()
    };
    let groups: Vec<String> = (0..GROUPS).map(make).collect();
    let mut last = vec!["first".to_owned(); GROUPS];
    let (mut random, mut cut) = (Random::new(11), 0);
    for round in 0..ROUNDS {
        let stop: &'static AtomicBool = Box::leak(Box::default());
        let writers: Vec<_> = groups
            .iter()
            .zip(&last)
            .map(|(id, last)| writer(stopped.client(), id.clone(), round, last.clone(), stop))
            .collect();
        thread::sleep(Duration::from_millis(200 + random.below(150)));
        stop.store(true, Ordering::SeqCst);
        stopped.pause();
        // Of the others a request may have been sent that isn't read before the end of the pause.
        thread::sleep(Duration::from_millis(100));
        let under_way = database.execute("strongroom", "SELECT group_id FROM operations WHERE finished_at IS NULL");
        let under_way: Vec<String> = under_way.unwrap().lines().map(|line| line.trim().to_owned()).collect();
        cut += under_way.len();
        let end = Instant::now() + PATIENCE;
        // What the other one finds, once it may write itself, and what it makes of it.
        let mut found = vec![String::new(); GROUPS];
        for (at, id) in groups.iter().enumerate() {
            let mut client = other.client();
            whole(&mut client, id);
            let open = || database.execute("strongroom", "SELECT COUNT(*) FROM operations WHERE finished_at IS NULL");
            while open().unwrap().trim() != "0" {
                assert!(Instant::now() < end, "the writes of the one that stopped are not settled");
                whole(&mut client, id);
                thread::sleep(Duration::from_millis(500));
            }
            found[at] = whole(&mut client, id);
            last[at] = format!("round{round}other");
            let path = format!("/api/svc/v1/secret-groups/{id}");
            client.put(&path, &json!({"secrets": all(&last[at])})).unwrap().success();
        }
        stopped.resume();
        for (at, writer) in writers.into_iter().enumerate() {
            let told = writer.join().unwrap();
            let found = &found[at];
            let is_late = !under_way.contains(&groups[at]) && *found == told.before;
            match told.status {
                Some(200) if is_late => last[at] = told.write,
                Some(200) => assert_eq!(*found, told.write, "it was acknowledged"),
                Some(409 | 424) => assert_eq!(*found, told.before, "it was refused"),
                _ => assert!([&told.write, &told.before].contains(&found), "{found}"),
            }
        }
        // What it had under way when it was stopped goes out now, if it goes at all.
        thread::sleep(Duration::from_secs(3));
        let end = Instant::now() + UNTIL_SETTLED;
        for (at, id) in groups.iter().enumerate() {
            for server in [&stopped, &other] {
                assert_eq!(whole(&mut server.client(), id), last[at], "round {round}");
            }
            for key in 0..KEYS {
                while directly(&store, at, key) != format!("{}-{key}", last[at]) {
                    assert!(Instant::now() < end, "the newest of K{key} is {}", directly(&store, at, key));
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }
    assert!(cut > GROUPS / 2, "only {cut} writes were under way when their server was stopped");
    let dangling = "SELECT COUNT(*) FROM operations WHERE finished_at IS NULL";
    assert_eq!(database.execute("strongroom", dangling).unwrap().trim(), "0");
}
