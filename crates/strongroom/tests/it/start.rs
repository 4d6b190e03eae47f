//! Starts that must be refused: with the setting and the way out in the message, and nothing changed on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::{Launch, Server, integration_id};

const VALUE: &str = "kept-through-refusals";

/// A folder with an instance that was stopped.
struct Stopped {
    parent: tempfile::TempDir,
    data: PathBuf,
}

impl Stopped {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        let server = Server::start(&data);
        let mut client = server.client();
        let integration = integration_id(&mut client);
        let body = json!({"name": "group", "integrationId": integration, "secrets": [{"key": "K", "value": VALUE}]});
        client.post("/api/svc/v1/secret-groups", &body).unwrap().success();
        server.stop();
        Self { parent, data }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.data.join("strongroom.db")
    }

    /// The start is refused with all of these words, and the folder is as it was.
    #[track_caller]
    fn refuses(&self, launch: &Launch, words: &[&str]) {
        let before = content(&self.data);
        let refused = launch.refused();
        says(&refused.output, words);
        for secret in ["admin-token", "root.key"] {
            let Ok(secret) = fs::read_to_string(self.data.join(secret)) else { continue };
            let Some(word) = secret.split_whitespace().max_by_key(|word| word.len()) else { continue };
            assert!(!refused.output.contains(word), "a secret is shown:\n{}", refused.output);
        }
        let after = content(&self.data);
        let changed: Vec<&String> =
            before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).collect();
        assert!(changed.is_empty(), "the refusal changed {changed:?}");
    }
}

/// The instance starts, and has what it had.
#[track_caller]
fn starts(launch: &Launch) {
    let server = launch.start();
    let path = "/api/svc/v1/control-plane/secret?secret_ref=default:group:K";
    assert_eq!(server.client().get(path).unwrap().success()["value"], VALUE);
    server.stop();
}

/// Runs `strongroom admin-token` and gives what it printed.
fn admin_token(data: &Path, address: &str) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    let output =
        command.env_clear().args(["admin-token", "--data-dir", data.to_str().unwrap(), address]).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.success(), err.is_empty(), "{err}");
    if output.status.success() { Ok(out.trim_end().to_owned()) } else { Err(err) }
}

#[test]
fn an_admin_s_new_token_takes_the_data_the_key_and_a_stopped_server() {
    const ADMIN: &str = "admin@strongroom.local";
    let at = Stopped::new();
    let token = admin_token(&at.data, ADMIN).unwrap();
    assert!(token.starts_with("tfy_") && !token.contains(char::is_whitespace), "{token}");
    says(&admin_token(&at.data, "nobody@example.com").unwrap_err(), &["nobody@example.com", ADMIN]);
    let server = Server::start(&at.data);
    let reference = "/api/svc/v1/control-plane/secret?secret_ref=default:group:K";
    assert_eq!(server.client_with(&token).get(reference).unwrap().success()["value"], VALUE);
    says(&admin_token(&at.data, ADMIN).unwrap_err(), &["in use by another strongroom process"]);
    server.stop();
    let (key, away) = (at.data.join("root.key"), at.beside("root.key"));
    fs::rename(&key, &away).unwrap();
    says(&admin_token(&at.data, ADMIN).unwrap_err(), &["root.key", "bring that key back"]);
    make_root_key(&key);
    says(&admin_token(&at.data, ADMIN).unwrap_err(), &["fingerprint"]);
    let nothing = at.beside("nothing");
    says(&admin_token(&nothing, ADMIN).unwrap_err(), &["there is no instance", "nothing was made"]);
    assert!(!nothing.exists());
    fs::rename(&away, &key).unwrap();
    starts(&Launch::on(&at.data));
}

/// Every file with its content; not the shared memory of the database, which holds nothing, nor an empty log of it.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
    named.filter(|(name, bytes)| !(name.ends_with("-shm") || name.ends_with("-wal") && bytes.is_empty())).collect()
}

#[track_caller]
fn says(output: &str, words: &[&str]) {
    for word in words {
        assert!(output.contains(word), "`{word}` is not in:\n{output}");
    }
}

fn make_root_key(path: &Path) {
    let made = Command::new(env!("CARGO_BIN_EXE_strongroom"))
        .args(["keys", "init", "--root-key-file", path.to_str().unwrap()])
        .env_clear()
        .output()
        .unwrap();
    assert!(made.status.success());
}

#[test]
fn a_second_process_on_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(folder.path());
    let refused = Launch::on(folder.path()).refused();
    says(&refused.output, &["data-dir", "in use by another strongroom process"]);
    first.client().get("/api/svc/v1/session").unwrap().success();
    first.kill();
    Server::start(folder.path()).stop();
}

/// What a process keeps in memory of a database holds for one writer only.
#[test]
fn a_second_process_on_the_database_is_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Server::start(folder.path());
    let database = format!("sqlite:{}", folder.path().join("strongroom.db").display());
    let key = folder.path().join("root.key");
    let second = Launch::on(other.path()).arg("database-url", &database).arg("root-key-file", key.to_str().unwrap());
    says(&second.refused().output, &["database-url", "in use by another strongroom process"]);
    first.client().get("/api/svc/v1/session").unwrap().success();
    first.stop();
}

#[test]
fn another_root_key_is_refused_with_both_fingerprints() {
    let stopped = Stopped::new();
    let other = stopped.beside("other.key");
    make_root_key(&other);
    let launch = Launch::on(&stopped.data).arg("root-key-file", other.to_str().unwrap());
    stopped.refuses(&launch, &["root-key-file", "opens none of this database's keys", "nothing was changed"]);
    assert_eq!(launch.refused().output.matches("rk-").collect::<Vec<_>>().len(), 3, "found, expected, found again");

    let own = stopped.data.join("root.key");
    fs::rename(&own, stopped.beside("own.key")).unwrap();
    fs::copy(&other, &own).unwrap();
    stopped.refuses(&Launch::on(&stopped.data), &["root-key-file", "opens none of this database's keys"]);
    starts(&Launch::on(&stopped.data).arg("root-key-file", stopped.beside("own.key").to_str().unwrap()));
}

#[test]
fn a_missing_root_key_is_not_made_anew_beside_a_database() {
    let stopped = Stopped::new();
    let (own, moved) = (stopped.data.join("root.key"), stopped.beside("moved.key"));
    fs::rename(&own, &moved).unwrap();
    stopped.refuses(
        &Launch::on(&stopped.data),
        &["root-key-file", "does not exist", "(fingerprint rk-", "bring that key back"],
    );
    let named = Launch::on(&stopped.data).env("STRONGROOM_ROOT_KEY_FILE", stopped.beside("none.key").to_str().unwrap());
    stopped.refuses(&named, &["root-key-file", "none.key", "(fingerprint rk-"]);
    fs::rename(&moved, &own).unwrap();
    starts(&Launch::on(&stopped.data));
}

#[test]
fn a_damaged_root_key_is_refused_without_being_quoted() {
    let stopped = Stopped::new();
    let key = stopped.data.join("root.key");
    let text = fs::read_to_string(&key).unwrap();
    for damaged in
        [text[..text.len() / 2].to_owned(), text.replace(&text[text.len() - 12..], "########\n"), String::new()]
    {
        fs::write(&key, damaged).unwrap();
        stopped.refuses(&Launch::on(&stopped.data), &["root.key", "holds no root key"]);
    }
    fs::write(&key, text).unwrap();
    starts(&Launch::on(&stopped.data));
}

#[test]
fn a_missing_database_is_not_made_anew_beside_its_key() {
    let stopped = Stopped::new();
    let moved = stopped.beside("moved.db");
    fs::rename(stopped.database(), &moved).unwrap();
    let words = ["data-dir", "strongroom.db", "database-url", "bring it back", "another data folder"];
    stopped.refuses(&Launch::on(&stopped.data), &words);
    for empty in ["", "\0"] {
        fs::write(stopped.database(), empty).unwrap();
        stopped.refuses(&Launch::on(&stopped.data), &words);
    }
    let elsewhere = format!("sqlite:{}", stopped.beside("new.db").display());
    stopped.refuses(&Launch::on(&stopped.data).env("STRONGROOM_DATABASE_URL", &elsewhere), &["data-dir", "new.db"]);
    assert!(!stopped.beside("new.db").exists());
    fs::rename(&moved, stopped.database()).unwrap();
    starts(&Launch::on(&stopped.data));
}

#[test]
fn a_named_root_key_that_is_missing_is_never_made() {
    let folder = tempfile::tempdir().unwrap();
    let (data, key) = (folder.path().join("data"), folder.path().join("root.key"));
    let launch = Launch::on(&data).arg("root-key-file", key.to_str().unwrap());
    says(&launch.refused().output, &["root-key-file", "strongroom keys init"]);
    assert!(!key.exists() && !data.join("strongroom.db").exists());
    make_root_key(&key);
    launch.start().stop();
}

#[test]
fn a_malformed_admin_token_stops_every_start() {
    let malformed = ["hunter2-hunter2", "tfy_hunter2", "tfy_0000000000000000000000000000000000000000000"];
    let stopped = Stopped::new();
    let fresh = stopped.beside("fresh");
    for token in malformed {
        let words = ["admin-token", "strongroom token new"];
        stopped.refuses(&Launch::on(&stopped.data).env("STRONGROOM_ADMIN_TOKEN", token), &words);
        let refused = Launch::on(&fresh).env("STRONGROOM_ADMIN_TOKEN", token).refused();
        says(&refused.output, &words);
        assert!(!refused.output.contains(token) && !fresh.exists());
    }
    starts(&Launch::on(&stopped.data));
}

#[test]
fn another_tenant_later_is_refused_with_both_names() {
    let stopped = Stopped::new();
    let words = ["setting tenant", "`other`", "`default`", "can't be renamed"];
    stopped.refuses(&Launch::on(&stopped.data).env("STRONGROOM_TENANT", "other"), &words);
    starts(&Launch::on(&stopped.data).env("STRONGROOM_TENANT", "default"));
}

#[test]
fn settings_that_are_none_are_refused_and_those_of_kubernetes_are_not() {
    let stopped = Stopped::new();
    let on = || Launch::on(&stopped.data);
    stopped.refuses(
        &on().env("STRONGROOM_TENNANT", "default"),
        &["STRONGROOM_TENNANT", "did you mean STRONGROOM_TENANT?"],
    );
    stopped.refuses(&on().env("STRONGROOM_HEADER_TIMEOUT", "soon"), &["header-timeout", "STRONGROOM_HEADER_TIMEOUT"]);
    let in_a_pod = on()
        .env("STRONGROOM_SERVICE_HOST", "10.0.0.1")
        .env("STRONGROOM_SERVICE_PORT", "80")
        .env("STRONGROOM_SERVICE_PORT_HTTP", "80")
        .env("STRONGROOM_PORT", "tcp://10.0.0.1:80")
        .env("STRONGROOM_PORT_80_TCP", "tcp://10.0.0.1:80")
        .env("STRONGROOM_PORT_80_TCP_ADDR", "10.0.0.1");
    starts(&in_a_pod);
}

#[test]
fn a_secret_as_value_and_as_file_is_refused() {
    let stopped = Stopped::new();
    let file = stopped.beside("token");
    fs::write(&file, "hunter2-in-file").unwrap();
    let file = file.to_str().unwrap();
    let both =
        Launch::on(&stopped.data).env("STRONGROOM_ADMIN_TOKEN", "hunter2").env("STRONGROOM_ADMIN_TOKEN_FILE", file);
    stopped
        .refuses(&both, &["admin-token", "STRONGROOM_ADMIN_TOKEN", "STRONGROOM_ADMIN_TOKEN_FILE", "give one of them"]);
    assert!(!both.refused().output.contains("hunter2"));
    let mixed = Launch::on(&stopped.data).env("STRONGROOM_ADMIN_TOKEN", "hunter2").arg("admin-token-file", file);
    stopped.refuses(&mixed, &["admin-token", "--admin-token-file"]);
}

/// Not by permissions, which don't bind the superuser: one path goes through a file, in the other nothing can be made.
#[test]
fn a_folder_that_cant_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for data in [file.join("data"), file.clone(), PathBuf::from("/proc/self"), PathBuf::from("/proc/nowhere")] {
        says(&Launch::on(&data).refused().output, &["setting data-dir", data.to_str().unwrap()]);
    }
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[test]
fn a_taken_port_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = folder.path().join("data");
    let refused = Launch::on(&data).listen(&address).refused();
    says(&refused.output, &["setting listen", &address, "in use"]);
    assert!(!data.exists(), "else the token of the first start would never be shown");
}

#[test]
fn a_damaged_database_is_refused() {
    let stopped = Stopped::new();
    let whole = fs::read(stopped.database()).unwrap();
    let mut no_header = whole.clone();
    no_header[..16].copy_from_slice(b"not a database!!");
    for damaged in [&whole[..whole.len() / 2], &whole[..100], &no_header] {
        fs::write(stopped.database(), damaged).unwrap();
        stopped.refuses(&Launch::on(&stopped.data), &["strongroom.db", "database-url", "backup"]);
    }
    fs::write(stopped.database(), whole).unwrap();
    starts(&Launch::on(&stopped.data));
}

#[test]
fn a_database_of_a_newer_release_is_refused() {
    let stopped = Stopped::new();
    let connection = rusqlite::Connection::open(stopped.database()).unwrap();
    connection.execute("INSERT INTO schema_migrations (version, checksum) VALUES (999, 'newer')", []).unwrap();
    drop(connection);
    stopped.refuses(&Launch::on(&stopped.data), &["schema 999", "newer release", "backup"]);
    let connection = rusqlite::Connection::open(stopped.database()).unwrap();
    connection.execute("DELETE FROM schema_migrations WHERE version = 999", []).unwrap();
    drop(connection);
    starts(&Launch::on(&stopped.data));
}
