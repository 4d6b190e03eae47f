//! The one way to addresses that come from manifests and settings: stores of tenants, key sets of identity providers.
//!
//! Whoever writes such an address must not make the server reach what only the server can reach: itself, its
//! neighbours on the link, the metadata service of its cloud. So a name is resolved here, every address that it has is
//! looked at, and the connection goes to one of the addresses looked at: nothing asks the DNS a second time, which
//! could answer differently. A connection that is kept for the next request was opened so. Redirects aren't followed,
//! proxies of the environment aren't used. One client for all, so that there is one place to look at.

mod client;
mod connection;
mod error;
mod policy;
mod pool;
mod resolve;
mod url;

pub use client::{Bounds, EgressClient};
pub use error::EgressError;
pub use policy::{AddressKind, AddressPolicy, Refusal};
pub use pool::KeepAlive;
pub use url::{EgressUrl, Host, UrlError};
