use super::*;

pub(in crate::operation) const REGISTER_USER: OperationSpec = OperationSpec {
    id: "User.register",
    method: Method::Post,
    path: "/api/svc/v1/users/register",
    tag: "Users",
    summary: "Register a person",
    description: "As a member of the tenant. No mail is sent.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::RegisterUserRequest>),
    response: schema::<wire::RegisterUserResponse>,
    errors: &[ADMINS_ONLY, (409, "The address is registered."), BAD_INPUT],
    ..DEFAULTS
};
