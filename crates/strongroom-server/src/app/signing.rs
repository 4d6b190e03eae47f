//! JWTs of our own, and the keys that they are signed with.
//!
//! A key is made when the first JWT is. Two replicas may make one each at the same moment: the newest signs, and all
//! are published.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use strongroom_crypto::{SigningKey, sha256};
use strongroom_domain::subject::SubjectKind;
use strongroom_domain::{SecretValue, SigningKeyId, Timestamp, TokenId};
use strongroom_metadata::{OwnedToken, SigningKeyRow, Stamp};

use super::{App, AppError, Context};
use crate::audit::{Event, Target};
use crate::auth::jwt::own::{self, OwnClaims};

/// The signing keys as they are stored, sealed. They hold until something changes that is kept in memory.
pub(crate) struct SigningKeys(Mutex<Option<(Stamp, Arc<[SigningKeyRow]>)>>);

impl SigningKeys {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }
}

/// Whom a token is for.
pub(crate) struct TokenOwner<'a> {
    pub(crate) kind: SubjectKind,
    pub(crate) id: &'a str,
    /// Address or name.
    pub(crate) slug: &'a str,
}

/// What a JWT says of itself.
pub(crate) struct JwtTerms {
    pub(crate) id: TokenId,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl App {
    async fn signing_keys(&self) -> Result<Arc<[SigningKeyRow]>, AppError> {
        let present = self.metadata.identity_stamp();
        let kept = self.caches.signing_keys.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((as_of, keys)) = kept
            && present == Some(as_of)
        {
            return Ok(keys);
        }
        let keys: Arc<[SigningKeyRow]> = self.metadata.signing_keys().await?.into();
        let kept = present.map(|as_of| (as_of, keys.clone()));
        *self.caches.signing_keys.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(keys)
    }

    /// The public keys, as a JWK set.
    pub(crate) async fn jwks(&self) -> Result<Value, AppError> {
        let mut keys = Vec::new();
        for row in &*self.signing_keys().await? {
            keys.push((row.id.to_string(), *self.open_signing_key(row)?.public_key()));
        }
        let keys: Vec<(&str, [u8; 32])> = keys.iter().map(|(id, key)| (id.as_str(), *key)).collect();
        Ok(own::jwks(&keys))
    }

    /// The JWT that a row is of, made again: the same claims under the same key give the same text. `None` when they
    /// aren't the same any more: its end was moved, or the server's public address.
    pub(crate) async fn jwt_again(
        &self,
        owner: &TokenOwner<'_>,
        token: &OwnedToken,
    ) -> Result<Option<SecretValue>, AppError> {
        let (Some(key_id), Some(expires_at)) = (token.signing_key, token.expires_at) else { return Ok(None) };
        let keys = self.signing_keys().await?;
        let Some(row) = keys.iter().find(|row| row.id == key_id) else { return Ok(None) };
        let terms = JwtTerms { id: token.id, created_at: token.created_at, expires_at };
        let text = self.jwt(row, owner, &terms)?;
        Ok((token.hash == sha256(text.expose().as_bytes())).then_some(text))
    }

    fn jwt(&self, row: &SigningKeyRow, owner: &TokenOwner<'_>, terms: &JwtTerms) -> Result<SecretValue, AppError> {
        let claims = OwnClaims {
            tenant_name: self.tenant.as_str().to_owned(),
            issuer: self.issuer.clone(),
            sub: owner.id.to_owned(),
            subject_type: owner.kind.wire().to_owned(),
            token_id: terms.id.to_string(),
            issued_at: terms.created_at,
            expires_at: terms.expires_at,
            username: Some(owner.slug.to_owned()),
            email: (owner.kind == SubjectKind::User).then(|| owner.slug.to_owned()),
        };
        let key = self.open_signing_key(row)?;
        Ok(SecretValue::new(own::issue(&claims, &key, &row.id.to_string())))
    }

    fn open_signing_key(&self, row: &SigningKeyRow) -> Result<SigningKey, AppError> {
        let damaged = |internal: String| AppError::Integrity {
            public: format!("the signing key {} does not open", row.id),
            internal,
        };
        let sealing = self.keys.key(row.kek);
        let sealing = sealing.ok_or_else(|| damaged(format!("key-encryption key {} is unknown", row.kek)))?;
        let key = sealing.unwrap_signing_key(self.instance_id.as_bytes(), row.id.as_bytes(), &row.sealed);
        let key = key.map_err(|error| damaged(error.to_string()))?;
        if row.public == key.public_key() { Ok(key) } else { Err(damaged("its public half is another key's".into())) }
    }
}

impl Context {
    /// Signs a JWT with the newest key; makes that when there is none. With the id of the key.
    pub(crate) async fn sign_jwt(
        &self,
        owner: &TokenOwner<'_>,
        terms: &JwtTerms,
    ) -> Result<(SecretValue, SigningKeyId), AppError> {
        let app = self.app();
        let keys = app.signing_keys().await?;
        if let Some(newest) = keys.first() {
            return Ok((app.jwt(newest, owner, terms)?, newest.id));
        }
        let now = app.clock.now();
        let (id, key): (SigningKeyId, _) = (app.ids.at(now), SigningKey::make());
        let sealing = app.keys.primary();
        let row = SigningKeyRow {
            id,
            public: key.public_key().to_vec(),
            sealed: sealing.wrap_signing_key(app.instance_id.as_bytes(), id.as_bytes(), &key),
            kek: sealing.id(),
            created_at: now,
        };
        let target = Target { kind: "signing-key", id: id.to_string(), name: String::new(), fqn: String::new() };
        let event = self.event(Event { action: "CREATE_SIGNING_KEY", ..Event::of(target) });
        app.metadata.add_signing_key(&row, &event).await?;
        Ok((app.jwt(&row, owner, terms)?, id))
    }
}
