//! Who we are to AWS.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use strongroom_domain::{SecretValue, Timestamp};
use tokio::sync::Mutex;

use super::{
    ProcessIdentity,
    failure::{Failure, Tried},
    identity::Identity,
    sigv4::Credentials,
    wire::{Question, Service, Wire},
    xml,
};
use crate::{
    StoreError,
    outer::{Attempt, Repeat},
};

const LARGEST_ANSWER: usize = 64 * 1024;
/// A session is renewed when it has less than this left.
const EARLY_SECONDS: i64 = 300;
/// With less than this left it isn't used any more: the request must still arrive.
const SPARE_SECONDS: i64 = 30;

/// The `auth_data` of an account or integration.
#[derive(Debug, Clone)]
pub enum AwsAuthData {
    /// `access-key-based`.
    AccessKey {
        /// `access_key_id`
        access_key_id: String,
        /// `secret_access_key`
        secret_access_key: SecretValue,
    },
    /// `assumed-role-based`.
    AssumedRole {
        /// `assumed_role_arn`
        assumed_role_arn: String,
        /// `external_id`
        external_id: Option<String>,
    },
}

/// Where credentials come from.
pub(super) enum Source {
    Identity(Identity),
    Role(Box<Role>),
}

/// A role that we assume, again and again.
pub(super) struct Role {
    /// Who assumes it.
    base: Identity,
    arn: String,
    external_id: Option<String>,
    session_name: String,
    sts: Service,
    session: RwLock<Option<Session>>,
    /// Held while a new session is fetched, so that one fetches for all.
    fetching: Mutex<()>,
}

#[derive(Clone)]
struct Session {
    credentials: Arc<Credentials>,
    ends: Timestamp,
}

impl Source {
    /// From what the integration says, or else its account. A role is assumed with the account's access key. Where there
    /// is none of these, the process itself is who we are, if it may be.
    pub(super) fn new(
        account: Option<&AwsAuthData>,
        integration: Option<&AwsAuthData>,
        instance: &str,
        sts: Service,
        process: &ProcessIdentity,
    ) -> Result<Self, String> {
        match integration.or(account) {
            None => Identity::of_process(process).map(Self::Identity).map_err(|refused| {
                format!(
                    "AWS needs credentials: set `auth_data` of the integration or of its account, of type \
                     access-key-based or assumed-role-based; {refused}"
                )
            }),
            Some(AwsAuthData::AccessKey { access_key_id, secret_access_key }) => {
                Ok(Self::Identity(access_key(access_key_id, secret_access_key)?))
            }
            Some(AwsAuthData::AssumedRole { assumed_role_arn, external_id }) => {
                check_role(assumed_role_arn, external_id.as_deref())?;
                let base = match account {
                    Some(AwsAuthData::AccessKey { access_key_id, secret_access_key }) => {
                        access_key(access_key_id, secret_access_key)?
                    }
                    _ => Identity::of_process(process).map_err(|refused| {
                        format!(
                            "`auth_data` of type assumed-role-based needs an identity that assumes the role: set the \
                             account's `auth_data` to access-key-based and the integration's to assumed-role-based; \
                             {refused}"
                        )
                    })?,
                };
                Ok(Self::Role(Box::new(Role {
                    base,
                    arn: assumed_role_arn.clone(),
                    external_id: external_id.clone(),
                    session_name: session_name(instance),
                    sts,
                    session: RwLock::default(),
                    fetching: Mutex::default(),
                })))
            }
        }
    }

    pub(super) async fn credentials(&self, wire: &Wire, attempt: &Attempt<'_>) -> Result<Arc<Credentials>, StoreError> {
        match self {
            Self::Identity(identity) => identity.credentials(wire, attempt).await,
            Self::Role(role) => role.credentials(wire, attempt).await,
        }
    }

    /// AWS says that these have ended. Whether asking again may give others.
    pub(super) fn forget(&self, ended: &Arc<Credentials>) -> bool {
        let role = match self {
            Self::Identity(identity) => return identity.forget(ended),
            Self::Role(role) => role,
        };
        let mut session = role.session.write().unwrap_or_else(PoisonError::into_inner);
        // Another may have fetched new ones meanwhile.
        if session.as_ref().is_some_and(|session| Arc::ptr_eq(&session.credentials, ended)) {
            *session = None;
        }
        true
    }
}

impl Role {
    async fn credentials(&self, wire: &Wire, attempt: &Attempt<'_>) -> Result<Arc<Credentials>, StoreError> {
        if let Some(session) = self.lasting(wire, EARLY_SECONDS) {
            return Ok(session);
        }
        // While one fetches, the others go on with what still lasts, or else wait for it.
        let _fetching = match (self.fetching.try_lock(), self.lasting(wire, SPARE_SECONDS)) {
            (Err(_), Some(session)) => return Ok(session),
            (Ok(guard), _) => guard,
            (Err(_), None) => self.fetching.lock().await,
        };
        if let Some(session) = self.lasting(wire, EARLY_SECONDS) {
            return Ok(session);
        }
        match self.fetch(wire, attempt).await {
            Ok(session) => {
                let credentials = session.credentials.clone();
                *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(session);
                Ok(credentials)
            }
            Err(failure) => self.lasting(wire, SPARE_SECONDS).ok_or_else(|| {
                failure.explain(&Tried {
                    store: wire.store(),
                    permission: "sts:AssumeRole",
                    is_write: false,
                    target: &self.arn,
                    hidden: None,
                })
            }),
        }
    }

    fn lasting(&self, wire: &Wire, seconds: i64) -> Option<Arc<Credentials>> {
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner);
        let session = session.as_ref().filter(|session| wire.now().plus_seconds(seconds) < session.ends)?;
        Some(session.credentials.clone())
    }

    async fn fetch(&self, wire: &Wire, attempt: &Attempt<'_>) -> Result<Session, Failure> {
        let mut form = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName={}",
            encode(&self.arn),
            encode(&self.session_name)
        );
        if let Some(external_id) = &self.external_id {
            form.push_str("&ExternalId=");
            form.push_str(&encode(external_id));
        }
        let body = Bytes::from(form);
        let mut may_renew = true;
        loop {
            let credentials = self.base.credentials(wire, attempt).await.map_err(Failure::Store)?;
            let question = Question {
                target: None,
                body: body.clone(),
                repeat: Repeat::Read,
                credentials: &credentials,
                max_answer_bytes: LARGEST_ANSWER,
            };
            match wire.ask(attempt, &self.sts, &question).await {
                Ok(answer) => return read_session(&answer).ok_or(Failure::Unreadable),
                Err(Failure::Refused(refusal))
                    if may_renew && refusal.is_about_expiry() && self.base.forget(&credentials) =>
                {
                    may_renew = false;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

fn read_session(answer: &[u8]) -> Option<Session> {
    let texts = xml::texts(std::str::from_utf8(answer).ok()?)?;
    let field = |name: &str| {
        let text = xml::only(&texts, &format!("AssumeRoleResponse/AssumeRoleResult/Credentials/{name}"))?;
        Some(text.trim()).filter(|text| !text.is_empty())
    };
    let credentials = Credentials {
        access_key_id: field("AccessKeyId")?.to_owned(),
        secret_access_key: SecretValue::new(field("SecretAccessKey")?.to_owned()),
        session_token: Some(SecretValue::new(field("SessionToken")?.to_owned())),
    };
    Some(Session { credentials: Arc::new(credentials), ends: Timestamp::parse(field("Expiration")?)? })
}

fn access_key(id: &str, secret: &SecretValue) -> Result<Identity, String> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("`access_key_id` must be letters and digits, like AKIAIOSFODNN7EXAMPLE".to_owned());
    }
    if secret.expose().is_empty() || !secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("`secret_access_key` must be visible ASCII characters without blanks".to_owned());
    }
    let key = Credentials { access_key_id: id.to_owned(), secret_access_key: secret.clone(), session_token: None };
    Ok(Identity::Key(Arc::new(key)))
}

fn check_role(arn: &str, external_id: Option<&str>) -> Result<(), String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_role = matches!(parts.as_slice(), ["arn", _, "iam", "", account, role]
        if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) && role.starts_with("role/"));
    if !is_role || arn.len() > 2_048 || !arn.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("`assumed_role_arn` must be the ARN of a role, like arn:aws:iam::123456789012:role/name".to_owned());
    }
    let is_external_id = |id: &str| {
        (2..=1_224).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte))
    };
    if external_id.is_some_and(|id| !is_external_id(id)) {
        return Err("`external_id` must be 2 to 1224 letters, digits and _+=,.@:/-".to_owned());
    }
    Ok(())
}

/// What AWS' own logs call us.
fn session_name(instance: &str) -> String {
    const LONGEST: usize = 64;
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(*letter);
    format!("strongroom-{instance}").chars().filter(allowed).take(LONGEST).collect()
}

/// For a form: everything but what is unreserved.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(identity) => identity.fmt(f),
            Self::Role(role) => f.debug_tuple("Role").field(&role.arn).field(&role.base).finish(),
        }
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
