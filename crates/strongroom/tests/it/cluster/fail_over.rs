//! The database dies, and its synchronous copy takes over.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_throwaway::Postgres;

use super::nemesis::{Fault, Faults};
use super::replicas::{Cluster, Database, PATIENCE};
use super::run::Run;
use super::{Alone, EVERYTHING, postgres};
use crate::support::{Client, integration_id};

const GROUPS: &str = "/api/svc/v1/secret-groups";

#[test]
fn fail_over_to_a_synchronous_copy_loses_nothing() {
    let run = Run::new("fail-over");
    let Some(mut server) = postgres() else { return };
    let standby = server.synchronous_standby().unwrap();
    let database = Database::on_pair(server, &standby);
    let report = run.go_under(database, 3, EVERYTHING, |cluster| {
        thread::sleep(Duration::from_secs(10));
        take_over(cluster, standby);
        thread::sleep(Duration::from_secs(5));
        Faults::from([(Fault::FailOver, 1)])
    });
    report.saw(&[Fault::FailOver], 500, 10);
}

/// PostgreSQL lets a session that waits for the copy be cancelled: it warns and says that the COMMIT is done. It is, on
/// the one machine; acknowledged it must not be.
#[test]
fn a_commit_that_did_not_wait_for_its_copy_is_not_acknowledged() {
    let _alone = Alone::wait();
    let Some(mut server) = postgres() else { return };
    let mut standby = server.synchronous_standby().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(folder.path(), Database::on_pair(server, &standby), 1);
    let mut client = cluster.admin(0);
    let integration = integration_id(&mut client);
    let body = json!({"name": "copied", "integrationId": integration, "secrets": [{"key": "A", "value": "first"}]});
    let made = client.post(GROUPS, &body).unwrap().success();
    let path = format!("{GROUPS}/{}", made["data"]["id"].as_str().unwrap());

    standby.kill();
    let update = json!({"secrets": [{"key": "A", "value": "second"}]});
    let (send, answered) = mpsc::channel();
    let (mut writer, put) = (cluster.admin(0), path.clone());
    thread::spawn(move || send.send(writer.put(&put, &update).map(|answer| answer.status)));
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let end = Instant::now() + PATIENCE;
    while cluster.database.rows(cancel) == [["0"]] {
        assert!(Instant::now() < end, "no COMMIT waits for the copy");
    }
    // The server is slow to give up; what counts is what it says before the copy has the write.
    let status = answered.recv_timeout(Duration::from_secs(40)).expect("no answer");
    let lost = || -> Value {
        take_over(&cluster, standby_again(standby));
        cluster.until_ready();
        value(&mut cluster.admin(0), made["data"]["id"].as_str().unwrap())
    };
    match status {
        Ok(200) => panic!("acknowledged, and the copy that took over has {}", lost()),
        Ok(503) => {}
        other => panic!("{other:?}"),
    }
}

/// A killed copy, running again.
fn standby_again(mut standby: Postgres) -> Postgres {
    standby.restart().unwrap();
    standby
}

fn value(client: &mut Client, group: &str) -> Value {
    let list = json!({"secretGroupId": group, "withValue": true});
    client.post("/api/svc/v1/secrets", &list).unwrap().success()["data"][0]["value"].clone()
}

/// Kills the server that takes writes, and makes the copy the one that does.
fn take_over(cluster: &Cluster, mut standby: Postgres) {
    let mut server = cluster.database.postgres().unwrap().lock().unwrap();
    server.kill();
    standby.promote().unwrap();
    *server = standby;
}
