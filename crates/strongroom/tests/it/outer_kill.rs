//! `kill -9` in the middle of writes to a real OpenBao: a group is wholly the old one or wholly the new one, the next write
//! goes through at once, and who reads the store directly gets what was acknowledged.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_throwaway::OpenBao;

use crate::support::random::Random;
use crate::support::{Client, Launch};

const ROUNDS: u64 = 12;
const KEYS: usize = 30;
/// Until direct readers see it.
const PATIENCE: Duration = Duration::from_mins(1);

fn all(write: &str) -> Value {
    (0..KEYS).map(|key| json!({"key": format!("K{key}"), "value": format!("{write}-{key}")})).collect()
}

/// The one write that all values are of.
fn whole(client: &mut Client, id: &str) -> String {
    let read = client.post("/api/svc/v1/secrets", &json!({"secretGroupId": id, "withValue": true})).unwrap().success();
    let mut writes: Vec<String> = read["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| secret["value"].as_str().unwrap().rsplit_once('-').unwrap().0.to_owned())
        .collect();
    assert_eq!(writes.len(), KEYS);
    writes.dedup();
    assert_eq!(writes.len(), 1, "half of a write: {writes:?}");
    writes.remove(0)
}

fn directly(store: &OpenBao, key: usize) -> String {
    let answer = store.ask("GET", &format!("secret/data/tfy-secret/default/pay/K{key}"), &[], "").unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["data"]["data"]["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_killed_server_leaves_a_group_whole_and_writable() {
    let Some(program) = std::env::var_os("STRONGROOM_TEST_BAO").map(PathBuf::from) else {
        // The test command names one where it has installed the servers.
        return;
    };
    let store = OpenBao::start(&program).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch::on(folder.path()).env("STRONGROOM_EGRESS_ALLOW", "127.0.0.0/8");
    let mut server = launch.start();
    let mut client = server.client();
    let manifest = json!({
        "type": "provider-account/hashicorp", "name": "hc",
        "integrations": [{
            "type": "integration/secret-store/hashicorp/vault", "name": "bao", "vault_url": store.url(),
            "kv_mount_path": "secret", "auth_data": {"type": "token", "token": store.root_token()},
        }],
    });
    client.put("/api/svc/v1/apply", &json!({"manifest": manifest})).unwrap().success();
    let body =
        json!({"name": "pay", "integrationId": "default:hashicorp:hc:secret-store:bao", "secrets": all("first")});
    let made = client.post("/api/svc/v1/secret-groups", &body).unwrap().success();
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/svc/v1/secret-groups/{id}");

    let (mut random, mut last) = (Random::new(5), "first".to_owned());
    for round in 0..ROUNDS {
        let cut = format!("cut{round}");
        let writer = {
            let (mut client, path, body) = (server.client(), path.clone(), json!({"secrets": all(&cut)}));
            thread::spawn(move || client.put(&path, &body).map(|answer| answer.status))
        };
        thread::sleep(Duration::from_millis(random.index(80) as u64));
        server.kill();
        let acknowledged = matches!(writer.join().unwrap(), Ok(200));
        server = launch.start();
        client = server.client();
        let found = whole(&mut client, &id);
        assert!(found == cut || found == last && !acknowledged, "round {round}: {found} after {last} and {cut}");

        last = format!("next{round}");
        client.put(&path, &json!({"secrets": all(&last)})).unwrap().success();
        assert_eq!(whole(&mut client, &id), last);
        let end = Instant::now() + PATIENCE;
        for key in 0..KEYS {
            while directly(&store, key) != format!("{last}-{key}") {
                assert!(
                    Instant::now() < end,
                    "round {round}: the store's newest of K{key} is {}",
                    directly(&store, key)
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
