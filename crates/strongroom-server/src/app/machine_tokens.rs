//! The tokens of machines: shown again, changed, written out, ended. Tenant admins only: the operation table says so.

use serde_json::json;
use strongroom_domain::{Day, SecretValue, Timestamp, TokenId, VirtualAccountId};
use strongroom_metadata::{MachineKind, MachineRow, OwnedToken, SyncState};

use super::machine_terms::MachineTerms;
use super::machines::machine_target;
use super::token_turnover::{Fresh, Wanted, Written};
use super::tokens::is_living;
use super::{AppError, Context, Resource};
use crate::audit::Event;

/// For how long older tokens may go on working: a year.
const LONGEST_GRACE_MINUTES: f64 = 525_600.0;
/// For how long they do when a token is changed only to be written.
const GRACE_OF_SYNC: i64 = 30 * 86_400;

/// How a machine's token shall be changed.
pub(crate) struct Regenerate {
    pub(crate) grace_minutes: Option<f64>,
    /// When the new one ends, `yyyy-mm-dd`.
    pub(crate) expiration: Option<String>,
}

impl Context {
    /// The newest token of a machine that works.
    pub(crate) async fn current_token(&self, id: VirtualAccountId) -> Result<Option<OwnedToken>, AppError> {
        let now = self.app().clock.now();
        let tokens = self.app().metadata.tokens_of(&id.to_string()).await?;
        Ok(tokens.into_iter().find(|token| is_living(token, now)))
    }

    /// A machine's current token once more; its event is durable before it is given.
    pub(crate) async fn machine_token(&self, kind: MachineKind, id: VirtualAccountId) -> Result<SecretValue, AppError> {
        let machine = self.machine_of(kind, id).await?;
        let terms = MachineTerms::stored(kind, &machine.manifest)?;
        terms.check_has_token()?;
        let token = self.current_token(id).await?.ok_or(AppError::NotFound(Resource::Token))?;
        if token.signing_key.is_none() {
            let message = "an opaque token is shown once, when it is made: regenerate it, or take `token_type: jwt`";
            return Err(AppError::invalid("token", message));
        }
        let text = self.app().jwt_again(&terms.owner(&id.to_string()), &token).await?;
        let text = text.ok_or_else(|| {
            let message = "can't be made again, as its end was moved or the server's public address is another one \
                           since: regenerate it";
            AppError::invalid("token", message)
        })?;
        let detail = json!({"token": token.id.to_string()}).to_string();
        let event = Event { action: "READ_VIRTUAL_ACCOUNT_TOKEN", detail, ..Event::of(machine_target(&machine)) };
        self.app().metadata.record(self.event(event)).await?;
        Ok(text)
    }

    /// Makes a token for a machine that has none which works.
    pub(crate) async fn create_machine_token(
        &self,
        kind: MachineKind,
        id: VirtualAccountId,
        expiration: Option<&str>,
    ) -> Result<SecretValue, AppError> {
        let expires_at = expiration.map(|text| self.last_day(text)).transpose()?;
        let wanted = Wanted {
            kind,
            id,
            action: "CREATE_VIRTUAL_ACCOUNT_TOKEN",
            expires_at,
            first: true,
            grace: None,
            lease: None,
        };
        let fresh = self.make_machine_token(&wanted).await?;
        let written = self.write_token(&fresh).await;
        self.settle_token(&fresh, &written, None, None).await?;
        Ok(fresh.text)
    }

    /// Makes a new token; the older ones end after the grace period at the latest.
    pub(crate) async fn regenerate_machine_token(
        &self,
        kind: MachineKind,
        id: VirtualAccountId,
        terms: &Regenerate,
    ) -> Result<SecretValue, AppError> {
        let grace = grace_seconds(terms.grace_minutes)?;
        let expires_at = terms.expiration.as_deref().map(|text| self.last_day(text)).transpose()?;
        let wanted = Wanted {
            kind,
            id,
            action: "REGENERATE_VIRTUAL_ACCOUNT_TOKEN",
            expires_at,
            first: false,
            grace: Some(grace),
            lease: None,
        };
        let fresh = self.make_machine_token(&wanted).await?;
        if fresh.terms.target.is_some() {
            let written = self.write_token(&fresh).await;
            // Also where it could not be written: that the older ones end is what was asked for.
            self.settle_token(&fresh, &written, Some(grace), None).await?;
        }
        Ok(fresh.text)
    }

    /// Writes a virtual account's token into its group, where it isn't there already or `force` says so.
    pub(crate) async fn sync_machine_token(&self, id: VirtualAccountId, force: bool) -> Result<SyncState, AppError> {
        let kind = MachineKind::VirtualAccount;
        let machine = self.machine_of(kind, id).await?;
        let terms = MachineTerms::stored(kind, &machine.manifest)?;
        terms.check_has_token()?;
        if terms.target.is_none() {
            let message = "is missing: the manifest doesn't say where the token is to be written";
            return Err(AppError::invalid("manifest.secret_store_config", message));
        }
        let current = self.current_token(id).await?;
        if !force && is_in_sync(&machine, current.as_ref()) {
            return Ok(machine.sync);
        }
        let again = match &current {
            Some(token) => self.app().jwt_again(&terms.owner(&id.to_string()), token).await?,
            None => None,
        };
        let (fresh, grace) = match (again, current) {
            (Some(text), Some(token)) => (Fresh { machine, terms, id: token.id, text }, None),
            _ if force => {
                let action = "REGENERATE_VIRTUAL_ACCOUNT_TOKEN";
                let wanted = Wanted { kind, id, action, expires_at: None, first: false, grace: None, lease: None };
                (self.make_machine_token(&wanted).await?, Some(GRACE_OF_SYNC))
            }
            _ => {
                let message = "the token is known to nobody here: with `force=true` a new one is made and written, and the \
                               older ones end 30 days later";
                return Err(AppError::invalid("query.force", message));
            }
        };
        let written = self.write_token(&fresh).await;
        let grace = grace.filter(|_| written == Written::Done);
        self.settle_token(&fresh, &written, grace, None).await
    }

    /// Ends one token of a virtual account.
    pub(crate) async fn delete_machine_token(&self, id: VirtualAccountId, token: TokenId) -> Result<(), AppError> {
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let machine = self.machine_of(MachineKind::VirtualAccount, id).await?;
            let found = app.metadata.token_by_id(token).await?;
            let found = found.filter(|found| found.subject_id == id.to_string() && found.revoked_at.is_none());
            let found = found.ok_or(AppError::NotFound(Resource::Token))?;
            change.revoke_token(found.id, app.clock.now());
            let detail = json!({"token": found.id.to_string()}).to_string();
            let event = Event { action: "DELETE_VIRTUAL_ACCOUNT_TOKEN", detail, ..Event::of(machine_target(&machine)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// The end of a day that is still to come.
    fn last_day(&self, text: &str) -> Result<Timestamp, AppError> {
        let end = Day::parse(text).map(|day| day.start().plus_days(1));
        end.filter(|end| *end > self.app().clock.now()).ok_or_else(|| {
            AppError::invalid("expirationDate", "must be a day that is not over, in the form `yyyy-mm-dd`")
        })
    }
}

/// Whether the machine's group has the token.
fn is_in_sync(machine: &MachineRow, token: Option<&OwnedToken>) -> bool {
    let written = token.is_some_and(|token| machine.sync.token.as_ref() == Some(&token.id.to_string()));
    written && machine.sync.error.is_none()
}

#[expect(clippy::cast_possible_truncation, reason = "it is between bounds, and whole seconds are enough")]
fn grace_seconds(minutes: Option<f64>) -> Result<i64, AppError> {
    let minutes = minutes.ok_or_else(|| AppError::invalid("gracePeriodInMinutes", "is required"))?;
    if (0.0..=LONGEST_GRACE_MINUTES).contains(&minutes) {
        Ok((minutes * 60.0) as i64)
    } else {
        Err(AppError::invalid("gracePeriodInMinutes", "must be from 0 to 525600, which is a year"))
    }
}
