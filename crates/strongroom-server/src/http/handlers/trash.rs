use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::fqn;

use super::{secret_groups, secrets};
use crate::app::AppError;
use crate::http::call::{Call, ok, ok_at};
use crate::http::view;

pub(in crate::http) async fn list(call: Call) -> Result<Response, AppError> {
    let trash = call.context.list_trash(call.query().limit()?).await?;
    let tenant = &call.context.app().tenant;
    let groups = trash.groups.into_iter().map(|row| wire::DeletedGroup {
        id: row.id.to_string(),
        fqn: fqn::group(tenant, &row.name),
        name: row.name,
        deleted_at: row.deleted_at.to_wire(),
        restorable_until: row.purge_at.to_wire(),
    });
    let secrets = trash.secrets.into_iter().map(|row| wire::DeletedSecret {
        id: row.id.to_string(),
        fqn: fqn::secret(tenant, &row.group_name, &row.key),
        name: row.key,
        secret_group_id: row.group_id.to_string(),
        version: row.version,
        deleted_at: row.deleted_at.to_wire(),
        restorable_until: row.purge_at.to_wire(),
    });
    ok(&wire::TrashResponse { secret_groups: groups.collect(), secrets: secrets.collect() })
}

pub(in crate::http) async fn restore_secret_group(call: Call) -> Result<Response, AppError> {
    let id = secret_groups::group_id(&call)?;
    let request: wire::RestoreSecretGroupRequest = call.optional_json()?;
    let state = call.context.restore_secret_group(id, call.if_match(), request.name.as_deref()).await?;
    ok_at(state.group.revision, &wire::GetSecretGroupResponse { data: view::group(call.context.app(), &state)? })
}

pub(in crate::http) async fn restore_secret(call: Call) -> Result<Response, AppError> {
    let id = secrets::secret_id(&call)?;
    let request: wire::RestoreSecretRequest = call.optional_json()?;
    let state = call.context.restore_secret(id, call.if_match(), request.key.as_deref()).await?;
    ok_at(state.group.revision, &wire::GetSecretGroupResponse { data: view::group(call.context.app(), &state)? })
}
