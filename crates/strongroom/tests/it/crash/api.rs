//! The calls that workers and checker make, and what they read out of the answers.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};

use super::model::{Group, Seen, SeenSecret, Versions, Write};
use super::record::Given;
use crate::support::{Answer, Client};

/// Why a call gave nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection was cut: the server was killed.
    Cut(io::Error),
    /// The server said something that it must not say.
    Broken(String),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Self::Broken(error.to_string())
            }
            _ => Self::Cut(error),
        }
    }
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self::Broken(error)
    }
}

/// A secret with its value as a list gives it.
pub(crate) struct Opened {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) version: i64,
    pub(crate) value: String,
}

/// The answer of a success; anything else is a broken promise.
pub(crate) fn good(answer: Answer) -> Result<Answer> {
    if answer.status == 200 {
        Ok(answer)
    } else {
        Err(Failure::Broken(format!("{}: {}", answer.status, answer.text())))
    }
}

/// What must be on record for an answer with values.
pub(crate) fn given(answer: &Answer, values: Vec<(String, i64)>) -> Given {
    Given { request: request_id(answer), values, change: false }
}

/// What must be on record for the answer to a change.
pub(crate) fn changed(answer: &Answer) -> Given {
    Given { request: request_id(answer), values: Vec::new(), change: true }
}

fn request_id(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap_or_default().to_owned()
}

/// Sends a write of a group.
pub(crate) fn send(client: &mut Client, group: &Group, integration: &str, write: &Write) -> Result<Answer> {
    let id = group.id.as_deref().unwrap_or_default();
    let state = group.state.as_ref();
    let answer = match write {
        Write::Create(values) => {
            let secrets: Vec<Value> = values.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            let body = json!({"name": group.name, "integrationId": integration, "secrets": secrets});
            client.post("/api/svc/v1/secret-groups", &body)?
        }
        Write::Update(values) => {
            let secret = |(key, value): (&String, &Option<String>)| match value {
                Some(value) => json!({"key": key, "value": value}),
                None => json!({"key": key}),
            };
            let secrets: Vec<Value> = values.iter().map(secret).collect();
            client.put(&format!("/api/svc/v1/secret-groups/{id}"), &json!({"secrets": secrets}))?
        }
        Write::DeleteSecret(key) => {
            let secret = state.and_then(|state| state.secrets[key].id.clone()).unwrap();
            client.delete(&format!("/api/svc/v1/secrets/{secret}"))?
        }
        Write::RestoreSecret(position) => {
            let secret = state.and_then(|state| state.trash[*position].1.id.clone()).unwrap();
            client.post(&format!("/api/v1/secrets/{secret}/restore"), &json!({}))?
        }
        Write::Delete => client.delete(&format!("/api/svc/v1/secret-groups/{id}"))?,
        Write::Restore => client.post(&format!("/api/v1/secret-groups/{id}/restore"), &json!({}))?,
    };
    good(answer)
}

/// The group in an answer; `None` where the answer shows none.
pub(crate) fn group_in(answer: &Answer) -> Option<(String, Seen)> {
    let json = answer.json();
    let id = json["data"]["id"].as_str()?.to_owned();
    let mut seen = Seen { revision: answer.revision()?, ..Seen::default() };
    for secret in json["data"]["associatedSecrets"].as_array()? {
        let (key, id) = (secret["name"].as_str()?.to_owned(), secret["id"].as_str()?.to_owned());
        let version = secret["secretVersions"][0]["version"].as_i64()?;
        seen.secrets.insert(key, SeenSecret { id, version, ..SeenSecret::default() });
    }
    Some((id, seen))
}

/// All secrets of a group with their values.
pub(crate) fn values(client: &mut Client, group: &str) -> Result<(Vec<Opened>, Given)> {
    let answer =
        client.post("/api/svc/v1/secrets", &json!({"secretGroupId": group, "withValue": true, "limit": 1000}))?;
    let answer = good(answer)?;
    let json = answer.json();
    let opened: Option<Vec<Opened>> = json["data"].as_array().into_iter().flatten().map(opened).collect();
    let opened = opened.ok_or_else(|| format!("a list without values: {json}"))?;
    let values = opened.iter().map(|secret| (secret.id.clone(), secret.version)).collect();
    Ok((opened, given(&answer, values)))
}

/// One secret with its value.
pub(crate) fn value(client: &mut Client, secret: &str) -> Result<(Opened, Given)> {
    let answer = good(client.get(&format!("/api/svc/v1/secrets/{secret}"))?)?;
    let opened = opened(&answer.json()["data"]).ok_or_else(|| "a secret without its value".to_owned())?;
    let given = given(&answer, vec![(opened.id.clone(), opened.version)]);
    Ok((opened, given))
}

/// The value of a reference; `secret` is what it must be of.
pub(crate) fn referenced(client: &mut Client, reference: &str, secret: (String, i64)) -> Result<(String, Given)> {
    let path = format!("/api/svc/v1/control-plane/secret?secret_ref={reference}");
    let answer = good(client.get(&path)?)?;
    let value = answer.json()["value"].as_str().map(str::to_owned).ok_or_else(|| "no value".to_owned())?;
    Ok((value, given(&answer, vec![secret])))
}

/// A secret's versions: how many, and the newest of them.
pub(crate) fn versions(client: &mut Client, secret: &str, limit: i64) -> Result<Versions> {
    let answer = good(client.get(&format!("/api/svc/v1/secrets/{secret}/versions?limit={limit}"))?)?;
    let json = answer.json();
    let newest = json["data"].as_array().into_iter().flatten().filter_map(|version| version["version"].as_i64());
    Ok(Versions { total: json["pagination"]["total"].as_i64().unwrap_or(-1), newest: newest.collect() })
}

/// How many events name a group: one for each change of it.
pub(crate) fn changes(client: &mut Client, group: &str) -> Result<i64> {
    let answer = good(client.get(&format!("/api/svc/v1/audit-logs?metric=count&resourceId={group}"))?)?;
    answer.json()["count"].as_i64().ok_or_else(|| Failure::Broken(answer.text()))
}

/// The group of a name, when there is one.
pub(crate) fn id_of(client: &mut Client, name: &str) -> Result<Option<String>> {
    let answer = good(client.get(&format!("/api/svc/v1/secret-groups?fqn=default:{name}"))?)?;
    Ok(answer.json()["data"][0]["id"].as_str().map(str::to_owned))
}

/// The values that an event names.
pub(crate) fn named_in(event: &Value) -> BTreeMap<String, i64> {
    let named = event["metaData"]["secrets"].as_array().into_iter().flatten();
    named.filter_map(|secret| Some((secret["id"].as_str()?.to_owned(), secret["version"].as_i64()?))).collect()
}

fn opened(secret: &Value) -> Option<Opened> {
    Some(Opened {
        key: secret["name"].as_str()?.to_owned(),
        id: secret["id"].as_str()?.to_owned(),
        version: secret["secretVersions"][0]["version"].as_i64()?,
        value: secret["value"].as_str()?.to_owned(),
    })
}
