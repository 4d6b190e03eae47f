//! Roles of the tenant's own. Tenant admins make them.

use serde_json::{Value, json};
use strongroom_domain::manifest::RoleManifest;
use strongroom_metadata::{Guard, Named, NamedRow, Page};

use super::applied::AppliedNamed;
use super::{AppError, Context, Resource};
use crate::audit::{Event, Target};

impl Context {
    /// The tenant's own roles, newest first, and how many there are.
    pub(crate) async fn list_roles(&self, offset: i64, limit: i64) -> Result<(Vec<NamedRow>, i64), AppError> {
        self.check_directory()?;
        Ok(self.app().metadata.named_page(Named::Role, "", Page { before: None, offset, limit }).await?)
    }

    /// Creates or updates a role by its manifest.
    pub(crate) async fn apply_role(&self, manifest: &Value, dry_run: bool) -> Result<AppliedNamed, AppError> {
        self.check_admin("APPLY_ROLE")?;
        let app = self.app();
        let manifest = RoleManifest::parse(manifest).map_err(AppError::Invalid)?;
        let written = manifest.to_json();
        let resource_type = written["resourceType"].as_str().unwrap_or_default().to_owned();
        let permissions = written["permissions"].to_string();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let existing = app.metadata.named_by_name(Named::Role, manifest.name.as_str()).await?;
            let before: Option<Value> = existing.as_ref().and_then(|row| serde_json::from_str(&row.manifest).ok());
            if before.is_some_and(|before| before["resourceType"] != resource_type) {
                let message = "a role stays one of its resource type; make another role";
                return Err(AppError::invalid("manifest.resourceType", message));
            }
            let applied = self.applied(existing, manifest.name.as_str(), &written);
            if dry_run || applied.is_same() {
                return Ok(applied);
            }
            if applied.is_new() {
                change.add_named(Named::Role, &applied.row, Some((&resource_type, &permissions)));
            } else {
                change.update_named(Named::Role, &applied.row, Some(&permissions));
            }
            let action = if applied.is_new() { "CREATE_ROLE" } else { "UPDATE_ROLE" };
            let detail = json!({"permissions": written["permissions"]}).to_string();
            let event = Event { action, detail, ..Event::of(role_target(&applied.row)) };
            match attempts.commit(change, event).await? {
                None => return Ok(applied),
                Some(Guard::ChangeNumber | Guard::SubjectName | Guard::NamedState) => {}
                Some(guard) => return Err(AppError::missed(guard)),
            }
        }
    }

    /// Removes a role that nobody has.
    pub(crate) async fn delete_role(&self, name: &str) -> Result<(), AppError> {
        self.check_admin("DELETE_ROLE")?;
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let row = app.metadata.named_by_name(Named::Role, name).await?;
            let row = row.ok_or(AppError::NotFound(Resource::Role))?;
            let uses = app.metadata.role_uses(name).await?;
            if uses > 0 {
                let message = format!(
                    "the role `{name}` is held by people or granted by bindings ({uses} in all); take it from them first"
                );
                return Err(AppError::InUse(message));
            }
            change.remove_named(Named::Role, &row);
            let event = Event { action: "DELETE_ROLE", ..Event::of(role_target(&row)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// 403 unless the caller is an admin of the tenant.
    pub(crate) fn check_admin(&self, action: &'static str) -> Result<(), AppError> {
        if self.is_tenant_admin() {
            return Ok(());
        }
        let target = Target { kind: "tenant", id: String::new(), name: String::new(), fqn: String::new() };
        Err(self.refusal(action, target, "this takes the role tenant-admin"))
    }
}

fn role_target(row: &NamedRow) -> Target {
    Target { kind: "role", id: row.id.clone(), name: row.name.clone(), fqn: String::new() }
}
