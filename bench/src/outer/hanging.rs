//! Reveals from the embedded store while requests to another store's groups are under way, and that store hangs: its
//! process stands still, so it takes connections and answers nothing.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::setup::{GROUPS, Lab};
use super::{middle, milliseconds, ratio};
use crate::Result;
use crate::http1::Connection;
use crate::load::{self, Aim, Window};
use crate::options::Options;
use crate::template::{Lane, Random, Template, VALUE};

pub(super) const CONNECTIONS: usize = 4;
const SECRETS: usize = 64;
/// Clients of the other store: half of them update groups, half of them reveal.
const CLIENTS: usize = 64;
/// Between an answer and the client's next request: refusals come fast, and many of them would be a load of their own.
const PAUSE: Duration = Duration::from_millis(250);
/// Until everybody waits, or nobody does any more.
const SETTLE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    /// Nobody asks for anything in it.
    Idle,
    Answers,
    Hangs,
}

const ALL: [Other; 3] = [Other::Idle, Other::Answers, Other::Hangs];

/// Lines of a table.
pub(super) async fn measure(lab: &Lab, options: &Options) -> Result<Vec<String>> {
    let (embedded, other) = (lab.embedded.clone(), lab.in_other.clone());
    let group = lab.group(&embedded, "embedded", SECRETS).await?;
    let reveals: Vec<Template> = group
        .secrets
        .iter()
        .map(|id| Template::new("GET", &format!("/api/svc/v1/secrets/{id}"), &[&lab.header], None))
        .collect();
    let mut requests = Vec::new();
    for number in 0..CLIENTS / 2 {
        let group = lab.group(&other, &format!("other-{number}"), 1).await?;
        // A value that is there already would be answered without the store.
        let body = json!({"secrets": [{"key": "KEY_0", "value": VALUE}]}).to_string();
        requests.push(Template::new("PUT", &format!("{GROUPS}/{}", group.id), &[&lab.header], Some(&body)));
        let path = format!("/api/svc/v1/secrets/{}", group.secrets[0]);
        requests.push(Template::new("GET", &path, &[&lab.header], None));
    }
    let window = Window { warm_up: options.window / 5, measured: options.window };
    let mut found: [[Vec<f64>; 3]; 3] = Default::default();
    for repetition in 0..options.runs {
        for turn in 0..ALL.len() {
            let at = (turn + repetition) % ALL.len();
            let lanes =
                (0..CONNECTIONS).map(|seed| Lane::new(reveals.clone(), (repetition * 8 + seed) as u64)).collect();
            let aim = Aim { addresses: vec![lab.address], servers: vec![lab.server.pid()], database: None };
            if ALL[at] == Other::Hangs {
                lab.other.pause();
            }
            let (address, requests) = (lab.address, &requests);
            let local = LocalSet::new();
            let outcome: Result<_> = local
                .run_until(async move {
                    let answers = Rc::new(Cell::new(0_u32));
                    if ALL[at] != Other::Idle {
                        for (number, request) in requests.iter().enumerate() {
                            let random = Random::new((repetition * ALL.len() + turn) as u64 * 1_000 + number as u64);
                            tokio::task::spawn_local(ask(address, request.clone(), random, Rc::clone(&answers)));
                        }
                    }
                    sleep(SETTLE).await;
                    let before = answers.get();
                    let measured = load::run(&aim, lanes, window).await?;
                    Ok((measured, answers.get() - before))
                })
                .await;
            lab.other.resume();
            // Its clients go, and what they had asked for comes to its end.
            drop(local);
            sleep(SETTLE).await;
            let (measured, answers) = outcome?;
            if let Some(error) = measured.first_error {
                return Err(format!("a reveal: {error}").into());
            }
            let values =
                [milliseconds(&measured.latencies, 500), milliseconds(&measured.latencies, 990), answers.into()];
            found[at].iter_mut().zip(values).for_each(|(all, value)| all.push(value));
        }
        eprintln!("reveals beside another store: {}/{}", repetition + 1, options.runs);
    }
    let alone = found[0][1].clone();
    let lines = ALL.iter().zip(&found).map(|(other, [p50, p99, answers])| {
        let what = match other {
            Other::Idle => "idle".to_owned(),
            Other::Answers => format!("answers {CLIENTS} clients"),
            Other::Hangs => format!("hangs, {CLIENTS} clients"),
        };
        let times = ratio(p99, &alone);
        format!("| {what} | {:.2} | {:.2} | {times} | {:.0} |", middle(p50), middle(p99), middle(answers))
    });
    Ok(lines.collect())
}

/// One client, until it is dropped.
async fn ask(address: SocketAddr, mut request: Template, mut random: Random, answers: Rc<Cell<u32>>) {
    loop {
        if let Ok(mut connection) = Connection::open(address).await {
            // Refusals are answers here.
            while connection.exchange(request.fill(&mut random)).await.is_ok() {
                answers.set(answers.get() + 1);
                sleep(PAUSE).await;
            }
        }
        sleep(PAUSE).await;
    }
}
