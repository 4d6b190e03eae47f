//! PostgreSQL.

mod address;
mod connect;
mod tls;
mod url;

#[cfg(test)]
mod address_tests;
#[cfg(test)]
mod connect_tests;

pub use address::PostgresAddress;
