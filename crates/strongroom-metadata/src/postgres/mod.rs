//! PostgreSQL.

mod address;
mod connect;
mod tls;
mod url;

#[cfg(test)]
mod address_tests;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod connect_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tls_tests;

pub use address::PostgresAddress;
