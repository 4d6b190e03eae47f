use super::*;

const NO_AGENT: (u16, &str) = (404, "There is no such agent.");
const MAPPED: (u16, &str) = (422, "The agent has no tokens from here: identity providers say who it is.");

pub(in crate::operation) const LIST_AGENTS: OperationSpec = OperationSpec {
    id: "Agent.list",
    path: "/api/svc/v1/agents",
    tag: "Agents",
    summary: "List the identities of agents",
    description: "Newest first.",
    access: Access::TenantAdmin,
    parameters: &[
        LIMIT,
        OFFSET,
        query("name", "Only the one with this name"),
        query("namePrefix", "Only those whose name begins with this; not acted on beside `name`"),
        query("type", "Anything but `agent-identity` finds nothing"),
    ],
    response: schema::<wire::ListAgentsResponse>,
    errors: &[ADMINS_ONLY, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const APPLY_AGENT: OperationSpec = OperationSpec {
    id: "Agent.put",
    method: Method::Put,
    path: "/api/svc/v1/agents",
    tag: "Agents",
    summary: "Create or update an agent's identity by its manifest",
    description: "Of type `agent-identity`; this server runs no agents. The match is by name. The token is in the answer that made it.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::ApplyManifestRequest>),
    response: schema::<wire::GetAgentResponse>,
    errors: &[
        (400, "The manifest is of another type."),
        ADMINS_ONLY,
        (404, "Something that the manifest names does not exist."),
        BAD_INPUT,
    ],
    ..DEFAULTS
};

pub(in crate::operation) const GET_AGENT: OperationSpec = OperationSpec {
    id: "Agent.get",
    path: "/api/svc/v1/agents/{id}",
    tag: "Agents",
    summary: "Get an agent's identity",
    access: Access::TenantAdmin,
    response: schema::<wire::GetAgentResponse>,
    errors: &[ADMINS_ONLY, NO_AGENT],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_AGENT: OperationSpec = OperationSpec {
    id: "Agent.delete",
    method: Method::Delete,
    path: "/api/svc/v1/agents/{id}",
    tag: "Agents",
    summary: "Delete an agent's identity",
    description: "With its tokens and everything that it was granted.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    errors: &[ADMINS_ONLY, NO_AGENT],
    ..DEFAULTS
};

pub(in crate::operation) const GET_AGENT_TOKEN: OperationSpec = OperationSpec {
    id: "Agent.getToken",
    path: "/api/svc/v1/agents/{id}/token",
    tag: "Agents",
    summary: "Get the current token of an agent again",
    access: Access::TenantAdmin,
    audit: AuditMode::Reveal,
    response: schema::<wire::TokenResponse>,
    errors: &[
        ADMINS_ONLY,
        (404, "There is no such agent, or it has no token that works."),
        (422, "The token can't be shown again; the message says why."),
    ],
    ..DEFAULTS
};

pub(in crate::operation) const CREATE_AGENT_TOKEN: OperationSpec = OperationSpec {
    id: "Agent.createToken",
    method: Method::Post,
    path: "/api/svc/v1/agents/{id}/token",
    tag: "Agents",
    summary: "Make a token for an agent that has none",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::CreateAgentTokenRequest>),
    response: schema::<wire::TokenResponse>,
    errors: &[ADMINS_ONLY, NO_AGENT, (409, "It has a token that works: get that one."), MAPPED],
    ..DEFAULTS
};

pub(in crate::operation) const REGENERATE_AGENT_TOKEN: OperationSpec = OperationSpec {
    id: "Agent.regenerateToken",
    method: Method::Post,
    path: "/api/svc/v1/agents/{id}/regenerate-token",
    tag: "Agents",
    summary: "Make a new token for an agent",
    description: "Older tokens end after the grace period at the latest; 0 ends them at once.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::RegenerateTokenRequest>),
    response: schema::<wire::TokenResponse>,
    errors: &[ADMINS_ONLY, NO_AGENT, MAPPED],
    ..DEFAULTS
};
