//! Requests to Vault's API with a token, and what the answers mean.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;

use super::{
    paths::Paths,
    tokens::{Held, Tokens},
    wire::{Envelope, Errors},
};
use crate::{
    StoreError, StoreErrorKind,
    egress::{EgressUrl, UrlError},
    outer::{Answer, Attempt, Call, NotJson, OuterClient, Repeat, Verdict, judge_by_status, parse_json},
};

/// Of an answer with one value, which JSON makes up to six times as long.
pub(super) const LARGEST_ANSWER: usize = 2 * 1024 * 1024;

/// A request.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: EgressUrl,
    pub(super) body: Bytes,
    pub(super) repeat: Repeat,
    pub(super) largest: usize,
    /// The path as policies spell it and what they must allow on it, for whoever has to.
    pub(super) path: String,
    pub(super) capability: &'static str,
}

/// An answer that the KV engine gave.
pub(super) enum Reply {
    /// It did or has what it was asked for.
    Done(Answer),
    /// It has no such thing. There is a body where it once had it.
    Missing(Option<Bytes>),
    /// The version that a write was conditioned on isn't the latest.
    CasMismatch {
        /// Whether an earlier try of the same write may be the reason.
        after_unclear: bool,
    },
}

/// The way to one Vault.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) client: OuterClient,
    pub(super) paths: Arc<Paths>,
    pub(super) namespace: Option<HeaderValue>,
    pub(super) tokens: Tokens,
}

impl Api {
    pub(super) fn error(&self, kind: StoreErrorKind, reason: impl Into<String>) -> StoreError {
        self.client.error(kind, reason)
    }

    /// For a URL that can't be built.
    pub(super) fn bad_url(&self, error: UrlError) -> StoreError {
        self.error(StoreErrorKind::Refused, error.to_string())
    }

    /// An answer that makes no sense. For a write it leaves open what happened.
    pub(super) fn nonsense(&self, repeat: Repeat) -> StoreError {
        let reason = "the answer isn't one of Vault's: is vault_url right?";
        self.error(StoreErrorKind::Unavailable, reason).with_unclear_effect(repeat != Repeat::Read)
    }

    /// Reads the `data` of an answer.
    pub(super) fn data<T: DeserializeOwned>(&self, body: &[u8], repeat: Repeat) -> Result<T, StoreError> {
        let envelope: Result<Envelope<T>, NotJson> = parse_json(body);
        envelope.ok().and_then(|envelope| envelope.data).ok_or_else(|| self.nonsense(repeat))
    }

    /// Sends a request with a token, and once more with a new one where the old one has died.
    pub(super) async fn send(&self, attempt: &Attempt<'_>, ask: &Ask) -> Result<Reply, StoreError> {
        let held = self.tokens.get(self, attempt).await?;
        let first = self.send_as(attempt, ask, Some(&held)).await?;
        if first.status != StatusCode::FORBIDDEN {
            return self.read(ask, first);
        }
        // What a try before the refused one may have done stays so, whatever comes of the new token.
        let still_unclear = |error: StoreError| {
            let unclear = error.may_have_happened || first.after_unclear;
            error.with_unclear_effect(unclear)
        };
        match self.tokens.after_refusal(self, attempt, held).await.map_err(still_unclear)? {
            None => self.read(ask, first),
            Some(held) => {
                let second = self.send_as(attempt, ask, Some(&held)).await.map_err(still_unclear)?;
                self.read(ask, Answer { after_unclear: first.after_unclear || second.after_unclear, ..second })
            }
        }
    }

    pub(super) async fn send_as(
        &self,
        attempt: &Attempt<'_>,
        ask: &Ask,
        held: Option<&Held>,
    ) -> Result<Answer, StoreError> {
        let make = || {
            let mut headers = HeaderMap::new();
            // Against confused deputies before an agent; it does nothing elsewhere.
            headers.insert("x-vault-request", HeaderValue::from_static("true"));
            if let Some(held) = held {
                headers.insert("x-vault-token", held.token.clone());
            }
            if let Some(namespace) = &self.namespace {
                headers.insert("x-vault-namespace", namespace.clone());
            }
            if !ask.body.is_empty() {
                headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            let (method, url, body) = (ask.method.clone(), ask.url.clone(), ask.body.clone());
            Ok(Call { method, url, headers, body, max_answer_bytes: ask.largest })
        };
        attempt.send(ask.repeat, &make).await
    }

    fn read(&self, ask: &Ask, answer: Answer) -> Result<Reply, StoreError> {
        if answer.status.is_success() {
            return Ok(Reply::Done(answer));
        }
        let after_unclear = answer.after_unclear;
        if answer.status == StatusCode::BAD_REQUEST && says(&answer, "check-and-set parameter did not match") {
            return Ok(Reply::CasMismatch { after_unclear });
        }
        if answer.status == StatusCode::NOT_FOUND {
            // A page of some web server says nothing about an entry, nor does Vault about a mount that isn't there.
            match parse_json::<Errors>(&answer.body) {
                Ok(Errors { errors: Some(errors) }) if errors.is_empty() => return Ok(Reply::Missing(None)),
                Ok(Errors { errors: None }) => return Ok(Reply::Missing(Some(answer.body))),
                _ => {}
            }
        }
        Err(self.failure(ask, &answer).with_unclear_effect(after_unclear))
    }

    /// By what is known of Vault's texts; they are never repeated, as they may quote the request.
    fn failure(&self, ask: &Ask, answer: &Answer) -> StoreError {
        use StoreErrorKind::{PermissionDenied, Refused, Unavailable};
        let (path, status) = (&ask.path, answer.status.as_u16());
        let (kind, reason) = match status {
            403 => (PermissionDenied, format!("permission denied: the policy must allow {} on {path}", ask.capability)),
            404 if says(answer, "no handler for route") => {
                (Unavailable, format!("nothing is mounted that {path} could be on: is kv_mount_path right?"))
            }
            404 if says(answer, "namespace not found") => {
                (Unavailable, "there is no such namespace: is namespace right?".to_owned())
            }
            404 | 405 => return self.nonsense(Repeat::Read),
            400 if ask.method != Method::GET => (Refused, format!("it refuses what was sent for {path} (status 400)")),
            413 => (Refused, format!("what was sent for {path} is larger than it takes")),
            300..=399 => {
                let host = ask.url.authority();
                (
                    Unavailable,
                    format!("{host} redirects (status {status}), which is not followed: name the active node"),
                )
            }
            _ => (Unavailable, format!("it refused the request on {path} (status {status})")),
        };
        self.error(kind, reason)
    }
}

/// Tells failures from answers. For a moment after it was mounted, or its server was unsealed, the engine refuses
/// everything with 400 (tried); it has done nothing then.
pub(super) fn judge(answer: &Answer) -> Verdict {
    if answer.status == StatusCode::BAD_REQUEST && says(answer, "from non-versioned to versioned data") {
        return Verdict::Throttled(None);
    }
    judge_by_status(answer)
}

/// Whether an answer's errors have this in them.
pub(super) fn says(answer: &Answer, text: &str) -> bool {
    let errors = parse_json::<Errors>(&answer.body).ok().and_then(|errors| errors.errors);
    errors.is_some_and(|errors| errors.iter().any(|error| error.contains(text)))
}
