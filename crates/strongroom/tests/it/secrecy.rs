//! A canary in a value, in keys of the wrong place and in a token, looked for wherever it must not be.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Launch, Server, integration_id};

/// Looks like nothing else, so that finding it anywhere is a leak.
const CANARY: &str = "canary-4f1d9c7a-value";

fn hides(what: &str, bytes: &[u8], secrets: &[&str]) {
    for secret in secrets {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {what}");
    }
}

/// Every file below a folder but the one that is meant to hold the token.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
    named.filter(|(name, _)| name != "admin-token").collect()
}

/// Uses the canary in every way: as a value kept, changed, read, deleted and brought back, and in wrong places.
fn use_canary(server: &Server) {
    let mut client = server.client();
    let integration = integration_id(&mut client);
    let secret = |value: &str| json!([{"key": "K", "value": value}]);
    let groups = "/api/svc/v1/secret-groups";
    let made = client.post(groups, &json!({"name": "canary", "integrationId": integration, "secrets": secret(CANARY)}));
    let made = made.unwrap().success();
    let (id, key) =
        (made["data"]["id"].as_str().unwrap(), made["data"]["associatedSecrets"][0]["id"].as_str().unwrap());
    client.put(&format!("{groups}/{id}"), &json!({"secrets": secret(&format!("{CANARY}-2"))})).unwrap().success();
    let read = client.get(&format!("/api/svc/v1/secrets/{key}")).unwrap().success();
    assert!(read["data"]["value"].as_str().unwrap().starts_with(CANARY));
    client.post("/api/svc/v1/secrets", &json!({"withValue": true})).unwrap().success();
    client.get("/api/svc/v1/control-plane/secret?secret_ref=default:canary:K:1").unwrap().success();
    client.delete(&format!("/api/svc/v1/secrets/{key}")).unwrap().success();
    client.post(&format!("/api/v1/secrets/{key}/restore"), &json!({})).unwrap().success();
    client.delete(&format!("{groups}/{id}")).unwrap().success();

    let wrong = [
        (
            groups.to_owned(),
            json!({"name": "x1", "integrationId": integration, "secrets": [{"key": CANARY, "value": 7}]}),
        ),
        (groups.to_owned(), json!({"name": "x2", "integrationId": integration, "secrets": CANARY})),
        (groups.to_owned(), json!({"name": CANARY.to_uppercase(), "integrationId": CANARY, "secrets": []})),
        (
            groups.to_owned(),
            json!({"name": "x3", "integrationId": integration, "secrets": [{"key": "K", "value": CANARY.repeat(9000)}]}),
        ),
        (format!("/api/svc/v1/{CANARY}"), json!({})),
        (format!("/api/svc/v1/secrets/{CANARY}"), json!({"value": CANARY})),
    ];
    for (path, body) in wrong {
        let answer = client.post(&path, &body).unwrap();
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.text());
    }
    let stranger = format!("{}{CANARY}", &server.token()[..10]);
    let answer = crate::support::Client::new(server.address(), &stranger).get("/api/svc/v1/session").unwrap();
    assert_eq!(answer.status, 401);
    hides("the answer to a wrong token", &answer.body, &[CANARY]);
}

#[test]
fn a_value_is_in_no_log_no_argument_and_no_file() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let server = Launch::on(folder.path()).arg("log-level", "debug").arg("log-format", format).start();
        use_canary(&server);
        let token = server.token();
        let root_key = fs::read_to_string(folder.path().join("root.key")).unwrap();
        let root_key = root_key.split_whitespace().max_by_key(|word| word.len()).unwrap();
        let process = Path::new("/proc").join(server.pid().to_string());
        for file in ["cmdline", "environ"] {
            // Closed to all but the superuser: nothing to be found, then.
            let bytes = fs::read(process.join(file)).unwrap_or_default();
            hides(file, &bytes, &[CANARY, &token, root_key]);
        }
        let running = files(folder.path());
        assert!(running.iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty()));
        let log = server.log();
        assert!(log.contains("/api/svc/v1/secret-groups"), "requests are logged: {log}");
        hides("the log", log.as_bytes(), &[CANARY, &CANARY.to_uppercase(), &token, root_key]);
        server.stop();
        for (name, bytes) in running.into_iter().chain(files(folder.path())) {
            hides(&name, &bytes, &[CANARY, &token]);
            assert!(name == "root.key" || !bytes.windows(root_key.len()).any(|window| window == root_key.as_bytes()));
        }
    }
}

/// The token is shown on standard output once, and never in the log.
#[test]
fn the_first_token_is_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let token = server.token();
    let (first, log) = server.stop_and_read();
    assert_eq!(first.matches(&token).count(), 1, "{first}");
    hides("the log", log.as_bytes(), &[&token]);
    let server = Server::start(folder.path());
    let (second, log) = server.stop_and_read();
    hides("the second start", second.as_bytes(), &[&token]);
    hides("its log", log.as_bytes(), &[&token]);
}

#[test]
fn memory_is_not_dumped() {
    let folder = tempfile::tempdir().unwrap();
    let server = as_somebody(folder.path()).start();
    let process = Path::new("/proc").join(server.pid().to_string());
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // The kernel gives the memory of a process that can't be dumped to the superuser, whoever runs it.
    let (memory, own) = (owner(&process.join("mem")), owner(folder.path()));
    assert!(memory == 0, "the memory belongs to {memory}");
    assert!(own != 0 || !can_be_somebody(), "run as the superuser this shows nothing");
    server.stop();
}

const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// As another user than the superuser, where that is possible.
fn as_somebody(folder: &Path) -> Launch {
    if rustix::process::geteuid().is_root() && can_be_somebody() {
        std::os::unix::fs::chown(folder, Some(65534), Some(65534)).unwrap();
        return Launch::on(folder).wrapped(&NOBODY);
    }
    Launch::on(folder)
}

/// Whether another user may run the binary where it lies.
fn can_be_somebody() -> bool {
    let tried =
        Command::new(NOBODY[0]).args(&NOBODY[1..]).args([env!("CARGO_BIN_EXE_strongroom"), "--version"]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

fn owner(path: &Path) -> u32 {
    fs::metadata(path).unwrap().uid()
}
