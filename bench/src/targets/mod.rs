//! What is measured. A new peer is a new file here and a line in [`start`]; a new operation is a variant of [`Operation`].

mod floor;
mod openbao;
mod setup;
mod strongroom;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

pub(crate) use floor::serve as serve_floor;

use crate::Result;
use crate::options::Options;
use crate::process::Server;
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
    Strongroom,
    Floor,
    OpenBao,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Strongroom, Self::Floor, Self::OpenBao];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strongroom => "strongroom",
            Self::Floor => "floor",
            Self::OpenBao => "openbao",
        }
    }
}

/// A server that runs, holds its secrets and waits for load.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) version: String,
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first good answer.
    pub(crate) start_up: Duration,
    /// Resident memory at that moment, before it held any secrets, in KiB.
    pub(crate) resting_kib: u64,
    /// Bytes in the body of a reveal's answer.
    pub(crate) reveal_bytes: usize,
    create: Template,
    updates: Vec<Template>,
    reveals: Vec<Template>,
}

impl Target {
    /// The requests of `connections` connections. Updates are dealt out, the rest is shared.
    pub(crate) fn lanes(&self, operation: Operation, connections: usize, seed: u64) -> Vec<Lane> {
        (0..connections)
            .map(|connection| {
                let templates = match operation {
                    Operation::Create => vec![self.create.clone()],
                    Operation::Update => deal(&self.updates, connection, connections),
                    Operation::Reveal => self.reveals.clone(),
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
        Kind::Floor => floor::start(&folder, reveal_bytes).await,
        Kind::OpenBao => openbao::start(options, &folder).await,
    }
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
