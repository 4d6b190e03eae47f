//! Provider accounts by their manifest: which integrations there are, and who may use them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use strongroom_domain::manifest::{IntegrationManifest, ProviderAccountManifest};
use strongroom_domain::role::IntegrationRole;
use strongroom_domain::{AccountId, Timestamp};
use strongroom_metadata::{AccountRow, GrantSource, Guard, IdentityChange, IntegrationRow, RoleGrant};
use strongroom_stores::StoreError;

use super::account_checks::Prepared;
use super::{AppError, Context, Missing, Resource};
use crate::audit::{Event, Target, come_and_gone};

/// How often a manifest is looked at anew because the account has changed meanwhile.
const ROUNDS: usize = 5;

/// An account after an apply, its integrations, and its manifest before.
pub(crate) type AppliedAccount = (AccountRow, Vec<IntegrationRow>, Option<String>);

/// What a store said when it was asked whether it can be used.
pub(crate) struct Tested {
    pub(crate) found: Result<(), StoreError>,
    pub(crate) at: Timestamp,
}

impl Context {
    /// Creates or updates an account by its manifest. Its integrations are those that the manifest lists.
    pub(crate) async fn apply_account(&self, manifest: &Value, dry_run: bool) -> Result<AppliedAccount, AppError> {
        let manifest = ProviderAccountManifest::parse(manifest).map_err(AppError::Invalid)?;
        let fqn = format!("{}:{}:{}", self.app().tenant, manifest.provider.id(), manifest.name);
        for _ in 0..ROUNDS {
            // Stores may be slow: they are asked before others have to wait for this.
            let existing = self.account_to_apply(&fqn).await?;
            self.check_authorized_subjects(&manifest).await?;
            let prepared = self.prepare_account(&manifest, existing.as_ref(), dry_run).await?;
            if let Some(applied) = self.write_account(&manifest, &fqn, &prepared, dry_run).await? {
                return Ok(applied);
            }
        }
        Err(AppError::Busy)
    }

    /// The account that the caller may change, or `None` where they may make it.
    async fn account_to_apply(&self, fqn: &str) -> Result<Option<AccountRow>, AppError> {
        let existing = self.app().metadata.provider_accounts().await?.into_iter().find(|row| row.fqn == fqn);
        match &existing {
            Some(row) if !self.caller().standing.manages_account(row.id) => {
                let message = "this takes the role provider-account-manager on the account, or tenant-admin";
                Err(self.refusal("APPLY_PROVIDER_ACCOUNT", account_target(row), message))
            }
            Some(_) => Ok(existing),
            None => self.check_admin("APPLY_PROVIDER_ACCOUNT").map(|()| None),
        }
    }

    async fn check_authorized_subjects(&self, manifest: &ProviderAccountManifest) -> Result<(), AppError> {
        let mut missing = Missing::default();
        for (one, integration) in manifest.integrations.iter().flatten().enumerate() {
            for (at, subject) in integration.authorized_subjects.iter().flatten().enumerate() {
                let path = format!("manifest.integrations[{one}].authorized_subjects[{at}]");
                missing.note(self.check_subject(&path, subject.as_str()).await)?;
            }
        }
        missing.none()
    }

    /// Writes what was prepared; `None` when the account isn't what it was any more.
    async fn write_account(
        &self,
        manifest: &ProviderAccountManifest,
        fqn: &str,
        prepared: &Prepared,
        dry_run: bool,
    ) -> Result<Option<AppliedAccount>, AppError> {
        let app = self.app();
        let written = manifest.to_json();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let now = app.clock.now();
            let existing = self.account_to_apply(fqn).await?;
            if !prepared.holds(existing.as_ref()) {
                return Ok(None);
            }
            self.check_authorized_subjects(manifest).await?;
            let before = existing.as_ref().map(|row| row.manifest.clone());
            let is_new = existing.is_none();
            let mut account = existing.unwrap_or_else(|| AccountRow {
                id: app.ids.at(now),
                name: manifest.name.as_str().to_owned(),
                provider: manifest.provider.id().into(),
                fqn: fqn.to_owned(),
                manifest: String::new(),
                credentials: None,
                created_by: self.caller().actor.clone(),
                created_at: now,
                updated_at: now,
            });
            let text = written.to_string();
            let mut differs = account.manifest != text || prepared.credentials.is_some();
            if differs {
                account.manifest = text;
                account.updated_at = now;
            }
            if let Some(credentials) = &prepared.credentials {
                account.credentials = app.seal_credentials(&account, credentials);
            }
            if is_new {
                change.add_account(&account);
            } else {
                change.update_account(&account);
            }
            let mut before_it: Vec<_> =
                self.integrations().await?.into_iter().filter(|row| row.account_id == account.id).collect();
            let (mut after, mut relocated) = (Vec::new(), Vec::new());
            for (wanted, text) in manifest.integrations.iter().flatten().zip(list(&written["integrations"])) {
                let at = before_it.iter().position(|row| row.name == wanted.name.as_str());
                let existing = at.map(|at| before_it.swap_remove(at));
                let moves = prepared.moved.contains(wanted.name.as_str());
                let (row, changed) =
                    self.place_integration(&mut change, &account, (wanted, text), existing, moves).await?;
                differs |= changed;
                if moves {
                    relocated.push(row.clone());
                }
                after.push(row);
            }
            for row in &before_it {
                change.remove_integration(row.id);
            }
            if dry_run || !differs && before_it.is_empty() {
                return Ok(Some((account, after, before)));
            }
            let action = if is_new { "CREATE_PROVIDER_ACCOUNT" } else { "UPDATE_PROVIDER_ACCOUNT" };
            let names = |rows: &[IntegrationRow]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
            let mut detail = json!({
                "integrations": names(&after), "removed": names(&before_it),
                "authorizedSubjects": changed_subjects(before.as_deref(), &written),
            });
            if !prepared.changed.is_empty() {
                detail["changedCredentials"] = prepared.changed.iter().map(String::as_str).collect();
            }
            let detail = detail.to_string();
            let event = Event { action, detail, ..Event::of(account_target(&account)) };
            match attempts.commit(change, event).await? {
                None => return Ok(Some((account, after, before))),
                Some(Guard::SubjectInUse) => {
                    before_it.append(&mut relocated);
                    return Err(self.still_kept(&before_it).await?);
                }
                Some(_) => {}
            }
        }
    }

    /// What is said where integrations that keep groups were to go.
    async fn still_kept(&self, integrations: &[IntegrationRow]) -> Result<AppError, AppError> {
        let (mut living, mut deleted, mut until) = (0, 0, None);
        for row in integrations {
            let kept = self.app().metadata.kept_groups(row.id).await?;
            living += kept.living;
            deleted += kept.deleted;
            until = until.max(kept.until);
        }
        if living + deleted == 0 {
            let message =
                "entries in the stores of integrations that would go are still to be removed; try again later";
            return Ok(AppError::InUse(message.into()));
        }
        let mut message = format!(
            "integrations that would go keep secret groups: {living} that are used and {deleted} in the trash; delete those \
             that are used, and wait until those in the trash can't be restored any more"
        );
        if let Some(until) = until {
            message = format!("{message}, which is at {}", until.to_wire());
        }
        Ok(AppError::InUse(message))
    }

    /// Writes an integration as a manifest wants it, and says whether it was another one before.
    async fn place_integration(
        &self,
        change: &mut IdentityChange,
        account: &AccountRow,
        (wanted, written): (&IntegrationManifest, &Value),
        existing: Option<IntegrationRow>,
        moves: bool,
    ) -> Result<(IntegrationRow, bool), AppError> {
        let app = self.app();
        let now = app.clock.now();
        let manifest = written.to_string();
        let is_new = existing.is_none();
        let mut row = existing.unwrap_or_else(|| IntegrationRow {
            id: app.ids.at(now),
            account_id: account.id,
            account_fqn: account.fqn.clone(),
            name: wanted.name.as_str().to_owned(),
            kind: "secret-store".into(),
            fqn: format!("{}:secret-store:{}", account.fqn, wanted.name),
            manifest: manifest.clone(),
            created_by: self.caller().actor.clone(),
            created_at: now,
            updated_at: now,
        });
        let id = row.id.to_string();
        let authorized = wanted.authorized_subjects.iter().flatten();
        let authorized: Vec<_> = authorized.map(|subject| access(&row, subject.as_str())).collect();
        let differs =
            is_new || row.manifest != manifest || !app.metadata.granted_by(&id).await?.is(&[], &authorized, now);
        if is_new {
            change.add_integration(&row);
        } else if differs {
            row.manifest = manifest;
            row.updated_at = now;
            if moves {
                change.move_integration(&row);
            } else {
                change.update_integration(&row);
            }
            change.take_grants_from(&id);
        }
        if differs {
            change.grant(GrantSource::Integration, &id, &[], &authorized);
        }
        Ok((row, differs))
    }

    /// Removes the account that a manifest of a type names.
    pub(crate) async fn delete_account_named(&self, kind: &str, name: &str) -> Result<(), AppError> {
        let provider = kind.strip_prefix("provider-account/").unwrap_or_default();
        let fqn = format!("{}:{provider}:{name}", self.app().tenant);
        self.delete_account(|row| row.fqn == fqn).await
    }

    /// Removes an account.
    pub(crate) async fn delete_account_by_id(&self, id: &str) -> Result<(), AppError> {
        let id = AccountId::parse(id).ok_or(AppError::NotFound(Resource::ProviderAccount))?;
        self.delete_account(|row| row.id == id).await
    }

    /// Removes an account with its integrations, none of which may keep a group.
    async fn delete_account(&self, is_it: impl Fn(&AccountRow) -> bool + Send + Sync) -> Result<(), AppError> {
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let account = app.metadata.provider_accounts().await?.into_iter().find(&is_it);
            let account = account.ok_or(AppError::NotFound(Resource::ProviderAccount))?;
            if !self.is_tenant_admin() {
                let message = "this takes the role tenant-admin";
                return Err(self.refusal("DELETE_PROVIDER_ACCOUNT", account_target(&account), message));
            }
            let mut own = self.integrations().await?;
            own.retain(|row| row.account_id == account.id);
            for row in &own {
                change.remove_integration(row.id);
            }
            change.remove_account(&account);
            let event = Event { action: "DELETE_PROVIDER_ACCOUNT", ..Event::of(account_target(&account)) };
            match attempts.commit(change, event).await? {
                None => return Ok(()),
                Some(Guard::SubjectInUse) => return Err(self.still_kept(&own).await?),
                Some(_) => {}
            }
        }
    }

    /// Asks an integration's store whether it can be used: what is missing where it can't, for those who manage it.
    pub(crate) async fn test_integration(&self, id: &str) -> Result<Tested, AppError> {
        let row = self.integrations().await?.into_iter().find(|row| row.id.to_string() == id);
        let row = row.ok_or(AppError::NotFound(Resource::ProviderIntegration))?;
        let target = Target { kind: "provider-integration", id: row.id.to_string(), name: row.name, fqn: row.fqn };
        if !self.caller().standing.manages_account(row.account_id) {
            let message = "this takes the role provider-account-manager on the account, or tenant-admin";
            return Err(self.refusal("TEST_PROVIDER_INTEGRATION", target, message));
        }
        let app = self.app();
        let found = app.probe_integration(row.id).await?;
        let detail = json!({"ok": found.is_ok()}).to_string();
        let event = Event { action: "TEST_PROVIDER_INTEGRATION", detail, ..Event::of(target) };
        app.metadata.record(self.event(event)).await?;
        Ok(Tested { found, at: app.clock.now() })
    }
}

/// Who came into and went from the authorized subjects of each integration, where anybody did.
fn changed_subjects(before: Option<&str>, after: &Value) -> Value {
    let before: Value = before.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let (before, after) = (authorized_by_name(&before), authorized_by_name(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |all: &BTreeMap<String, Vec<String>>, name: &String| all.get(name).cloned().unwrap_or_default();
    let mut changed = json!({});
    for name in names {
        let (before, after) = (of(&before, name), of(&after, name));
        if before != after {
            changed[name] = come_and_gone(&before, &after);
        }
    }
    changed
}

fn authorized_by_name(manifest: &Value) -> BTreeMap<String, Vec<String>> {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let integrations = manifest["integrations"].as_array().into_iter().flatten();
    let named = |one: &Value| (one["name"].as_str().unwrap_or_default().to_owned(), texts(&one["authorized_subjects"]));
    integrations.map(named).collect()
}

/// What an integration's `authorized_subjects` are granted: a role that ends with whoever has it, so that nobody who gets
/// the name later gets the role.
pub(crate) fn access(integration: &IntegrationRow, subject: &str) -> RoleGrant {
    RoleGrant {
        subject: subject.to_owned(),
        resource_type: "provider-integration".into(),
        resource_id: integration.id.to_string(),
        role: IntegrationRole::Access.id().into(),
        expires_at: None,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn account_target(row: &AccountRow) -> Target {
    Target { kind: "provider-account", id: row.id.to_string(), name: row.name.clone(), fqn: row.fqn.clone() }
}
