//! A client's connection to whichever replica it got, with the calls as HTTP.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::history::{Call, Current, Id, Key, Operation, Outcome, Refusal, Seen, SeenSecret, Tag};
use crate::support::http::{Answer, connect_within, request_with};
use crate::support::random::Random;

/// Longer than the server takes to give up; a paused replica makes its clients wait so long.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where each replica listens; a restart changes it.
pub(super) type Ports = Arc<[AtomicU16]>;

pub(super) struct Wire {
    ports: Ports,
    token: String,
    stream: Option<TcpStream>,
}

/// How far a request came.
pub(super) enum Sent {
    Answered(Answer),
    /// Cut after some of it was sent.
    Cut,
    /// Nobody listened.
    Nothing,
}

impl Wire {
    pub(super) fn new(ports: Ports, token: String) -> Self {
        Self { ports, token, stream: None }
    }

    /// Connects to a replica at random where there is no connection; false when it doesn't listen.
    pub(super) fn connect(&mut self, random: &mut Random) -> bool {
        if self.stream.is_none() {
            let port = self.ports[random.index(self.ports.len())].load(Ordering::SeqCst);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            self.stream = connect_within(address, PATIENCE).ok();
        }
        self.stream.is_some()
    }

    /// Sends an operation and waits for its answer, or hangs up after a part of it in a hundred parts.
    pub(super) fn send(&mut self, operation: &Operation, integration: &str, hang_up: Option<usize>) -> Sent {
        let (method, path, body) = request(operation, integration);
        let body = body.map(|body| body.to_string());
        let revision = operation.if_match.map(|revision| format!("\"{revision}\""));
        let headers: Vec<(&str, &str)> = revision.iter().map(|revision| ("if-match", revision.as_str())).collect();
        let text = request_with(method, &path, &self.token, &headers, body.as_deref());
        let Some(mut stream) = self.stream.take() else { return Sent::Nothing };
        if let Some(part) = hang_up {
            let _ = stream.write_all(&text.as_bytes()[..text.len() * part / 100]);
            return Sent::Cut;
        }
        let answer = stream.write_all(text.as_bytes()).and_then(|()| Answer::read(&mut stream));
        let Ok(answer) = answer else { return Sent::Cut };
        if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Sent::Answered(answer)
    }
}

/// The name of a slot.
pub(super) fn name(slot: u8) -> String {
    format!("group-{slot:02}")
}

/// The value that an operation gives a key. Some are long, so that they come in more than one piece.
pub(super) fn value(tag: Tag, key: Key) -> String {
    let length = if tag.is_multiple_of(16) { 3_000 } else { usize::try_from(tag % 50).unwrap_or(0) };
    format!("{tag}/K{key}/{}", "x".repeat(length))
}

/// Whose value it is; a value that nobody wrote has a tag that nobody has.
pub(super) fn tag_of(text: &str, key: Key) -> Tag {
    let tag = text.split('/').next().and_then(|tag| tag.parse().ok());
    tag.filter(|tag| value(*tag, key) == text).unwrap_or(Tag::MAX)
}

fn request(operation: &Operation, integration: &str) -> (&'static str, String, Option<Value>) {
    const GROUPS: &str = "/api/svc/v1/secret-groups";
    let id = operation.group.map(|id| id.to_string()).unwrap_or_default();
    let given = |key: &Key| json!({"key": format!("K{key}"), "value": value(operation.tag, *key)});
    match &operation.call {
        Call::Create { keys } => {
            let secrets: Vec<Value> = keys.iter().map(given).collect();
            let body = json!({"name": name(operation.slot), "integrationId": integration, "secrets": secrets});
            ("POST", GROUPS.to_owned(), Some(body))
        }
        Call::Update { given: new, kept } => {
            let kept = kept.iter().map(|key| json!({"key": format!("K{key}")}));
            let secrets: Vec<Value> = new.iter().map(given).chain(kept).collect();
            ("PUT", format!("{GROUPS}/{id}"), Some(json!({"secrets": secrets})))
        }
        Call::DeleteSecret { secret } => ("DELETE", format!("/api/svc/v1/secrets/{secret}"), None),
        Call::RestoreSecret { secret } => ("POST", format!("/api/v1/secrets/{secret}/restore"), Some(json!({}))),
        Call::Delete => ("DELETE", format!("{GROUPS}/{id}"), None),
        Call::Restore => ("POST", format!("/api/v1/secret-groups/{id}/restore"), Some(json!({}))),
        Call::Read => ("GET", format!("{GROUPS}/{id}"), None),
        Call::ReadByName => ("GET", format!("{GROUPS}?fqn=default:{}", name(operation.slot)), None),
        Call::ReadValues => {
            let body = json!({"secretGroupId": id, "withValue": true, "limit": 1000});
            ("POST", "/api/svc/v1/secrets".to_owned(), Some(body))
        }
        Call::ReadValue { secret } => ("GET", format!("/api/svc/v1/secrets/{secret}"), None),
        Call::ReadReference { key } => {
            let reference = format!("tfy-secret://default:{}:K{key}", name(operation.slot));
            ("GET", format!("/api/svc/v1/control-plane/secret?secret_ref={reference}"), None)
        }
    }
}

/// What an answer means; an error is an answer that the server must not give.
pub(super) fn outcome(operation: &Operation, answer: &Answer) -> Result<Outcome, String> {
    let strange = || format!("{operation}: {} {}", answer.status, answer.text());
    let json = answer.json();
    let code = json["code"].as_str().unwrap_or_default();
    match (answer.status, code) {
        (200, _) => seen(operation, answer, &json).map(Outcome::Ok).ok_or_else(strange),
        (404, "secret_group_not_found" | "secret_not_found") => Ok(Outcome::Refused(Refusal::NotThere)),
        (409, "name_taken") => Ok(Outcome::Refused(Refusal::NameTaken)),
        (412, "other_revision") => {
            let message = json["message"].as_str().unwrap_or_default();
            let number = message.split_once("at revision ").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
            number.map(|number| Outcome::Refused(Refusal::OtherRevision(number))).ok_or_else(strange)
        }
        (422, "invalid_input") => Ok(Outcome::Refused(Refusal::Invalid)),
        (503, "busy") => Ok(Outcome::Refused(Refusal::Busy)),
        (503, _) => Ok(Outcome::Unknown),
        _ => Err(strange()),
    }
}

fn seen(operation: &Operation, answer: &Answer, json: &Value) -> Option<Seen> {
    let secrets = |list: &Value| list.as_array()?.iter().map(secret).collect::<Option<Vec<_>>>().map(sorted);
    let data = &json["data"];
    match &operation.call {
        Call::Delete => json.as_object().map(|_| Seen::Done),
        Call::DeleteSecret { .. } => (*json == 1).then_some(Seen::Done),
        Call::ReadByName if data.as_array()?.is_empty() => Some(Seen::NoGroup),
        Call::ReadByName => {
            let group = Id::parse(data[0]["id"].as_str()?)?;
            Some(Seen::Group { group, revision: None, secrets: secrets(&data[0]["associatedSecrets"])? })
        }
        Call::ReadValues => {
            let shown = secrets(data)?;
            let all = shown.iter().all(|secret| secret.tag.is_some());
            // `total` is counted on its own and may be of another moment: it is no part of the state.
            all.then_some(Seen::Group { group: operation.group?, revision: None, secrets: shown })
        }
        Call::ReadValue { .. } => {
            let secret = secret(data).filter(|secret| secret.tag.is_some())?;
            Some(Seen::Secret { revision: answer.revision()?, secret })
        }
        Call::ReadReference { key } => Some(Seen::Value(tag_of(json["value"].as_str()?, *key))),
        _ => {
            let group = Id::parse(data["id"].as_str()?)?;
            let revision = Some(answer.revision()?);
            Some(Seen::Group { group, revision, secrets: secrets(&data["associatedSecrets"])? })
        }
    }
}

fn sorted(mut secrets: Vec<SeenSecret>) -> Vec<SeenSecret> {
    secrets.sort_unstable_by_key(|secret| secret.current);
    secrets
}

fn secret(json: &Value) -> Option<SeenSecret> {
    let key = json["name"].as_str()?.strip_prefix('K')?.parse().ok()?;
    let secret = Id::parse(json["id"].as_str()?)?;
    let version = json["secretVersions"][0]["version"].as_i64()?;
    let tag = json["value"].as_str().map(|text| tag_of(text, key));
    Some(SeenSecret { current: Current { key, secret, version }, tag })
}
