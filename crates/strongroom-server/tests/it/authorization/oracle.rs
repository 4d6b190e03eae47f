//! What everybody may do. A new operation is a line here.

use strongroom_api::Operation;

/// What everybody may do, written from the contract and the design: first the eight who have a token, in the order of
/// [`Cast::all`]. `+` says that the answer names the target, `=` that it gives the value.
#[expect(clippy::match_same_arms, reason = "a line for each operation")]
pub(super) fn oracle(operation: Operation, values_hidden: bool) -> &'static str {
    match operation {
        //                                 admin  owner  editor viewer strngr m-edit m-view m-stranger
        Operation::ListSecretGroups => "200+ 200+ 200+ 200+ 200 200+ 200+ 200",
        Operation::CreateSecretGroup => "200 200 200 200 200 403 403 403",
        Operation::ApplySecretGroup => "200+ 200+ 403 403 409 403 403 403",
        Operation::GetSecretGroup => "200+ 200+ 200+ 200+ 404 200+ 200+ 404",
        Operation::UpdateSecretGroup => "200+ 200+ 200+ 403 404 200+ 403 404",
        Operation::DeleteSecretGroup => "200 200 403 403 404 403 403 404",
        Operation::ListSecrets | Operation::GetSecret if values_hidden => "200+ 200+ 200+ 200+ 404 200+= 200+ 404",
        Operation::ListSecrets | Operation::GetSecret => "200+= 200+= 200+= 200+ 404 200+= 200+ 404",
        Operation::DeleteSecret => "200 200 200 403 404 200 403 404",
        Operation::ListSecretVersions => "200+ 200+ 200+ 200+ 404 200+ 200+ 404",
        Operation::GetControlPlaneSecret if values_hidden => "403 403 403 403 404 200= 403 404",
        Operation::GetControlPlaneSecret => "200= 200= 200= 403 404 200= 403 404",
        Operation::ListProviderAccounts | Operation::ListProviderIntegrations => "200 200 200 200 200 200 200 200",
        Operation::Apply => "200+ 200+ 403 403 409 403 403 403",
        Operation::DeleteManifest => "200 200 403 403 404 403 403 404",
        Operation::GetSession | Operation::GetUserInfo => "200 200 200 200 200 200 200 200",
        // People know each other; machines know nobody.
        Operation::ListUsers | Operation::GetUser => "200 200 200 200 200 403 403 403",
        // Of somebody else.
        Operation::ListUserResources | Operation::ListUserPermissions | Operation::ListUserTeams => {
            "200 403 403 403 403 403 403 403"
        }
        Operation::ListTokens => "200 200 200 200 200 403 403 403",
        // The admin's is the first start's; the others have personal access tokens, which make no other.
        Operation::CreateToken => "200 403 403 403 403 403 403 403",
        Operation::DeleteToken => "200 404 404 404 404 404 404 404",
        Operation::AcceptInvitation => "200 200 200 200 200 200 200 200",
        Operation::RegisterUser
        | Operation::DeleteUser
        | Operation::UpdateUserRoles
        | Operation::ActivateUser
        | Operation::DeactivateUser
        | Operation::InviteUser
        | Operation::CreateTokenForUser
        | Operation::RevokeTokensOfUser
        | Operation::ApplyVirtualAccount
        | Operation::GetVirtualAccount
        | Operation::DeleteVirtualAccount
        | Operation::GetVirtualAccountToken
        | Operation::RegenerateVirtualAccountToken
        | Operation::SyncVirtualAccountToken
        | Operation::DeleteVirtualAccountJwt
        | Operation::ListAgents
        | Operation::ApplyAgent
        | Operation::GetAgent
        | Operation::DeleteAgent
        | Operation::GetAgentToken
        | Operation::RegenerateAgentToken => "200 403 403 403 403 403 403 403",
        // With the roles that each has.
        Operation::ListVirtualAccounts => "200+ 403 403 403 403 403 403 403",
        // It has one.
        Operation::CreateAgentToken => "409 403 403 403 403 403 403 403",
        Operation::VirtualAccountExists => "200 200 200 200 200 403 403 403",
        Operation::ListAuditLogs => "200+ 403 403 403 403 403 403 403",
        Operation::ListTrash => "200+ 200+ 200+ 200 200 200+ 200 200",
        // Who can't bring a group back doesn't learn that it was ever there.
        Operation::RestoreSecretGroup => "200+ 200+ 404 404 404 404 404 404",
        Operation::RestoreSecret => "200+ 200+ 200+ 403 404 200+ 403 404",
        Operation::ExplainAccess | Operation::ListReaders => "200 200 403 403 404 403 403 404",
        Operation::DependencyTree | Operation::ListRoleBindings | Operation::RoleBindingExists => {
            "200 200 200 200 200 200 200 200"
        }
        // People see each other and teams; machines don't.
        Operation::ListTeams
        | Operation::GetTeam
        | Operation::ListTeamMembers
        | Operation::ListTeamManagers
        | Operation::ListRoles => "200 200 200 200 200 403 403 403",
        Operation::ApplyTeam | Operation::DeleteTeam => "200 403 403 403 403 403 403 403",
        Operation::ApplyRoleBinding => "200 200 403 403 404 403 403 404",
        Operation::GetRoleBinding | Operation::DeleteRoleBinding => "200 200 404 404 404 404 404 404",
        Operation::ListIdentityProviders | Operation::ApplyIdentityProvider | Operation::DeleteIdentityProvider => {
            "200 403 403 403 403 403 403 403"
        }
        Operation::MinCliVersion
        | Operation::TenantId
        | Operation::Healthz
        | Operation::Readyz
        | Operation::WellKnownJwks
        | Operation::Jwks
        | Operation::OpenApi => "200 200 200 200 200 200 200 200",
    }
}
