use super::*;

const NO_TEAM: (u16, &str) = (404, "There is no such team.");
const NO_BINDING: (u16, &str) = (404, "There is no such role binding, or the caller manages none of what it is about.");
const NO_PROVIDER: (u16, &str) = (404, "There is no such identity provider.");
const NAME: Parameter =
    Parameter { name: "name", kind: ParameterKind::RequiredText, description: "The name to look for" };
const SEARCH: Parameter = query("filter", "Only those whose name contains this, without case");

pub(in crate::operation) const LIST_TEAMS: OperationSpec = OperationSpec {
    id: "Team.list",
    path: "/api/svc/v1/teams/user",
    tag: "Teams",
    summary: "List teams",
    description: "For people, and for machines with the permission `user:read`.",
    parameters: &[
        LIMIT,
        OFFSET,
        query("role", "`manager`: only teams that the caller manages"),
        Parameter { name: "attributes", kind: ParameterKind::List, description: "Taken; every field comes" },
        Parameter {
            name: "includeMembership",
            kind: ParameterKind::Boolean,
            description: "`false`: without the lists of members; default true",
        },
    ],
    response: schema::<wire::ListTeamsResponse>,
    errors: &[MAY_NOT, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const APPLY_TEAM: OperationSpec = OperationSpec {
    id: "Team.put",
    method: Method::Put,
    path: "/api/svc/v1/teams",
    tag: "Teams",
    summary: "Create or update a team by its manifest",
    description: "Its managers may change its members; who manages it is for tenant admins to say, and for whoever makes it.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::ApplyManifestRequest>),
    response: schema::<wire::GetTeamResponse>,
    errors: &[MAY_NOT, (404, "A member is not registered."), BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const GET_TEAM: OperationSpec = OperationSpec {
    id: "Team.get",
    path: "/api/svc/v1/teams/{id}",
    tag: "Teams",
    summary: "Get a team",
    response: schema::<wire::GetTeamResponse>,
    errors: &[MAY_NOT, NO_TEAM],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_TEAM: OperationSpec = OperationSpec {
    id: "Team.delete",
    method: Method::Delete,
    path: "/api/svc/v1/teams/{id}",
    tag: "Teams",
    summary: "Delete a team",
    description: "With everything that it was granted.",
    audit: AuditMode::Change,
    errors: &[MAY_NOT, NO_TEAM],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_TEAM_MEMBERS: OperationSpec = OperationSpec {
    id: "Team.listMembers",
    path: "/api/svc/v1/teams/{id}/members",
    tag: "Teams",
    summary: "List the members of a team",
    parameters: &[LIMIT, OFFSET],
    response: schema::<wire::ListTeamSubjectsResponse>,
    errors: &[MAY_NOT, NO_TEAM, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_TEAM_MANAGERS: OperationSpec = OperationSpec {
    id: "Team.listManagers",
    path: "/api/svc/v1/teams/{id}/managers",
    tag: "Teams",
    summary: "List the managers of a team",
    parameters: &[LIMIT, OFFSET],
    response: schema::<wire::ListTeamSubjectsResponse>,
    errors: &[MAY_NOT, NO_TEAM, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_TEAM_PERMISSIONS: OperationSpec = OperationSpec {
    id: "Team.listPermissions",
    path: "/api/svc/v1/teams/{id}/permissions",
    tag: "Teams",
    summary: "List the roles that a team has",
    description: "On secret groups that the caller sees, and on everything else; the team's managers see all of them.",
    response: schema::<wire::GetTeamPermissionsResponse>,
    errors: &[MAY_NOT, NO_TEAM],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_ROLES: OperationSpec = OperationSpec {
    id: "Role.list",
    path: "/api/svc/v1/roles",
    tag: "Roles",
    summary: "List roles",
    description: "The built-in ones and the tenant's own. Apply a manifest of type `role` to make or change one.",
    parameters: &[LIMIT, OFFSET],
    response: schema::<wire::ListRolesResponse>,
    errors: &[MAY_NOT, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_ROLE_BINDINGS: OperationSpec = OperationSpec {
    id: "RoleBinding.list",
    path: "/api/svc/v1/role-bindings",
    tag: "Role Bindings",
    summary: "List role bindings",
    description: "Those whose resources the caller manages, all of them.",
    parameters: &[LIMIT, OFFSET, SEARCH],
    response: schema::<wire::ListRoleBindingsResponse>,
    errors: &[BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const APPLY_ROLE_BINDING: OperationSpec = OperationSpec {
    id: "RoleBinding.put",
    method: Method::Put,
    path: "/api/svc/v1/role-bindings",
    tag: "Role Bindings",
    summary: "Create or update a role binding by its manifest",
    description: "For those who manage everything that it is about, before and after.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::ApplyManifestRequest>),
    response: schema::<wire::GetRoleBindingResponse>,
    errors: &[MAY_NOT, (404, "A subject or resource does not exist."), BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const CREATE_INLINE_ROLE_BINDINGS: OperationSpec = OperationSpec {
    id: "RoleBinding.createInline",
    method: Method::Post,
    path: "/api/svc/v1/role-bindings/inline",
    tag: "Role Bindings",
    summary: "Create a role binding of each of a list of roles",
    description: "All or none. For those who manage everything that they are about. Each is named after what it grants, so that \
        the same role for the same subject is one binding, however often it is asked for.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::CreateInlineRoleBindingsRequest>),
    response: schema::<wire::CreateInlineRoleBindingsResponse>,
    errors: &[
        MAY_NOT,
        (404, "A subject or resource does not exist."),
        (409, "A role binding of such a name grants something else."),
        BAD_INPUT,
    ],
    ..DEFAULTS
};

pub(in crate::operation) const GENERATE_ROLE_BINDING_MANIFESTS: OperationSpec = OperationSpec {
    id: "RoleBinding.generateManifest",
    path: "/api/svc/v1/role-bindings/generate-manifest",
    tag: "Role Bindings",
    summary: "Write the roles on a resource, or of a subject, as manifests of role bindings",
    description: "Takes `resourceType` and `resourceId`, or `subjectType` and `subjectId`. Applied, the manifests give every role \
        that holds now, whatever gives it. One for each role; more where roles end at different times or there are very many. On a secret \
        group for those who manage it, on anything else for tenant admins; of a subject for them and tenant admins.",
    parameters: &[
        query("resourceType", "`secret-group`, `provider-integration`, `provider-account`, `team` or `account`"),
        query("resourceId", "The resource's id"),
        query("subjectType", "`user`, `team`, `virtualaccount` or `agent`"),
        query("subjectId", "The subject's id"),
        Parameter {
            name: "includeOnlyTenantRoles",
            kind: ParameterKind::Boolean,
            description: "`true`: of a subject's roles only those in the tenant",
        },
    ],
    response: schema::<wire::GenerateRoleBindingManifestsResponse>,
    errors: &[MAY_NOT, (404, "There is no such resource or subject, or the caller may not see it."), BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const ROLE_BINDING_EXISTS: OperationSpec = OperationSpec {
    id: "RoleBinding.exists",
    path: "/api/svc/v1/role-bindings/exists",
    tag: "Role Bindings",
    summary: "Whether the name of a role binding is in use",
    parameters: &[NAME],
    response: schema::<wire::ExistsResponse>,
    errors: &[BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const GET_ROLE_BINDING: OperationSpec = OperationSpec {
    id: "RoleBinding.get",
    path: "/api/svc/v1/role-bindings/{id}",
    tag: "Role Bindings",
    summary: "Get a role binding",
    response: schema::<wire::GetRoleBindingResponse>,
    errors: &[NO_BINDING],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_ROLE_BINDING: OperationSpec = OperationSpec {
    id: "RoleBinding.delete",
    method: Method::Delete,
    path: "/api/svc/v1/role-bindings/{id}",
    tag: "Role Bindings",
    summary: "Delete a role binding, and with it what it grants",
    audit: AuditMode::Change,
    errors: &[NO_BINDING],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_IDENTITY_PROVIDERS: OperationSpec = OperationSpec {
    id: "IdentityProvider.list",
    path: "/api/v1/identity-providers",
    tag: "Identity Providers",
    summary: "List the identity providers whose tokens are taken",
    access: Access::TenantAdmin,
    parameters: &[LIMIT, OFFSET],
    response: schema::<wire::ListIdentityProvidersResponse>,
    errors: &[ADMINS_ONLY, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const APPLY_IDENTITY_PROVIDER: OperationSpec = OperationSpec {
    id: "IdentityProvider.put",
    method: Method::Put,
    path: "/api/v1/identity-providers",
    tag: "Identity Providers",
    summary: "Create or update an identity provider by its manifest",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    request: Some(schema::<wire::ApplyManifestRequest>),
    response: schema::<wire::GetIdentityProviderResponse>,
    errors: &[ADMINS_ONLY, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_IDENTITY_PROVIDER: OperationSpec = OperationSpec {
    id: "IdentityProvider.delete",
    method: Method::Delete,
    path: "/api/v1/identity-providers/{id}",
    tag: "Identity Providers",
    summary: "Delete an identity provider: its tokens are taken no more",
    access: Access::TenantAdmin,
    audit: AuditMode::Change,
    errors: &[ADMINS_ONLY, NO_PROVIDER, IN_USE],
    ..DEFAULTS
};
