//! From records to wire types.

use serde::Deserialize;
use serde_json::value::RawValue;
use strongroom_api::wire;
use strongroom_domain::manifest::{AgentIdentityManifest, VirtualAccountManifest};
use strongroom_domain::names::Tenant;
use strongroom_domain::subject::{Actor, SubjectKind};
use strongroom_domain::{SecretValue, Timestamp, fqn};
use strongroom_metadata::{
    GroupState, MachineKind, MachineRow, NamedRow, OwnedToken, SecretRow, SecretState, SyncState, VersionRow,
};

use crate::app::{App, AppError, HeldRole, MachineView};

pub(super) fn subject(actor: &Actor) -> wire::Subject {
    wire::Subject {
        subject_id: actor.id.clone(),
        subject_type: match actor.kind.as_str() {
            "user" => wire::SubjectType::User,
            "agent-identity" => wire::SubjectType::AgentIdentity,
            _ => wire::SubjectType::ServiceAccount,
        },
        subject_slug: Some(actor.slug.clone()),
        subject_display_name: actor.display_name.clone(),
        subject_pat_name: actor.token_name.clone(),
        subject_controller_name: actor.controller.clone(),
        subject_external_identity_slug: actor.external_slug.clone(),
    }
}

/// A stored manifest as it is, but for an owner that only earlier releases took: the official SDK reads no list with it.
pub(super) fn manifest(json: &str) -> Result<Box<RawValue>, AppError> {
    let damaged = |_: serde_json::Error| AppError::Integrity {
        public: "a stored manifest is damaged".into(),
        internal: "it is not JSON".into(),
    };
    let mut json = json.to_owned();
    if json.contains("\"ownedBy\"") && !serde_json::from_str(&json).is_ok_and(|owned: Owned| owned.is_readable()) {
        let mut manifest: serde_json::Value = serde_json::from_str(&json).map_err(damaged)?;
        manifest.as_object_mut().map(|fields| fields.remove("ownedBy"));
        json = manifest.to_string();
    }
    RawValue::from_string(json).map_err(damaged)
}

/// A stored manifest's owner, if it has one.
#[derive(Deserialize)]
struct Owned {
    r#type: String,
    #[serde(rename = "ownedBy")]
    owner: Option<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    account: Option<String>,
    team: Option<String>,
}

impl Owned {
    /// Teams own machines, accounts all else.
    fn is_readable(&self) -> bool {
        let is_machine = [VirtualAccountManifest::TYPE, AgentIdentityManifest::TYPE].contains(&self.r#type.as_str());
        self.owner.as_ref().is_none_or(|owner| if is_machine { &owner.team } else { &owner.account }.is_some())
    }
}

pub(super) fn group(app: &App, state: &GroupState) -> Result<wire::SecretGroup, AppError> {
    let row = &state.group;
    Ok(wire::SecretGroup {
        id: Some(row.id.to_string()),
        fqn: Some(fqn::group(&app.tenant, &row.name)),
        name: row.name.clone(),
        tenant_name: app.tenant.as_str().to_owned(),
        created_by_subject: subject(&row.created_by),
        associated_secrets: state.secrets.iter().map(|secret| current_secret(&app.tenant, state, secret)).collect(),
        integration_id: Some(row.integration_id.to_string()),
        manifest: Some(manifest(&row.manifest)?),
        account_id: app.account_id.to_string(),
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
        created_by: Some(row.created_by.slug.clone()),
    })
}

/// A secret of a group's answer: no value, its current version only.
fn current_secret(tenant: &Tenant, state: &GroupState, secret: &SecretState) -> wire::Secret {
    let group = &state.group;
    let made = secret.version_created_at.to_wire();
    let version = wire::SecretVersion {
        id: secret.version_id.to_string(),
        fqn: fqn::version(tenant, &group.name, &secret.key, secret.version),
        value: None,
        version: Some(secret.version),
        secret: None,
        secret_id: Some(secret.id.to_string()),
        created_at: Some(made.clone()),
        updated_at: Some(made),
        gone: false,
    };
    wire::Secret {
        id: secret.id.to_string(),
        fqn: fqn::secret(tenant, &group.name, &secret.key),
        name: secret.key.clone(),
        secret_group_id: group.id.to_string(),
        value: None,
        created_by_subject: Some(subject(&secret.created_by)),
        created_at: Some(secret.created_at.to_wire()),
        updated_at: Some(secret.updated_at.to_wire()),
        secret_versions: Some(vec![version]),
        active_deployments_count: Some(0),
        created_by: Some(secret.created_by.slug.clone()),
    }
}

/// A secret with its value where it was revealed.
pub(super) fn secret(
    tenant: &Tenant,
    row: &SecretRow,
    value: Option<SecretValue>,
    versions: &[VersionRow],
) -> wire::Secret {
    wire::Secret {
        id: row.id.to_string(),
        fqn: fqn::secret(tenant, &row.group_name, &row.key),
        name: row.key.clone(),
        secret_group_id: row.group_id.to_string(),
        value,
        created_by_subject: Some(subject(&row.created_by)),
        created_at: Some(row.created_at.to_wire()),
        updated_at: Some(row.updated_at.to_wire()),
        secret_versions: Some(versions.iter().map(|version_row| version(tenant, row, version_row)).collect()),
        active_deployments_count: Some(0),
        created_by: Some(row.created_by.slug.clone()),
    }
}

pub(super) fn version(tenant: &Tenant, secret: &SecretRow, row: &VersionRow) -> wire::SecretVersion {
    let made = row.created_at.to_wire();
    wire::SecretVersion {
        id: row.id.to_string(),
        fqn: fqn::version(tenant, &secret.group_name, &secret.key, row.version),
        value: None::<SecretValue>,
        version: Some(row.version),
        secret: None,
        secret_id: Some(secret.id.to_string()),
        created_at: Some(made.clone()),
        updated_at: Some(made),
        gone: row.gone_at.is_some(),
    }
}

/// Which part of how many.
pub(super) const fn pagination(total: i64, offset: i64, limit: i64) -> wire::Pagination {
    wire::Pagination { total, offset: Some(offset), limit: Some(limit) }
}

/// A team by its row alone: the members are those of its manifest.
pub(super) fn team(app: &App, row: &NamedRow) -> Result<wire::Team, AppError> {
    let written: serde_json::Value = serde_json::from_str(&row.manifest).unwrap_or_default();
    let names = |field: &str| -> Vec<String> {
        let list = written[field].as_array().into_iter().flatten();
        list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let (members, managers) = (names("members"), names("managers"));
    let count = |list: &[String]| i64::try_from(list.len()).unwrap_or(i64::MAX);
    Ok(wire::Team {
        id: row.id.clone(),
        team_name: row.name.clone(),
        description: written["description"].as_str().unwrap_or_default().to_owned(),
        tenant_name: app.tenant.as_str().to_owned(),
        account_id: app.account_id.to_string(),
        created_by_subject: subject(&row.created_by),
        manifest: manifest(&row.manifest)?,
        is_editable: true,
        total_member_count: count(&members),
        total_manager_count: count(&managers),
        members: Some(members),
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
    })
}

/// One of the tenant's own roles.
pub(super) fn role(app: &App, row: &NamedRow) -> Result<wire::Role, AppError> {
    let written: serde_json::Value = serde_json::from_str(&row.manifest).unwrap_or_default();
    Ok(wire::Role {
        id: row.id.clone(),
        name: row.name.clone(),
        tenant_name: app.tenant.as_str().to_owned(),
        account_id: app.account_id.to_string(),
        resource_type: written["resourceType"].as_str().unwrap_or_default().to_owned(),
        manifest: manifest(&row.manifest)?,
        created_by_subject: subject(&row.created_by),
        is_editable: true,
        is_default: false,
        is_reserved: false,
    })
}

pub(super) fn role_binding(app: &App, row: &NamedRow) -> Result<wire::RoleBinding, AppError> {
    Ok(wire::RoleBinding {
        id: row.id.clone(),
        name: row.name.clone(),
        account_id: app.account_id.to_string(),
        manifest: manifest(&row.manifest)?,
        created_by_subject: subject(&row.created_by),
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
    })
}

pub(super) fn permission(role: HeldRole) -> wire::SubjectPermission {
    wire::SubjectPermission {
        resource_type: role.resource_type,
        resource_id: role.resource_id,
        resource_name: role.resource_name,
        resource_fqn: role.resource_fqn,
        role_name: role.role.clone(),
        role_id: role.role,
        subject_id: role.subject_id,
        subject_type: if role.by_team { "team" } else { "user" }.into(),
    }
}

pub(super) fn agent_identity(app: &App, row: &MachineRow) -> Result<wire::AgentIdentity, AppError> {
    Ok(wire::AgentIdentity {
        id: row.id.to_string(),
        name: row.name.clone(),
        tenant_name: app.tenant.as_str().to_owned(),
        account_id: app.account_id.to_string(),
        manifest: manifest(&row.manifest)?,
        created_by_subject: subject(&row.created_by),
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
    })
}

pub(super) fn identity_provider(app: &App, row: &NamedRow) -> Result<wire::IdentityProvider, AppError> {
    Ok(wire::IdentityProvider {
        id: row.id.clone(),
        fqn: format!("{}:identity-provider:{}", app.tenant, row.name),
        name: row.name.clone(),
        tenant_name: app.tenant.as_str().to_owned(),
        account_id: app.account_id.to_string(),
        manifest: manifest(&row.manifest)?,
        created_by_subject: subject(&row.created_by),
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
    })
}

/// A virtual account or an agent's identity.
pub(super) fn machine(app: &App, view: MachineView) -> Result<wire::VirtualAccount, AppError> {
    let MachineView { machine: row, tokens, roles, current, is_expired } = view;
    let (kind, subject_type) = match row.kind {
        MachineKind::VirtualAccount => ("serviceaccount", SubjectKind::VirtualAccount),
        MachineKind::AgentIdentity => ("agent-identity", SubjectKind::AgentIdentity),
    };
    let mut role_ids: Vec<String> = roles.iter().map(|(.., role)| role.clone()).collect();
    role_ids.sort();
    role_ids.dedup();
    Ok(wire::VirtualAccount {
        id: row.id.to_string(),
        kind: kind.into(),
        tenant_name: app.tenant.as_str().to_owned(),
        manifest: manifest(&row.manifest)?,
        jwt_id: current.and_then(|at| tokens.get(at)).map(|token| token.id.to_string()),
        created_by_subject: subject(&row.created_by),
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
        is_expired,
        jwts: tokens.into_iter().map(|token| jwt(token, subject_type)).collect(),
        account_id: app.account_id.to_string(),
        role_ids,
        roles_with_resource: roles
            .into_iter()
            .map(|(resource_type, resource_id, role)| wire::RoleWithResource {
                role_name: role.clone(),
                role_id: role,
                resource_type,
                resource_id,
            })
            .collect(),
        created_by: row.created_by.slug,
        next_scheduled_rotation: row.rotate_at.map(Timestamp::to_wire),
        sync_token_in_secret_store_info: (row.sync != SyncState::default())
            .then(|| sync_info(row.sync, row.updated_at)),
    })
}

/// How writing a token into a group went; `at` stands for the time where none was written yet.
pub(super) fn sync_info(sync: SyncState, at: Timestamp) -> wire::SyncTokenInfo {
    wire::SyncTokenInfo {
        updated_at: sync.at.unwrap_or(at).to_wire(),
        jwt_id: sync.token.unwrap_or_default(),
        error: sync.error,
    }
}

/// What the contract gives a date for, where there is none.
const NEVER: &str = "9999-01-01T00:00:00.000Z";

fn jwt(token: OwnedToken, subject_type: SubjectKind) -> wire::Jwt {
    let made = token.created_at.to_wire();
    wire::Jwt {
        id: token.id.to_string(),
        subject_type: subject_type.wire().to_owned(),
        subject_id: token.subject_id,
        expiry: token.expires_at.map_or_else(|| NEVER.to_owned(), Timestamp::to_wire),
        token_type: if token.signing_key.is_some() { "jwt" } else { "opaque" }.into(),
        created_at: made.clone(),
        updated_at: made,
    }
}

/// An agent's identity.
pub(super) fn agent(app: &App, view: MachineView) -> Result<wire::Agent, AppError> {
    let row = view.machine;
    let current = view.current.and_then(|at| view.tokens.into_iter().nth(at));
    let id = row.id.to_string();
    Ok(wire::Agent {
        agent_id: id.clone(),
        agent_identity_id: id.clone(),
        id,
        fqn: format!("{}:agent:{}", app.tenant, row.name),
        name: row.name,
        kind: row.kind.id().into(),
        tenant_name: app.tenant.as_str().to_owned(),
        account_id: app.account_id.to_string(),
        version: 1,
        latest_version: 1,
        manifest: manifest(&row.manifest)?,
        created_by_subject: subject(&row.created_by),
        created_by: row.created_by.slug,
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
        token_id: current.as_ref().map(|token| token.id.to_string()),
        token_expiry: current.and_then(|token| token.expires_at).map(Timestamp::to_wire),
    })
}
