use super::{OperationSpec, specs};

macro_rules! operations {
    ($($name:ident = $spec:path,)+) => {
        /// Everything that can be asked of the server.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is described by its row")]
        pub enum Operation { $($name),+ }

        impl Operation {
            /// Every operation, in the order of the document.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The operation's row.
            #[must_use]
            pub const fn spec(self) -> &'static OperationSpec {
                match self { $(Self::$name => { const SPEC: &OperationSpec = &$spec; SPEC }),+ }
            }
        }
    };
}

operations! {
    ListSecretGroups = specs::secret_groups::LIST_SECRET_GROUPS,
    CreateSecretGroup = specs::secret_groups::CREATE_SECRET_GROUP,
    ApplySecretGroup = specs::secret_groups::APPLY_SECRET_GROUP,
    GetSecretGroup = specs::secret_groups::GET_SECRET_GROUP,
    UpdateSecretGroup = specs::secret_groups::UPDATE_SECRET_GROUP,
    DeleteSecretGroup = specs::secret_groups::DELETE_SECRET_GROUP,
    ListSecrets = specs::secrets::LIST_SECRETS,
    GetSecret = specs::secrets::GET_SECRET,
    DeleteSecret = specs::secrets::DELETE_SECRET,
    ListSecretVersions = specs::secrets::LIST_SECRET_VERSIONS,
    GetControlPlaneSecret = specs::secrets::GET_CONTROL_PLANE_SECRET,
    ListProviderAccounts = specs::providers::LIST_PROVIDER_ACCOUNTS,
    ApplyProviderAccount = specs::providers::APPLY_PROVIDER_ACCOUNT,
    DeleteProviderAccount = specs::providers::DELETE_PROVIDER_ACCOUNT,
    ListProviderIntegrations = specs::providers::LIST_PROVIDER_INTEGRATIONS,
    TestProviderIntegration = specs::providers::TEST_PROVIDER_INTEGRATION,
    Apply = specs::manifests::APPLY,
    DeleteManifest = specs::manifests::DELETE_MANIFEST,
    DependencyTree = specs::manifests::DEPENDENCY_TREE,
    MinCliVersion = specs::session::MIN_CLI_VERSION,
    TenantId = specs::session::TENANT_ID,
    GetSession = specs::session::GET_SESSION,
    GetUserInfo = specs::session::GET_USER_INFO,
    ListUsers = specs::users::LIST_USERS,
    GetUser = specs::users::GET_USER,
    DeleteUser = specs::users::DELETE_USER,
    RegisterUser = specs::users::REGISTER_USER,
    UpdateUserRoles = specs::users::UPDATE_USER_ROLES,
    ActivateUser = specs::users::ACTIVATE_USER,
    DeactivateUser = specs::users::DEACTIVATE_USER,
    InviteUser = specs::users::INVITE_USER,
    AcceptInvitation = specs::users::ACCEPT_INVITATION,
    ListUserResources = specs::users::LIST_USER_RESOURCES,
    ListUserPermissions = specs::users::LIST_USER_PERMISSIONS,
    ListUserTeams = specs::users::LIST_USER_TEAMS,
    ListTokens = specs::tokens::LIST_TOKENS,
    CreateToken = specs::tokens::CREATE_TOKEN,
    CreateTokenForUser = specs::tokens::CREATE_TOKEN_FOR_USER,
    DeleteToken = specs::tokens::DELETE_TOKEN,
    RevokeTokensOfUser = specs::tokens::REVOKE_TOKENS_OF_USER,
    ListVirtualAccounts = specs::virtual_accounts::LIST_VIRTUAL_ACCOUNTS,
    ApplyVirtualAccount = specs::virtual_accounts::APPLY_VIRTUAL_ACCOUNT,
    VirtualAccountExists = specs::virtual_accounts::VIRTUAL_ACCOUNT_EXISTS,
    GetVirtualAccount = specs::virtual_accounts::GET_VIRTUAL_ACCOUNT,
    DeleteVirtualAccount = specs::virtual_accounts::DELETE_VIRTUAL_ACCOUNT,
    GetVirtualAccountToken = specs::virtual_accounts::GET_VIRTUAL_ACCOUNT_TOKEN,
    RegenerateVirtualAccountToken = specs::virtual_accounts::REGENERATE_VIRTUAL_ACCOUNT_TOKEN,
    SyncVirtualAccountToken = specs::virtual_accounts::SYNC_VIRTUAL_ACCOUNT_TOKEN,
    DeleteVirtualAccountJwt = specs::virtual_accounts::DELETE_VIRTUAL_ACCOUNT_JWT,
    ListAgents = specs::agents::LIST_AGENTS,
    ApplyAgent = specs::agents::APPLY_AGENT,
    GetAgent = specs::agents::GET_AGENT,
    DeleteAgent = specs::agents::DELETE_AGENT,
    GetAgentToken = specs::agents::GET_AGENT_TOKEN,
    CreateAgentToken = specs::agents::CREATE_AGENT_TOKEN,
    RegenerateAgentToken = specs::agents::REGENERATE_AGENT_TOKEN,
    WellKnownJwks = specs::keys::WELL_KNOWN_JWKS,
    Jwks = specs::keys::JWKS,
    ListTeams = specs::policies::LIST_TEAMS,
    ApplyTeam = specs::policies::APPLY_TEAM,
    GetTeam = specs::policies::GET_TEAM,
    DeleteTeam = specs::policies::DELETE_TEAM,
    ListTeamMembers = specs::policies::LIST_TEAM_MEMBERS,
    ListTeamManagers = specs::policies::LIST_TEAM_MANAGERS,
    ListTeamPermissions = specs::policies::LIST_TEAM_PERMISSIONS,
    ListRoles = specs::policies::LIST_ROLES,
    ListRoleBindings = specs::policies::LIST_ROLE_BINDINGS,
    ApplyRoleBinding = specs::policies::APPLY_ROLE_BINDING,
    CreateInlineRoleBindings = specs::policies::CREATE_INLINE_ROLE_BINDINGS,
    GenerateRoleBindingManifests = specs::policies::GENERATE_ROLE_BINDING_MANIFESTS,
    RoleBindingExists = specs::policies::ROLE_BINDING_EXISTS,
    GetRoleBinding = specs::policies::GET_ROLE_BINDING,
    DeleteRoleBinding = specs::policies::DELETE_ROLE_BINDING,
    ListIdentityProviders = specs::policies::LIST_IDENTITY_PROVIDERS,
    ApplyIdentityProvider = specs::policies::APPLY_IDENTITY_PROVIDER,
    DeleteIdentityProvider = specs::policies::DELETE_IDENTITY_PROVIDER,
    ListAuditLogs = specs::audit_logs::LIST_AUDIT_LOGS,
    ListTrash = specs::trash::LIST_TRASH,
    RestoreSecretGroup = specs::trash::RESTORE_SECRET_GROUP,
    RestoreSecret = specs::trash::RESTORE_SECRET,
    ExplainAccess = specs::access::EXPLAIN_ACCESS,
    ListReaders = specs::access::LIST_READERS,
    GetOperation = specs::operations::GET_OPERATION,
    Healthz = specs::service::HEALTHZ,
    Readyz = specs::service::READYZ,
    Metrics = specs::service::METRICS,
    OpenApi = specs::service::OPEN_API,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::operation::{Access, AuditMode, Method};

    #[test]
    fn ids_and_routes_are_unique() {
        let ids: HashSet<_> = Operation::ALL.iter().map(|operation| operation.spec().id).collect();
        let routes: HashSet<_> =
            Operation::ALL.iter().map(|operation| (operation.spec().method.name(), operation.spec().path)).collect();
        assert_eq!((ids.len(), routes.len()), (Operation::ALL.len(), Operation::ALL.len()));
    }

    #[test]
    fn what_changes_something_is_audited_and_what_is_public_does_neither() {
        for operation in Operation::ALL {
            let spec = operation.spec();
            // The one that looks at its body and at nothing else.
            let pure = *operation == Operation::DependencyTree;
            assert!(spec.method == Method::Get || pure || spec.audit != AuditMode::None, "{}", spec.id);
            // Who accepts an invitation has no token yet: the code in the body authenticates them.
            let by_code = *operation == Operation::AcceptInvitation;
            assert!(spec.access != Access::Public || by_code || spec.audit == AuditMode::None, "{}", spec.id);
            assert!(!spec.summary.is_empty() && !spec.tag.is_empty(), "{}", spec.id);
        }
    }
}
