use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::names::{GroupName, SecretKey};
use strongroom_domain::{GroupId, SecretValue, Violation};

use crate::app::{AppError, GroupQuery, Limits, Resource, SecretUpdate};
use crate::http::call::{Call, ok, ok_at};
use crate::http::view;

pub(in crate::http) async fn list(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let attributes = query.list("attributes");
    let wanted = GroupQuery { fqn: query.text("fqn"), search: query.text("search").unwrap_or_default(), offset, limit };
    let (groups, total) = call.context.list_secret_groups(wanted).await?;
    let app = call.context.app();
    let mut data = groups.iter().map(|state| view::group(app, state)).collect::<Result<Vec<_>, _>>()?;
    if !attributes.is_empty() {
        for group in &mut data {
            project(group, &attributes);
        }
    }
    ok(&wire::ListSecretGroupsResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn create(call: Call) -> Result<Response, AppError> {
    let request: wire::CreateSecretGroupRequest = call.json()?;
    let mut faults = Vec::new();
    let name = GroupName::parse(&request.name, call.context.app().limits.name_rule)
        .map_err(|error| faults.push(Violation::new("name", error.to_string())));
    let inputs = request.secrets.into_iter().map(|input| (input.key, Some(input.value)));
    let secrets = secrets(inputs, call.context.app().limits, &mut faults);
    let (Ok(name), true) = (name, faults.is_empty()) else { return Err(AppError::Invalid(faults)) };
    let secrets = secrets.into_iter().filter_map(|update| Some((update.key, update.value?))).collect();
    let state = call.context.create_secret_group(name, &request.integration_id, secrets).await?;
    ok_at(state.group.revision, &wire::GetSecretGroupResponse { data: view::group(call.context.app(), &state)? })
}

pub(in crate::http) async fn apply(call: Call) -> Result<Response, AppError> {
    let request: wire::ApplySecretGroupRequest = call.json()?;
    let dry_run = request.dry_run.unwrap_or(false);
    let applied = Box::pin(call.context.apply_secret_group(&request.manifest, call.if_match(), dry_run)).await?;
    let data = super::manifests::group(&call, &applied)?;
    ok_at(applied.state.group.revision, &wire::GetSecretGroupResponse { data })
}

pub(in crate::http) async fn get(call: Call) -> Result<Response, AppError> {
    let state = call.context.get_secret_group(group_id(&call)?).await?;
    ok_at(state.group.revision, &wire::GetSecretGroupResponse { data: view::group(call.context.app(), &state)? })
}

pub(in crate::http) async fn update(call: Call) -> Result<Response, AppError> {
    let id = group_id(&call)?;
    let request: wire::UpdateSecretGroupRequest = call.json()?;
    let mut faults = Vec::new();
    let inputs = request.secrets.into_iter().map(|input| (input.key, input.value));
    let updates = secrets(inputs, call.context.app().limits, &mut faults);
    if !faults.is_empty() {
        // Nobody learns from a fault whether the group is there.
        call.context.get_secret_group(id).await?;
        return Err(AppError::Invalid(faults));
    }
    let after = call.context.update_secret_group(id, call.if_match(), &updates).await?;
    let app = call.context.app();
    let until = after.state.group.updated_at.plus_days(app.limits.retention_days).to_wire();
    let dropped_secrets = after.dropped.iter().map(|secret| wire::DroppedSecret {
        id: secret.id.to_string(),
        name: secret.key.clone(),
        restorable_until: until.clone(),
        restore: format!("POST /api/v1/secrets/{}/restore", secret.id),
    });
    let data = view::group(app, &after.state)?;
    let response = wire::UpdateSecretGroupResponse { data, dropped_secrets: dropped_secrets.collect() };
    ok_at(after.state.group.revision, &response)
}

pub(in crate::http) async fn delete(call: Call) -> Result<Response, AppError> {
    let force = call.query().flag("forceDelete")?;
    call.context.delete_secret_group(group_id(&call)?, call.if_match(), force).await?;
    ok(&wire::Empty {})
}

pub(super) fn group_id(call: &Call) -> Result<GroupId, AppError> {
    call.id(GroupId::parse, AppError::NotFound(Resource::SecretGroup))
}

/// Checks their number, keys and sizes; every fault is named with its place.
fn secrets(
    inputs: impl ExactSizeIterator<Item = (String, Option<SecretValue>)>,
    limits: Limits,
    faults: &mut Vec<Violation>,
) -> Vec<SecretUpdate> {
    let (keys, value_bytes) = (limits.keys_a_group, limits.value_bytes);
    if inputs.len() > keys {
        faults.push(Violation::new("secrets", format!("a group has at most {keys} keys")));
        return Vec::new();
    }
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::new();
    for (index, (key, value)) in inputs.enumerate() {
        if value.as_ref().is_some_and(|value| value.byte_len() > value_bytes) {
            faults.push(Violation::new(
                format!("secrets[{index}].value"),
                format!("a value has at most {value_bytes} bytes"),
            ));
        }
        match SecretKey::parse(&key) {
            Ok(key) if seen.insert(key.clone()) => out.push(SecretUpdate { key, value }),
            Ok(key) => {
                faults
                    .push(Violation::new(format!("secrets[{index}].key"), format!("`{key}` is named more than once")));
            }
            Err(error) => faults.push(Violation::new(format!("secrets[{index}].key"), error.to_string())),
        }
    }
    out
}

/// Leaves out the optional fields that were not asked for. The SDK needs the required ones in every item, so that an
/// unasked list of secrets is empty rather than absent.
fn project(group: &mut wire::SecretGroup, attributes: &[String]) {
    let asked = |name: &str| attributes.iter().any(|attribute| attribute == name);
    if !asked("associatedSecrets") {
        group.associated_secrets.clear();
    }
    if !asked("manifest") {
        group.manifest = None;
    }
    if !asked("fqn") {
        group.fqn = None;
    }
    if !asked("integrationId") {
        group.integration_id = None;
    }
    if !asked("createdBy") {
        group.created_by = None;
    }
}
