//! The servers and the groups in them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use strongroom_throwaway::{Moto, OpenBao};

use crate::Result;
use crate::options::OuterOptions;
use crate::process::{Server, free_port};
use crate::targets::{Client, READY, serve_openbao, serve_strongroom, text, wait_for};

pub(super) const GROUPS: &str = "/api/svc/v1/secret-groups";
const ACCOUNTS: &str = "/api/svc/v1/provider-accounts";

/// How a request reaches the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Through,
    Direct,
}

impl Side {
    /// In turn each is the first.
    pub(super) fn in_turn(repetition: usize) -> [Self; 2] {
        if repetition.is_multiple_of(2) { [Self::Through, Self::Direct] } else { [Self::Direct, Self::Through] }
    }
}

/// What the server and the bench itself need of the durable one.
const POLICY: &str = r#"
path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/mounts/secret" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
"#;

/// An `OpenBao` and its integration.
pub(super) struct Vault {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    /// A whole line with its token.
    pub(super) header: String,
    pub(super) process: Option<u32>,
    pub(super) integration: String,
}

/// Everything that runs.
pub(super) struct Lab {
    pub(super) server: Server,
    pub(super) address: SocketAddr,
    /// A whole line with the administrator's token.
    pub(super) header: String,
    /// In memory, with its root token; and durable, with a policy and its audit log on.
    pub(super) vaults: [Vault; 2],
    _in_memory: OpenBao,
    _durable: Server,
    /// The one that will hang.
    pub(super) other: OpenBao,
    pub(super) moto: Option<Moto>,
    pub(super) in_other: String,
    pub(super) in_moto: Option<String>,
    pub(super) embedded: String,
}

/// A group as the server knows it.
pub(super) struct Group {
    pub(super) id: String,
    /// Ids of the secrets `KEY_0` and so on.
    pub(super) secrets: Vec<String>,
}

impl Lab {
    pub(super) async fn start(options: &OuterOptions, folder: &Path) -> Result<Self> {
        let bao = OpenBao::start(&options.common.bao)?;
        let other = OpenBao::start(&options.common.bao)?;
        let moto = options.moto.as_deref().map(Moto::start).transpose()?;
        let durable = folder.join("openbao");
        std::fs::create_dir(&durable)?;
        let durable = serve_openbao(&options.common.bao, &durable, POLICY).await?;
        let (address, data) = (free_port()?, folder.join("data"));
        let spawned = Instant::now();
        let mut command = serve_strongroom(&options.common, address, &data);
        command.env("STRONGROOM_EGRESS_ALLOW", "127.0.0.0/8");
        if let Some(moto) = &moto {
            command.env("STRONGROOM_STORE_ENDPOINT_AWS_SECRETS_MANAGER", moto.url());
            command.env("STRONGROOM_STORE_ENDPOINT_AWS_STS", moto.url());
        }
        let mut server = Server::spawn(&mut command, folder.join("server.log"))?;
        wait_for(&mut server, spawned, address, READY, &[200]).await?;
        let token = std::fs::read_to_string(data.join("admin-token"))?;
        let header = format!("authorization: Bearer {}", token.trim());
        let mut client = Client::open(address, header.clone()).await?;
        let listed = client.call("GET", "/api/svc/v1/provider-integrations?type=secret-store", None).await?;
        let embedded = text(&listed, "/data/0/id")?;
        let vault = |name, url: &str, token: &str| {
            json!({
                "type": "integration/secret-store/hashicorp/vault", "name": name, "vault_url": url,
                "kv_mount_path": "secret", "auth_data": {"type": "token", "token": token},
            })
        };
        let durable_url = format!("http://{}", durable.address);
        let manifest = json!({
            "type": "provider-account/hashicorp", "name": "vaults",
            "integrations": [
                vault("memory", &bao.url(), bao.root_token()),
                vault("durable", &durable_url, &durable.token),
                vault("hanging", &other.url(), other.root_token()),
            ],
        });
        let made = apply(&mut client, &manifest).await?;
        let made = |at| text(&made, &format!("/data/integrations/{at}/id"));
        let in_memory = Vault {
            name: "OpenBao in memory",
            address: address_of(&bao.url())?,
            header: format!("x-vault-token: {}", bao.root_token()),
            process: bao.process_id(),
            integration: made(0)?,
        };
        let on_disk = Vault {
            name: "OpenBao, durable",
            address: durable.address,
            header: format!("x-vault-token: {}", durable.token),
            process: Some(durable.server.pid()),
            integration: made(1)?,
        };
        let (vaults, in_other) = ([in_memory, on_disk], made(2)?);
        let in_moto = if moto.is_some() { Some(aws(&mut client).await?) } else { None };
        Ok(Self {
            server,
            address,
            header,
            vaults,
            _in_memory: bao,
            _durable: durable.server,
            other,
            moto,
            in_other,
            in_moto,
            embedded,
        })
    }

    /// A new group with keys `KEY_0` and so on.
    pub(super) async fn group(&self, integration: &str, name: &str, keys: usize) -> Result<Group> {
        let wanted = json!({"name": name, "integrationId": integration, "secrets": values(keys, "first")});
        // One that was kept since the last group may have been closed.
        let mut client = Client::open(self.address, self.header.clone()).await?;
        let made = client.call("POST", GROUPS, Some(&wanted)).await?;
        let mut secrets = vec![String::new(); keys];
        for secret in made.pointer("/data/associatedSecrets").and_then(Value::as_array).into_iter().flatten() {
            let number = text(secret, "/name")?.strip_prefix("KEY_").and_then(|number| number.parse::<usize>().ok());
            let place = number.and_then(|number| secrets.get_mut(number)).ok_or("a secret that nobody has made")?;
            *place = text(secret, "/id")?;
        }
        Ok(Group { id: text(&made, "/data/id")?, secrets })
    }
}

/// Keys with values of 32 bytes that differ by `round`.
pub(super) fn values(keys: usize, round: &str) -> Value {
    (0..keys).map(|number| json!({"key": format!("KEY_{number}"), "value": value(number, round)})).collect()
}

pub(super) fn value(number: usize, round: &str) -> String {
    format!("{round:*>24}{number:08}")
}

async fn apply(client: &mut Client, manifest: &Value) -> Result<Value> {
    client.call("PUT", ACCOUNTS, Some(&json!({"manifest": manifest}))).await
}

async fn aws(client: &mut Client) -> Result<String> {
    let manifest = json!({
        "type": "provider-account/aws", "name": "moto", "aws_account_id": "123456789012",
        "auth_data": {"type": "access-key-based", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "none"},
        "integrations": [
            {"type": "integration/secret-store/aws/secrets-manager", "name": "secrets", "region": "eu-central-1"},
        ],
    });
    text(&apply(client, &manifest).await?, "/data/integrations/0/id")
}

/// Where a URL of this machine points to.
pub(super) fn address_of(url: &str) -> Result<SocketAddr> {
    Ok(url.trim_start_matches("http://").trim_end_matches('/').parse()?)
}
