//! A whole instance goes to another database and back, and answers as before.

mod answers;
mod instance;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use strongroom_throwaway::{psql, with_database};

use crate::support::{Launch, Server};
use answers::{audit_log, read, same};

/// How many secrets: a hundred in each group.
fn secrets() -> usize {
    std::env::var("MIGRATE_SECRETS").map_or(2_000, |text| text.parse().unwrap())
}

/// A database in the middle: on the PostgreSQL server that the test command names, else a file.
struct Middle {
    url: String,
    /// The server, and the database's name there.
    postgres: Option<(String, String)>,
}

impl Middle {
    fn new(folder: &Path) -> Self {
        let Ok(server) = std::env::var("STRONGROOM_TEST_POSTGRES") else {
            return Self { url: file(folder, "middle.db"), postgres: None };
        };
        let name = format!("migrate_{}", std::process::id());
        psql(&server, &format!("CREATE DATABASE {name}")).unwrap();
        Self { url: with_database(&server, &name), postgres: Some((server, name)) }
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.postgres {
            let _ = psql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn file(folder: &Path, name: &str) -> String {
    format!("sqlite:{}", folder.join(name).display())
}

fn migrate(from: &str, to: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.env_clear().args(["migrate-database", "--from", from, "--to", to]).args(more).output().unwrap()
}

/// Moves it; gives the lines of the report, with the hashes.
#[track_caller]
fn moved(from: &str, to: &str) -> Vec<String> {
    let begun = Instant::now();
    let output = migrate(from, to, &[]);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains(" rows in 29 tables are the same on both sides."), "{out}");
    assert!(err.contains("copying ") && err.contains("comparing "), "{err}");
    tell(&format!(
        "moved in {:.1?}: {}",
        begun.elapsed(),
        out.lines().find(|line| line.contains(" rows in ")).unwrap_or_default()
    ));
    out.lines().map(str::to_owned).collect()
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn launch(data: &Path, url: &str) -> Launch {
    Launch::on(data).arg("database-url", url)
}

fn start(data: &Path, url: &str) -> Server {
    launch(data, url).start()
}

#[test]
fn an_instance_goes_there_and_back_and_answers_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (first, last) = (file(folder.path(), "first.db"), file(folder.path(), "last.db"));
    let middle = Middle::new(folder.path());

    let server = start(&data, &first);
    let begun = Instant::now();
    let tokens = instance::fill(&server, secrets());
    tell(&format!("{} secrets made in {:.1?}", secrets(), begun.elapsed()));
    let begun = Instant::now();
    let before = read(&server, &tokens);
    let log = audit_log(&server, &tokens[0].1);
    tell(&format!("{} answers read in {:.1?}", before.len() + log.len(), begun.elapsed()));
    assert!(before.values().filter(|answer| answer.starts_with("200 ")).count() > secrets() / 10);
    assert!(before.keys().any(|asked| before[asked].starts_with("401 ")), "a revoked token");
    let refused = migrate(&first, &middle.url, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let refused = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.contains("in use by another strongroom process"), "{refused}");
    server.stop();

    moved(&first, &middle.url);
    refuses_to_start(&data, &first);
    let server = start(&data, &middle.url);
    same("the audit log in the middle", &log, &audit_log(&server, &tokens[0].1));
    same("in the middle", &before, &read(&server, &tokens));
    instance::still_takes_writes(&server, &tokens[0].1);
    let (before, log) = (read(&server, &tokens), audit_log(&server, &tokens[0].1));
    server.stop();

    moved(&middle.url, &last);
    refuses_to_start(&data, &middle.url);
    let server = start(&data, &last);
    same("the audit log after it came back", &log, &audit_log(&server, &tokens[0].1));
    same("after it came back", &before, &read(&server, &tokens));
    instance::still_takes_writes(&server, &tokens[0].1);
    server.stop();
}

#[track_caller]
fn refuses_to_start(data: &Path, url: &str) {
    let refused = launch(data, url).refused().output;
    assert!(refused.contains("was moved to ") && refused.contains("start with that one"), "{refused}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (file(folder.path(), "here.db"), file(folder.path(), "there.db"));
    let password = folder.path().join("none").display().to_string();
    let said = |from: &str, to: &str, more: &[&str], words: &str| {
        let output = migrate(from, to, more);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(words), "{error}");
    };
    said("mysql://x", &there, &[], "--from must begin with sqlite: or postgres://");
    said(&here, "postgres://host/x", &[], "--to names no user");
    said(&here, "postgres://u@127.0.0.1/x", &["--to-password-file", &password], "--to-password-file can't be read");
    said(&here, &there, &["--to-password-file", &password], "--to-password-file goes with PostgreSQL only");
    said(&here, &here, &[], "the same database");
    said(&here, &there, &[], "here.db is no file");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    drop(Server::start(&folder.path().join("data")));
    let here = file(folder.path(), "data/strongroom.db");
    said(&here, &there, &["--undo"], "is not being moved: there is nothing to undo");
    assert!(!folder.path().join("there.db").exists());
}
