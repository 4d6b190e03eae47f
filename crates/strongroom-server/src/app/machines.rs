//! Virtual accounts. Tenant admins only: the operation table says so.

use serde_json::json;
use strongroom_domain::fqn::SecretFqn;
use strongroom_domain::manifest::VirtualAccountManifest;
use strongroom_domain::subject::{SubjectKind, SubjectName};
use strongroom_metadata::{Grant, GrantSource, Guard, MachineKind, MachineRow, SyncState, TokenPurpose};

use super::tokens::IssuedToken;
use super::{AppError, Context};
use crate::audit::{Event, Target};

impl Context {
    /// Creates or updates a virtual account by its manifest. The token comes only with a new one.
    pub(crate) async fn apply_virtual_account(
        &self,
        manifest: &serde_json::Value,
        dry_run: bool,
    ) -> Result<(MachineRow, Option<IssuedToken>), AppError> {
        let app = self.app();
        let manifest = VirtualAccountManifest::parse(manifest).map_err(AppError::Invalid)?;
        let subject = SubjectName::virtual_account(&manifest.name).as_str().to_owned();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let grants = match &manifest.permissions {
                Some(_) => Some(self.permissions(&manifest, &subject).await?),
                None => None,
            };
            let now = app.clock.now();
            let existing = app.metadata.machine_by_name(manifest.name.as_str()).await?;
            if existing.as_ref().is_some_and(|machine| machine.kind != MachineKind::VirtualAccount) {
                return Err(AppError::NameTaken(format!("`{}` is the name of an agent identity", manifest.name)));
            }
            let is_new = existing.is_none();
            let mut account = existing.unwrap_or_else(|| MachineRow {
                id: app.ids.at(now),
                kind: MachineKind::VirtualAccount,
                name: manifest.name.as_str().to_owned(),
                manifest: String::new(),
                rotate_at: None,
                sync: SyncState::default(),
                created_by: self.caller().actor.clone(),
                created_at: now,
                updated_at: now,
            });
            let mut written = manifest.to_json();
            if manifest.permissions.is_none() && !account.manifest.is_empty() {
                // What a manifest doesn't speak of stays as it is.
                let before: serde_json::Value = serde_json::from_str(&account.manifest).unwrap_or_default();
                if let Some(permissions) = before.get("permissions") {
                    written["permissions"] = permissions.clone();
                }
            }
            account.manifest = written.to_string();
            account.updated_at = now;
            if dry_run {
                return Ok((account, None));
            }
            let mut token = None;
            if is_new {
                let id = account.id.to_string();
                let (text, row) =
                    self.issue(SubjectKind::VirtualAccount, id, &account.name, TokenPurpose::Machine, None);
                change.add_machine(&account, &subject);
                change.add_token(&row);
                token = Some(text);
            } else {
                change.update_machine(&account);
            }
            if let Some(grants) = &grants {
                change.take_grants_from(&account.id.to_string());
                change.grant(GrantSource::VirtualAccount, &account.id.to_string(), grants, &[]);
            }
            let action = if is_new { "CREATE_VIRTUAL_ACCOUNT" } else { "UPDATE_VIRTUAL_ACCOUNT" };
            let detail = json!({"permissions": written.get("permissions")}).to_string();
            let event = Event { action, detail, ..Event::of(machine_target(&account)) };
            match attempts.commit(change, event).await? {
                None => return Ok((account, token)),
                Some(Guard::ChangeNumber | Guard::SubjectName) => {}
                Some(guard) => return Err(AppError::Internal { internal: format!("guard {guard:?} was missed") }),
            }
        }
    }

    async fn permissions(&self, manifest: &VirtualAccountManifest, subject: &str) -> Result<Vec<Grant>, AppError> {
        let app = self.app();
        let mut grants = Vec::new();
        for permission in manifest.permissions.iter().flatten() {
            let fqn =
                SecretFqn::parse(&permission.group_fqn).filter(|fqn| fqn.key.is_none() && fqn.tenant == app.tenant);
            let state = match fqn {
                Some(fqn) => app.metadata.group_by_name(&fqn.group.folded(), self.caller().viewpoint()).await?,
                None => None,
            };
            let missing = || AppError::MissingReference(format!("there is no secret group `{}`", permission.group_fqn));
            let group_id = state.ok_or_else(missing)?.group.id;
            grants.push(Grant { group_id, subject: subject.to_owned(), role: permission.role, expires_at: None });
        }
        Ok(grants)
    }
}

/// A machine as an event names it.
pub(crate) fn machine_target(machine: &MachineRow) -> Target {
    Target { kind: machine.kind.id(), id: machine.id.to_string(), name: machine.name.clone(), fqn: String::new() }
}
