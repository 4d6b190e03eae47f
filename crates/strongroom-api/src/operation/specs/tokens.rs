use super::*;

pub(in crate::operation) const CREATE_TOKEN_FOR_USER: OperationSpec = OperationSpec {
    id: "PersonalAccessToken.createForUser",
    method: Method::Post,
    path: "/api/svc/v1/personal-access-tokens/for-user",
    tag: "Personal Access Tokens",
    summary: "Make a token for a person",
    description: "The token is shown this once; only its hash is kept.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::CreateTokenForUserRequest>),
    response: schema::<wire::TokenResponse>,
    errors: &[ADMINS_ONLY, (404, "There is no such person."), BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const REVOKE_TOKENS_OF_USER: OperationSpec = OperationSpec {
    id: "PersonalAccessToken.revokeAll",
    method: Method::Delete,
    path: "/api/svc/v1/personal-access-tokens/revoke/all",
    tag: "Personal Access Tokens",
    summary: "End all tokens of a person",
    description: "They stop working at once, and on the other replicas of a server within a second.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::RevokeTokensRequest>),
    response: schema::<wire::Empty>,
    errors: &[ADMINS_ONLY, (404, "There is no such person."), BAD_INPUT],
    ..DEFAULTS
};
