//! From names to addresses.

use std::{io, net::IpAddr};

use async_trait::async_trait;

/// Asked once a request; a trait so that tests can be the DNS.
#[async_trait]
pub(super) trait Resolve: Send + Sync {
    /// All addresses of a name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's, with its hosts file.
pub(super) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // The port is the caller's business.
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|socket| socket.ip()).collect())
    }
}
