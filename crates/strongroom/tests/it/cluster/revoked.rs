//! A token that was ended on one replica works on no other a second later: with notifications, without them, and behind
//! a pooler, where none are heard.

use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_throwaway::{PgBouncer, Postgres};

use crate::support::{Client, Launch, Raw, Server, request};

const ROUNDS: u64 = 8;
const PROMISED: Duration = Duration::from_secs(1);

/// Three replicas; `more` says how they reach the database.
fn replicas(folder: &Path, more: &[(&str, &str)]) -> Vec<Server> {
    let key = folder.join("root.key");
    strongroom_server::make_root_key_file(&key).unwrap();
    let mut token = None;
    (0..3)
        .map(|number| {
            let data = folder.join(format!("replica-{number}"));
            let mut launch = Launch::on(&data).arg("root-key-file", key.to_str().unwrap());
            for (name, value) in more {
                launch = launch.arg(name, value);
            }
            let server = launch.start();
            let token = token.get_or_insert_with(|| server.token());
            server.with_token(token)
        })
        .collect()
}

/// Makes tokens, uses them everywhere and ends them on one replica, at changing moments between two of its questions.
fn ends_everywhere(servers: &[Server], before_ending: impl Fn()) {
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let email = format!("round-{round}@example.com");
        let mut admin = servers[0].client();
        admin.post("/api/svc/v1/users/register", &json!({"email": email})).unwrap().success();
        let wanted = json!({"name": "laptop", "userEmail": email});
        let made = admin.post("/api/svc/v1/personal-access-tokens/for-user", &wanted).unwrap().success();
        let token = made["token"].as_str().unwrap();
        let mut clients: Vec<Client> = servers.iter().map(|server| Client::new(server.address(), token)).collect();
        // Used until every replica keeps in memory whose it is.
        let warm = Instant::now() + Duration::from_millis(1_200 + 67 * round);
        while Instant::now() < warm {
            for client in &mut clients {
                assert_eq!(client.get("/api/svc/v1/session").unwrap().status, 200);
            }
        }
        before_ending();
        let body = json!({"email": email}).to_string();
        let end = request("DELETE", "/api/svc/v1/personal-access-tokens/revoke/all", &servers[0].token(), Some(&body));
        let answer = Raw::connect(servers[0].address()).send(end).answer().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let ended = Instant::now();
        assert_eq!(clients[0].get("/api/svc/v1/session").unwrap().status, 401, "at once where it was ended");
        for client in &mut clients {
            loop {
                let asked = ended.elapsed();
                let status = client.get("/api/svc/v1/session").unwrap().status;
                if status == 401 {
                    slowest = slowest.max(ended.elapsed());
                    break;
                }
                assert_eq!(status, 200);
                assert!(asked < PROMISED, "it still works {asked:?} after its end");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
    let _ = writeln!(std::io::stderr(), "a token's end was seen everywhere within {slowest:?}");
}

/// No replica hears the next notification.
fn deafen(server: &Postgres) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'strongroom listener'";
    server.execute("postgres", sql).unwrap();
}

#[test]
fn a_revoked_token_ends_on_every_replica_within_a_second() {
    let _alone = super::Alone::wait();
    let Some(server) = super::postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = replicas(folder.path(), &[("database-url", &server.url("postgres"))]);
    ends_everywhere(&servers, || {});
}

#[test]
fn it_ends_although_the_notification_is_lost() {
    let _alone = super::Alone::wait();
    let Some(server) = super::postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = replicas(folder.path(), &[("database-url", &server.url("postgres"))]);
    ends_everywhere(&servers, || deafen(&server));
}

#[test]
fn it_ends_behind_a_pooler() {
    let _alone = super::Alone::wait();
    let Some(server) = super::postgres() else { return };
    let program = std::env::var_os("STRONGROOM_TEST_PGBOUNCER").map(Into::into).or_else(PgBouncer::program);
    let Some(program) = program else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no PgBouncer here");
        return;
    };
    let pooler = PgBouncer::start(&program, &server).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let through = pooler.url("postgres");
    let more = [("database-url", through.as_str()), ("database-prepared-statements", "false")];
    let servers = replicas(folder.path(), &more);
    ends_everywhere(&servers, || {});
}
