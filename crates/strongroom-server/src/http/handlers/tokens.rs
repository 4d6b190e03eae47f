use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::TokenId;
use strongroom_domain::subject::Actor;
use strongroom_metadata::OwnedToken;

use crate::app::{AppError, Context, Resource, TokenRequest};
use crate::http::call::{Call, ok};
use crate::http::view;

pub(in crate::http) async fn list(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let search = query.text("nameSearchQuery").unwrap_or_default();
    let (tokens, total) = call.context.list_tokens(&search, offset, limit).await?;
    let data = tokens.into_iter().map(|row| token(&call.context, row)).collect();
    ok(&wire::ListTokensResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn create(call: Call) -> Result<Response, AppError> {
    let request: wire::CreateTokenRequest = call.json()?;
    let wanted = TokenRequest { name: request.name, expiration: request.expiration_date, kind: request.token_type };
    let token = call.context.create_token(&wanted).await?;
    ok(&wire::TokenResponse { token: token.0 })
}

pub(in crate::http) async fn create_for_user(call: Call) -> Result<Response, AppError> {
    let request: wire::CreateTokenForUserRequest = call.json()?;
    let wanted = TokenRequest { name: request.name, expiration: request.expiration_date, kind: request.token_type };
    let token = call.context.create_token_for_user(&wanted, &request.user_email).await?;
    ok(&wire::TokenResponse { token: token.0 })
}

pub(in crate::http) async fn delete(call: Call) -> Result<Response, AppError> {
    let id = call.id(TokenId::parse, AppError::NotFound(Resource::Token))?;
    call.context.delete_token(id).await?;
    ok(&wire::Empty {})
}

pub(in crate::http) async fn revoke_all(call: Call) -> Result<Response, AppError> {
    let request: wire::RevokeTokensRequest = call.json()?;
    call.context.revoke_tokens_of_user(&request.email).await?;
    ok(&wire::Empty {})
}

/// One of the caller's own.
fn token(context: &Context, row: OwnedToken) -> wire::PersonalAccessToken {
    let app = context.app();
    // Theirs, without the token that asks.
    let owner = Actor { token_name: None, external_slug: None, ..context.caller().actor.clone() };
    let made = row.created_at.to_wire();
    let now = app.clock.now();
    wire::PersonalAccessToken {
        id: row.id.to_string(),
        kind: "pat".into(),
        tenant_name: app.tenant.as_str().to_owned(),
        manifest: wire::TokenManifest {
            name: row.name,
            expiration_date: row.expires_at.map(strongroom_domain::Timestamp::to_wire),
            user_fqn: format!("{}:{}", app.tenant, owner.slug),
            token_type: if row.signing_key.is_some() { "jwt" } else { "opaque" }.into(),
        },
        created_by_subject: view::subject(row.created_by.as_ref().unwrap_or(&owner)),
        created_at: made.clone(),
        updated_at: made,
        account_id: app.account_id.to_string(),
        is_expired: row.expires_at.is_some_and(|at| at <= now),
    }
}
