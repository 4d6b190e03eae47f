use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::{GroupId, SecretId};

use crate::app::{AppError, Resource, SecretQuery};
use crate::http::call::{Call, ok, ok_at};
use crate::http::{query, view};

pub(in crate::http) async fn get(call: Call) -> Result<Response, AppError> {
    let (found, value) = call.context.get_secret(secret_id(&call)?).await?;
    let data = view::secret(&call.context.app().tenant, &found.secret, value, &found.versions);
    ok_at(found.secret.revision, &wire::GetSecretResponse { data })
}

pub(in crate::http) async fn list(call: Call) -> Result<Response, AppError> {
    let request: wire::ListSecretsRequest = call.json()?;
    let offset = query::offset("offset", request.offset)?;
    let limit = query::limit("limit", request.limit)?;
    let group = request
        .secret_group_id
        .map(|id| GroupId::parse(&id).ok_or(AppError::NotFound(Resource::SecretGroup)))
        .transpose()?;
    if request.secret_fqns.as_ref().is_some_and(|fqns| fqns.len() > 1_000) {
        return Err(AppError::invalid("secretFqns", "names at most 1000 secrets"));
    }
    let with_value = request.with_value.unwrap_or(false);
    let wanted = SecretQuery { group, fqns: request.secret_fqns, with_value, offset, limit };
    let (revealed, total) = call.context.list_secrets(&wanted).await?;
    let tenant = &call.context.app().tenant;
    let secret = |entry: crate::app::Revealed| {
        view::secret(tenant, &entry.secret, entry.value, std::slice::from_ref(&entry.secret.version))
    };
    let data = revealed.into_iter().map(secret).collect();
    ok(&wire::ListSecretsResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn delete(call: Call) -> Result<Response, AppError> {
    let force = call.query().flag("forceDelete")?;
    call.context.delete_secret(secret_id(&call)?, call.if_match(), force).await?;
    ok(&1)
}

pub(in crate::http) async fn versions(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let (secret, versions, total) = call.context.list_secret_versions(secret_id(&call)?, offset, limit).await?;
    let tenant = &call.context.app().tenant;
    let data = versions.iter().map(|row| view::version(tenant, &secret, row)).collect();
    ok(&wire::ListSecretVersionsResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn referenced(call: Call) -> Result<Response, AppError> {
    let reference = call.query().required("secret_ref")?;
    let value = call.context.get_referenced_secret(&reference).await?;
    ok(&wire::ControlPlaneSecret { value })
}

pub(super) fn secret_id(call: &Call) -> Result<SecretId, AppError> {
    call.id(SecretId::parse, AppError::NotFound(Resource::Secret))
}
