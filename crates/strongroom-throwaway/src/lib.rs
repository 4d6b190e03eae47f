//! Throw-away servers for tests and benches: PostgreSQL, `PgBouncer`, OpenBao and moto in temporary folders,
//! gone when dropped.
//!
//! They run as whoever runs this; root is refused by the first two, so under root they run as the user `postgres`, or
//! `nobody`.
//! Nothing is left behind when the process that owns them is killed either: see [`Postgres`].

mod account;
mod daemon;
mod folders;
mod moto;
mod openbao;
mod pgbouncer;
mod postgres;
mod programs;
mod psql;
mod reaper;
mod url;

pub use moto::Moto;
pub use openbao::OpenBao;
pub use pgbouncer::PgBouncer;
pub use postgres::{Postgres, PostgresOptions};
pub use programs::{find_program, postgres_programs};
pub use psql::{psql, with_database};
