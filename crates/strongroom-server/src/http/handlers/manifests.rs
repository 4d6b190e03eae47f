use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::manifest::dependency_tree as tree_of;
use strongroom_metadata::MachineKind;

use super::accounts;
use crate::app::{AppError, AppliedGroup, Entity};
use crate::http::call::{Call, ok, ok_at};
use crate::http::view;

pub(in crate::http) async fn apply(call: Call) -> Result<Response, AppError> {
    let request: wire::ApplyManifestRequest = call.json()?;
    let dry_run = request.dry_run.unwrap_or(false);
    let applied = call.context.apply(&request.manifest, call.if_match(), dry_run).await?;
    let app = call.context.app();
    let (mut revision, mut token) = (None, None);
    let data = match applied.entity {
        Entity::Group(applied) => {
            revision = Some(applied.state.group.revision);
            wire::Entity::SecretGroup(Box::new(group(&call, &applied)?))
        }
        Entity::Machine(row, issued) if row.kind == MachineKind::AgentIdentity => {
            token = issued.map(|token| token.0);
            wire::Entity::AgentIdentity(view::agent_identity(app, &row)?)
        }
        Entity::Team(row) => wire::Entity::Team(view::team(app, &row)?),
        Entity::Role(row) => wire::Entity::Role(view::role(app, &row)?),
        Entity::RoleBinding(row) => wire::Entity::RoleBinding(view::role_binding(app, &row)?),
        Entity::IdentityProvider(row) => wire::Entity::IdentityProvider(view::identity_provider(app, &row)?),
        Entity::Machine(row, issued) => {
            token = issued.map(|token| token.0);
            wire::Entity::VirtualAccount(Box::new(view::machine(app, call.context.machine_view(row).await?)?))
        }
        Entity::Account(row, integrations) => {
            wire::Entity::ProviderAccount(Box::new(accounts::account(&call.context, &row, &integrations)?))
        }
    };
    // The contract's SDK knows no manifest of this type and fails on one; `tfy` shows it in dry runs.
    let is_shown = dry_run || !matches!(data, wire::Entity::IdentityProvider(_));
    let before = applied.existing_manifest.as_deref().filter(|_| is_shown);
    let existing_manifest = before.map(view::manifest).transpose()?;
    let action = if applied.existing_manifest.is_some() { "UPDATE" } else { "CREATE" };
    let response = wire::ApplyResponse { existing_manifest, action: action.into(), data, token };
    revision.map_or_else(|| ok(&response), |revision| ok_at(revision, &response))
}

pub(in crate::http) async fn delete(call: Call) -> Result<Response, AppError> {
    let request: wire::DeleteManifestRequest = call.json()?;
    call.context.delete_by_manifest(&request.manifest, call.if_match()).await?;
    ok(&wire::Empty {})
}

/// Pure: it looks at the manifests alone.
pub(in crate::http) async fn dependency_tree(call: Call) -> Result<Response, AppError> {
    let request: wire::DependencyTreeRequest = call.json()?;
    let data = tree_of(&request.manifests)
        .into_iter()
        .map(|entry| wire::ResourceDependencies {
            resource_type: entry.resource_type,
            resource_name: entry.name,
            dependencies: entry
                .dependencies
                .into_iter()
                .map(|one| wire::ResourceName { resource_type: one.resource_type.to_owned(), resource_name: one.name })
                .collect(),
        })
        .collect();
    ok(&wire::DependencyTreeResponse { data })
}

/// The group after an apply; one that is not there yet has no id.
pub(super) fn group(call: &Call, applied: &AppliedGroup) -> Result<wire::SecretGroup, AppError> {
    let mut data = view::group(call.context.app(), &applied.state)?;
    if applied.dry_run && applied.existing_manifest.is_none() {
        data.id = None;
    }
    Ok(data)
}
