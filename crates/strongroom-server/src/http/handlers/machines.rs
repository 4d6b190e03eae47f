//! Virtual accounts, and what all machines have in common with them.

use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::{TokenId, VirtualAccountId};
use strongroom_metadata::MachineKind;

use crate::app::{AppError, ColumnFilter, MachineQuery, Regenerate, Resource};
use crate::http::call::{Call, ok};
use crate::http::view;

const KIND: MachineKind = MachineKind::VirtualAccount;

pub(in crate::http) async fn list(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let wanted = MachineQuery {
        kind: KIND,
        search: query.text("nameSearchQuery").unwrap_or_default(),
        name: None,
        prefix: None,
        teams: query.list("ownedByTeams"),
        is_expired: query.text("isExpired").map(|_| query.flag("isExpired")).transpose()?,
        filter: query.text("filter").map(|text| ColumnFilter::parse(&text, &["name"])).transpose()?,
        offset,
        limit,
    };
    let (found, total) = call.context.list_machines(&wanted).await?;
    let data = found.into_iter().map(|one| view::machine(call.context.app(), one)).collect::<Result<_, _>>()?;
    ok(&wire::ListVirtualAccountsResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn apply(call: Call) -> Result<Response, AppError> {
    let request: wire::ApplyManifestRequest = call.json()?;
    let dry_run = request.dry_run.unwrap_or(false);
    let applied = call.context.apply_virtual_account(&request.manifest, dry_run).await?;
    let data = view::machine(call.context.app(), call.context.machine_view(applied.machine).await?)?;
    ok(&wire::GetVirtualAccountResponse { data, token: applied.token.map(|token| token.0) })
}

pub(in crate::http) async fn exists(call: Call) -> Result<Response, AppError> {
    let exists = call.context.virtual_account_exists(&call.query().required("name")?).await?;
    ok(&wire::ExistsResponse { exists })
}

pub(in crate::http) async fn get(call: Call) -> Result<Response, AppError> {
    let found = call.context.get_machine(KIND, id(&call, KIND)?).await?;
    ok(&wire::GetVirtualAccountResponse { data: view::machine(call.context.app(), found)?, token: None })
}

pub(in crate::http) async fn sync(call: Call) -> Result<Response, AppError> {
    let sync = call.context.sync_machine_token(id(&call, KIND)?, call.query().flag("force")?).await?;
    let now = call.context.app().clock.now();
    ok(&wire::SyncTokenResponse { sync_token_in_secret_store_info: view::sync_info(sync, now) })
}

pub(in crate::http) async fn delete_jwt(call: Call) -> Result<Response, AppError> {
    let account = id(&call, KIND)?;
    let token = call.segments().nth(1).and_then(TokenId::parse);
    let token = token.ok_or(AppError::NotFound(Resource::Token))?;
    call.context.delete_machine_token(account, token).await?;
    ok(&wire::Empty {})
}

pub(in crate::http) async fn delete(call: Call, kind: MachineKind) -> Result<Response, AppError> {
    call.context.delete_machine(kind, id(&call, kind)?).await?;
    ok(&wire::Empty {})
}

pub(in crate::http) async fn token(call: Call, kind: MachineKind) -> Result<Response, AppError> {
    let token = call.context.machine_token(kind, id(&call, kind)?).await?;
    ok(&wire::TokenResponse { token })
}

pub(in crate::http) async fn regenerate(call: Call, kind: MachineKind) -> Result<Response, AppError> {
    let request: wire::RegenerateTokenRequest = call.json()?;
    let expiration = request.expiration_date.filter(|_| kind == MachineKind::AgentIdentity);
    let terms = Regenerate { grace_minutes: request.grace_period_in_minutes, expiration };
    let token = call.context.regenerate_machine_token(kind, id(&call, kind)?, &terms).await?;
    ok(&wire::TokenResponse { token })
}

pub(super) fn id(call: &Call, kind: MachineKind) -> Result<VirtualAccountId, AppError> {
    call.id(VirtualAccountId::parse, AppError::NotFound(kind.into()))
}
