//! `strongroom serve` and `strongroom keys`: from settings to a running server.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel, Settings, SettingsError};
use crate::first_start::FirstStart;
use crate::http::transport::{self, TlsError, TransportSettings};
use crate::instance::{Instance, StartError, World};
use crate::keys::{KeyFileError, make_root_key_file};

/// Why a command ended without success. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The instance could not be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// TLS could not be set up.
    #[error("can't set up TLS (settings tls-cert and tls-key): {0}")]
    Tls(#[from] TlsError),
    /// The root key could not be made.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The address can't be listened on.
    #[error("can't listen on {address} (setting listen): {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was asked for can't be done.
    #[error("{0}")]
    Refused(String),
    /// The system refused something that every process may do.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Runs the server until SIGTERM or SIGINT, then lets running requests finish.
pub async fn serve(
    flags: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), RunError> {
    serve_in(|_| World::default(), flags, environment).await
}

/// The same in another world than the real one: for tests that need a process.
pub async fn serve_in(
    world: impl FnOnce(&Settings) -> World,
    flags: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), RunError> {
    let settings = Settings::load(flags, environment)?;
    harden();
    start_log(&settings);
    let tls = settings.tls.as_ref().map(|files| transport::load_tls(&files.cert, &files.key)).transpose()?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Before the instance is made: a first start that can't listen would make the token and never show it.
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|source| RunError::Listen { address: settings.listen, source })?;
    let instance = Instance::open(&settings, world(&settings)).await?;
    let address = listener.local_addr()?;
    let public_url = settings.public_url(address);
    greet(&settings, &public_url, instance.first_start())?;
    let jobs = instance.start_jobs();
    let transport = TransportSettings {
        header_timeout: settings.header_timeout,
        body_timeout: settings.body_timeout,
        max_connections: settings.max_connections,
        drain_timeout: settings.drain_timeout,
        tls,
        trusted_proxies: settings.trusted_proxies.clone(),
    };
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {
                instance.drain();
                tracing::info!(delay = ?settings.drain_delay, "SIGTERM: not ready any more");
                // Whoever sends requests here by `/readyz` has time to notice; a second signal ends the wait.
                tokio::select! {
                    () = tokio::time::sleep(settings.drain_delay) => {}
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            _ = interrupt.recv() => instance.drain(),
        }
        tracing::info!("draining");
    };
    let report = transport::serve(listener, instance.router(&public_url), transport, stop).await;
    jobs.abort();
    instance.close().await;
    tracing::info!(finished = report.finished, cut = report.cut, "stopped");
    Ok(())
}

/// `strongroom keys …`
#[must_use]
pub fn keys_command() -> Command {
    let path = Arg::new("root-key-file").long("root-key-file").value_name("PATH").required(true);
    let init = Command::new("init").about("Make a new root key file; an existing file is never overwritten").arg(
        path.value_parser(value_parser!(PathBuf))
            .help("Where to write it; then start the server with the same setting"),
    );
    Command::new("keys")
        .about("The keys that everything stored is sealed under")
        .subcommand_required(true)
        .subcommand(init)
}

/// Runs `strongroom keys …`.
pub fn run_keys(matches: &ArgMatches) -> Result<(), RunError> {
    if let Some(("init", init)) = matches.subcommand()
        && let Some(path) = init.get_one::<PathBuf>("root-key-file")
    {
        let fingerprint = make_root_key_file(path)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "Made {} with fingerprint {fingerprint}.", path.display())?;
        writeln!(out, "Keep a copy where a lost disk can't take it: without it nothing that is stored can be read.")?;
    }
    Ok(())
}

/// No core dumps and no debugger: memory holds keys and values.
pub(crate) fn harden() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if dumpable.is_err() || core.is_err() {
        tracing::warn!("core dumps could not be turned off");
    }
}

fn start_log(settings: &Settings) {
    let level = match settings.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let registry = tracing_subscriber::registry().with(level);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second server in one process keeps the first one's log.
    let _ = match settings.log_format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
}

/// What people see. It goes to standard output, and the token nowhere else but into its file.
fn greet(settings: &Settings, public_url: &str, first: Option<&FirstStart>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Strongroom {} listens on {public_url}", env!("CARGO_PKG_VERSION"))?;
    if let Some(first) = first {
        writeln!(out, "\nThis is the first start. The data is in {}.", settings.data_dir.display())?;
        if let Some(token) = &first.admin_token {
            writeln!(
                out,
                "The token of {}, shown this once and kept in {}:\n",
                first.admin_email,
                first.token_file.display()
            )?;
            writeln!(out, "  {}\n", token.as_str())?;
        }
        writeln!(out, "Create a secret group, and read a value back:\n")?;
        match &first.admin_token {
            Some(_) => writeln!(out, "  export TFY_API_KEY=$(cat {})", first.token_file.display())?,
            // A token that was given is kept in no file.
            None => writeln!(out, "  export TFY_API_KEY=tfy_...  # the token in the setting admin-token")?,
        }
        writeln!(
            out,
            "  curl -s -X POST {public_url}/api/svc/v1/secret-groups -H \"Authorization: Bearer $TFY_API_KEY\" \\\n    \
             -H 'Content-Type: application/json' \\\n    \
             -d '{{\"name\":\"my-first-group\",\"integrationId\":\"{}\",\"secrets\":[{{\"key\":\"GREETING\",\"value\":\"hello\"}}]}}'",
            first.integration_id
        )?;
        writeln!(
            out,
            "  curl -s \"{public_url}/api/svc/v1/control-plane/secret?secret_ref={}:my-first-group:GREETING\" \\\n    \
             -H \"Authorization: Bearer $TFY_API_KEY\"\n",
            settings.tenant
        )?;
    }
    out.flush()
}
