//! What is measured. A new peer is a new file here and a line in [`start`]; a new operation is a variant of [`Operation`].

mod floor;
mod openbao;
mod postgres;
mod setup;
mod strongroom;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use strongroom_throwaway::Postgres;

pub(crate) use floor::serve as serve_floor;
pub(crate) use openbao::serve as serve_openbao;
pub(crate) use setup::{Client, text, wait_for};
pub(crate) use strongroom::{READY, serve as serve_strongroom};

use crate::Result;
use crate::load::Aim;
use crate::options::Options;
use crate::process::{Server, resident_kib};
use crate::template::{Lane, Template};

/// How many secrets there are to reveal, and as many others to update: so what is revealed has one version throughout.
pub(crate) const SECRETS: usize = 1000;

/// What one request does.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    /// A new name with one 32-byte value.
    Create,
    /// A new 32-byte value for one of the secrets; no two connections update the same one.
    Update,
    /// The value of one of the secrets.
    Reveal,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Create, Self::Update, Self::Reveal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Reveal => "reveal",
        }
    }
}

/// The servers that can be measured, in the order in which they stand in tables.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Over `SQLite`.
    Strongroom,
    /// One Strongroom over PostgreSQL.
    Postgres,
    /// Three of them over one PostgreSQL.
    #[serde(rename = "postgres-3")]
    Postgres3,
    Floor,
    OpenBao,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Strongroom, Self::Postgres, Self::Postgres3, Self::Floor, Self::OpenBao];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strongroom => "strongroom",
            Self::Postgres => "postgres",
            Self::Postgres3 => "postgres-3",
            Self::Floor => "floor",
            Self::OpenBao => "openbao",
        }
    }
}

/// A server that runs, holds its secrets and waits for load.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) version: String,
    /// One process, or one for each replica. Declared before the database, so that they are gone before it.
    pub(crate) servers: Vec<Server>,
    /// Where these listen.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) database: Option<Postgres>,
    /// From the start of the process to its first good answer.
    pub(crate) start_up: Duration,
    /// Resident memory at that moment, before it held any secrets, in KiB.
    pub(crate) resting_kib: u64,
    /// Bytes in the body of a reveal's answer.
    pub(crate) reveal_bytes: usize,
    requests: Requests,
}

/// What is sent to a server.
pub(crate) struct Requests {
    create: Template,
    updates: Vec<Template>,
    reveals: Vec<Template>,
}

impl Target {
    /// An error when one of its processes has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if self.database.as_mut().is_some_and(|database| !database.is_running()) {
            return Err(format!("{}: PostgreSQL ended", self.kind.name()).into());
        }
        self.servers.iter_mut().try_for_each(Server::check_alive)
    }

    /// Where to send requests, and whose CPU time to take.
    pub(crate) fn aim(&self) -> Aim {
        Aim {
            addresses: self.addresses.clone(),
            servers: self.servers.iter().map(Server::pid).collect(),
            database: self.database.as_ref().and_then(Postgres::process_id),
        }
    }

    /// Of the server's own processes: those of a database share memory, which would be counted for each.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        total_resident_kib(&self.servers)
    }

    /// The requests of `connections` connections. Updates are dealt out, the rest is shared.
    pub(crate) fn lanes(&self, operation: Operation, connections: usize, seed: u64) -> Vec<Lane> {
        (0..connections)
            .map(|connection| {
                let templates = match operation {
                    Operation::Create => vec![self.requests.create.clone()],
                    Operation::Update => deal(&self.requests.updates, connection, connections),
                    Operation::Reveal => self.requests.reveals.clone(),
                };
                Lane::new(templates, seed ^ ((connection as u64) << 32))
            })
            .collect()
    }
}

/// What [`start`] made of a wish.
pub(crate) enum Started {
    Running(Box<Target>),
    /// Why it can't be measured here.
    Skipped(String),
}

/// Starts a server with its data in a new folder below `folder` and puts its secrets into it.
/// `reveal_bytes` is the size of the answer that the floor gives.
pub(crate) async fn start(kind: Kind, options: &Options, folder: &Path, reveal_bytes: usize) -> Result<Started> {
    let folder = folder.join(kind.name());
    std::fs::create_dir(&folder)?;
    match kind {
        Kind::Strongroom => strongroom::start(options, &folder).await,
        Kind::Postgres => postgres::start(kind, 1, options, &folder).await,
        Kind::Postgres3 => postgres::start(kind, 3, options, &folder).await,
        Kind::Floor => floor::start(&folder, reveal_bytes).await,
        Kind::OpenBao => openbao::start(options, &folder).await,
    }
}

fn total_resident_kib(servers: &[Server]) -> Result<u64> {
    Ok(servers.iter().map(|server| resident_kib(server.pid())).sum::<std::io::Result<u64>>()?)
}

fn deal(templates: &[Template], connection: usize, connections: usize) -> Vec<Template> {
    templates.iter().skip(connection).step_by(connections).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Random;
    use std::collections::HashSet;

    #[test]
    fn no_two_connections_share_an_updated_secret_and_none_is_left_out() {
        let templates: Vec<_> =
            (0..SECRETS).map(|number| Template::new("PUT", &format!("/{number}"), &[], None)).collect();
        let mut seen = HashSet::new();
        for connection in 0..128 {
            let mut dealt = deal(&templates, connection, 128);
            assert!(dealt.len() >= 7);
            for template in &mut dealt {
                assert!(seen.insert(template.fill(&mut Random::new(0)).to_vec()));
            }
        }
        assert_eq!(seen.len(), SECRETS);
    }
}
