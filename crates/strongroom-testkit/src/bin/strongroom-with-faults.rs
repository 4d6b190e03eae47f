//! `strongroom serve` around a store that fails on order: every call of it fails while the file `store-is-down` is in
//! the data folder. For tests that run a real client against a real process.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use strongroom_server::config::{Settings, serve_command};
use strongroom_server::http::transport::{self, TransportSettings};
use strongroom_server::{Instance, World};
use strongroom_stores::{EmbeddedStore, FaultPlan, Faulty, StoreErrorKind};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const SWITCH: &str = "store-is-down";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let command = clap::Command::new("strongroom-with-faults").subcommand_required(true).subcommand(serve_command());
    let matches = command.get_matches();
    let flags = matches.subcommand_matches("serve").ok_or("no such command")?;
    let settings = Settings::load(flags, std::env::vars_os())?;
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();

    let (plan, switch) = (FaultPlan::default(), settings.data_dir.join(SWITCH));
    // Asked at each call, so that a test knows when the fault begins: once the file is there.
    plan.set(move |_| switch.exists().then_some(StoreErrorKind::Unavailable));
    let store = Faulty::new(EmbeddedStore::new(settings.max_value_bytes), plan);
    let world = World { store: Some(Arc::new(store)), ..World::default() };
    let instance = Instance::open(&settings, world).await?;

    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(settings.listen).await?;
    let public_url = settings.public_url(listener.local_addr()?);
    writeln!(std::io::stdout(), "Strongroom with faults listens on {public_url}")?;
    let jobs = instance.start_jobs();
    let transport = TransportSettings {
        header_timeout: settings.header_timeout,
        body_timeout: settings.body_timeout,
        max_connections: settings.max_connections,
        drain_timeout: settings.drain_timeout,
        tls: None,
        trusted_proxies: Vec::new(),
    };
    let stop = async {
        terminate.recv().await;
    };
    transport::serve(listener, instance.router(&public_url), transport, stop).await;
    jobs.abort();
    instance.close().await;
    Ok(())
}
