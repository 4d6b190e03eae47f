//! Identities of agents.

use axum::response::Response;
use strongroom_api::wire;
use strongroom_domain::VirtualAccountId;
use strongroom_metadata::MachineKind;

use crate::app::{AppError, MachineQuery, MachineView, Regenerate, Resource};
use crate::http::call::{Call, ok};
use crate::http::view;

const KIND: MachineKind = MachineKind::AgentIdentity;

pub(in crate::http) async fn list(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let wanted = MachineQuery {
        kind: KIND,
        search: String::new(),
        name: query.text("name"),
        prefix: query.text("namePrefix"),
        teams: Vec::new(),
        is_expired: None,
        offset,
        limit,
    };
    // Agents of other types run elsewhere.
    let known = query.text("type").is_none_or(|kind| kind == KIND.id());
    let (found, total) = if known { call.context.list_machines(&wanted).await? } else { (Vec::new(), 0) };
    let data = found.into_iter().map(|one| view::agent(call.context.app(), one)).collect::<Result<_, _>>()?;
    ok(&wire::ListAgentsResponse { data, pagination: view::pagination(total, offset, limit) })
}

pub(in crate::http) async fn apply(call: Call) -> Result<Response, AppError> {
    let request: wire::ApplyManifestRequest = call.json()?;
    let dry_run = request.dry_run.unwrap_or(false);
    let applied = call.context.apply_agent_identity(&request.manifest, dry_run).await?;
    let found = call.context.machine_view(applied.machine).await?;
    let data = view::agent(call.context.app(), found)?;
    ok(&wire::GetAgentResponse { data, token: applied.token.map(|token| token.0) })
}

pub(in crate::http) async fn get(call: Call) -> Result<Response, AppError> {
    let found: MachineView = call.context.get_machine(KIND, id(&call)?).await?;
    ok(&wire::GetAgentResponse { data: view::agent(call.context.app(), found)?, token: None })
}

pub(in crate::http) async fn delete(call: Call) -> Result<Response, AppError> {
    call.context.delete_machine(KIND, id(&call)?).await?;
    ok(&wire::Empty {})
}

pub(in crate::http) async fn token(call: Call) -> Result<Response, AppError> {
    let token = call.context.machine_token(KIND, id(&call)?).await?;
    ok(&wire::TokenResponse { token })
}

pub(in crate::http) async fn create_token(call: Call) -> Result<Response, AppError> {
    let request: wire::CreateAgentTokenRequest = call.optional_json()?;
    let token = call.context.create_machine_token(KIND, id(&call)?, request.expiration_date.as_deref()).await?;
    ok(&wire::TokenResponse { token })
}

pub(in crate::http) async fn regenerate(call: Call) -> Result<Response, AppError> {
    let request: wire::RegenerateTokenRequest = call.json()?;
    let terms = Regenerate { grace_minutes: request.grace_period_in_minutes, expiration: request.expiration_date };
    let token = call.context.regenerate_machine_token(KIND, id(&call)?, &terms).await?;
    ok(&wire::TokenResponse { token })
}

fn id(call: &Call) -> Result<VirtualAccountId, AppError> {
    call.id(VirtualAccountId::parse, AppError::NotFound(Resource::Agent))
}
