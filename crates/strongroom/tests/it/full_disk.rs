//! A disk that is full, really: a small file system of its own, in a mount namespace that ends with the server.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::support::{Client, Launch, Server, integration_id};

const WRITERS: usize = 8;
const GROUPS: &str = "/api/svc/v1/secret-groups";

/// Mounts a file system on the folder that is the first argument, then becomes the rest.
const MOUNT: &str = r#"mount -t tmpfs -o size=6m,mode=700 none "$1" && shift && exec "$@""#;

/// A server with its data on a file system of 6 MiB; `None`, and a reason printed, where none can be mounted.
fn start(data: &Path) -> Option<Server> {
    let unshare: &[&str] = if rustix::process::geteuid().is_root() {
        &["unshare", "--mount"]
    } else {
        &["unshare", "--mount", "--user", "--map-root-user"]
    };
    let script = |script: &'static str| ["sh", "-c", script, "sh", data.to_str().unwrap()];
    let tried = Command::new(unshare[0]).args(&unshare[1..]).args(script(MOUNT)).arg("true").output();
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no file system can be mounted here: {tried:?}");
        return None;
    }
    Some(Launch::on(data).wrapped(&[unshare, &script(MOUNT)].concat()).start())
}

/// The server's data folder as the server sees it.
fn seen_by(server: &Server, data: &Path) -> PathBuf {
    Path::new("/proc").join(server.pid().to_string()).join("root").join(data.strip_prefix("/").unwrap())
}

/// Takes all the space that is left.
fn fill(path: &Path) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    let mut chunk = 64 * 1024;
    while chunk > 0 {
        if file.write(&vec![1; chunk]).is_err() {
            chunk /= 2;
        }
    }
}

fn secrets(value: &str) -> Value {
    json!([{"key": "A", "value": value}, {"key": "B", "value": value}])
}

/// The value that both keys of a group have.
fn whole(client: &mut Client, id: &str) -> String {
    let body = json!({"secretGroupId": id, "withValue": true});
    let read = client.post("/api/svc/v1/secrets", &body).unwrap().success();
    let value = |at: usize| read["data"][at]["value"].as_str().unwrap().to_owned();
    assert_eq!(value(0), value(1), "half of a write");
    value(0)
}

struct Writer {
    client: Client,
    id: String,
    revision: i64,
    value: String,
}

impl Writer {
    fn new(server: &Server, integration: &str, number: usize) -> Self {
        let (mut client, value) = (server.client(), "first".to_owned());
        let body =
            json!({"name": format!("writer-{number}"), "integrationId": integration, "secrets": secrets(&value)});
        let made = client.post(GROUPS, &body).unwrap().success();
        Self { client, id: made["data"]["id"].as_str().unwrap().to_owned(), revision: 1, value }
    }

    /// Writes until the disk is full.
    fn write_until_full(&mut self) {
        while self.write() {}
    }

    /// Whether a write was acknowledged; the only other answer is that the disk is full.
    fn write(&mut self) -> bool {
        let value = format!("{}-{}", self.revision + 1, "x".repeat(2_000));
        let answer = self.client.put(&format!("{GROUPS}/{}", self.id), &json!({"secrets": secrets(&value)})).unwrap();
        if answer.status == 200 {
            self.revision += 1;
            self.value = value;
            assert_eq!(answer.revision(), Some(self.revision));
            return true;
        }
        assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("storage_full")), "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
        false
    }

    /// Reads without a value go on, and show what was acknowledged.
    fn check_shown(&mut self) {
        let answer = self.client.get(&format!("{GROUPS}/{}", self.id)).unwrap();
        assert_eq!((answer.status, answer.revision()), (200, Some(self.revision)));
    }

    /// Values are given for as long as there is room for their events, and then no more. How many times they were.
    fn read_until_full(&mut self) -> i64 {
        let body = json!({"secretGroupId": self.id, "withValue": true});
        for given in 0..100_000 {
            let answer = self.client.post("/api/svc/v1/secrets", &body).unwrap();
            if answer.status == 200 {
                continue;
            }
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (503, Some("storage_full")),
                "{}",
                answer.text()
            );
            assert!(!answer.text().contains(&self.value));
            return given;
        }
        panic!("values are given without end on a full disk");
    }
}

#[test]
fn a_full_disk_refuses_writes_and_values_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let Some(server) = start(&data) else { return };
    let inside = seen_by(&server, &data);
    let token = fs::read_to_string(inside.join("admin-token")).unwrap();
    let server = server.with_token(token.trim());
    let mut client = server.client();
    let integration = integration_id(&mut client);
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(&server, &integration, number)).collect();
    let ballast: Vec<PathBuf> = (0..3).map(|number| inside.join(format!("ballast-{number}"))).collect();
    for file in &ballast {
        fs::write(file, vec![1; 1 << 20]).unwrap();
    }
    let mut given = 0;
    for freed in ballast {
        // All write while the space runs out, so that some share a transaction with the one that has no more room.
        thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| writer.write_until_full());
            }
        });
        fill(&inside.join("filler"));
        for writer in &mut writers {
            // What little was left for one of them is gone now.
            writer.write_until_full();
            writer.check_shown();
        }
        given += writers[0].read_until_full();
        assert_eq!(client.get("/readyz").unwrap().status, 200);
        let create = json!({"name": "one-more", "integrationId": integration, "secrets": secrets("x")});
        assert_eq!(client.post(GROUPS, &create).unwrap().status, 503);

        fs::remove_file(freed).unwrap();
        for writer in &mut writers {
            assert_eq!(
                whole(&mut client, &writer.id),
                writer.value,
                "what was acknowledged is there, and nothing else"
            );
            writer.check_shown();
            given += 1;
        }
        let events = "/api/svc/v1/audit-logs?metric=count&action=READ_SECRET_VALUES";
        let events = client.get(events).unwrap().success();
        assert_eq!(events["count"], given, "one event for each time that values were given");
    }
    assert!(writers.iter().all(|writer| writer.revision > 1));
    assert_eq!(client.get(&format!("{GROUPS}?fqn=default:one-more")).unwrap().success()["pagination"]["total"], 0);
    server.stop();
}
