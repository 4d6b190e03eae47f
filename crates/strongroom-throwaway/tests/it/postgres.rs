//! Real servers, where PostgreSQL is installed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::support::{postgres, processes_with, programs, quick, state, wait_until};
use strongroom_throwaway::{Postgres, PostgresOptions};

const TABLE: &str = "CREATE TABLE kept (number int PRIMARY KEY)";
const COUNT: &str = "SELECT count(*) FROM kept";

#[test]
fn it_answers_over_socket_and_tcp_with_what_was_asked_for() {
    let conf = vec!["work_mem = '7MB'".to_owned()];
    let options = PostgresOptions { tcp: true, conf, max_connections: 33, ..quick() };
    let Some(server) = postgres(options) else { return };
    let settings = "SELECT concat_ws(' ', current_setting('work_mem'), current_setting('max_connections'),
        current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'))";
    assert_eq!(server.execute("postgres", settings).unwrap(), "7MB 33 off off on");
    let version = server.execute("postgres", "SHOW server_version_num").unwrap();
    assert!(version.starts_with(&server.version().to_string()) && server.version() >= 14);

    server.create_database("a \"b\" c").unwrap();
    assert!(server.create_database("a \"b\" c").unwrap_err().contains("already exists"));
    server.execute("a \"b\" c", &format!("{TABLE}; INSERT INTO kept VALUES (1), (2)")).unwrap();
    assert_eq!(server.execute("a \"b\" c", "SELECT number, 'x' FROM kept").unwrap(), "1|x\n2|x");
    assert!(server.execute("a \"b\" c", "INSERT INTO kept VALUES (1)").unwrap_err().contains("duplicate key"));

    let url = server.tcp_url("a \"b\" c").unwrap();
    let output = Command::new("psql").args(["-X", "-t", "-A", &url, "-c", COUNT]).output();
    if let Ok(output) = output {
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2", "{output:?}");
    }
}

#[test]
fn it_is_durable_and_local_unless_told_otherwise() {
    let Some(server) = postgres(PostgresOptions::default()) else { return };
    let settings = "SELECT current_setting('fsync') || current_setting('listen_addresses')";
    assert_eq!(server.execute("postgres", settings).unwrap(), "on");
    assert_eq!(server.tcp_url("postgres"), None);
}

#[test]
fn committed_rows_survive_a_kill_and_others_do_not() {
    let Some(mut server) = postgres(PostgresOptions { tcp: true, ..quick() }) else { return };
    let (port, url) = (server.port(), server.url("postgres"));
    server.execute("postgres", &format!("{TABLE}; INSERT INTO kept VALUES (1)")).unwrap();
    let mut open = Command::new("psql").args(["-X", &url]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let said = "BEGIN; INSERT INTO kept VALUES (2); SELECT pg_advisory_lock(7), pg_sleep(1000);\n";
    std::io::Write::write_all(open.stdin.as_mut().unwrap(), said.as_bytes()).unwrap();
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    wait_until(|| server.execute("postgres", locks).unwrap() == "1");

    assert!(server.is_running());
    server.kill();
    assert!(!server.is_running());
    assert_eq!(processes_with(server.data_dir()), Vec::<i32>::new());
    drop(open.stdin.take());
    assert!(!open.wait().unwrap().success());
    assert!(server.execute("postgres", COUNT).is_err());

    server.restart().unwrap();
    assert_eq!(server.execute("postgres", COUNT).unwrap(), "1");
    assert_eq!((server.port(), server.url("postgres")), (port, url));
    // Running, it is stopped first.
    server.restart().unwrap();
    server.stop();
    assert!(!server.is_running() && processes_with(server.data_dir()).is_empty());
    server.restart().unwrap();
    assert_eq!(server.execute("postgres", COUNT).unwrap(), "1");
}

#[test]
fn paused_it_answers_nobody_and_resumed_everybody() {
    let Some(mut server) = postgres(quick()) else { return };
    server.execute("postgres", TABLE).unwrap();
    server.pause();
    assert!(server.is_running());
    let mut question = Command::new("psql")
        .args(["-X", "-q", &server.url("postgres"), "-c", "INSERT INTO kept VALUES (1)"])
        .spawn()
        .unwrap();
    let processes = processes_with(server.data_dir());
    assert!(processes.len() > 1 && processes.iter().all(|&process| state(process) == Some('T')));
    // It can't come any nearer to the answer than to have asked.
    wait_until(|| state(i32::try_from(question.id()).unwrap()) == Some('S'));
    thread::sleep(Duration::from_millis(100));
    assert!(question.try_wait().unwrap().is_none());
    server.resume();
    assert!(question.wait().unwrap().success());
    assert_eq!(server.execute("postgres", COUNT).unwrap(), "1");
    server.pause();
    server.kill();
    assert!(processes_with(server.data_dir()).is_empty());
}

#[test]
fn a_promoted_standby_has_every_acknowledged_row() {
    let Some(mut server) = postgres(PostgresOptions { tcp: true, ..quick() }) else { return };
    server.execute("postgres", &format!("{TABLE}; INSERT INTO kept VALUES (1)")).unwrap();
    let mut standby = server.synchronous_standby().unwrap();
    assert_ne!(server.port(), standby.port());
    assert_eq!(standby.execute("postgres", COUNT).unwrap(), "1");
    assert!(standby.execute("postgres", "INSERT INTO kept VALUES (9)").unwrap_err().contains("read-only"));
    server.execute("postgres", "INSERT INTO kept VALUES (2)").unwrap();

    // Nothing is acknowledged that the standby doesn't have.
    standby.pause();
    let url = server.url("postgres");
    let mut waiting =
        Command::new("psql").args(["-X", "-q", &url, "-c", "INSERT INTO kept VALUES (3)"]).spawn().unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    wait_until(|| server.execute("postgres", waits).unwrap() == "1");
    assert!(waiting.try_wait().unwrap().is_none());
    standby.resume();
    assert!(waiting.wait().unwrap().success());

    server.kill();
    standby.promote().unwrap();
    assert_eq!(standby.execute("postgres", COUNT).unwrap(), "3");
    standby.execute("postgres", "INSERT INTO kept VALUES (4)").unwrap();
}

#[test]
fn dropped_it_leaves_nothing() {
    for ending in [|_: &mut Postgres| {}, Postgres::kill, Postgres::stop, |server: &mut Postgres| server.pause()] {
        let Some(mut server) = postgres(quick()) else { return };
        let folders = [server.data_dir().parent().unwrap().to_owned(), server.socket_dir().to_owned()];
        let processes = processes_with(server.data_dir());
        assert!(processes.len() > 1 && folders.iter().all(|folder| folder.is_dir()));
        ending(&mut server);
        drop(server);
        assert!(!folders.iter().any(|folder| folder.exists()));
        assert!(processes.iter().all(|&process| state(process).is_none_or(|state| state == 'Z')));
    }
}

/// The process that the next test kills.
#[test]
#[ignore = "only for the next one"]
fn owner() {
    let server = Postgres::start(quick()).unwrap();
    eprintln!("owner has {} {}", server.data_dir().display(), server.socket_dir().display());
    // Paused: the worst case.
    server.pause();
    loop {
        thread::park();
    }
}

#[test]
fn when_its_owner_is_killed_it_goes_too() {
    if programs().is_none() {
        return;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "postgres::owner"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.into_iter().find(|line| line.starts_with("owner has")).unwrap();
    let folders: Vec<&Path> = line.split(' ').skip(2).map(Path::new).collect();
    assert!(!processes_with(folders[0]).is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until(|| processes_with(folders[0]).is_empty() && !folders.iter().any(|folder| folder.exists()));
}

#[test]
fn a_parent_folder_is_used_and_its_servers_are_apart() {
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    let parent = tempfile::Builder::new().permissions(mode(0o700)).tempdir_in("/tmp").unwrap();
    let options = PostgresOptions { parent: Some(parent.path().to_owned()), ..quick() };
    if rustix::process::geteuid().is_root() {
        // It is closed to all others.
        if programs().is_some() {
            assert!(Postgres::start(options.clone()).err().unwrap().contains("can't enter"));
        }
        std::fs::set_permissions(parent.path(), mode(0o711)).unwrap();
    }
    let Some(one) = postgres(options.clone()) else { return };
    let other = Postgres::start(options).unwrap();
    assert!(one.data_dir().starts_with(parent.path()) && other.data_dir().starts_with(parent.path()));
    one.create_database("mine").unwrap();
    other.create_database("mine").unwrap();
}

#[test]
fn a_mistaken_setting_is_told_in_the_servers_words() {
    if programs().is_none() {
        return;
    }
    let options = PostgresOptions { conf: vec!["no_such_setting = 1".to_owned()], ..quick() };
    assert!(Postgres::start(options).err().unwrap().contains("no_such_setting"));
}
