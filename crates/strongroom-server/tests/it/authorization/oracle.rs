//! What everybody may do. A new operation is a line here.

use strongroom_api::{Access, Operation};

/// Of whom each line speaks.
const STATED: [&str; 10] = [
    "tenant admin",
    "group admin",
    "editor",
    "reader",
    "viewer",
    "stranger",
    "machine editor",
    "machine reader",
    "machine viewer",
    "machine stranger",
];

/// Who may do the same as whom, however they come to it.
const SAME: [(&str, &str); 13] = [
    ("tenant admin by PAT", "tenant admin"),
    ("editor elsewhere", "stranger"),
    ("lapsed editor", "stranger"),
    ("admin by team", "group admin"),
    ("editor by team", "editor"),
    ("reader by team", "reader"),
    ("viewer by team", "viewer"),
    ("tenant viewer", "viewer"),
    ("tenant reader", "reader"),
    ("editor by IdP token", "editor"),
    ("machine editor by IdP token", "machine editor"),
    ("agent editor by IdP token", "machine editor"),
    // Whatever they once were.
    ("IdP token of nobody", "nobody"),
];

/// Those without a token that holds.
const WITHOUT_TOKEN: [&str; 5] = ["nobody", "unknown token", "expired token", "deactivated", "revoked token"];

/// What a caller gets: the status; `+` says that the answer names the target, `=` that it gives the value.
pub(super) fn oracle(operation: Operation, caller: &str, values_hidden: bool) -> &'static str {
    // A token that makes tokens would never end.
    if (operation, caller) == (Operation::CreateToken, "tenant admin by PAT") {
        return "403";
    }
    let caller = SAME.iter().find(|(name, _)| *name == caller).map_or(caller, |(_, same)| same);
    if WITHOUT_TOKEN.contains(&caller) {
        return if operation.spec().access == Access::Public { "200" } else { "401" };
    }
    let at = STATED.iter().position(|name| *name == caller).unwrap_or_else(|| panic!("nothing is said of {caller}"));
    let cells: Vec<&str> = stated(operation, values_hidden).split(' ').collect();
    assert_eq!(cells.len(), STATED.len(), "{}", operation.spec().id);
    cells[at]
}

/// The code of an error. Those of a status have the same, but for what is missing.
pub(super) fn code(operation: Operation, status: u16) -> &'static str {
    match (status, operation) {
        (200, _) => "",
        (401, _) => "unauthenticated",
        (403, _) => "forbidden",
        (409, _) => "name_taken",
        (
            404,
            Operation::GetSecret
            | Operation::DeleteSecret
            | Operation::ListSecretVersions
            | Operation::GetControlPlaneSecret
            | Operation::RestoreSecret,
        ) => "secret_not_found",
        (404, Operation::GetOperation) => "operation_not_found",
        (404, Operation::DeleteToken) => "token_not_found",
        (404, Operation::ApplyRoleBinding | Operation::CreateInlineRoleBindings) => "reference_not_found",
        (404, Operation::GetRoleBinding | Operation::DeleteRoleBinding) => "role_binding_not_found",
        _ => "secret_group_not_found",
    }
}

/// The table, written from the contract and the design.
#[expect(clippy::match_same_arms, reason = "a line for each operation")]
fn stated(operation: Operation, values_hidden: bool) -> &'static str {
    match operation {
        // tenant admin, group admin, editor, reader, viewer, stranger; machines: editor, reader, viewer, stranger
        Operation::ListSecretGroups => "200+ 200+ 200+ 200+ 200+ 200 200+ 200+ 200+ 200",
        Operation::CreateSecretGroup => "200 200 200 200 200 200 403 403 403 403",
        Operation::ApplySecretGroup => "200+ 200+ 403 403 403 409 403 403 403 403",
        Operation::GetSecretGroup => "200+ 200+ 200+ 200+ 200+ 404 200+ 200+ 200+ 404",
        Operation::UpdateSecretGroup => "200+ 200+ 200+ 403 403 404 200+ 403 403 404",
        Operation::DeleteSecretGroup => "200 200 403 403 403 404 403 403 403 404",
        Operation::ListSecrets | Operation::GetSecret if values_hidden => {
            "200+ 200+ 200+ 200+ 200+ 404 200+= 200+= 200+ 404"
        }
        Operation::ListSecrets | Operation::GetSecret => "200+= 200+= 200+= 200+= 200+ 404 200+= 200+= 200+ 404",
        Operation::DeleteSecret => "200 200 200 403 403 404 200 403 403 404",
        Operation::ListSecretVersions => "200+ 200+ 200+ 200+ 200+ 404 200+ 200+ 200+ 404",
        Operation::GetControlPlaneSecret if values_hidden => "403 403 403 403 403 404 200= 200= 403 404",
        Operation::GetControlPlaneSecret => "200= 200= 200= 200= 403 404 200= 200= 403 404",
        Operation::ListProviderAccounts | Operation::ListProviderIntegrations => {
            "200 200 200 200 200 200 200 200 200 200"
        }
        Operation::ApplyProviderAccount | Operation::DeleteProviderAccount | Operation::TestProviderIntegration => {
            "200 403 403 403 403 403 403 403 403 403"
        }
        Operation::Apply => "200+ 200+ 403 403 403 409 403 403 403 403",
        Operation::DeleteManifest => "200 200 403 403 403 404 403 403 403 404",
        Operation::GetSession | Operation::GetUserInfo => "200 200 200 200 200 200 200 200 200 200",
        // People know each other; machines know nobody.
        Operation::ListUsers | Operation::GetUser => "200 200 200 200 200 200 403 403 403 403",
        // Of somebody else.
        Operation::ListUserResources | Operation::ListUserPermissions | Operation::ListUserTeams => {
            "200 403 403 403 403 403 403 403 403 403"
        }
        Operation::ListTokens => "200 200 200 200 200 200 403 403 403 403",
        // The admin's is the first start's; the others have personal access tokens, which make no other.
        Operation::CreateToken => "200 403 403 403 403 403 403 403 403 403",
        Operation::DeleteToken => "200 404 404 404 404 404 404 404 404 404",
        Operation::AcceptInvitation => "200 200 200 200 200 200 200 200 200 200",
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
        | Operation::RegenerateAgentToken => "200 403 403 403 403 403 403 403 403 403",
        Operation::Metrics => "200 200 200 200 200 200 200 200 200 200",
        // With the roles that each has.
        Operation::ListVirtualAccounts => "200+ 403 403 403 403 403 403 403 403 403",
        // It has one.
        Operation::CreateAgentToken => "409 403 403 403 403 403 403 403 403 403",
        Operation::VirtualAccountExists => "200 200 200 200 200 200 403 403 403 403",
        Operation::ListAuditLogs => "200+ 403 403 403 403 403 403 403 403 403",
        Operation::ListTrash => "200+ 200+ 200+ 200 200 200 200+ 200 200 200",
        // Who can't bring a group back doesn't learn that it was ever there.
        Operation::RestoreSecretGroup => "200+ 200+ 404 404 404 404 404 404 404 404",
        Operation::RestoreSecret => "200+ 200+ 200+ 403 403 404 200+ 403 403 404",
        Operation::GetOperation => "200+ 200+ 200+ 200+ 200+ 404 200+ 200+ 200+ 404",
        Operation::ExplainAccess | Operation::ListReaders => "200 200 403 403 403 404 403 403 403 404",
        Operation::DependencyTree | Operation::ListRoleBindings | Operation::RoleBindingExists => {
            "200 200 200 200 200 200 200 200 200 200"
        }
        // People see each other and teams; machines don't.
        Operation::ListTeams
        | Operation::GetTeam
        | Operation::ListTeamMembers
        | Operation::ListTeamManagers
        | Operation::ListRoles => "200 200 200 200 200 200 403 403 403 403",
        // Who sees a group sees that a team has a role on it; people see that there is the team.
        Operation::ListTeamPermissions => "200+ 200+ 200+ 200+ 200+ 200 403 403 403 403",
        Operation::ApplyTeam | Operation::DeleteTeam => "200 403 403 403 403 403 403 403 403 403",
        Operation::ApplyRoleBinding | Operation::CreateInlineRoleBindings => "200 200 403 403 403 404 403 403 403 404",
        // Of a group.
        Operation::GenerateRoleBindingManifests => "200 200 403 403 403 404 403 403 403 404",
        Operation::GetRoleBinding | Operation::DeleteRoleBinding => "200 200 404 404 404 404 404 404 404 404",
        Operation::ListIdentityProviders | Operation::ApplyIdentityProvider | Operation::DeleteIdentityProvider => {
            "200 403 403 403 403 403 403 403 403 403"
        }
        Operation::MinCliVersion
        | Operation::TenantId
        | Operation::Healthz
        | Operation::Readyz
        | Operation::WellKnownJwks
        | Operation::Jwks
        | Operation::OpenApi => "200 200 200 200 200 200 200 200 200 200",
    }
}
