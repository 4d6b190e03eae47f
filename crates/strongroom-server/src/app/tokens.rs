//! Tokens: made, and ended.

use serde_json::json;
use strongroom_crypto::sha256;
use strongroom_domain::names::MachineName;
use strongroom_domain::subject::SubjectKind;
use strongroom_domain::{SecretValue, Timestamp, token};
use strongroom_metadata::{NewToken, TokenPurpose};

use super::users::user_target;
use super::{AppError, Context};
use crate::audit::{Event, Target};

/// A token that was just made, in the clear this once.
pub(crate) struct IssuedToken(pub(crate) SecretValue);

impl Context {
    /// Makes a personal access token for a person.
    pub(crate) async fn create_token_for_user(
        &self,
        name: &str,
        email: &str,
        expiration: Option<&str>,
    ) -> Result<IssuedToken, AppError> {
        let name = MachineName::parse(name).map_err(|error| AppError::invalid("name", error.to_string()))?;
        let expires_at = expiration.map(|text| self.future("expirationDate", text)).transpose()?;
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let user = self.user_of_address(email).await?;
            let (text, row) =
                self.issue(SubjectKind::User, user.id.to_string(), name.as_str(), TokenPurpose::Personal, expires_at);
            change.add_token(&row);
            let detail = json!({"user": user.email}).to_string();
            let event = Event { action: "CREATE_PERSONAL_ACCESS_TOKEN", detail, ..Event::of(token_target(&row)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(text);
            }
        }
    }

    /// Ends all tokens of a person; the caller's own, too, when the caller is that person.
    pub(crate) async fn revoke_tokens_of_user(&self, email: &str) -> Result<(), AppError> {
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let user = self.user_of_address(email).await?;
            change.revoke_tokens(SubjectKind::User, &user.id.to_string(), self.app().clock.now());
            let event = Event { action: "REVOKE_PERSONAL_ACCESS_TOKENS", ..Event::of(user_target(&user)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// Makes a token of either kind; the caller writes its row.
    pub(crate) async fn issue_token(
        &self,
        subject_kind: SubjectKind,
        subject_id: &str,
        name: &str,
        purpose: TokenPurpose,
        expires_at: Option<Timestamp>,
        jwt: bool,
    ) -> Result<(IssuedToken, NewToken), AppError> {
        if jwt {
            return Err(AppError::invalid("manifest.token_type", "this server makes `opaque` tokens only"));
        }
        Ok(self.issue(subject_kind, subject_id.to_owned(), name, purpose, expires_at))
    }

    /// Makes an opaque token; the caller writes its row.
    pub(crate) fn issue(
        &self,
        subject_kind: SubjectKind,
        subject_id: String,
        name: &str,
        purpose: TokenPurpose,
        expires_at: Option<Timestamp>,
    ) -> (IssuedToken, NewToken) {
        let app = self.app();
        let text = token::make(&*app.entropy);
        let created_at = app.clock.now();
        let row = NewToken {
            hash: sha256(text.as_bytes()),
            id: app.ids.at(created_at),
            subject_kind,
            subject_id,
            name: name.to_owned(),
            purpose,
            signing_key: None,
            created_at,
            expires_at,
        };
        (IssuedToken(SecretValue::new(text.to_string())), row)
    }

    /// A time that is still to come.
    pub(crate) fn future(&self, path: &str, text: &str) -> Result<Timestamp, AppError> {
        Timestamp::parse(text)
            .filter(|at| *at > self.app().clock.now())
            .ok_or_else(|| AppError::invalid(path, "must be a date or time that is still to come, e.g. 2030-01-31"))
    }
}

/// A token as an event names it.
pub(crate) fn token_target(token: &NewToken) -> Target {
    Target { kind: "personal-access-token", id: token.id.to_string(), name: token.name.clone(), fqn: String::new() }
}
