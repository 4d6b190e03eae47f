//! Strongroom over PostgreSQL: one replica, or several over one database.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use strongroom_throwaway::{Postgres, PostgresOptions};

use super::setup::wait_for;
use super::{Kind, Started, Target, strongroom, total_resident_kib};
use crate::Result;
use crate::options::Options;
use crate::process::{Server, free_port};

const DATABASE: &str = "strongroom";

/// Each kind has a PostgreSQL of its own: in a shared one, checkpoints and vacuuming for the one would be counted as the
/// other's database CPU, and would slow it down. One that has nothing to do costs next to nothing.
pub(super) async fn start(kind: Kind, replicas: usize, options: &Options, folder: &Path) -> Result<Started> {
    if let Some(why) = strongroom::missing(options, kind) {
        return Ok(Started::Skipped(why));
    }
    let wanted = PostgresOptions { durable: true, parent: Some(folder.to_owned()), ..PostgresOptions::default() };
    let database = match Postgres::start(wanted) {
        Ok(database) => database,
        Err(why) => return Ok(Started::Skipped(format!("{}: {}", kind.name(), why.replace(['\n', '\r'], " ")))),
    };
    database.create_database(DATABASE)?;
    let root_key = make_root_key(options, folder)?;

    let (mut servers, mut addresses) = (Vec::new(), Vec::new());
    let mut start_up = Duration::ZERO;
    for number in 1..=replicas {
        let address = free_port()?;
        let mut command = strongroom::serve(options, address, &data(folder, number));
        command.env("STRONGROOM_ROOT_KEY_FILE", &root_key).env("STRONGROOM_DATABASE_URL", database.url(DATABASE));
        let spawned = Instant::now();
        let mut server = Server::spawn(&mut command, folder.join(format!("server-{number}.log")))?;
        // One after the other: only the first is sure to make the administrator's token.
        let took = wait_for(&mut server, spawned, address, strongroom::READY, &[200]).await?;
        start_up = start_up.max(took);
        servers.push(server);
        addresses.push(address);
    }
    let resting_kib = total_resident_kib(&servers)?;
    let (requests, reveal_bytes) = strongroom::fill(addresses[0], &data(folder, 1)).await?;
    let version = strongroom::version(options);
    let each = if replicas == 1 { "1 replica".to_owned() } else { format!("{replicas} replicas") };
    Ok(Started::Running(Box::new(Target {
        kind,
        version: format!("{version}, {each} over PostgreSQL {}, Unix socket, fsync on", database.version()),
        servers,
        addresses,
        database: Some(database),
        start_up,
        resting_kib,
        reveal_bytes,
        requests,
    })))
}

/// Each replica keeps its own files.
fn data(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("data-{number}"))
}

/// The replicas share it.
fn make_root_key(options: &Options, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("root.key");
    let mut command: Command = strongroom::program(options);
    let output = command.args(["keys", "init", "--root-key-file"]).arg(&file).output()?;
    if !output.status.success() {
        return Err(format!("strongroom keys init: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(file)
}
