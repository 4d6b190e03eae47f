//! Strongroom itself: the release binary with a fresh data directory, `SQLite` and the embedded store.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;

use super::setup::{Client, text, wait_for};
use super::{Kind, SECRETS, Started, Target};
use crate::Result;
use crate::machine::first_line;
use crate::options::Options;
use crate::process::{Server, free_port, resident_kib};
use crate::template::{Template, UNIQUE, VALUE};

const GROUPS: &str = "/api/svc/v1/secret-groups";

pub(super) async fn start(options: &Options, folder: &Path) -> Result<Started> {
    let program = &options.strongroom;
    if !program.is_file() {
        return Ok(Started::Skipped(
            "strongroom: no binary beside the bench; build it with `cargo build --release -p strongroom` or name it with --strongroom".to_owned(),
        ));
    }
    let address = free_port()?;
    let data = folder.join("data");
    let mut command = Command::new(program);
    without_settings(&mut command)
        .arg("serve")
        .env("STRONGROOM_LISTEN", address.to_string())
        .env("STRONGROOM_DATA_DIR", &data)
        .env("STRONGROOM_LOG_LEVEL", "info");
    let spawned = Instant::now();
    let mut server = Server::spawn(&mut command, folder.join("server.log"))?;
    let start_up = wait_for(&mut server, spawned, address, "/readyz", &[200]).await?;
    let resting_kib = resident_kib(server.pid())?;

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
    let version = first_line(without_settings(&mut Command::new(program)).arg("--version"));
    Ok(Started::Running(Box::new(Target {
        kind: Kind::Strongroom,
        version,
        server,
        address,
        start_up,
        resting_kib,
        reveal_bytes,
        create,
        updates,
        reveals,
    })))
}

/// Keeps the caller's own settings out of the measured server.
fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("STRONGROOM_") || text == "DISABLE_SECRET_VALUE_VIEW" {
            command.env_remove(&name);
        }
    }
    command
}
