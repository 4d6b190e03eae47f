use super::*;

const NO_ACCOUNT: (u16, &str) = (404, "There is no such virtual account.");
const MAPPED: (u16, &str) = (422, "The account has no tokens from here: identity providers say who it is.");

pub(in crate::operation) const LIST_VIRTUAL_ACCOUNTS: OperationSpec = OperationSpec {
    id: "VirtualAccount.list",
    path: "/api/svc/v1/virtual-accounts",
    tag: "Virtual Accounts",
    summary: "List virtual accounts",
    description: "Newest first, each with what is known of its tokens; never the tokens themselves.",
    access: Access::TenantAdmin,
    parameters: &[
        LIMIT,
        OFFSET,
        query("nameSearchQuery", "Only those whose name contains this"),
        Parameter {
            name: "ownedByTeams",
            kind: ParameterKind::List,
            description: "Only those that one of these teams owns",
        },
        Parameter {
            name: "isExpired",
            kind: ParameterKind::Boolean,
            description: "Only those whose tokens have all ended, or only the others",
        },
    ],
    response: schema::<wire::ListVirtualAccountsResponse>,
    errors: &[ADMINS_ONLY, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const APPLY_VIRTUAL_ACCOUNT: OperationSpec = OperationSpec {
    id: "VirtualAccount.put",
    method: Method::Put,
    path: "/api/svc/v1/virtual-accounts",
    tag: "Virtual Accounts",
    summary: "Create or update a virtual account by its manifest",
    description: "The match is by name. The token is in the answer that made it, and shown this once. With \
        `secret_store_config` it is written into a secret group, too.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::ApplyManifestRequest>),
    response: schema::<wire::GetVirtualAccountResponse>,
    errors: &[ADMINS_ONLY, (404, "A secret group that the manifest names does not exist."), BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const VIRTUAL_ACCOUNT_EXISTS: OperationSpec = OperationSpec {
    id: "VirtualAccount.exists",
    path: "/api/svc/v1/virtual-accounts/exists",
    tag: "Virtual Accounts",
    summary: "Whether a virtual account has this name",
    parameters: &[Parameter {
        name: "name",
        kind: ParameterKind::RequiredText,
        description: "Name of the virtual account",
    }],
    response: schema::<wire::ExistsResponse>,
    errors: &[(403, "People only."), BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const GET_VIRTUAL_ACCOUNT: OperationSpec = OperationSpec {
    id: "VirtualAccount.get",
    path: "/api/svc/v1/virtual-accounts/{id}",
    tag: "Virtual Accounts",
    summary: "Get a virtual account",
    access: Access::TenantAdmin,
    response: schema::<wire::GetVirtualAccountResponse>,
    errors: &[ADMINS_ONLY, NO_ACCOUNT],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_VIRTUAL_ACCOUNT: OperationSpec = OperationSpec {
    id: "VirtualAccount.delete",
    method: Method::Delete,
    path: "/api/svc/v1/virtual-accounts/{id}",
    tag: "Virtual Accounts",
    summary: "Delete a virtual account",
    description: "With its tokens and everything that it was granted.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    errors: &[ADMINS_ONLY, NO_ACCOUNT],
    ..DEFAULTS
};

pub(in crate::operation) const GET_VIRTUAL_ACCOUNT_TOKEN: OperationSpec = OperationSpec {
    id: "VirtualAccount.getToken",
    path: "/api/svc/v1/virtual-accounts/{id}/token",
    tag: "Virtual Accounts",
    summary: "Get the current token of a virtual account again",
    description: "A JWT only (`token_type: jwt`). Of an opaque token only the hash is kept: regenerate it.",
    access: Access::TenantAdmin,
    audit: AuditMode::Reveal,
    response: schema::<wire::TokenResponse>,
    errors: &[
        ADMINS_ONLY,
        (404, "There is no such virtual account, or it has no token that works."),
        (422, "The token can't be shown again; the message says why."),
    ],
    ..DEFAULTS
};

pub(in crate::operation) const REGENERATE_VIRTUAL_ACCOUNT_TOKEN: OperationSpec = OperationSpec {
    id: "VirtualAccount.regenerateToken",
    method: Method::Post,
    path: "/api/svc/v1/virtual-accounts/{id}/regenerate-token",
    tag: "Virtual Accounts",
    summary: "Make a new token for a virtual account",
    description: "Older tokens end after the grace period at the latest; 0 ends them at once. With `secret_store_config` the \
        new one is written into its secret group before that.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::RegenerateTokenRequest>),
    response: schema::<wire::TokenResponse>,
    errors: &[ADMINS_ONLY, NO_ACCOUNT, MAPPED],
    ..DEFAULTS
};

pub(in crate::operation) const SYNC_VIRTUAL_ACCOUNT_TOKEN: OperationSpec = OperationSpec {
    id: "VirtualAccount.syncToSecretStore",
    method: Method::Post,
    path: "/api/svc/v1/virtual-accounts/{id}/sync-to-secret-store",
    tag: "Virtual Accounts",
    summary: "Write the token of a virtual account into its secret group",
    description: "Where `secret_store_config` says. A JWT is written again. An opaque token is known to nobody here: with `force` \
        a new one is made and written, and the older ones end 30 days later. A failed write is told in `error`.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    parameters: &[Parameter {
        name: "force",
        kind: ParameterKind::Boolean,
        description: "Write also what is there already",
    }],
    response: schema::<wire::SyncTokenResponse>,
    errors: &[
        ADMINS_ONLY,
        NO_ACCOUNT,
        (422, "It has no `secret_store_config`, or its token is an opaque one that isn't there already."),
    ],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_VIRTUAL_ACCOUNT_JWT: OperationSpec = OperationSpec {
    id: "VirtualAccount.deleteJwt",
    method: Method::Delete,
    path: "/api/svc/v1/virtual-accounts/{id}/jwt/{jwtId}",
    tag: "Virtual Accounts",
    summary: "End one token of a virtual account",
    description: "Of either kind. It stops working at once, and on the other replicas of a server within a second.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    errors: &[ADMINS_ONLY, (404, "There is no such virtual account, or it has no such token.")],
    ..DEFAULTS
};
