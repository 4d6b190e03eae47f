//! From records to wire types.

use serde_json::value::RawValue;
use strongroom_api::wire;
use strongroom_domain::names::Tenant;
use strongroom_domain::subject::Actor;
use strongroom_domain::{SecretValue, fqn};
use strongroom_metadata::{GroupState, SecretRow, SecretState, VersionRow};

use crate::app::{App, AppError};

pub(super) fn subject(actor: &Actor) -> wire::Subject {
    wire::Subject {
        subject_id: actor.id.clone(),
        subject_type: if actor.kind == "user" { wire::SubjectType::User } else { wire::SubjectType::ServiceAccount },
        subject_slug: Some(actor.slug.clone()),
        subject_display_name: actor.display_name.clone(),
        subject_pat_name: actor.token_name.clone(),
        subject_controller_name: None,
        subject_external_identity_slug: None,
    }
}

/// A stored manifest as it is.
pub(super) fn manifest(json: &str) -> Result<Box<RawValue>, AppError> {
    RawValue::from_string(json.to_owned()).map_err(|_| AppError::Integrity {
        public: "a stored manifest is damaged".into(),
        internal: "it is not JSON".into(),
    })
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
