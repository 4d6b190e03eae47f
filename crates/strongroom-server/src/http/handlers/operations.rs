use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::{OperationId, fqn};

use crate::app::{AppError, Resource};
use crate::http::call::{Call, ok};
use crate::http::view;

pub(in crate::http) async fn get(call: Call) -> Result<Response, AppError> {
    let id = call.id(OperationId::parse, AppError::NotFound(Resource::Operation))?;
    let found = call.context.get_operation(id).await?;
    let row = found.row;
    let keys = found.puts.into_iter().map(|put| wire::OperationKey {
        key: put.key,
        secret_id: put.secret_id.to_string(),
        version: put.version,
        state: put.state.id().to_owned(),
        reason: put.reason,
    });
    ok(&wire::GetOperationResponse {
        data: wire::StoreOperation {
            id: row.id.to_string(),
            state: row.state.id().to_owned(),
            action: row.action,
            secret_group_id: row.group_id.to_string(),
            secret_group_fqn: found.group_name.map(|name| fqn::group(&call.context.app().tenant, &name)),
            integration_fqn: found.integration_fqn,
            reason: row.reason,
            created_by_subject: view::subject(&row.actor),
            created_at: row.created_at.to_wire(),
            finished_at: row.finished_at.map(strongroom_domain::Timestamp::to_wire),
            keys: keys.collect(),
        },
    })
}
