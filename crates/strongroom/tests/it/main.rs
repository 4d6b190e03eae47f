//! The built binary as a process: killed, refused, stopped, hung up on, short of disk, looked into.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod ambient;
mod cluster;
mod crash;
mod full_disk;
mod hang_up;
mod migrate_database;
mod outer_kill;
mod outer_stop;
mod over_postgres;
mod secrecy;
mod shutdown;
mod start;
mod support;
mod tls;
