use super::*;

pub(in crate::operation) const MIN_CLI_VERSION: OperationSpec = OperationSpec {
    id: "Cli.minVersion",
    path: "/api/svc/v1/min-cli-version",
    tag: "Users",
    access: Access::Public,
    summary: "The oldest command line that the server takes",
    response: schema::<wire::MinCliVersion>,
    ..DEFAULTS
};

pub(in crate::operation) const TENANT_ID: OperationSpec = OperationSpec {
    id: "Tenant.id",
    path: "/api/svc/v1/tenant-id",
    tag: "Users",
    access: Access::Public,
    summary: "The tenant of a host",
    parameters: &[query("hostName", "The host; this server has one tenant on every host")],
    response: schema::<wire::TenantId>,
    ..DEFAULTS
};

pub(in crate::operation) const GET_SESSION: OperationSpec = OperationSpec {
    id: "Session.get",
    path: "/api/svc/v1/session",
    tag: "Users",
    summary: "Whom the token belongs to, for the command line",
    response: schema::<wire::SessionResponse>,
    ..DEFAULTS
};

pub(in crate::operation) const GET_USER_INFO: OperationSpec = OperationSpec {
    id: "User.info",
    path: "/api/svc/v1/x/users/info",
    tag: "Users",
    summary: "Whom the token belongs to",
    response: schema::<wire::UserInfo>,
    ..DEFAULTS
};
