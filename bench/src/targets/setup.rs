//! Talking to a server before the measuring: waiting for it, preparing it, filling it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::Result;
use crate::http1::Connection;
use crate::process::Server;
use crate::template::{Random, Template};

const START_UP_LIMIT: Duration = Duration::from_secs(30);

/// A JSON client for the preparations; slow and clear.
pub(crate) struct Client {
    address: SocketAddr,
    header: String,
    connection: Connection,
    random: Random,
}

impl Client {
    /// `header` is a whole header line that goes with each request.
    pub(crate) async fn open(address: SocketAddr, header: String) -> Result<Self> {
        let connection = Connection::open(address).await?;
        Ok(Self { address, header, connection, random: Random::new(1) })
    }

    /// Sends a request and gives back the answer's JSON, null for an empty one; anything but 2xx is an error.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string);
        let mut template = Template::new(method, path, &[&self.header], body.as_deref());
        self.send(&mut template).await.map_err(|error| format!("{method} {path}: {error}").into())
    }

    /// As [`Client::call`], with a request made before.
    pub(crate) async fn send(&mut self, template: &mut Template) -> Result<Value> {
        let response = self.connection.exchange(template.fill(&mut self.random)).await?;
        let text = String::from_utf8_lossy(response.body);
        if !(200..300).contains(&response.status) {
            return Err(format!("answered {}: {text}", response.status).into());
        }
        if text.trim().is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// The body of the answer to a GET, in bytes.
    pub(crate) async fn answer_size(&mut self, template: &mut Template) -> Result<usize> {
        Ok(self.connection.exchange(template.fill(&mut self.random)).await?.body.len())
    }

    /// Calls until it works, for servers that aren't ready for this yet. The last error when they never are.
    pub(crate) async fn call_until_ready(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let start = Instant::now();
        loop {
            match self.call(method, path, body).await {
                Err(_) if start.elapsed() < START_UP_LIMIT => {
                    sleep(Duration::from_millis(50)).await;
                    self.connection = Connection::open(self.address).await?;
                }
                settled => return settled,
            }
        }
    }
}

/// A string inside an answer.
pub(crate) fn text(answer: &Value, pointer: &str) -> Result<String> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    Ok(found.ok_or_else(|| format!("the answer has no text at {pointer}"))?.to_owned())
}

/// Waits until `GET path` is answered with one of `statuses`; gives back how long that took from `spawned` on.
pub(crate) async fn wait_for(
    server: &mut Server,
    spawned: Instant,
    address: SocketAddr,
    path: &str,
    statuses: &[u16],
) -> Result<Duration> {
    let mut request = Template::new("GET", path, &[], None);
    loop {
        server.check_alive()?;
        if let Ok(mut connection) = Connection::open(address).await
            && let Ok(response) = connection.exchange(request.fill(&mut Random::new(0))).await
            && statuses.contains(&response.status)
        {
            return Ok(spawned.elapsed());
        }
        if spawned.elapsed() > START_UP_LIMIT {
            return Err(format!("no good answer to GET {path} in time; its log ends:\n{}", server.log_tail()).into());
        }
        sleep(Duration::from_millis(2)).await;
    }
}
