use axum::response::Response;
use strongroom_api::wire;

use crate::app::{AppError, Applied};
use crate::http::call::{Call, ok, ok_at};
use crate::http::view;

pub(in crate::http) async fn apply(mut call: Call) -> Result<Response, AppError> {
    let request: wire::ApplyRequest = call.json().await?;
    let dry_run = request.dry_run.unwrap_or(false);
    let applied = call.context.apply(&request.manifest, call.if_match(), dry_run).await?;
    let data = group(&call, &applied)?;
    let existing_manifest = applied.existing_manifest.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let action = if applied.existing_manifest.is_some() { "UPDATE" } else { "CREATE" };
    let response = wire::ApplyResponse { existing_manifest, action: action.into(), data };
    ok_at(applied.state.group.revision, &response)
}

pub(in crate::http) async fn delete(mut call: Call) -> Result<Response, AppError> {
    let request: wire::DeleteManifestRequest = call.json().await?;
    call.context.delete_by_manifest(&request.manifest, call.if_match()).await?;
    ok(&wire::Empty {})
}

/// The group after an apply; one that is not there yet has no id.
pub(super) fn group(call: &Call, applied: &Applied) -> Result<wire::SecretGroup, AppError> {
    let mut data = view::group(call.context.app(), &applied.state)?;
    if applied.dry_run && applied.existing_manifest.is_none() {
        data.id = None;
    }
    Ok(data)
}
