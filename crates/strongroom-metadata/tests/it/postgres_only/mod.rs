//! What can go wrong between the engine and PostgreSQL. Each test ends at once where no server is named.

mod claims;
mod cut;
mod identities;
mod kept_grants;
mod open;
mod pooled;
mod proxy;
mod replicas;
mod reuse;
mod stops;
mod synchronous;
mod writes;

use std::time::Duration;

use strongroom_metadata::{Metadata, PostgresOptions};
use tokio_postgres::{Client, NoTls};

use crate::behind::{TestDatabase, options};
use crate::world::World;
use proxy::Proxy;

/// How long the engine waits here: long for an idle server, short for a test.
pub(crate) const LIMIT: Duration = Duration::from_millis(700);

/// A started instance that is reached through a proxy.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) proxy: Proxy,
    /// Past the proxy.
    pub(crate) direct: Client,
}

impl Stage {
    /// `None` where the tests run on SQLite.
    pub(crate) async fn new(limit: Duration) -> Option<Self> {
        let mut world = started().await?;
        let url = database(&world).url();
        let proxy = Proxy::start(&url);
        world.metadata = Metadata::connect(&within(&proxy.url(), limit)).await.unwrap();
        Some(Self { direct: client(&url).await, world, proxy })
    }
}

pub(crate) async fn started() -> Option<World> {
    std::env::var_os("STRONGROOM_TEST_POSTGRES")?;
    Some(World::started().await)
}

pub(crate) fn database(world: &World) -> &TestDatabase {
    world.postgres.as_ref().unwrap()
}

pub(crate) fn within(url: &str, limit: Duration) -> PostgresOptions {
    PostgresOptions { timeout: limit, ..options(url) }
}

/// A session of the test's own.
pub(crate) async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The first field of the only row, as text.
pub(crate) async fn ask(client: &Client, sql: &str) -> String {
    let row = client.query_one(&format!("SELECT ({sql})::TEXT"), &[]).await;
    row.unwrap_or_else(|error| panic!("{sql}: {error}")).get::<_, Option<String>>(0).unwrap_or_default()
}

/// Waits until a condition of SQL holds.
pub(crate) async fn until(client: &Client, condition: &str) {
    let asked = async {
        while ask(client, condition).await != "true" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
    asked.unwrap_or_else(|_| panic!("never came true: {condition}"));
}
