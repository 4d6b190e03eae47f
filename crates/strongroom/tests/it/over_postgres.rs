//! Starting, looking after and stopping replicas over PostgreSQL; where the test command names no server, nothing is done.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_throwaway::{psql, with_database};

use crate::support::{Client, Launch, Server, integration_id};

/// A database of this test's own, and a folder for its replicas.
struct Place {
    server: String,
    name: String,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = std::env::var("STRONGROOM_TEST_POSTGRES").ok()?;
        let name = format!("over_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        psql(&server, &format!("CREATE DATABASE {name}")).unwrap();
        Some(Self { server, name, folder: tempfile::tempdir().unwrap() })
    }

    fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }

    fn ask(&self, sql: &str) -> String {
        psql(&self.url(), sql).unwrap().trim().to_owned()
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("root.key")
    }

    fn made_key(&self) -> String {
        strongroom_server::make_root_key_file(&self.key()).unwrap()
    }

    fn data(&self, replica: usize) -> PathBuf {
        self.folder.path().join(format!("replica-{replica}"))
    }

    fn launch(&self, replica: usize) -> Launch {
        Launch::on(&self.data(replica))
            .arg("database-url", &self.url())
            .arg("root-key-file", self.key().to_str().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn has_token(folder: &Path) -> bool {
    folder.join("admin-token").exists()
}

#[test]
fn no_key_is_made_at_a_start() {
    let Some(place) = Place::new() else { return };
    let refused = place.launch(0).refused().output;
    assert!(refused.contains("strongroom keys init --root-key-file"), "{refused}");
    assert!(!place.key().exists() && !has_token(&place.data(0)));
    assert_eq!(place.ask("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public'"), "0");
    // Neither at the default place.
    let refused = Launch::on(&place.data(1)).arg("database-url", &place.url()).refused().output;
    assert!(refused.contains("strongroom keys init") && !place.data(1).join("root.key").exists(), "{refused}");
}

#[test]
fn of_three_that_start_at_once_one_is_first() {
    let Some(place) = Place::new() else { return };
    place.made_key();
    let mut servers: Vec<Server> = thread::scope(|scope| {
        let starting: Vec<_> = (0..3)
            .map(|replica| {
                scope.spawn({
                    let place = &place;
                    move || place.launch(replica).start()
                })
            })
            .collect();
        starting.into_iter().map(|starting| starting.join().unwrap()).collect()
    });
    let first: Vec<usize> = (0..3).filter(|replica| has_token(&place.data(*replica))).collect();
    assert_eq!(first.len(), 1, "one made the administrator, and no other kept a token that opens nothing");
    assert_eq!(place.ask("SELECT COUNT(*) FROM instance"), "1");
    let token = servers[first[0]].token();
    let mut client = servers[0].client_with(&token);
    let integration = integration_id(&mut client);
    let body = json!({"name": "shared", "integrationId": integration, "secrets": [{"key": "K", "value": "v"}]});
    client.post("/api/svc/v1/secret-groups", &body).unwrap().success();
    for server in &servers {
        let reference = "/api/svc/v1/control-plane/secret?secret_ref=default:shared:K";
        assert_eq!(server.client_with(&token).get(reference).unwrap().success()["value"], "v");
    }
    let last = servers.pop().unwrap();
    let (printed, _) = last.stop_and_read();
    assert_eq!(printed.contains("first start"), first[0] == 2, "{printed}");
}

#[test]
fn another_root_key_or_none_is_refused_with_fingerprints() {
    let Some(place) = Place::new() else { return };
    let right = place.made_key();
    place.launch(0).start().stop();
    let away = place.folder.path().join("away.key");
    std::fs::rename(place.key(), &away).unwrap();
    let missing = place.launch(1).refused().output;
    assert!(missing.contains(&right) && missing.contains("bring that key back"), "{missing}");
    let wrong = place.made_key();
    let refused = place.launch(1).refused().output;
    assert!(refused.contains(&right) && refused.contains(&wrong), "{refused}");
    std::fs::rename(&away, place.key()).unwrap();
    place.launch(1).start().stop();
}

#[test]
fn what_cant_be_reached_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("root.key");
    strongroom_server::make_root_key_file(&key).unwrap();
    let url = "postgres://somebody:canary-password@127.0.0.1:1/nothing";
    let launch = Launch::on(&folder.path().join("data")).arg("root-key-file", key.to_str().unwrap());
    let refused = launch.env("STRONGROOM_DATABASE_URL", url).refused().output;
    assert!(refused.contains("setting database-url") && refused.contains("127.0.0.1:1"), "{refused}");
    assert!(!refused.contains("canary-password"), "{refused}");
}

#[test]
fn a_replica_that_is_told_to_stop_is_not_ready_and_serves_for_a_while() {
    let Some(place) = Place::new() else { return };
    place.made_key();
    let mut server = place.launch(0).arg("drain-delay", "2").start();
    let mut client: Client = server.client();
    assert_eq!(client.get("/readyz").unwrap().status, 200);
    server.terminate();
    let told = Instant::now();
    while client.get("/readyz").unwrap().status != 503 {
        assert!(told.elapsed() < Duration::from_secs(2), "it is still ready");
    }
    // A new connection is taken, too.
    assert_eq!(server.client().get("/api/svc/v1/session").unwrap().status, 200);
    assert_eq!(client.get("/healthz").unwrap().status, 200);
    assert!(server.ended().success());
    assert!(told.elapsed() >= Duration::from_secs(2));
}

/// While the replicas go on: each notices the new token.
#[test]
fn an_admin_gets_a_new_token_beside_running_replicas() {
    let Some(place) = Place::new() else { return };
    place.made_key();
    let server = place.launch(0).start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.env_clear().args(["admin-token", "admin@strongroom.local", "--database-url", &place.url()]);
    command.args(["--root-key-file", place.key().to_str().unwrap(), "--data-dir", place.data(1).to_str().unwrap()]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let token = String::from_utf8(output.stdout).unwrap();
    let session = server.client_with(token.trim_end()).get("/api/svc/v1/session").unwrap().success();
    assert_eq!(session["user"]["subject"]["subjectPatName"], "admin-2");
    assert_eq!(server.client().get("/api/svc/v1/session").unwrap().status, 200, "the first one goes on");
    server.stop();
}

#[test]
fn the_doctor_looks_and_changes_nothing() {
    let Some(place) = Place::new() else { return };
    let doctor = |key: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.env_clear().args(["doctor", "--database-url", &place.url(), "--root-key-file", key.to_str().unwrap()]);
        let output = command.args(["--data-dir", place.data(0).to_str().unwrap()]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (fine, text) = doctor(&place.key());
    assert!(!fine && text.contains("FAILURE  root key"), "{text}");
    place.made_key();
    let (fine, text) = doctor(&place.key());
    assert!(fine && text.contains("empty: the first start makes it"), "{text}");
    assert!(text.contains("WARNING  fail-over    no synchronous copy"), "{text}");
    assert_eq!(place.ask("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public'"), "0");
    place.launch(0).start().stop();
    let (fine, text) = doctor(&place.key());
    assert!(fine && text.contains("opens the database"), "{text}");
    let other = place.folder.path().join("other.key");
    strongroom_server::make_root_key_file(&other).unwrap();
    let (fine, text) = doctor(&other);
    assert!(!fine && text.contains("bring back that key"), "{text}");
}

/// Times, ends of tokens and leases go by the database's clock: a replica whose own is five minutes off is no other.
#[test]
fn a_replica_with_a_wrong_clock_tells_the_databases_time() {
    let Some(place) = Place::new() else { return };
    let Some(faketime) = strongroom_throwaway::find_program("faketime") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no faketime here");
        return;
    };
    place.made_key();
    let right = place.launch(0).start();
    let token = right.token();
    for (replica, shift) in [(1, "+5m"), (2, "-5m")] {
        let wrong = place.launch(replica).wrapped(&[faketime.to_str().unwrap(), "-f", shift]).start();
        let mut client = wrong.client_with(&token);
        let body =
            json!({"name": format!("made-{replica}"), "integrationId": integration_id(&mut client), "secrets": []});
        client.post("/api/svc/v1/secret-groups", &body).unwrap().success();
        let off = "SELECT MAX(ABS(created_at - EXTRACT(EPOCH FROM clock_timestamp()) * 1000000) / 1000000)::BIGINT";
        let off: i64 = place.ask(&format!("{off} FROM secret_groups WHERE name = 'made-{replica}'")).parse().unwrap();
        assert!(off < 60, "{shift}: {off} seconds off");
        let ahead =
            "SELECT COUNT(*) FROM leases WHERE expires_at > (EXTRACT(EPOCH FROM clock_timestamp()) + 60) * 1000000";
        assert_eq!(place.ask(ahead), "0", "a lease that lasts too long");
    }
}
