use super::*;

pub(in crate::operation) const APPLY_VIRTUAL_ACCOUNT: OperationSpec = OperationSpec {
    id: "VirtualAccount.put",
    method: Method::Put,
    path: "/api/svc/v1/virtual-accounts",
    tag: "Virtual Accounts",
    summary: "Create or update a virtual account by its manifest",
    description: "The match is by name. The token is in the answer that made the account, and shown this once.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::ApplyVirtualAccountRequest>),
    response: schema::<wire::GetVirtualAccountResponse>,
    errors: &[ADMINS_ONLY, (404, "A secret group that `permissions` names does not exist."), BAD_INPUT],
    ..DEFAULTS
};
