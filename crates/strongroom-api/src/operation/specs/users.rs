use super::*;

const NO_USER: (u16, &str) = (404, "There is no such person.");
const NO_DIRECTORY: (u16, &str) = (403, "Machines see no people, unless a role with `user:read` lets them.");
const SELF_ONLY: (u16, &str) = (403, "Only the person and tenant admins.");
const LAST_ADMIN: (u16, &str) = (422, "A field is wrong, or the tenant would have no active admin any more.");
const TENANT_NAME: Parameter = query("tenantName", "The tenant; this server has one");

pub(in crate::operation) const LIST_USERS: OperationSpec = OperationSpec {
    id: "User.list",
    path: "/api/svc/v1/users",
    tag: "Users",
    summary: "List people",
    description: "Newest first. For people, and for machines with `user:read`.",
    parameters: &[
        LIMIT,
        OFFSET,
        query("query", "Only those whose address contains this"),
        Parameter { name: "showInvalidUsers", kind: ParameterKind::Boolean, description: "Deactivated people, too" },
    ],
    response: schema::<wire::ListUsersResponse>,
    errors: &[NO_DIRECTORY, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const GET_USER: OperationSpec = OperationSpec {
    id: "User.get",
    path: "/api/svc/v1/users/{id}",
    tag: "Users",
    summary: "Get a person",
    response: schema::<wire::GetUserResponse>,
    errors: &[NO_DIRECTORY, NO_USER],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_USER: OperationSpec = OperationSpec {
    id: "User.delete",
    method: Method::Delete,
    path: "/api/svc/v1/users/{id}",
    tag: "Users",
    summary: "Remove a person",
    description: "With their tokens and invitations. Who is still a collaborator of a secret group, in a team or has a role \
        on something is not removed unless with `forceDelete`, which takes all that. What they did stays on record, and \
        manifests go on showing their name.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    parameters: &[
        TENANT_NAME,
        Parameter {
            name: "forceDelete",
            kind: ParameterKind::Boolean,
            description: "Take away what is granted to the person, too",
        },
    ],
    response: schema::<wire::Empty>,
    errors: &[ADMINS_ONLY, NO_USER, (422, "The person is still granted something, or is the last active admin.")],
    ..DEFAULTS
};

pub(in crate::operation) const UPDATE_USER_ROLES: OperationSpec = OperationSpec {
    id: "User.updateRoles",
    method: Method::Patch,
    path: "/api/svc/v1/users/roles",
    tag: "Users",
    summary: "Set a person's role in the tenant",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::UpdateUserRolesRequest>),
    response: schema::<wire::GetUserResponse>,
    errors: &[ADMINS_ONLY, (404, "There is no such person, or no such role."), LAST_ADMIN],
    ..DEFAULTS
};

pub(in crate::operation) const ACTIVATE_USER: OperationSpec = OperationSpec {
    id: "User.activate",
    method: Method::Patch,
    path: "/api/svc/v1/users/activate",
    tag: "Users",
    summary: "Let a deactivated person act again",
    description: "Their tokens work again.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::UserActivationRequest>),
    response: schema::<wire::GetUserResponse>,
    errors: &[ADMINS_ONLY, NO_USER],
    ..DEFAULTS
};

pub(in crate::operation) const DEACTIVATE_USER: OperationSpec = OperationSpec {
    id: "User.deactivate",
    method: Method::Patch,
    path: "/api/svc/v1/users/deactivate",
    tag: "Users",
    summary: "Let a person act no more",
    description: "Their tokens stop at once, and on the other replicas of a server within a second. They are kept, as is what \
        the person was granted.",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::UserActivationRequest>),
    response: schema::<wire::GetUserResponse>,
    errors: &[ADMINS_ONLY, NO_USER, LAST_ADMIN],
    ..DEFAULTS
};

pub(in crate::operation) const INVITE_USER: OperationSpec = OperationSpec {
    id: "User.invite",
    method: Method::Post,
    path: "/api/svc/v1/users/invite",
    tag: "Users",
    summary: "Make a link that gives a registered person a token",
    description: "It works once, for seven days; a new one ends the older. No mail is sent. The code is in the link's fragment, \
        which browsers send to no server; the page trades it at `/api/v1/invitations/accept`. Whoever has the link can act \
        as the person. For oneself only where one could make a token oneself (`PersonalAccessToken.create`).",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::InviteUserRequest>),
    response: schema::<wire::InviteUserResponse>,
    errors: &[ADMINS_ONLY, NO_USER, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const ACCEPT_INVITATION: OperationSpec = OperationSpec {
    id: "Invitation.accept",
    method: Method::Post,
    path: "/api/v1/invitations/accept",
    tag: "Users",
    summary: "Trade an invitation's code for a token",
    description: "The code is what authenticates, and works once. The token is shown this once.",
    access: Access::Public,
    audit: AuditMode::Change,
    request: Some(schema::<wire::AcceptInvitationRequest>),
    response: schema::<wire::TokenResponse>,
    errors: &[
        (401, "The code is wrong, used or expired."),
        (409, "A living token of the person has this name; the code still works."),
        BAD_INPUT,
    ],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_USER_RESOURCES: OperationSpec = OperationSpec {
    id: "User.listResources",
    path: "/api/svc/v1/x/users/{id}/resources",
    tag: "Users",
    summary: "What names a person as a collaborator",
    response: schema::<wire::GetUserResourcesResponse>,
    errors: &[SELF_ONLY, NO_USER],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_USER_PERMISSIONS: OperationSpec = OperationSpec {
    id: "User.listPermissions",
    path: "/api/svc/v1/x/users/{id}/permissions",
    tag: "Users",
    summary: "The roles that a person has, of their own and through teams",
    response: schema::<wire::GetUserPermissionsResponse>,
    errors: &[SELF_ONLY, NO_USER],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_USER_TEAMS: OperationSpec = OperationSpec {
    id: "User.listTeams",
    path: "/api/svc/v1/x/users/{id}/teams",
    tag: "Users",
    summary: "The teams that a person is in or manages",
    response: schema::<wire::GetUserTeamsResponse>,
    errors: &[SELF_ONLY, NO_USER],
    ..DEFAULTS
};

pub(in crate::operation) const REGISTER_USER: OperationSpec = OperationSpec {
    id: "User.register",
    method: Method::Post,
    path: "/api/svc/v1/users/register",
    tag: "Users",
    summary: "Register a person",
    description: "As a member of the tenant. No mail is sent. For tenant admins, and roles with `user:register`.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::RegisterUserRequest>),
    response: schema::<wire::RegisterUserResponse>,
    errors: &[(403, "The caller may not register people."), (409, "The address is registered."), BAD_INPUT],
    ..DEFAULTS
};
