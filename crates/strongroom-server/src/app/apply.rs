//! Applying and deleting by manifest, whatever its type.

use serde_json::Value;
use strongroom_domain::manifest::{
    AgentIdentityManifest, IdentityProviderManifest, Manifest, ProviderAccountManifest, RoleBindingManifest,
    RoleManifest, SecretGroupManifest, TeamManifest, VirtualAccountManifest, manifest_type,
};
use strongroom_domain::names::{GroupName, NameRule};
use strongroom_metadata::{AccountRow, IntegrationRow, MachineKind, MachineRow, Named, NamedRow};

use super::manifests::AppliedGroup;
use super::tokens::IssuedToken;
use super::{AppError, AppliedNamed, Context, Resource};
use crate::http::IfMatch;

/// What applying a manifest did, or would do.
pub(crate) struct Applied {
    /// The manifest before, when there was one.
    pub(crate) existing_manifest: Option<String>,
    /// What there is afterwards.
    pub(crate) entity: Entity,
}

/// Something that a manifest describes.
pub(crate) enum Entity {
    Group(Box<AppliedGroup>),
    Team(NamedRow),
    Role(NamedRow),
    RoleBinding(NamedRow),
    IdentityProvider(NamedRow),
    Machine(MachineRow, Option<IssuedToken>),
    Account(AccountRow, Vec<IntegrationRow>),
}

impl Context {
    /// Creates or updates what a manifest describes.
    pub(crate) async fn apply(&self, manifest: &Value, if_match: IfMatch, dry_run: bool) -> Result<Applied, AppError> {
        let named = |applied: AppliedNamed, entity: fn(NamedRow) -> Entity| Applied {
            existing_manifest: applied.before,
            entity: entity(applied.row),
        };
        match manifest_type(manifest).unwrap_or_default() {
            SecretGroupManifest::TYPE => {
                let applied = Box::pin(self.apply_secret_group(manifest, if_match, dry_run)).await?;
                let existing_manifest = applied.existing_manifest.clone();
                Ok(Applied { existing_manifest, entity: Entity::Group(Box::new(applied)) })
            }
            TeamManifest::TYPE => Ok(named(self.apply_team(manifest, dry_run).await?, Entity::Team)),
            RoleManifest::TYPE => Ok(named(self.apply_role(manifest, dry_run).await?, Entity::Role)),
            RoleBindingManifest::TYPE => {
                Ok(named(self.apply_role_binding(manifest, dry_run).await?, Entity::RoleBinding))
            }
            IdentityProviderManifest::TYPE => {
                Ok(named(self.apply_identity_provider(manifest, dry_run).await?, Entity::IdentityProvider))
            }
            VirtualAccountManifest::TYPE => self.apply_machine(MachineKind::VirtualAccount, manifest, dry_run).await,
            AgentIdentityManifest::TYPE => self.apply_machine(MachineKind::AgentIdentity, manifest, dry_run).await,
            kind if ProviderAccountManifest::TYPES.contains(&kind) => {
                let (account, integrations, existing_manifest) = self.apply_account(manifest, dry_run).await?;
                Ok(Applied { existing_manifest, entity: Entity::Account(account, integrations) })
            }
            // The fault says which types there are.
            _ => Err(AppError::Invalid(match Manifest::parse(manifest, NameRule::Loose) {
                Err(faults) => faults,
                Ok(_) => Vec::new(),
            })),
        }
    }

    /// Deletes what a manifest names.
    pub(crate) async fn delete_by_manifest(&self, manifest: &Value, if_match: IfMatch) -> Result<(), AppError> {
        let metadata = &self.app().metadata;
        let name = manifest.get("name").and_then(Value::as_str).unwrap_or_default();
        match manifest_type(manifest).unwrap_or_default() {
            SecretGroupManifest::TYPE => {
                let name = GroupName::parse(name, NameRule::Loose)
                    .map_err(|error| AppError::invalid("manifest.name", error.to_string()))?;
                let state = metadata.group_by_name(&name.folded(), self.caller().viewpoint()).await?;
                let state = state.ok_or(AppError::NotFound(Resource::SecretGroup))?;
                self.delete_secret_group(state.group.id, if_match, false).await
            }
            TeamManifest::TYPE => {
                self.check_directory()?;
                let row = metadata.named_by_name(Named::Team, name).await?;
                self.delete_team(&row.ok_or(AppError::NotFound(Resource::Team))?.id).await
            }
            RoleManifest::TYPE => self.delete_role(name).await,
            RoleBindingManifest::TYPE => {
                let row = metadata.named_by_name(Named::RoleBinding, name).await?;
                self.delete_role_binding(&row.ok_or(AppError::NotFound(Resource::RoleBinding))?.id).await
            }
            IdentityProviderManifest::TYPE => {
                self.check_admin("DELETE_IDENTITY_PROVIDER")?;
                let row = metadata.named_by_name(Named::IdentityProvider, name).await?;
                self.delete_identity_provider(&row.ok_or(AppError::NotFound(Resource::IdentityProvider))?.id).await
            }
            VirtualAccountManifest::TYPE => self.delete_machine_named(MachineKind::VirtualAccount, name).await,
            AgentIdentityManifest::TYPE => self.delete_machine_named(MachineKind::AgentIdentity, name).await,
            kind if ProviderAccountManifest::TYPES.contains(&kind) => self.delete_account_named(kind, name).await,
            _ => Err(AppError::Invalid(match Manifest::parse(manifest, NameRule::Loose) {
                Err(faults) => faults,
                Ok(_) => Vec::new(),
            })),
        }
    }

    async fn apply_machine(&self, kind: MachineKind, manifest: &Value, dry_run: bool) -> Result<Applied, AppError> {
        self.check_admin("APPLY_VIRTUAL_ACCOUNT")?;
        let applied = match kind {
            MachineKind::VirtualAccount => self.apply_virtual_account(manifest, dry_run).await?,
            MachineKind::AgentIdentity => self.apply_agent_identity(manifest, dry_run).await?,
        };
        Ok(Applied { existing_manifest: applied.before, entity: Entity::Machine(applied.machine, applied.token) })
    }
}
