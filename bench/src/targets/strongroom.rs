//! Strongroom itself: the release binary with a fresh data directory, `SQLite` and the embedded store.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;

use super::setup::{Client, text, wait_for};
use super::{Kind, Requests, SECRETS, Started, Target};
use crate::Result;
use crate::machine::first_line;
use crate::options::Options;
use crate::process::{Server, free_port, resident_kib};
use crate::template::{Template, UNIQUE, VALUE};

const GROUPS: &str = "/api/svc/v1/secret-groups";
/// Answers 200 as soon as everything does.
pub(crate) const READY: &str = "/readyz";

pub(super) async fn start(options: &Options, folder: &Path) -> Result<Started> {
    if let Some(why) = missing(options, Kind::Strongroom) {
        return Ok(Started::Skipped(why));
    }
    let address = free_port()?;
    let data = folder.join("data");
    let spawned = Instant::now();
    let mut server = Server::spawn(&mut serve(options, address, &data), folder.join("server.log"))?;
    let start_up = wait_for(&mut server, spawned, address, READY, &[200]).await?;
    let resting_kib = resident_kib(server.pid())?;
    let (requests, reveal_bytes) = fill(address, &data).await?;
    Ok(Started::Running(Box::new(Target {
        kind: Kind::Strongroom,
        version: version(options),
        servers: vec![server],
        addresses: vec![address],
        database: None,
        start_up,
        resting_kib,
        reveal_bytes,
        requests,
    })))
}

/// Why there is no Strongroom to start, if so.
pub(super) fn missing(options: &Options, kind: Kind) -> Option<String> {
    let how =
        "no binary beside the bench; build it with `cargo build --release -p strongroom` or name it with --strongroom";
    (!options.strongroom.is_file()).then(|| format!("{}: {how}", kind.name()))
}

/// The command of a server that logs as the bench wants it.
pub(crate) fn serve(options: &Options, address: SocketAddr, data: &Path) -> Command {
    let mut command = program(options);
    command
        .arg("serve")
        .env("STRONGROOM_LISTEN", address.to_string())
        .env("STRONGROOM_DATA_DIR", data)
        // All load comes with one token.
        .env("STRONGROOM_RATE_LIMIT_SUBJECT", "0")
        .env("STRONGROOM_RATE_LIMIT_ADDRESS", "0")
        .env("STRONGROOM_LOG_LEVEL", "info");
    command
}

pub(super) fn version(options: &Options) -> String {
    first_line(program(options).arg("--version"))
}

/// Creates the secrets; gives the requests and the size of a reveal's answer.
pub(super) async fn fill(address: SocketAddr, data: &Path) -> Result<(Requests, usize)> {
    // Only the server that was just started knows the token in this fresh directory.
    let token = std::fs::read_to_string(data.join("admin-token"))?;
    let header = format!("authorization: Bearer {}", token.trim());
    let mut client = Client::open(address, header.clone()).await?;
    let integrations = client.call("GET", "/api/svc/v1/provider-integrations?type=secret-store", None).await?;
    let integration = text(&integrations, "/data/0/id")?;

    let body = json!({
        "name": format!("bench-{UNIQUE}"),
        "integrationId": integration,
        "secrets": [{"key": "password", "value": VALUE}],
    });
    let mut create = Template::new("POST", GROUPS, &[&header], Some(&body.to_string()));
    let change = json!({"secrets": [{"key": "password", "value": VALUE}]}).to_string();
    let mut updates = Vec::with_capacity(SECRETS);
    let mut reveals = Vec::with_capacity(SECRETS);
    for _ in 0..SECRETS {
        let one = client.send(&mut create).await?;
        let group_path = format!("{GROUPS}/{}", text(&one, "/data/id")?);
        updates.push(Template::new("PUT", &group_path, &[&header], Some(&change)));
        let other = client.send(&mut create).await?;
        let secret_path = format!("/api/svc/v1/secrets/{}", text(&other, "/data/associatedSecrets/0/id")?);
        reveals.push(Template::new("GET", &secret_path, &[&header], None));
    }
    // A reveal without a value would be a fast lie.
    let revealed = client.send(&mut reveals[0]).await?;
    if text(&revealed, "/data/value")?.len() != VALUE.len() {
        return Err("strongroom: a reveal did not give the value that was written".into());
    }
    let reveal_bytes = client.answer_size(&mut reveals[0]).await?;
    Ok((Requests { create, updates, reveals }, reveal_bytes))
}

/// Strongroom's program, with the caller's own settings kept out.
pub(super) fn program(options: &Options) -> Command {
    let mut command = Command::new(&options.strongroom);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("STRONGROOM_") || text == "DISABLE_SECRET_VALUE_VIEW" {
            command.env_remove(&name);
        }
    }
    command
}
