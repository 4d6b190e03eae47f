//! Updates: all values of a group, beside the same writes sent to its store directly at the same parallelism.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::setup::{GROUPS, Lab, Side, Vault, address_of, value, values};
use super::{Pairs, each, middle, milliseconds};
use crate::Result;
use crate::disk::nanoseconds;
use crate::http1::Connection;
use crate::process::{cpu_time, family_cpu_time};
use crate::targets::Client;
use crate::template::{Random, Template};

/// As many as the server writes at once under one operation.
pub(super) const AT_ONCE: usize = 32;

/// A group of so many keys, so many updates of it a repetition.
const IN_BAO: [(usize, usize); 3] = [(1, 60), (10, 40), (100, 20)];
const IN_MOTO: [(usize, usize); 1] = [(100, 2)];

/// A store to compare with.
struct Direct {
    address: SocketAddr,
    /// The writes of a round, which is the version that is there; each of these lists when the one before it is through.
    writes: Box<dyn Fn(usize) -> Vec<Vec<Vec<u8>>>>,
    /// moto closes each connection after its answer.
    keeps_connections: bool,
    kept: Vec<Connection>,
}

impl Direct {
    /// Sends a round's writes, each connection one after the other.
    async fn write(&mut self, round: usize) -> Result<Duration> {
        let mut took = Duration::ZERO;
        for writes in (self.writes)(round) {
            took += self.write_all(&writes).await?;
        }
        Ok(took)
    }

    async fn write_all(&mut self, writes: &[Vec<u8>]) -> Result<Duration> {
        while self.kept.len() < AT_ONCE.min(writes.len()) {
            self.kept.push(Connection::open(self.address).await?);
        }
        let (address, keeps) = (self.address, self.keeps_connections);
        let next = &Cell::new(0);
        let started = Instant::now();
        let lanes = self.kept.iter_mut().map(|connection| async move {
            while let Some(write) = writes.get(next.get()) {
                next.set(next.get() + 1);
                let response = connection.exchange(write).await?;
                if response.status != 200 {
                    return Err(format!("{}: {}", response.status, String::from_utf8_lossy(response.body)).into());
                }
                if !keeps {
                    *connection = Connection::open(address).await?;
                }
            }
            Ok(())
        });
        let done: Vec<Result<()>> = futures_util::future::join_all(lanes).await;
        let took = started.elapsed();
        done.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(took)
    }
}

/// Lines of a table.
pub(super) async fn measure(lab: &Lab, runs: usize) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for vault in &lab.vaults {
        for (keys, updates) in IN_BAO {
            let direct = to_bao(vault, keys).await?;
            let of = (vault.name, vault.integration.as_str(), vault.process);
            lines.push(compare(lab, of, direct, (keys, updates, runs)).await?);
        }
    }
    if let (Some(moto), Some(integration)) = (&lab.moto, lab.in_moto.clone()) {
        for (keys, updates) in IN_MOTO {
            let direct = to_moto(address_of(&moto.url())?, keys);
            lines.push(compare(lab, ("moto", &integration, None), direct, (keys, updates, runs)).await?);
        }
    }
    Ok(lines)
}

async fn compare(
    lab: &Lab,
    (store, integration, store_process): (&str, &str, Option<u32>),
    mut direct: Direct,
    (keys, updates, runs): (usize, usize, usize),
) -> Result<String> {
    let group =
        lab.group(integration, &format!("updated-{}-{keys}", &integration[integration.len() - 6..]), keys).await?;
    let mut connection = Connection::open(lab.address).await?;
    let (mut pairs, mut used) = (Pairs::default(), [[Duration::ZERO; 2]; 2]);
    let store_time = || store_process.map_or(Ok(Duration::ZERO), family_cpu_time);
    direct.write(0).await?;
    let mut round = 1;
    // The first is to warm up.
    for repetition in 0..=runs {
        let mut took: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
        for update in 0..updates {
            for side in Side::in_turn(update) {
                let at = usize::from(side == Side::Direct);
                let before = (cpu_time(lab.server.pid())?, store_time()?);
                let elapsed = match side {
                    Side::Through => {
                        let body = json!({"secrets": values(keys, &round.to_string())}).to_string();
                        let path = format!("{GROUPS}/{}", group.id);
                        let mut request = Template::new("PUT", &path, &[&lab.header], Some(&body));
                        let request = request.fill(&mut Random::new(0));
                        let started = Instant::now();
                        let response = connection.exchange(request).await?;
                        let elapsed = started.elapsed();
                        if response.status != 200 {
                            let text = String::from_utf8_lossy(response.body);
                            return Err(format!("an update: {}: {text}", response.status).into());
                        }
                        elapsed
                    }
                    Side::Direct => direct.write(round).await?,
                };
                took[at].push(nanoseconds(elapsed));
                if repetition > 0 {
                    used[at][0] += cpu_time(lab.server.pid())?.saturating_sub(before.0);
                    used[at][1] += store_time()?.saturating_sub(before.1);
                }
            }
            round += 1;
        }
        if repetition > 0 {
            for (side, mut took) in [Side::Through, Side::Direct].into_iter().zip(took) {
                took.sort_unstable();
                pairs.push(side, milliseconds(&took, 500));
            }
        }
        eprintln!("updates in {store}, {keys} keys: {repetition}/{runs}");
    }
    let written = keys * updates * runs;
    let of_store = |at: usize| store_process.map_or(String::new(), |_| format!("{:.0}", each(used[at][1], written)));
    Ok(format!(
        "| {store} | {keys} | {:.2} | {:.2} | {} | {:.0} | {} | {} |",
        middle(&pairs.through),
        middle(&pairs.direct),
        pairs.ratio(),
        each(used[0][0], written),
        of_store(0),
        of_store(1),
    ))
}

/// Check-and-set with the fields that the server writes, to entries that are marked as its are.
async fn to_bao(vault: &Vault, keys: usize) -> Result<Direct> {
    let mut client = Client::open(vault.address, vault.header.clone()).await?;
    let id = "01900000-0000-7000-8000-000000000000";
    for number in 0..keys {
        let marks =
            json!({"max_versions": 100, "custom_metadata": {"strongroom_instance": id, "strongroom_secret": id}});
        client.call("POST", &format!("/v1/secret/metadata/direct-{keys}/KEY_{number}"), Some(&marks)).await?;
    }
    let header = vault.header.clone();
    let writes = move |round: usize| {
        let write = |number: usize| {
            let data = json!({
                "value": value(number, &round.to_string()), "strongroom_secret": id, "strongroom_operation": id,
                "strongroom_version": round.to_string(),
            });
            let body = json!({"options": {"cas": round}, "data": data}).to_string();
            let path = format!("/v1/secret/data/direct-{keys}/KEY_{number}");
            Template::new("POST", &path, &[&header], Some(&body)).fill(&mut Random::new(0)).to_vec()
        };
        vec![(0..keys).map(write).collect()]
    };
    Ok(Direct { address: vault.address, writes: Box::new(writes), keeps_connections: true, kept: Vec::new() })
}

/// The same two writes as the server's: each new version is put unseen, and when all are there they are shown.
fn to_moto(address: SocketAddr, keys: usize) -> Direct {
    let ask = |action: &str, body: &Value| {
        let target = format!("x-amz-target: secretsmanager.{action}");
        // moto looks at nothing but the scope as long as it isn't told to.
        let scope = "authorization: AWS4-HMAC-SHA256 Credential=ANYBODY/20260101/eu-central-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0";
        Template::new("POST", "/", &[&target, scope], Some(&body.to_string())).fill(&mut Random::new(0)).to_vec()
    };
    let version = |number: usize, round: usize| format!("direct-{number:06}-v{round:020}");
    let put = move |number: usize, round: usize| {
        let name = format!("direct/KEY_{number}");
        let mut body =
            json!({"ClientRequestToken": version(number, round), "SecretString": value(number, &round.to_string())});
        if round == 0 {
            body["Name"] = json!(name);
            return ask("CreateSecret", &body);
        }
        body["SecretId"] = json!(name);
        body["VersionStages"] = json!([format!("direct-{}", round % 16)]);
        ask("PutSecretValue", &body)
    };
    let show = move |number: usize, round: usize| {
        let body = json!({
            "SecretId": format!("direct/KEY_{number}"), "VersionStage": "AWSCURRENT",
            "MoveToVersionId": version(number, round), "RemoveFromVersionId": version(number, round - 1),
        });
        ask("UpdateSecretVersionStage", &body)
    };
    let writes = move |round: usize| {
        let mut writes = vec![(0..keys).map(|number| put(number, round)).collect()];
        if round > 0 {
            writes.push((0..keys).map(|number| show(number, round)).collect());
        }
        writes
    };
    Direct { address, writes: Box::new(writes), keeps_connections: false, kept: Vec::new() }
}
