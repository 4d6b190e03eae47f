use super::*;

const NAME_TAKEN: (u16, &str) = (409, "A living token of the person has this name.");

pub(in crate::operation) const LIST_TOKENS: OperationSpec = OperationSpec {
    id: "PersonalAccessToken.list",
    path: "/api/svc/v1/personal-access-tokens",
    tag: "Personal Access Tokens",
    summary: "List one's own tokens",
    description: "Newest first, without those that were revoked; never the tokens themselves.",
    parameters: &[LIMIT, OFFSET, query("nameSearchQuery", "Only those whose name contains this")],
    response: schema::<wire::ListTokensResponse>,
    errors: &[(403, "Machines have no tokens of this kind."), BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const CREATE_TOKEN: OperationSpec = OperationSpec {
    id: "PersonalAccessToken.create",
    method: Method::Post,
    path: "/api/svc/v1/personal-access-tokens",
    tag: "Personal Access Tokens",
    summary: "Make a token for oneself",
    description: "With the first start's token only, or one of `strongroom admin-token`: what is made with a stolen one, or with one \
        of an identity provider, would outlive its end. The token is shown this once; only its hash is kept.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::CreateTokenRequest>),
    response: schema::<wire::TokenResponse>,
    errors: &[
        (403, "The caller is a machine, or uses a personal access token or one of an identity provider."),
        NAME_TAKEN,
        BAD_INPUT,
    ],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_TOKEN: OperationSpec = OperationSpec {
    id: "PersonalAccessToken.delete",
    method: Method::Delete,
    path: "/api/svc/v1/personal-access-tokens/{id}",
    tag: "Personal Access Tokens",
    summary: "End a token",
    description: "One's own, or anybody's as a tenant admin. It stops working at once, and on the other replicas of a server \
        within a second.",
    audit: AuditMode::Change,
    response: schema::<wire::Empty>,
    errors: &[(404, "There is no such token, or it is somebody else's.")],
    ..DEFAULTS
};

pub(in crate::operation) const CREATE_TOKEN_FOR_USER: OperationSpec = OperationSpec {
    id: "PersonalAccessToken.createForUser",
    method: Method::Post,
    path: "/api/svc/v1/personal-access-tokens/for-user",
    tag: "Personal Access Tokens",
    summary: "Make a token for a person",
    description: "For oneself only where one could make it oneself (`PersonalAccessToken.create`). The token is shown this once; \
        only its hash is kept.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::CreateTokenForUserRequest>),
    response: schema::<wire::TokenResponse>,
    errors: &[ADMINS_ONLY, (404, "There is no such person."), NAME_TAKEN, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const REVOKE_TOKENS_OF_USER: OperationSpec = OperationSpec {
    id: "PersonalAccessToken.revokeAll",
    method: Method::Delete,
    path: "/api/svc/v1/personal-access-tokens/revoke/all",
    tag: "Personal Access Tokens",
    summary: "End all tokens of a person",
    description: "One's own, or anybody's as a tenant admin, with an open invitation of theirs. They stop working at once, and on the \
        other replicas of a server within a second.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::RevokeTokensRequest>),
    response: schema::<wire::Empty>,
    errors: &[(403, "Only the person and tenant admins."), (404, "There is no such person."), BAD_INPUT],
    ..DEFAULTS
};
