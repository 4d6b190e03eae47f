//! `strongroom serve` around a store that fails on order: every call of it fails while the file `store-is-down` is in
//! the data folder. For tests that run a real client against a real process.

use std::error::Error;
use std::sync::Arc;

use strongroom_server::World;
use strongroom_server::config::{Settings, serve_command};
use strongroom_stores::{EmbeddedStore, FaultPlan, Faulty, StoreErrorKind};

const SWITCH: &str = "store-is-down";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let command = clap::Command::new("strongroom-with-faults").subcommand_required(true).subcommand(serve_command());
    let matches = command.get_matches();
    let flags = matches.subcommand_matches("serve").ok_or("no such command")?;
    Ok(strongroom_server::serve_in(faulty, flags, std::env::vars_os()).await?)
}

fn faulty(settings: &Settings) -> World {
    let (plan, switch) = (FaultPlan::default(), settings.data_dir.join(SWITCH));
    // Asked at each call, so that a test knows when the fault begins: once the file is there.
    plan.set(move |_| switch.exists().then_some(StoreErrorKind::Unavailable));
    let store = Faulty::new(EmbeddedStore::new(settings.max_value_bytes), plan);
    World { store: Some(Arc::new(store)), ..World::default() }
}
