//! Tokens: one that was given, or those that a role gives.
//!
//! A role's token is renewed when two thirds of its time are over and it is needed; nobody waits for that but the one
//! who does it. Many callers need one login between them.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use strongroom_domain::SecretValue;
use tokio::{sync::Mutex as FairMutex, time::Instant};

use super::{
    api::{Api, Ask, LARGEST_ANSWER},
    settings::{VaultAuth, VaultSettingsError, credential, parts},
    wire::{LoggedIn, Login, TokenFacts},
};
use crate::{
    StoreError, StoreErrorKind,
    outer::{Answer, Attempt, Repeat, parse_json, to_json},
};

/// A token to send.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) token: HeaderValue,
    /// Tells it from those before and after it.
    generation: u64,
    renew: Option<Instant>,
    ends: Option<Instant>,
    is_renewable: bool,
}

impl Held {
    fn of(facts: &TokenFacts, generation: u64) -> Result<Self, VaultSettingsError> {
        let token = credential("client_token", &facts.client_token)?;
        let now = Instant::now();
        let lease = (facts.lease_duration > 0).then(|| Duration::from_secs(facts.lease_duration.min(u32::MAX.into())));
        let (renew, ends) = (lease.map(|lease| now + lease * 2 / 3), lease.map(|lease| now + lease));
        Ok(Self { token, generation, renew, ends, is_renewable: facts.renewable })
    }

    fn has_ended(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }

    fn is_due(&self) -> bool {
        self.renew.is_some_and(|renew| renew <= Instant::now())
    }
}

/// Where tokens come from.
pub(super) enum Tokens {
    Given(Held),
    Role(Box<Role>),
}

/// Nothing of it is for show.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

pub(super) struct Role {
    id: String,
    secret: SecretValue,
    path: Vec<String>,
    current: Mutex<Option<Held>>,
    /// Whoever holds it logs in or renews.
    flight: FairMutex<Flight>,
    /// Logins that have ended. Those who waited for one that failed are told the same, and don't try it one after the
    /// other.
    logins: AtomicU64,
}

#[derive(Default)]
struct Flight {
    generation: u64,
    /// How the last login failed, if it did.
    failed: Option<(StoreErrorKind, String)>,
}

impl Tokens {
    pub(super) fn new(auth: &VaultAuth) -> Result<Self, VaultSettingsError> {
        Ok(match auth {
            VaultAuth::Token(token) => {
                let token = credential("token", token)?;
                Self::Given(Held { token, generation: 0, renew: None, ends: None, is_renewable: false })
            }
            VaultAuth::AppRole { role_id, secret_id, role_path } => Self::Role(Box::new(Role {
                id: role_id.clone(),
                secret: secret_id.clone(),
                path: parts("role_path", role_path)?,
                current: Mutex::default(),
                flight: FairMutex::default(),
                logins: AtomicU64::new(0),
            })),
        })
    }

    /// A token that has not ended.
    pub(super) async fn get(&self, api: &Api, attempt: &Attempt<'_>) -> Result<Held, StoreError> {
        match self {
            Self::Given(held) => Ok(held.clone()),
            Self::Role(role) => role.get(api, attempt).await,
        }
    }

    /// After a 403, which is said of tokens that have died as well as of what a policy doesn't allow. A token instead
    /// of the refused one; `None` where that is alive and the policy meant it.
    pub(super) async fn after_refusal(
        &self,
        api: &Api,
        attempt: &Attempt<'_>,
        refused: Held,
    ) -> Result<Option<Held>, StoreError> {
        match self {
            Self::Given(_) if is_alive(api, attempt, &refused).await? => Ok(None),
            Self::Given(_) => Err(api.error(StoreErrorKind::Unauthenticated, "the token isn't valid, or not any more")),
            Self::Role(role) => role.after_refusal(api, attempt, refused).await,
        }
    }
}

impl Role {
    async fn get(&self, api: &Api, attempt: &Attempt<'_>) -> Result<Held, StoreError> {
        match self.current().filter(|held| !held.has_ended()) {
            Some(held) if !held.is_due() => Ok(held),
            Some(held) => match self.flight.try_lock() {
                // Whatever becomes of it: the old one is good for a while.
                Ok(mut flight) => Ok(self.renew(api, attempt, &held, &mut flight).await.unwrap_or(held)),
                Err(_) => Ok(held),
            },
            None => {
                let (seen, mut flight) = (self.logins.load(Ordering::Acquire), self.board(api, attempt).await?);
                match self.current().filter(|held| !held.has_ended()) {
                    Some(held) => Ok(held),
                    None => self.log_in(api, attempt, seen, &mut flight).await,
                }
            }
        }
    }

    async fn after_refusal(&self, api: &Api, attempt: &Attempt<'_>, refused: Held) -> Result<Option<Held>, StoreError> {
        let (seen, mut flight) = (self.logins.load(Ordering::Acquire), self.board(api, attempt).await?);
        if let Some(newer) = self.current().filter(|held| held.generation != refused.generation) {
            return Ok(Some(newer));
        }
        if is_alive(api, attempt, &refused).await? {
            return Ok(None);
        }
        self.log_in(api, attempt, seen, &mut flight).await.map(Some)
    }

    /// The turn to log in, as long as the caller has time.
    async fn board(&self, api: &Api, attempt: &Attempt<'_>) -> Result<tokio::sync::MutexGuard<'_, Flight>, StoreError> {
        let turn = tokio::time::timeout_at(attempt.deadline(), self.flight.lock()).await;
        turn.map_err(|_| api.error(StoreErrorKind::Unavailable, "no token was had in time"))
    }

    async fn log_in(
        &self,
        api: &Api,
        attempt: &Attempt<'_>,
        seen: u64,
        flight: &mut Flight,
    ) -> Result<Held, StoreError> {
        if let Some((kind, reason)) = &flight.failed
            && self.logins.load(Ordering::Acquire) != seen
        {
            return Err(api.error(*kind, reason));
        }
        let body = to_json(&Login { role_id: &self.id, secret_id: self.secret.expose() });
        let path: Vec<&str> =
            ["auth"].into_iter().chain(self.path.iter().map(String::as_str)).chain(["login"]).collect();
        let answered = match ask(api, Method::POST, &path, body, Repeat::Idempotent) {
            Ok(ask) => api.send_as(attempt, &ask, None).await,
            Err(error) => Err(error),
        };
        let held = answered.and_then(|answer| match answer.status {
            status if status.is_success() => self.take(api, &answer, flight),
            // By its status: role or secret id are wrong; the role isn't there; the address may not log in.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                let path = path.join("/");
                let reason =
                    format!("it doesn't let the role log in at {path}: check role_id, secret_id and role_path");
                Err(api.error(StoreErrorKind::Unauthenticated, reason))
            }
            status => {
                Err(api.error(StoreErrorKind::Unavailable, format!("the login failed (status {})", status.as_u16())))
            }
        });
        self.logins.fetch_add(1, Ordering::AcqRel);
        flight.failed = held.as_ref().err().map(|error| (error.kind, error.reason.clone()));
        // A login is no write of the caller's.
        held.map_err(|error| error.with_unclear_effect(false))
    }

    /// A renewed token is the same one with more time, or there is a new one where it can't be renewed any more.
    async fn renew(
        &self,
        api: &Api,
        attempt: &Attempt<'_>,
        held: &Held,
        flight: &mut Flight,
    ) -> Result<Held, StoreError> {
        let refused = api.error(StoreErrorKind::Unauthenticated, "the token isn't renewed");
        if held.is_renewable {
            let ask = ask(api, Method::POST, &["auth", "token", "renew-self"], Bytes::from("{}"), Repeat::Idempotent)?;
            let answer = api.send_as(attempt, &ask, Some(held)).await?;
            if answer.status.is_success() {
                let renewed = self.take(api, &answer, flight)?;
                // Near its greatest age a token gets no more than what is left to it.
                if renewed.ends.is_none() || renewed.ends > held.ends {
                    return Ok(renewed);
                }
            } else if answer.status != StatusCode::FORBIDDEN && answer.status != StatusCode::BAD_REQUEST {
                return Err(refused);
            }
        }
        self.log_in(api, attempt, self.logins.load(Ordering::Acquire), flight).await
    }

    /// Makes what came the current token.
    fn take(&self, api: &Api, answer: &Answer, flight: &mut Flight) -> Result<Held, StoreError> {
        let facts = parse_json::<LoggedIn>(&answer.body).ok().and_then(|logged_in| logged_in.auth);
        let held = facts.and_then(|facts| Held::of(&facts, flight.generation + 1).ok());
        let held = held.ok_or_else(|| api.nonsense(Repeat::Read))?;
        flight.generation += 1;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(held.clone());
        Ok(held)
    }

    fn current(&self) -> Option<Held> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether Vault still knows a token. Costs a small request, and only after a refusal: logging in anew each time would
/// make a lease each time.
async fn is_alive(api: &Api, attempt: &Attempt<'_>, held: &Held) -> Result<bool, StoreError> {
    let ask = ask(api, Method::GET, &["auth", "token", "lookup-self"], Bytes::new(), Repeat::Read)?;
    Ok(api.send_as(attempt, &ask, Some(held)).await?.status.is_success())
}

fn ask(api: &Api, method: Method, path: &[&str], body: Bytes, repeat: Repeat) -> Result<Ask, StoreError> {
    let url = api.paths.api(path).map_err(|error| api.bad_url(error))?;
    Ok(Ask { method, url, body, repeat, largest: LARGEST_ANSWER, path: path.join("/"), capability: "update" })
}
