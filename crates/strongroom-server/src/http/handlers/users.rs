use std::net::IpAddr;

use axum::response::Response;
use http::Uri;
use strongroom_api::wire;
use strongroom_domain::{SecretValue, UserId};
use strongroom_metadata::UserRow;

use crate::app::{App, AppError, Registration, Resource, UserQuery};
use crate::auth;
use crate::http::call::{Call, PublicCall, ok};
use crate::http::view;

/// The longest address of a page that an invitation leads to.
const LONGEST_URL: usize = 2_000;

pub(in crate::http) async fn list(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let search = query.text("query").unwrap_or_default();
    let wanted = UserQuery { search, inactive_too: query.flag("showInvalidUsers")?, offset, limit };
    let (users, total) = call.context.list_users(wanted).await?;
    let data = users.into_iter().map(|row| user(call.context.app(), row)).collect();
    ok(&wire::ListUsersResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn get(call: Call) -> Result<Response, AppError> {
    let row = call.context.get_user(user_id(&call)).await?;
    answer(&call, row)
}

pub(in crate::http) async fn delete(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let tenant = query.text("tenantName");
    call.context.delete_user(user_id(&call), tenant.as_deref(), query.flag("forceDelete")?).await?;
    ok(&wire::Empty {})
}

pub(in crate::http) async fn register(call: Call) -> Result<Response, AppError> {
    let request: wire::RegisterUserRequest = call.json()?;
    let registration = Registration {
        email: request.email,
        skip_if_exists: request.skip_if_user_exists.unwrap_or(false),
        dry_run: request.dry_run.unwrap_or(false),
    };
    let (id, row) = call.context.register_user(&registration).await?;
    let data = wire::User { id: id.map(|id| id.to_string()), ..user(call.context.app(), row) };
    ok(&wire::RegisterUserResponse { data })
}

pub(in crate::http) async fn update_roles(call: Call) -> Result<Response, AppError> {
    let request: wire::UpdateUserRolesRequest = call.json()?;
    if !matches!(request.resource_type.as_deref(), None | Some("account" | "tenant")) {
        let message = "must be `account`: roles on other things are granted by their manifests and by role bindings";
        return Err(AppError::invalid("resourceType", message));
    }
    let [role] = &request.roles[..] else {
        return Err(AppError::invalid("roles", "must name exactly one role: a person has one in the tenant"));
    };
    let row = call.context.set_tenant_role(&request.email, role).await?;
    answer(&call, row)
}

pub(in crate::http) async fn activate(call: Call) -> Result<Response, AppError> {
    set_active(call, true).await
}

pub(in crate::http) async fn deactivate(call: Call) -> Result<Response, AppError> {
    set_active(call, false).await
}

async fn set_active(call: Call, active: bool) -> Result<Response, AppError> {
    let request: wire::UserActivationRequest = call.json()?;
    let row = call.context.set_active(&request.email, request.tenant_name.as_deref(), active).await?;
    answer(&call, row)
}

pub(in crate::http) async fn invite(call: Call) -> Result<Response, AppError> {
    let request: wire::InviteUserRequest = call.json()?;
    let page = invitation_page(&request.accept_invite_client_url)?;
    let code = call.context.invite_user(&request.email).await?;
    // A fragment stays in the browser: neither the page's server nor a proxy logs it.
    ok(&wire::InviteUserResponse { link: SecretValue::new(format!("{page}#invitation={}", code.expose())) })
}

pub(in crate::http) async fn accept_invitation(mut call: PublicCall) -> Result<Response, AppError> {
    let request: wire::AcceptInvitationRequest = call.json().await?;
    let context = auth::authenticate_invitation(&call.shared.app, &request.code, call.info).await?;
    let token = context.accept_invitation(&request.code, request.token_name.as_deref()).await?;
    ok(&wire::TokenResponse { token: token.0 })
}

pub(in crate::http) async fn list_resources(call: Call) -> Result<Response, AppError> {
    let roles = call.context.roles_of_user(user_id(&call)).await?;
    let own = roles.into_iter().filter(|role| !role.by_team && role.resource_type != "account");
    let data = own.map(|role| wire::UserResource {
        resource_type: role.resource_type,
        resource_id: role.resource_id,
        role_id: role.role,
        resource_name: role.resource_name,
    });
    ok(&wire::GetUserResourcesResponse { data: data.collect() })
}

pub(in crate::http) async fn list_permissions(call: Call) -> Result<Response, AppError> {
    let roles = call.context.roles_of_user(user_id(&call)).await?;
    ok(&wire::GetUserPermissionsResponse { data: roles.into_iter().map(view::permission).collect() })
}

pub(in crate::http) async fn list_teams(call: Call) -> Result<Response, AppError> {
    let teams = call.context.teams_of_user(user_id(&call)).await?;
    let data = teams.into_iter().map(|(team_name, roles)| wire::UserTeam { team_name, roles });
    ok(&wire::GetUserTeamsResponse { data: data.collect() })
}

/// What can't be an id is nobody's; whether that is said is for the use case to decide.
fn user_id(call: &Call) -> Option<UserId> {
    call.id(UserId::parse, AppError::NotFound(Resource::User)).ok()
}

fn answer(call: &Call, row: UserRow) -> Result<Response, AppError> {
    ok(&wire::GetUserResponse { data: user(call.context.app(), row) })
}

fn user(app: &App, row: UserRow) -> wire::User {
    wire::User {
        id: Some(row.id.to_string()),
        metadata: wire::UserMetadata { display_name: row.email.clone() },
        email: row.email,
        tenant_name: app.tenant.as_str().to_owned(),
        roles: vec![row.tenant_role],
        active: row.active,
        is_editable: true,
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
    }
}

/// The page that an invitation leads to, as it was given. What it is sent is as good as a token, so it goes nowhere in
/// the clear.
fn invitation_page(text: &str) -> Result<&str, AppError> {
    let refused = || {
        let message = "must be an `https` address without a fragment, or an `http` one of this computer \
                       (`localhost`, `127.0.0.1` or `[::1]`)";
        AppError::invalid("acceptInviteClientUrl", message)
    };
    if text.len() > LONGEST_URL || text.contains('#') {
        return Err(refused());
    }
    let uri: Uri = text.parse().map_err(|_| refused())?;
    let host = uri.host().unwrap_or_default();
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        _ if host.is_empty() || has_user => Err(refused()),
        Some("https") => Ok(text),
        Some("http") if is_loopback => Ok(text),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::invitation_page;

    #[test]
    fn invitations_lead_to_safe_pages_only() {
        for good in [
            "https://app.example.com/invite",
            "https://app.example.com:8443/?a=b",
            "HTTPS://app.example.com",
            "http://localhost:3000/x",
            "http://127.0.0.9/",
            "http://[::1]:7700",
        ] {
            assert_eq!(invitation_page(good).ok(), Some(good));
        }
        for bad in [
            "",
            "/invite",
            "app.example.com",
            "http://app.example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "https://",
            "https://app.example.com/#there",
            "https://app.example.com@other.example/",
            "javascript:alert(1)",
            "ftp://localhost/",
            "https://app.example.com/a b",
            "https://app.example.com/\n",
        ] {
            assert!(invitation_page(bad).is_err(), "{bad}");
        }
    }
}
