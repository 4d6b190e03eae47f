//! A machine's token is changed in steps, each of which may be the last: first the new one is there, then it stands where
//! its users read it, and only then do the older ones begin to end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use strongroom_crypto::constant_time_eq;
use strongroom_domain::manifest::TokenTarget;
use strongroom_domain::names::GroupName;
use strongroom_domain::{SecretValue, Timestamp, TokenId, VirtualAccountId};
use strongroom_metadata::{GroupState, Guard, Lease, MachineKind, MachineRow, SyncState, TokenPurpose};

use super::changes::{Also, Plan, Step as GroupStep};
use super::machine_terms::MachineTerms;
use super::machines::machine_target;
use super::{AppError, Context, WriteSecrets};
use crate::audit::Event;
use crate::http::ApiError;

/// A step after which the process may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Made,
    Written,
}

/// Opaque tokens that the rotation made and could not write yet, by machine.
#[derive(Default)]
pub(crate) struct PendingTokens(Mutex<HashMap<VirtualAccountId, (TokenId, SecretValue)>>);

impl PendingTokens {
    fn get(&self, machine: VirtualAccountId, token: TokenId) -> Option<SecretValue> {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.get(&machine).filter(|(id, _)| *id == token).map(|(_, text)| text.clone())
    }

    fn keep(&self, fresh: &Fresh) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.insert(fresh.machine.id, (fresh.id, fresh.text.clone()));
    }

    fn forget(&self, machine: VirtualAccountId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&machine);
    }
}

/// A token that is to be made.
pub(super) struct Wanted<'a> {
    pub(super) kind: MachineKind,
    pub(super) id: VirtualAccountId,
    pub(super) action: &'static str,
    /// An earlier end than the manifest's.
    pub(super) expires_at: Option<Timestamp>,
    /// Only for a machine that has none.
    pub(super) first: bool,
    /// For how many seconds older tokens go on working. Where the new one is to be written they end only after that.
    pub(super) grace: Option<i64>,
    pub(super) lease: Option<&'a Lease>,
}

/// A token on its way to its users.
pub(super) struct Fresh {
    pub(super) machine: MachineRow,
    pub(super) terms: MachineTerms,
    pub(super) id: TokenId,
    pub(super) text: SecretValue,
}

/// What became of writing a token into its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// The manifest doesn't ask for it.
    NoTarget,
    Done,
    /// There is a newer token, which is or will be there.
    Superseded,
    Failed(String),
}

impl Context {
    /// The first step. Without a group to write into it is the last, too: then older tokens begin to end with it.
    pub(super) async fn make_machine_token(&self, wanted: &Wanted<'_>) -> Result<Fresh, AppError> {
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let machine = self.machine_of(wanted.kind, wanted.id).await?;
            let terms = MachineTerms::stored(machine.kind, &machine.manifest)?;
            terms.check_has_token()?;
            let now = app.clock.now();
            if terms.expires_at.is_some_and(|at| at <= now) {
                let message = "has passed: apply the manifest with another one first";
                return Err(AppError::invalid("manifest.expiration_date", message));
            }
            if wanted.first && self.current_token(machine.id).await?.is_some() {
                let message = format!("`{}` has a token that works: get that one, or regenerate it", machine.name);
                return Err(AppError::NameTaken(message));
            }
            let ends = wanted.expires_at.into_iter().chain(terms.expires_at).min();
            let id = machine.id.to_string();
            let owner = terms.owner(&id);
            let (text, row) = self.issue_token(&owner, &machine.name, TokenPurpose::Machine, ends, terms.jwt).await?;
            change.add_token(&row);
            let ends_now = wanted.grace.filter(|_| terms.target.is_none());
            if let Some(grace) = ends_now {
                change.shorten_older_tokens(&id, row.id, now.plus_seconds(grace));
                change.set_rotation(machine.id, terms.rotate_at(now));
            }
            if let Some(lease) = wanted.lease {
                change.under(lease);
            }
            let detail = json!({"token": row.id.to_string(), "graceSeconds": wanted.grace}).to_string();
            let event = Event { action: wanted.action, detail, ..Event::of(machine_target(&machine)) };
            match attempts.commit(change, event).await? {
                None => return Ok(Fresh { machine, terms, id: row.id, text: text.0 }),
                Some(Guard::ChangeNumber | Guard::MachineState) => {}
                Some(Guard::Lease) => return Err(AppError::Busy),
                Some(guard) => return Err(AppError::missed(guard)),
            }
        }
    }

    /// The second step. That it failed is no error: the token works.
    pub(super) async fn write_token(&self, fresh: &Fresh) -> Written {
        let Some(TokenTarget::Group { group, key }) = &fresh.terms.target else { return Written::NoTarget };
        let written = self.write_into_group(fresh, group, key.as_str()).await;
        written.unwrap_or_else(|error| Written::Failed(ApiError::from(error).message().to_owned()))
    }

    async fn write_into_group(&self, fresh: &Fresh, name: &GroupName, key: &str) -> Result<Written, AppError> {
        let group = fresh.machine.target_group.ok_or_else(|| unbound(name))?;
        let app = self.app();
        let superseded = AtomicBool::new(false);
        let decide = |state: &GroupState, newest: Option<TokenId>| {
            let state = &*self.authorize::<_, WriteSecrets>(bound(state, name)?)?;
            superseded.store(newest != Some(fresh.id), Ordering::Relaxed);
            if newest != Some(fresh.id) {
                return Ok(None);
            }
            let step = if let Some(secret) = state.secrets.iter().find(|secret| secret.key == key) {
                let sealing = app.data_key(group, state.group.data_key.as_deref(), state.group.data_key_kek)?;
                if constant_time_eq(&secret.digest, &app.digest(&sealing, group, secret.id, &fresh.text)) {
                    return Ok(None);
                }
                GroupStep::Set { id: secret.id, value: &fresh.text }
            } else {
                self.check_count(state.secrets.len() + 1)?;
                GroupStep::Add { key: key.to_owned(), value: &fresh.text }
            };
            Ok(Some(Plan { steps: vec![step], ..Plan::default() }))
        };
        self.change_group_with(group, &NewestToken(fresh.machine.id), decide).await?;
        Ok(if superseded.load(Ordering::Relaxed) { Written::Superseded } else { Written::Done })
    }

    /// The third step: notes how writing went, and with `grace` (seconds) lets the older tokens end.
    pub(super) async fn settle_token(
        &self,
        fresh: &Fresh,
        written: &Written,
        grace: Option<i64>,
        lease: Option<&Lease>,
    ) -> Result<SyncState, AppError> {
        let app = self.app();
        let mut attempts = self.further_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            // Deleted meanwhile, with its tokens.
            let Some(machine) = app.metadata.machine(fresh.machine.id).await? else { return Ok(SyncState::default()) };
            let terms = MachineTerms::stored(machine.kind, &machine.manifest)?;
            let now = app.clock.now();
            let place = |terms: &MachineTerms, machine: &MachineRow| (terms.target.clone(), machine.target_group);
            let same_place = place(&terms, &machine) == place(&fresh.terms, &fresh.machine);
            let sync = match written {
                Written::Done if same_place => {
                    SyncState { token: Some(fresh.id.to_string()), at: Some(now), error: None }
                }
                Written::Failed(error) if same_place => {
                    SyncState { error: Some(error.clone()), ..machine.sync.clone() }
                }
                _ => machine.sync.clone(),
            };
            if grace.is_none() && sync == machine.sync {
                return Ok(sync);
            }
            change.set_sync(machine.id, &sync);
            let ends = grace.map(|grace| now.plus_seconds(grace));
            if let Some(ends) = ends {
                change.shorten_older_tokens(&machine.id.to_string(), fresh.id, ends);
                if *written == Written::Done {
                    change.set_rotation(machine.id, terms.rotate_at(now));
                }
            }
            if let Some(lease) = lease {
                change.under(lease);
            }
            let detail = json!({
                "token": fresh.id.to_string(), "error": sync.error, "olderTokensEnd": ends.map(Timestamp::to_wire),
            });
            let detail = detail.to_string();
            let event = Event { action: "SYNC_VIRTUAL_ACCOUNT_TOKEN", detail, ..Event::of(machine_target(&machine)) };
            match attempts.commit(change, event).await? {
                None => return Ok(sync),
                Some(Guard::ChangeNumber | Guard::MachineState) => {}
                Some(Guard::Lease) => return Err(AppError::Busy),
                Some(guard) => return Err(AppError::missed(guard)),
            }
        }
    }

    /// Changes the token of a machine that is due, and says whether that is done. What is not done is tried again.
    pub(crate) async fn rotate_machine(
        &self,
        machine: &MachineRow,
        lease: &Lease,
        stop_after: Option<Step>,
    ) -> Result<bool, AppError> {
        let terms = MachineTerms::stored(machine.kind, &machine.manifest)?;
        let Some(rotation) = terms.auto_rotate.filter(|_| !terms.has_ended(self.app().clock.now())) else {
            self.end_rotation(machine.id, lease).await?;
            return Ok(false);
        };
        let grace = i64::from(rotation.grace_period_days) * 86_400;
        let pending = &self.app().caches.pending_tokens;
        let fresh = if let Some(fresh) = self.pending_token(machine, &terms).await? {
            fresh
        } else {
            // No token is made for a group that takes none.
            if let Err(error) = self.check_target(machine, &terms).await {
                return self.note_failure(machine, error, lease).await;
            }
            let fresh = self
                .make_machine_token(&Wanted {
                    kind: machine.kind,
                    id: machine.id,
                    action: "ROTATE_VIRTUAL_ACCOUNT_TOKEN",
                    expires_at: None,
                    first: false,
                    grace: Some(grace),
                    lease: Some(lease),
                })
                .await?;
            if fresh.terms.target.is_none() {
                return Ok(true);
            }
            pending.keep(&fresh);
            fresh
        };
        if stop_after == Some(Step::Made) {
            return Ok(false);
        }
        let written = self.write_token(&fresh).await;
        if stop_after == Some(Step::Written) {
            return Ok(false);
        }
        let done = written == Written::Done;
        self.settle_token(&fresh, &written, done.then_some(grace), Some(lease)).await?;
        if done || written == Written::Superseded {
            pending.forget(machine.id);
        }
        Ok(done)
    }

    /// A token that was made since the change was due, and got no further.
    async fn pending_token(&self, machine: &MachineRow, terms: &MachineTerms) -> Result<Option<Fresh>, AppError> {
        let app = self.app();
        let Some(token) = self.current_token(machine.id).await? else { return Ok(None) };
        if terms.target.is_none() || machine.rotate_at.is_none_or(|due| token.created_at < due) {
            return Ok(None);
        }
        let id = machine.id.to_string();
        let text = match app.caches.pending_tokens.get(machine.id, token.id) {
            Some(text) => Some(text),
            None => app.jwt_again(&terms.owner(&id), &token).await?,
        };
        let Some(text) = text else { return Ok(None) };
        Ok(Some(Fresh { machine: machine.clone(), terms: terms.clone(), id: token.id, text }))
    }

    async fn check_target(&self, machine: &MachineRow, terms: &MachineTerms) -> Result<(), AppError> {
        let Some(TokenTarget::Group { group: name, .. }) = &terms.target else { return Ok(()) };
        let group = machine.target_group.ok_or_else(|| unbound(name))?;
        let state = self.app().metadata.group(group, self.caller().viewpoint()).await?;
        let state = state.ok_or_else(|| unbound(name))?;
        bound(&state, name)?;
        self.check_store(state.group.integration_id, false).await
    }

    async fn note_failure(&self, machine: &MachineRow, error: AppError, lease: &Lease) -> Result<bool, AppError> {
        let error = ApiError::from(error).message().to_owned();
        let mut attempts = self.further_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let Some(present) = self.app().metadata.machine(machine.id).await? else { return Ok(false) };
            // Said once, not each time that it is tried.
            if present.sync.error.as_ref() == Some(&error) {
                return Ok(false);
            }
            let sync = SyncState { error: Some(error.clone()), ..present.sync.clone() };
            change.set_sync(machine.id, &sync);
            change.under(lease);
            let detail = json!({"error": error}).to_string();
            let event = Event { action: "SYNC_VIRTUAL_ACCOUNT_TOKEN", detail, ..Event::of(machine_target(machine)) };
            if matches!(attempts.commit(change, event).await?, None | Some(Guard::Lease)) {
                return Ok(false);
            }
        }
    }

    /// A machine whose time is over, or that has no tokens any more, is due no longer.
    async fn end_rotation(&self, id: VirtualAccountId, lease: &Lease) -> Result<(), AppError> {
        let app = self.app();
        let mut attempts = self.further_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let Some(machine) = app.metadata.machine(id).await? else { return Ok(()) };
            let terms = MachineTerms::stored(machine.kind, &machine.manifest)?;
            if terms.auto_rotate.is_some() && !terms.has_ended(app.clock.now()) {
                return Ok(());
            }
            change.set_rotation(id, None);
            change.under(lease);
            let event = Event { action: "END_TOKEN_ROTATION", ..Event::of(machine_target(&machine)) };
            if matches!(attempts.commit(change, event).await?, None | Some(Guard::Lease)) {
                return Ok(());
            }
        }
    }
}

/// The group that a machine's manifest named when it was applied, if it still has that name. Whoever made another of the
/// name since gets nothing; and where it has another name itself, nobody looks for the token there.
fn bound<'a>(state: &'a GroupState, name: &GroupName) -> Result<&'a GroupState, AppError> {
    let is_bound = state.group.deleted_at.is_none() && state.group.name.eq_ignore_ascii_case(name.as_str());
    if is_bound { Ok(state) } else { Err(unbound(name)) }
}

fn unbound(name: &GroupName) -> AppError {
    let message = format!(
        "the secret group `{name}` that the manifest was applied for is gone: restore it under this name, or apply the \
         manifest without `secret_store_config`, and then with the group that is to have the token"
    );
    AppError::missing("manifest.secret_store_config.secret_group", message)
}

/// The newest token of a machine that works, read after the group: whoever makes a newer one writes that later.
struct NewestToken(VirtualAccountId);

impl Also for NewestToken {
    type Found = Option<TokenId>;

    async fn read(&self, context: &Context, _: &GroupState) -> Result<Option<TokenId>, AppError> {
        Ok(context.current_token(self.0).await?.map(|token| token.id))
    }
}
