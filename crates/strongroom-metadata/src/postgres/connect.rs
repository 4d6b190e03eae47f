//! From an address to a connection.

use std::{error::Error as _, fmt::Write as _, future::poll_fn, io, net::IpAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::lookup_host,
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Socket};

use super::{
    address::{Host, PostgresAddress},
    tls::advice,
};

/// What a connection is for.
pub(crate) struct ConnectSetup<'a> {
    /// What the server shows for it. One in the URL counts more.
    pub(crate) application_name: &'a str,
    /// Such as `-c statement_timeout=10000`, behind those in the URL. Poolers may not take any.
    pub(crate) options: Option<&'a str>,
}

/// Why there is no connection. The texts name the server and have no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// TLS can't be set up: see [`PostgresAddress::prepare`].
    #[error("{0}")]
    Tls(String),
    /// No host of the address could be reached, or wanted us.
    #[error("can't connect to {address}: {problem}")]
    Failed {
        /// Which one, as [`PostgresAddress::shown`] has it.
        address: String,
        /// What each host said.
        problem: String,
        /// What the last one answered.
        source: Option<tokio_postgres::Error>,
    },
}

impl PostgresAddress {
    /// Connects to the first host that answers and can be used. Each address of each host has `connect_timeout`, from
    /// looking up its name to being logged in. A task drives the connection until the client is dropped or the server
    /// ends it; it gives notices and notifications to `on_message`.
    pub(crate) async fn connect(
        &self,
        setup: &ConnectSetup<'_>,
        on_message: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Client, ConnectError> {
        let connector = self.connector().map_err(ConnectError::Tls)?;
        let (mut problems, mut source) = (Vec::new(), None);
        for host in &self.hosts {
            let addresses = match host.addresses(self.connect_timeout).await {
                Ok(addresses) => addresses,
                Err(problem) => {
                    problems.push((host, problem));
                    continue;
                }
            };
            for address in addresses {
                let config = self.config_of(host, address, setup);
                match timeout(self.connect_timeout, config.connect(connector.clone())).await {
                    Ok(Ok((client, connection))) => {
                        drive(connection, on_message);
                        return Ok(client);
                    }
                    Ok(Err(error)) => {
                        problems.push((host, explain(&error)));
                        source = Some(error);
                    }
                    Err(_) => problems.push((host, no_answer(self.connect_timeout))),
                }
            }
        }
        Err(ConnectError::Failed { address: self.shown(), problem: self.joined(problems), source })
    }

    fn config_of(&self, host: &Host, address: Option<IpAddr>, setup: &ConnectSetup<'_>) -> Config {
        let mut config = self.config.clone();
        config.port(host.port).ssl_mode(self.ssl_mode(host));
        if host.is_socket() {
            config.host_path(&host.name);
        } else {
            config.host(&host.name);
        }
        if let Some(address) = address {
            config.hostaddr(address);
        }
        if config.get_application_name().is_none() {
            config.application_name(setup.application_name);
        }
        match (config.get_options(), setup.options) {
            (Some(own), Some(more)) => {
                let both = format!("{own} {more}");
                config.options(both);
            }
            (None, Some(more)) => _ = config.options(more),
            (_, None) => {}
        }
        config
    }

    /// Two addresses of a host mostly have the same problem.
    fn joined(&self, problems: Vec<(&Host, String)>) -> String {
        let is_only = self.hosts.len() == 1;
        let text = |(host, problem)| if is_only { problem } else { format!("{host}: {problem}") };
        let mut texts: Vec<String> = problems.into_iter().map(text).collect();
        texts.dedup();
        texts.join("; ")
    }
}

impl Host {
    /// What to try; `None` for a Unix socket.
    async fn addresses(&self, limit: Duration) -> Result<Vec<Option<IpAddr>>, String> {
        if self.is_socket() || self.address.is_some() {
            return Ok(vec![self.address]);
        }
        match timeout(limit, lookup_host((self.name.as_str(), self.port))).await {
            Ok(Ok(found)) => {
                let addresses: Vec<_> = found.map(|address| Some(address.ip())).collect();
                if addresses.is_empty() { Err("the name has no address".to_owned()) } else { Ok(addresses) }
            }
            Ok(Err(error)) => Err(format!("the name can't be looked up: {error}")),
            Err(_) => Err(no_answer(limit)),
        }
    }
}

/// Tokio-postgres's client does nothing unless somebody polls its connection.
fn drive<T>(mut connection: Connection<Socket, T>, mut on_message: impl FnMut(AsyncMessage) + Send + 'static)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(message)) => {
                    if let AsyncMessage::Notice(notice) = &message {
                        let (severity, message) = (notice.severity(), notice.message());
                        tracing::debug!(severity, message, "notice from PostgreSQL");
                    }
                    on_message(message);
                }
                Some(Err(error)) => {
                    tracing::debug!(error = explain(&error), "a connection to PostgreSQL was lost");
                    break;
                }
                None => {
                    tracing::debug!("a connection to PostgreSQL was closed");
                    break;
                }
            }
        }
    });
}

/// The error with its causes, and where it helps what to do. Tokio-postgres puts no passwords into them.
fn explain(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{}: {} (SQLSTATE {})", error.severity(), error.message(), error.code().code());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a `String` can't fail.
        let _ = write!(text, ": {error}");
        let tls = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = tls.and_then(|error| error.downcast_ref::<rustls::Error>());
        let advice = match &*error.to_string() {
            "password missing" => Some("the server asks for one; set database-password"),
            "server does not support TLS" => Some("turn ssl on there, or write sslmode=disable"),
            _ => tls.and_then(advice),
        };
        if let Some(advice) = advice {
            let _ = write!(text, " ({advice})");
        }
        cause = error.source();
    }
    text
}

fn no_answer(limit: Duration) -> String {
    format!("no answer within {} s (parameter connect_timeout)", limit.as_secs())
}
