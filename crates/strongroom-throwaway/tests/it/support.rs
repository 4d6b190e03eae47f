//! What the tests share.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use strongroom_throwaway::{Postgres, PostgresOptions, postgres_programs};

pub(crate) fn programs() -> Option<PathBuf> {
    let found = postgres_programs();
    if found.is_none() {
        eprintln!("SKIPPED: no PostgreSQL programs found");
    }
    found
}

pub(crate) fn quick() -> PostgresOptions {
    PostgresOptions { durable: false, ..PostgresOptions::default() }
}

/// A server, unless there are no programs to make it with.
pub(crate) fn postgres(options: PostgresOptions) -> Option<Postgres> {
    programs().map(|_| Postgres::start(options).unwrap())
}

/// The living processes whose present folder is this one, as is that of a server and all its children.
pub(crate) fn processes_with(folder: &Path) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|process| fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|cwd| cwd == folder)).collect()
}

/// The letter of a process's state.
pub(crate) fn state(process: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "what was waited for didn't come");
        thread::sleep(Duration::from_millis(5));
    }
}
