//! Identity providers: whose tokens are taken besides our own. Tenant admins only.

use serde_json::{Value, json};
use strongroom_domain::manifest::IdentityProviderManifest;
use strongroom_metadata::{Guard, Named, NamedRow, Page};

use super::applied::{AppliedNamed, parse_id};
use super::{AppError, Context, Resource};
use crate::audit::{Event, Target};

impl Context {
    /// A page of the providers, newest first, and how many there are.
    pub(crate) async fn list_identity_providers(
        &self,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<NamedRow>, i64), AppError> {
        let page = Page { before: None, offset, limit };
        Ok(self.app().metadata.named_page(Named::IdentityProvider, "", page).await?)
    }

    /// Creates or updates a provider by its manifest.
    pub(crate) async fn apply_identity_provider(
        &self,
        manifest: &Value,
        dry_run: bool,
    ) -> Result<AppliedNamed, AppError> {
        self.check_admin("APPLY_IDENTITY_PROVIDER")?;
        let app = self.app();
        let manifest = IdentityProviderManifest::parse(manifest).map_err(AppError::Invalid)?;
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let existing = app.metadata.named_by_name(Named::IdentityProvider, manifest.name.as_str()).await?;
            let applied = self.applied(existing, manifest.name.as_str(), &manifest.to_json());
            if applied.is_same() {
                return Ok(applied);
            }
            if let Some(fault) = app.providers.fault_of_source(&manifest.jwks_uri) {
                return Err(AppError::invalid("manifest.jwks_uri", fault));
            }
            if dry_run {
                return Ok(applied);
            }
            if applied.is_new() {
                change.add_named(Named::IdentityProvider, &applied.row, None);
            } else {
                change.update_named(Named::IdentityProvider, &applied.row, None);
            }
            let action = if applied.is_new() { "CREATE_IDENTITY_PROVIDER" } else { "UPDATE_IDENTITY_PROVIDER" };
            let detail = json!({"issuer": manifest.issuer, "jwks_uri": manifest.jwks_uri}).to_string();
            let event = Event { action, detail, ..Event::of(provider_target(&applied.row)) };
            match attempts.commit(change, event).await? {
                None => return Ok(applied),
                Some(Guard::ChangeNumber | Guard::SubjectName | Guard::NamedState) => {}
                Some(guard) => return Err(AppError::missed(guard)),
            }
        }
    }

    /// Removes a provider that no machine is mapped to.
    pub(crate) async fn delete_identity_provider(&self, id: &str) -> Result<(), AppError> {
        let missing = || AppError::NotFound(Resource::IdentityProvider);
        let id = parse_id(id).ok_or_else(missing)?;
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let row = self.app().metadata.named(Named::IdentityProvider, &id).await?.ok_or_else(missing)?;
            change.remove_named(Named::IdentityProvider, &row);
            let event = Event { action: "DELETE_IDENTITY_PROVIDER", ..Event::of(provider_target(&row)) };
            match attempts.commit(change, event).await? {
                None => return Ok(()),
                Some(Guard::SubjectInUse) => {
                    let message =
                        "machines are mapped to this provider in their `identity_provider_mapping`; remove that first";
                    return Err(AppError::InUse(message.into()));
                }
                Some(_) => {}
            }
        }
    }
}

fn provider_target(row: &NamedRow) -> Target {
    Target { kind: "identity-provider", id: row.id.clone(), name: row.name.clone(), fqn: String::new() }
}
