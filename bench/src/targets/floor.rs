//! The bare HTTP floor: what the same stack costs when it does nothing. Everything above it is Strongroom's own work.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::setup::wait_for;
use super::{Kind, Requests, SECRETS, Started, Target};
use crate::Result;
use crate::process::{Server, resident_kib};
use crate::template::{Template, UNIQUE, VALUE};

const GREETING: &str = "listening on ";
const GROUPS: &str = "/api/svc/v1/secret-groups";
const WORKERS: usize = 2;

/// Serves until killed: `body_bytes` of JSON for each GET, and for each POST or PUT whose body is JSON.
pub(crate) fn serve(listen: SocketAddr, body_bytes: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(accept(listen, body_bytes))
}

pub(super) async fn start(folder: &Path, reveal_bytes: usize) -> Result<Started> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor", "--listen", "127.0.0.1:0", "--body-bytes", &reveal_bytes.to_string()]);
    let spawned = Instant::now();
    let mut server = Server::spawn(&mut command, folder.join("server.log"))?;
    let address = loop {
        server.check_alive()?;
        let log = server.log()?;
        if let Some(line) = log.strip_prefix(GREETING).and_then(|rest| rest.strip_suffix('\n')) {
            break line.parse()?;
        }
        sleep(Duration::from_millis(2)).await;
    };
    let start_up = wait_for(&mut server, spawned, address, "/api/svc/v1/secrets/0", &[200]).await?;
    let resting_kib = resident_kib(server.pid())?;

    // The same bytes on the wire as for Strongroom, the token's length included.
    let header = format!("authorization: Bearer tfy_{}", "0".repeat(43));
    let id = |number: usize| format!("{number:08x}-0000-7000-8000-000000000000");
    let body = json!({
        "name": format!("bench-{UNIQUE}"),
        "integrationId": id(0),
        "secrets": [{"key": "password", "value": VALUE}],
    });
    let change = json!({"secrets": [{"key": "password", "value": VALUE}]}).to_string();
    let update = |number| Template::new("PUT", &format!("{GROUPS}/{}", id(number)), &[&header], Some(&change));
    let reveal = |number| Template::new("GET", &format!("/api/svc/v1/secrets/{}", id(number)), &[&header], None);
    Ok(Started::Running(Box::new(Target {
        kind: Kind::Floor,
        version: format!("axum 0.8 on hyper-util, {WORKERS} workers, mimalloc; answers of {reveal_bytes} bytes"),
        servers: vec![server],
        addresses: vec![address],
        database: None,
        start_up,
        resting_kib,
        reveal_bytes,
        requests: Requests {
            create: Template::new("POST", GROUPS, &[&header], Some(&body.to_string())),
            updates: (0..SECRETS).map(update).collect(),
            reveals: (0..SECRETS).map(reveal).collect(),
        },
    })))
}

#[expect(clippy::print_stdout, reason = "the parent process reads the address from there")]
async fn accept(listen: SocketAddr, body_bytes: usize) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("{GREETING}{}", listener.local_addr()?);
    let service = TowerToHyperService::new(router(answer(body_bytes)));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service.clone();
        tokio::spawn(async move {
            // A client that hangs up is no matter here.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn router(answer: Bytes) -> Router {
    let fixed = answer.clone();
    let take = move |body: Bytes| async move {
        match serde_json::from_slice::<serde_json::Value>(&body) {
            Ok(_) => json_response(answer),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        }
    };
    Router::new()
        .route("/api/svc/v1/secrets/{id}", get(move || async move { json_response(fixed) }))
        .route(GROUPS, post(take.clone()))
        .route("/api/svc/v1/secret-groups/{id}", put(take))
        .layer(DefaultBodyLimit::max(8 * 1024 * 1024))
}

fn json_response(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// JSON of exactly `bytes` bytes, or of the smallest possible size above.
fn answer(bytes: usize) -> Bytes {
    let frame = r#"{"data":""}"#.len();
    Bytes::from(format!(r#"{{"data":"{}"}}"#, "x".repeat(bytes.saturating_sub(frame))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_json_of_the_wanted_size() {
        for bytes in [11, 12, 700] {
            assert_eq!(answer(bytes).len(), bytes);
            assert!(serde_json::from_slice::<serde_json::Value>(&answer(bytes)).is_ok());
        }
    }
}
