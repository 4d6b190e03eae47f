//! The performance lab: starts Strongroom over `SQLite` and over PostgreSQL, the bare HTTP floor of its stack and `OpenBao`, loads them in turn, and prints
//! a table of medians. `docs/performance.md` tells how to read it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal: its report goes to stdout, its progress to stderr"
)]

mod access;
mod disk;
mod http1;
mod lab;
mod load;
mod machine;
mod options;
mod outer;
mod pgbench;
mod process;
mod report;
mod stats;
mod targets;
mod template;
mod timing;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use options::{Action, Options};

/// The allocator of the server, so that the floor is the floor of the same stack.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let outcome = options::from_arguments().and_then(|action| match action {
        Action::ServeFloor { listen, body_bytes } => {
            targets::serve_floor(listen, body_bytes).map(|()| ExitCode::SUCCESS)
        }
        Action::Timing { options, samples } => time_answers(&options, samples),
        Action::Measure(options) => measure(&options),
        Action::Outer(options) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(outer::run(&options)).map(|()| ExitCode::SUCCESS)
        }
        Action::Access(options) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(access::run(&options)).map(|()| ExitCode::SUCCESS)
        }
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("strongroom-bench: {error}");
        ExitCode::FAILURE
    })
}

fn time_answers(options: &Options, samples: usize) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", runtime.block_on(timing::run(options, samples))?);
    Ok(ExitCode::SUCCESS)
}

fn measure(options: &Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        // Leaving by the way of an error drops the lab, which kills its servers and removes their folder.
        tokio::select! {
            report = lab::run(options) => report,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            _ = terminate.recv() => Err("terminated".into()),
        }
    })?;
    println!("{}", report.markdown());
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(if report.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
