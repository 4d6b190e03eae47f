//! The Strongroom binary: the server and the commands that people type, in one.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut command = Command::new("strongroom")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Secret groups: named sets of key/value secrets, versioned, sealed, shared by role")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(strongroom_server::config::serve_command())
        .subcommand(strongroom_server::doctor_command())
        .subcommand(strongroom_server::admin_token_command())
        .subcommand(strongroom_server::keys_command())
        .subcommand(strongroom_server::migrate_database_command())
        .subcommand(strongroom_cli::token_command());
    let result = match command.get_matches_mut().subcommand() {
        Some(("serve", flags)) => serve(flags),
        Some(("doctor", flags)) => doctor(flags),
        Some(("admin-token", matches)) => admin_token(matches),
        Some(("keys", matches)) => strongroom_server::run_keys(matches).map_err(|error| error.to_string()),
        Some(("migrate-database", matches)) => migrate_database(matches),
        Some(("token", matches)) => {
            strongroom_cli::run_token(matches, &strongroom_server::SystemEntropy).map_err(|error| error.to_string())
        }
        _ => Err("unknown command; see --help".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "strongroom: {error}");
            ExitCode::FAILURE
        }
    }
}

fn doctor(flags: &clap::ArgMatches) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    match runtime.block_on(strongroom_server::run_doctor(flags, std::env::vars_os())) {
        Ok(true) => Ok(()),
        Ok(false) => Err("a server would not start with these settings".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn admin_token(matches: &clap::ArgMatches) -> Result<(), String> {
    // Exactly one crypto provider, before anything asks for one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime
        .block_on(strongroom_server::run_admin_token(matches, std::env::vars_os()))
        .map_err(|error| error.to_string())
}

fn migrate_database(matches: &clap::ArgMatches) -> Result<(), String> {
    // What goes over the network runs on the worker, beside what is read and hashed.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(strongroom_server::run_migrate_database(matches)).map_err(|error| error.to_string())
}

fn serve(flags: &clap::ArgMatches) -> Result<(), String> {
    // Exactly one crypto provider, before anything asks for one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // The database's writer has a core of its own: on two cores a request costs a fifth less than with two workers.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = (cores - 1).max(1);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(workers).enable_all().build().map_err(|error| error.to_string())?;
    let served = runtime.block_on(strongroom_server::serve(flags, std::env::vars_os()));
    served.map_err(|error| error.to_string())
}
