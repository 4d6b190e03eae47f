//! Identities of agents.

use axum::response::Response;
use strongroom_api::wire;
use strongroom_metadata::MachineKind;

use super::machines::id;
use crate::app::{AppError, MachineQuery};
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
        filter: None,
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
    let found = call.context.get_machine(KIND, id(&call, KIND)?).await?;
    ok(&wire::GetAgentResponse { data: view::agent(call.context.app(), found)?, token: None })
}

pub(in crate::http) async fn create_token(call: Call) -> Result<Response, AppError> {
    let request: wire::CreateAgentTokenRequest = call.optional_json()?;
    let token = call.context.create_machine_token(KIND, id(&call, KIND)?, request.expiration_date.as_deref()).await?;
    ok(&wire::TokenResponse { token })
}
