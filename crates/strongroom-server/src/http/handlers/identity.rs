use axum::response::Response;
use strongroom_api::wire;

use crate::app::{AppError, Context};
use crate::http::call::{Call, PublicCall, ok};
use crate::http::view;

/// The oldest command lines that speak this contract.
const OLDEST_CLI: &str = "0.1.0";

pub(in crate::http) async fn min_cli_version(_: PublicCall) -> Result<Response, AppError> {
    ok(&wire::MinCliVersion {
        min_version: OLDEST_CLI.into(),
        truefoundry_cli_min_version: OLDEST_CLI.into(),
        use_sfy_server_auth_apis: true,
    })
}

pub(in crate::http) async fn tenant_id(call: PublicCall) -> Result<Response, AppError> {
    ok(&wire::TenantId {
        tenant_name: call.shared.app.tenant.as_str().to_owned(),
        auth_server_url: call.shared.public_url.clone(),
    })
}

pub(in crate::http) async fn session(call: Call) -> Result<Response, AppError> {
    let teams = own_teams(&call.context).await?;
    let (caller, tenant) = (call.context.caller(), call.context.app().tenant.as_str().to_owned());
    let actor = &caller.actor;
    ok(&wire::SessionResponse {
        user: wire::SessionUser {
            tenant_name: tenant.clone(),
            email: (actor.kind == "user").then(|| actor.slug.clone()),
            subject: wire::SessionSubject {
                subject_slug: actor.slug.clone(),
                subject_pat_name: actor.token_name.clone(),
            },
            roles: caller.standing.tenant_roles.clone(),
            teams,
            metadata: wire::SessionUserMetadata {
                user_object: wire::SessionUserObject { username: actor.slug.clone() },
            },
        },
        tenant_info: wire::SessionTenant { tenant_name: tenant },
    })
}

pub(in crate::http) async fn user_info(call: Call) -> Result<Response, AppError> {
    let (caller, app) = (call.context.caller(), call.context.app());
    let actor = &caller.actor;
    let is_user = actor.kind == "user";
    let teams = own_teams(&call.context).await?;
    ok(&wire::UserInfo {
        id: actor.id.clone(),
        subject_slug: actor.slug.clone(),
        subject_type: view::subject(actor).subject_type,
        subject_pat_name: actor.token_name.clone(),
        subject_external_identity_slug: actor.external_slug.clone(),
        email: is_user.then(|| actor.slug.clone()),
        tenant_name: app.tenant.as_str().to_owned(),
        roles: caller.standing.tenant_roles.clone(),
        teams,
        accounts: vec![wire::SessionAccount { name: "root".into(), id: app.account_id.to_string() }],
        effective_user_id: actor.id.clone(),
    })
}

async fn own_teams(context: &Context) -> Result<Vec<wire::SessionAccount>, AppError> {
    let teams = context.own_teams().await?;
    Ok(teams.into_iter().map(|(name, id)| wire::SessionAccount { name, id }).collect())
}
