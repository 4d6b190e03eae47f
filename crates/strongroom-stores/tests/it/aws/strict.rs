//! A model of AWS Secrets Manager and STS as AWS documents them, stricter than moto, and in trouble on order.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::entries::{Entries, Refusal, refusal};

/// What goes wrong with a request.
pub(super) enum Trouble {
    /// It isn't done, and this is answered.
    Instead(u16, String),
    /// It is done, and this is answered.
    After(u16, String),
    /// It isn't done, and nothing is ever answered.
    HangBefore,
    /// It is done, and nothing is ever answered.
    HangAfter,
    /// It isn't done, and the connection ends.
    CutBefore,
    /// It is done, and the connection ends.
    CutAfter,
    /// Somebody else does this first.
    Meanwhile(Box<dyn FnOnce(&mut Entries) + Send>),
    /// It isn't done, and an error of this code repeats this of the request.
    Echo(&'static str, Part),
}

/// What of a request is repeated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Value,
    Credentials,
    Head,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) entries: Entries,
    /// For the next requests of these actions.
    troubles: VecDeque<(&'static str, Trouble)>,
    /// All that was asked, in order.
    pub(super) asked: Vec<String>,
    /// AWS' time, in seconds since 1970, where it isn't the machine's.
    pub(super) time: Option<i64>,
    /// Sessions given so far; each ends all before it when `one_session` is set.
    pub(super) sessions: usize,
    pub(super) one_session: bool,
    /// The session of the last request that had one.
    pub(super) session: Option<String>,
    /// How long a session lasts, in seconds.
    pub(super) session_seconds: i64,
}

/// One account and region, on a port of its own.
pub(super) struct Aws {
    port: u16,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

struct Asked {
    head: String,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Aws {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { session_seconds: 3_600, ..State::default() }));
        let mut task = JoinSet::new();
        let shared = state.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        Self { port, state, _task: task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next request of this action gets into trouble.
    pub(super) fn trouble(&self, action: &'static str, trouble: Trouble) {
        self.state().troubles.push_back((action, trouble));
    }

    /// What was asked since the last time that this was asked.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(asked) = read(&mut stream).await {
        let Some((status, body)) = answer(&asked, &state) else {
            return;
        };
        if status == 0 {
            // Until the other end goes away.
            let _ = stream.read_u8().await;
            return;
        }
        let time = state.lock().unwrap().time;
        let date = time.map_or_else(String::new, |time| format!("date: {}\r\n", http_date(time)));
        let answer = format!("HTTP/1.1 {status} X\r\n{date}content-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut asked = Asked { head: String::from_utf8(head).unwrap(), body: String::new() };
    let mut body = vec![0; asked.header("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}

/// `None`: the connection ends. Status 0: nothing is said.
fn answer(asked: &Asked, state: &Mutex<State>) -> Option<(u16, String)> {
    let mut state = state.lock().unwrap();
    let action = asked.header("x-amz-target").map_or("AssumeRole", |target| target.rsplit('.').next().unwrap());
    state.asked.push(action.to_owned());
    let at = state.troubles.iter().position(|(of, _)| *of == action);
    let trouble = at.and_then(|at| state.troubles.remove(at)).map(|(_, trouble)| trouble);
    match trouble {
        None => Some(act(&mut state, action, asked)),
        Some(Trouble::Instead(status, body)) => Some((status, body)),
        Some(Trouble::After(status, body)) => {
            act(&mut state, action, asked);
            Some((status, body))
        }
        Some(Trouble::HangBefore) => Some((0, String::new())),
        Some(Trouble::HangAfter) => {
            act(&mut state, action, asked);
            Some((0, String::new()))
        }
        Some(Trouble::CutBefore) => None,
        Some(Trouble::CutAfter) => {
            act(&mut state, action, asked);
            None
        }
        Some(Trouble::Meanwhile(other)) => {
            other(&mut state.entries);
            Some(act(&mut state, action, asked))
        }
        Some(Trouble::Echo(code, part)) => {
            let message = match part {
                Part::Value => {
                    let body = serde_json::from_str::<Value>(&asked.body).unwrap_or_default();
                    format!("Value {} is bad", body["SecretString"].as_str().unwrap_or_default())
                }
                Part::Credentials => {
                    format!("{} secret-1 canary-key", asked.header("x-amz-security-token").unwrap_or_default())
                }
                Part::Head => asked.head.clone(),
            };
            Some((400, json!({"__type": code, "message": message}).to_string()))
        }
    }
}

fn act(state: &mut State, action: &str, asked: &Asked) -> (u16, String) {
    let said = check_time(state, asked).and_then(|()| check_session(state, asked)).and_then(|()| {
        if action == "AssumeRole" {
            return Ok(assume_role(state));
        }
        let input: Value = serde_json::from_str(&asked.body).unwrap();
        state.entries.act(action, &input).map(|output| output.to_string())
    });
    said.map_or_else(|(status, error)| (status, error.to_string()), |said| (200, said))
}

fn check_time(state: &State, asked: &Asked) -> Result<(), Refusal> {
    let Some(time) = state.time else { return Ok(()) };
    let at = asked.header("x-amz-date").unwrap();
    let signed = format!("{}-{}-{}T{}:{}:{}Z", &at[..4], &at[4..6], &at[6..8], &at[9..11], &at[11..13], &at[13..15]);
    let signed = strongroom_domain::Timestamp::parse(&signed).unwrap().micros() / 1_000_000;
    if (signed - time).abs() <= 300 {
        return Ok(());
    }
    Err(refusal("InvalidSignatureException", "Signature expired: X is now earlier than Y (Z - 5 min.)"))
}

fn check_session(state: &mut State, asked: &Asked) -> Result<(), Refusal> {
    state.session = asked.header("x-amz-security-token").map(str::to_owned);
    match asked.header("x-amz-security-token") {
        Some(token) if state.one_session && token != format!("token-{}", state.sessions) => {
            Err(refusal("ExpiredTokenException", "The security token included in the request is expired"))
        }
        _ => Ok(()),
    }
}

fn assume_role(state: &mut State) -> String {
    state.sessions += 1;
    let (number, now) = (state.sessions, super::setting::seconds_now());
    let ends = strongroom_domain::Timestamp::from_micros((now + state.session_seconds) * 1_000_000).to_wire();
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
         <Arn>arn:aws:sts::123456789012:assumed-role/a/b</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>secret-{number}</SecretAccessKey>\
         <SessionToken>token-{number}</SessionToken><Expiration>{ends}</Expiration></Credentials></AssumeRoleResult>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )
}

fn http_date(seconds: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let text = at.format(&time::format_description::well_known::Rfc2822).unwrap();
    text.replace("+0000", "GMT")
}

pub(super) fn labels_of(state: &State, name: &str) -> BTreeMap<String, String> {
    state.entries.labels(name)
}
