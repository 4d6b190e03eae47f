//! Wire types, by resource. Field names are the contract's; the first line of a doc comment is its description.

mod access;
mod audit;
mod common;
mod identity;
mod machines;
mod manifests;
mod object;
mod operation;
mod policy;
mod provider;
mod secret;
mod secret_group;
mod tokens;
mod trash;
mod users;

pub use access::{AccessDecision, AccessGrant, AccessSource, ExplainAccessResponse, ListReadersResponse, Reader};
pub use audit::{AuditEvent, ListAuditEventsResponse};
pub use common::{Empty, Pagination, Status, Subject, SubjectType};
pub use identity::{
    MinCliVersion, SessionAccount, SessionResponse, SessionSubject, SessionTenant, SessionUser, SessionUserMetadata,
    SessionUserObject, TenantId, UserInfo,
};
pub use machines::{
    Agent, CreateAgentTokenRequest, GetAgentResponse, GetVirtualAccountResponse, Jwt, ListAgentsResponse,
    ListVirtualAccountsResponse, RegenerateTokenRequest, RoleWithResource, SyncTokenInfo, SyncTokenResponse,
    VirtualAccount,
};
pub use manifests::{
    AgentIdentity, ApplyManifestRequest, ApplyResponse, DeleteManifestRequest, DependencyTreeRequest,
    DependencyTreeResponse, Entity, ResourceDependencies, ResourceName,
};
pub use object::Object;
pub use operation::{GetOperationResponse, OperationKey, StoreOperation};
pub use policy::{
    CreateInlineRoleBindingsRequest, CreateInlineRoleBindingsResponse, ExistsResponse,
    GenerateRoleBindingManifestsResponse, GetIdentityProviderResponse, GetRoleBindingResponse,
    GetTeamPermissionsResponse, GetTeamResponse, IdentityProvider, InlineRoleBinding, ListIdentityProvidersResponse,
    ListRoleBindingsResponse, ListRolesResponse, ListTeamSubjectsResponse, ListTeamsResponse, Role, RoleBinding, Team,
    TeamSubject,
};
pub use provider::{
    ConnectionCheck, GetProviderAccountResponse, ListProviderAccountsResponse, ListProviderIntegrationsResponse,
    ProviderAccount, ProviderIntegration, TestProviderIntegrationResponse,
};
pub use secret::{
    ControlPlaneSecret, GetSecretResponse, ListSecretVersionsResponse, ListSecretsRequest, ListSecretsResponse, Secret,
    SecretVersion,
};
pub use secret_group::{
    ApplySecretGroupRequest, CreateSecretGroupRequest, DroppedSecret, GetSecretGroupResponse, ListSecretGroupsResponse,
    SecretGroup, SecretInput, UpdateSecretGroupRequest, UpdateSecretGroupResponse, UpdateSecretInput,
};
pub use tokens::{
    CreateTokenForUserRequest, CreateTokenRequest, ListTokensResponse, PersonalAccessToken, RevokeTokensRequest,
    TokenManifest, TokenResponse,
};
pub use trash::{DeletedGroup, DeletedSecret, RestoreSecretGroupRequest, RestoreSecretRequest, TrashResponse};
pub use users::{
    AcceptInvitationRequest, GetUserPermissionsResponse, GetUserResourcesResponse, GetUserResponse,
    GetUserTeamsResponse, InviteUserRequest, InviteUserResponse, ListUsersResponse, RegisterUserRequest,
    RegisterUserResponse, SubjectPermission, UpdateUserRolesRequest, User, UserActivationRequest, UserMetadata,
    UserResource, UserTeam,
};
