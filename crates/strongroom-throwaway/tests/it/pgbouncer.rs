//! A real pooler before a real server, where both are installed.

use std::{os::unix::net::UnixStream, process::Command};

use crate::support::{postgres, quick, wait_until};
use strongroom_throwaway::PgBouncer;

fn ask(bouncer: &PgBouncer, sql: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", &bouncer.url("made"), "-c", sql]);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let (printed, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(printed.trim().to_owned()) } else { Err(error.into_owned()) }
}

#[test]
fn transactions_go_through_it_and_it_outlives_the_server() {
    let Some(mut server) = postgres(quick()) else { return };
    let Some(program) = PgBouncer::program() else {
        eprintln!("SKIPPED: no pgbouncer found");
        return;
    };
    let bouncer = PgBouncer::start(&program, &server).unwrap();
    assert!(bouncer.version().starts_with("1."), "{}", bouncer.version());
    server.create_database("made").unwrap();
    // Options of a session are no reason to refuse it.
    let options = [("PGOPTIONS", "-c statement_timeout=1000")];
    assert_eq!(ask(&bouncer, "CREATE TABLE kept (number int); SELECT 7", &options).unwrap(), "7");
    // What belongs to a session doesn't reach the next transaction's user by way of the pool: there is a pool.
    let process = "SELECT pg_backend_pid()";
    assert_eq!(ask(&bouncer, process, &[]).unwrap(), ask(&bouncer, process, &[]).unwrap());

    server.kill();
    server.restart().unwrap();
    wait_until(|| ask(&bouncer, "SELECT count(*) FROM kept", &[]).is_ok_and(|count| count == "0"));

    let url = bouncer.url("made");
    let sockets = url.split_once("host=").unwrap().1.split('&').next().unwrap().replace("%2F", "/");
    let socket = format!("{sockets}/.s.PGSQL.6432");
    assert!(UnixStream::connect(&socket).is_ok());
    drop(bouncer);
    assert!(!std::path::Path::new(&sockets).exists() && UnixStream::connect(&socket).is_err());
}
