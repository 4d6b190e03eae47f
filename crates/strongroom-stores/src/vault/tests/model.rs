//! A model of Vault behind no network at all, which misbehaves on order.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::{
    egress::{Bounds, EgressError, EgressUrl},
    outer::Transport,
};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Nobody listens.
    NotSent,
    /// Nothing is done and nothing comes.
    Swallowed,
    /// It is done, and nothing comes.
    Unanswered,
    /// Nothing comes, and it is done when the next request arrives.
    Late,
    /// It is done, and the answer breaks off.
    CutOff,
    /// It is done, and the answer is another's.
    Nonsense,
    Status(u16),
    Throttled,
    TooLarge,
    /// Somebody else writes the entry first.
    Rival,
    /// Nothing is done, and this is the answer.
    Body(&'static str),
    /// The engine isn't ready yet.
    Upgrading,
}

#[derive(Default)]
pub(super) struct Entry {
    pub(super) custom_metadata: Option<Map<String, Value>>,
    pub(super) max_versions: u64,
    /// `None` once destroyed.
    pub(super) versions: BTreeMap<u64, Option<Value>>,
    pub(super) current: u64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) faults: VecDeque<Fault>,
    /// What somebody else writes.
    pub(super) rival: Value,
    late: Vec<(Method, String, Value)>,
    /// Those that are alive.
    pub(super) tokens: Vec<String>,
    /// The lease of the next ones, in seconds.
    pub(super) lease: u64,
    pub(super) renewable: bool,
    pub(super) role_is_good: bool,
    /// Paths that no policy allows.
    pub(super) forbidden: Vec<&'static str>,
}

pub(super) struct Model {
    pub(super) state: Mutex<State>,
    pub(super) requests: AtomicUsize,
    pub(super) logins: AtomicUsize,
    pub(super) renewals: AtomicUsize,
}

pub(super) const TOKEN: &str = "given-token-canary";
pub(super) const SECRET_ID: &str = "secret-id-canary";

impl Model {
    pub(super) fn new() -> Arc<Self> {
        let tokens = vec![TOKEN.to_owned()];
        let rival = json!({"value": "rival"});
        let state = State { tokens, rival, lease: 60, renewable: true, role_is_good: true, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), requests: 0.into(), logins: 0.into(), renewals: 0.into() })
    }

    pub(super) fn plan(&self, faults: &[Fault]) {
        self.state.lock().unwrap().faults = faults.iter().copied().collect();
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(super) fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    /// What was still on its way arrives.
    pub(super) fn flush(&self) {
        let late = std::mem::take(&mut self.state.lock().unwrap().late);
        for (method, path, body) in late {
            self.carry_out(&method, &path, &body);
        }
    }

    /// As somebody with the root token would.
    pub(super) fn write(&self, path: &str, data: Value) {
        let mut state = self.state.lock().unwrap();
        let entry = state.entries.entry(path.to_owned()).or_default();
        entry.current += 1;
        let version = entry.current;
        entry.versions.insert(version, Some(data));
    }

    fn carry_out(&self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = path.strip_prefix("/v1/").unwrap();
        if let Some(login) = path.strip_prefix("auth/") {
            return self.auth(login, body);
        }
        if path.starts_with("sys/") {
            return (403, json!({"errors": ["permission denied", body.to_string()]}));
        }
        let mut state = self.state.lock().unwrap();
        let (api, name) = path.strip_prefix("secret/").unwrap().split_once('/').unwrap();
        let missing = (404, json!({"errors": []}));
        match (method.as_str(), api) {
            ("POST", "data") => {
                let entry = state.entries.entry(name.to_owned()).or_default();
                if body["options"]["cas"].as_u64() != Some(entry.current) {
                    let error = "check-and-set parameter did not match the current version";
                    return (400, json!({"errors": [error, body.to_string()]}));
                }
                entry.current += 1;
                entry.versions.insert(entry.current, Some(body["data"].clone()));
                (200, json!({"data": {"version": entry.current, "custom_metadata": entry.custom_metadata}}))
            }
            ("GET", "data") => {
                let Some(entry) = state.entries.get(name).filter(|entry| entry.current > 0) else { return missing };
                let asked = query.strip_prefix("version=").map(|version| version.parse().unwrap());
                let version = asked.unwrap_or(entry.current);
                let Some(data) = entry.versions.get(&version) else { return missing };
                let facts = json!({
                    "version": version, "destroyed": data.is_none(), "custom_metadata": entry.custom_metadata,
                });
                let status = if data.is_some() { 200 } else { 404 };
                (status, json!({"data": {"data": data, "metadata": facts}}))
            }
            ("POST", "metadata") => {
                let entry = state.entries.entry(name.to_owned()).or_default();
                entry.custom_metadata = body["custom_metadata"].as_object().cloned();
                entry.max_versions = body["max_versions"].as_u64().unwrap();
                (204, Value::Null)
            }
            ("GET", "metadata") => {
                let Some(entry) = state.entries.get(name) else { return missing };
                let versions: Map<String, Value> = entry
                    .versions
                    .iter()
                    .map(|(version, data)| (version.to_string(), json!({"destroyed": data.is_none()})))
                    .collect();
                (200, json!({"data": {"custom_metadata": entry.custom_metadata, "versions": versions}}))
            }
            ("DELETE", "metadata") => {
                state.entries.remove(name);
                (204, Value::Null)
            }
            ("POST", "destroy") => {
                let version = body["versions"][0].as_u64().unwrap();
                let kept = state.entries.get_mut(name).and_then(|entry| entry.versions.get_mut(&version));
                if let Some(data) = kept {
                    *data = None;
                }
                (204, Value::Null)
            }
            _ => panic!("{method} {path}"),
        }
    }

    fn auth(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut state = self.state.lock().unwrap();
        let facts = |token: &str, lease: u64, renewable: bool| json!({"auth": {"client_token": token, "lease_duration": lease, "renewable": renewable}});
        match path {
            "approle/login" => {
                let number = self.logins.fetch_add(1, Ordering::SeqCst);
                if !state.role_is_good || body["secret_id"] != SECRET_ID {
                    return (400, json!({"errors": ["invalid role or secret ID", body.to_string()]}));
                }
                let token = format!("role-token-canary-{number}");
                state.tokens.push(token.clone());
                (200, facts(&token, state.lease, state.renewable))
            }
            "token/renew-self" => {
                self.renewals.fetch_add(1, Ordering::SeqCst);
                (200, facts(state.tokens.last().unwrap(), state.lease, state.renewable))
            }
            "token/lookup-self" => (200, json!({"data": {}})),
            _ => panic!("{path}"),
        }
    }
}

#[async_trait]
impl Transport for Model {
    async fn send(
        &self,
        url: &EgressUrl,
        request: Request<Bytes>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, EgressError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.flush();
        let path = url.path_and_query().to_string();
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let method = request.method().clone();
        let fault = self.state.lock().unwrap().faults.pop_front().unwrap_or(Fault::None);
        let (host, limit) = (url.authority(), bounds.time);
        let answer = |status: u16, body: String| {
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        };
        let refusal = {
            let state = self.state.lock().unwrap();
            let token = request.headers().get("x-vault-token").map(|token| token.to_str().unwrap().to_owned());
            let is_known = path.ends_with("/login") || token.is_some_and(|token| state.tokens.contains(&token));
            !is_known || state.forbidden.iter().any(|part| path.contains(part))
        };
        if refusal && fault == Fault::None {
            return Ok(answer(403, json!({"errors": ["permission denied", body.to_string()]}).to_string()));
        }
        match fault {
            Fault::None => {}
            Fault::NotSent => {
                return Err(EgressError::Connect { host, source: std::io::ErrorKind::ConnectionRefused.into() });
            }
            Fault::Swallowed | Fault::Unanswered | Fault::Late => {
                match fault {
                    Fault::Unanswered => drop(self.carry_out(&method, &path, &body)),
                    Fault::Late => self.state.lock().unwrap().late.push((method, path, body)),
                    _ => {}
                }
                sleep(limit).await;
                return Err(EgressError::Timeout { host, limit, sent: true });
            }
            Fault::CutOff => {
                self.carry_out(&method, &path, &body);
                return Err(EgressError::Http { host, sent: true, source: "cut off".into() });
            }
            Fault::Nonsense => {
                self.carry_out(&method, &path, &body);
                return Ok(answer(200, format!("<html>{body}{TOKEN}{SECRET_ID}</html>")));
            }
            Fault::Upgrading => {
                let error = "Upgrading from non-versioned to versioned data. This backend will be unavailable for a \
                             brief period and will resume service shortly.";
                return Ok(answer(400, json!({"errors": [error]}).to_string()));
            }
            Fault::Body(body) => return Ok(answer(200, body.to_owned())),
            Fault::Status(status) => return Ok(answer(status, format!("{{\"errors\":[{:?}]}}", body.to_string()))),
            Fault::Throttled => {
                let mut answer = answer(429, body.to_string());
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                return Ok(answer);
            }
            Fault::TooLarge => {
                self.carry_out(&method, &path, &body);
                return Err(EgressError::TooLarge { host, limit: bounds.bytes });
            }
            Fault::Rival => {
                let (names, data): (Vec<String>, Value) = {
                    let state = self.state.lock().unwrap();
                    (state.entries.keys().cloned().collect(), state.rival.clone())
                };
                for name in names {
                    self.write(&name, data.clone());
                }
            }
        }
        // As long as one on a busy network.
        sleep(Duration::from_millis(5)).await;
        let (status, body) = self.carry_out(&method, &path, &body);
        Ok(answer(status, if body.is_null() { String::new() } else { body.to_string() }))
    }
}
