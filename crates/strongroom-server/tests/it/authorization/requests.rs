//! What each operation is sent, and at what it is aimed. A new operation is an arm of `request`.

use serde_json::{Value, json};
use strongroom_api::Operation;
use strongroom_testkit::{Answer, Client, Crowd, TestApp};

use super::VALUE;
use crate::support::{
    ABSENT, GROUPS, INVITATIONS, SECRETS, TOKENS, TRASH, USERS, group_path, reference_path, secret_id, text, updates,
};

/// What a request is aimed at: a group that everybody has their role on.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) group_id: String,
    pub(super) secret_id: String,
    /// A person of its own, where the operation is about one.
    pub(super) person: Person,
    /// Of the team, role binding, identity provider or provider account that the operation is about.
    pub(super) other_id: String,
}

#[derive(Clone)]
pub(super) struct Person {
    pub(super) email: String,
    pub(super) id: String,
    pub(super) token_id: String,
    /// The code of an invitation.
    pub(super) code: String,
}

impl Person {
    /// Who isn't there, by an id that is none or may be one.
    pub(super) fn absent(id: &str) -> Self {
        Self { email: "nobody@example.com".into(), id: id.into(), token_id: id.into(), code: id.into() }
    }
}

const TEAMS: &str = "/api/svc/v1/teams";
const BINDINGS: &str = "/api/svc/v1/role-bindings";
const ACCOUNTS: &str = "/api/svc/v1/virtual-accounts";
const AGENTS: &str = "/api/svc/v1/agents";
const PROVIDERS: &str = "/api/v1/identity-providers";

const STORES: &str = "/api/svc/v1/provider-accounts";

fn stores(name: &str) -> Value {
    json!({"type": "provider-account/hashicorp", "name": name, "integrations": []})
}

fn team(name: &str) -> Value {
    json!({"type": "team", "name": name, "members": ["shared-stranger@example.com"]})
}

fn account(group: &str) -> Value {
    json!({
        "type": "virtual-account",
        "name": format!("{group}-account"),
        "token_type": "jwt",
        "secret_store_config": {"type": "tfy-secrets", "secret_group": group, "key": "OTHER"},
    })
}

fn agent(name: &str) -> Value {
    json!({"type": "agent-identity", "name": name, "identity": {"type": "truefoundry-backed"}})
}

fn binding(group: &str, which: &str) -> Value {
    json!({
        "type": "role-binding",
        "name": format!("{group}-{which}"),
        "subjects": [{"type": "user", "name": "shared-viewer@example.com"}],
        "permissions": [
            {"resourceType": "secret-group", "resourceFqn": format!("default:{group}"), "role": "secret-group-viewer"},
        ],
    })
}

fn provider(name: &str) -> Value {
    json!({"type": "identity-provider", "name": name, "issuer": "https://idp.example.com", "jwks_uri": "https://idp.example.com/keys"})
}

/// The request that does an operation to a target.
fn request(app: &TestApp, operation: Operation, target: &Target) -> (String, Option<Value>) {
    let Target { name, group_id, secret_id, person, other_id } = target;
    let group = format!("{GROUPS}/{group_id}");
    let secret = format!("{SECRETS}/{secret_id}");
    let mut manifest = app.manifest(name, &[]);
    manifest["ownedBy"] = json!({"account": "other"});
    manifest.as_object_mut().unwrap().remove("collaborators");
    match operation {
        Operation::ListSecretGroups => (format!("{GROUPS}?limit=1000"), None),
        Operation::CreateSecretGroup => {
            let body = json!({"name": format!("{name}-new"), "integrationId": app.integration_id(), "secrets": []});
            (GROUPS.into(), Some(body))
        }
        Operation::ApplySecretGroup => (GROUPS.into(), Some(json!({"manifest": manifest}))),
        Operation::GetSecretGroup | Operation::DeleteSecretGroup => (group, None),
        Operation::UpdateSecretGroup => (group, Some(updates(&[("K", Some("another"))]))),
        Operation::ListSecrets => (SECRETS.into(), Some(json!({"secretGroupId": group_id, "withValue": true}))),
        Operation::GetSecret | Operation::DeleteSecret => (secret, None),
        Operation::ListSecretVersions => (format!("{secret}/versions"), None),
        Operation::GetControlPlaneSecret => (reference_path(&format!("tfy-secret://default:{name}:K")), None),
        Operation::ListProviderAccounts => ("/api/svc/v1/provider-accounts".into(), None),
        Operation::ApplyProviderAccount => (STORES.into(), Some(json!({"manifest": stores(&format!("{name}-new"))}))),
        Operation::DeleteProviderAccount => (format!("{STORES}/{other_id}"), None),
        Operation::TestProviderIntegration => {
            (format!("/api/v1/provider-integrations/{}/test", app.integration_id()), None)
        }
        Operation::ListProviderIntegrations => ("/api/svc/v1/provider-integrations".into(), None),
        Operation::Apply => ("/api/svc/v1/apply".into(), Some(json!({"manifest": manifest}))),
        Operation::DeleteManifest => ("/api/svc/v1/delete".into(), Some(json!({"manifest": manifest}))),
        Operation::MinCliVersion => ("/api/svc/v1/min-cli-version".into(), None),
        Operation::TenantId => ("/api/svc/v1/tenant-id".into(), None),
        Operation::GetSession => ("/api/svc/v1/session".into(), None),
        Operation::GetUserInfo => ("/api/svc/v1/x/users/info".into(), None),
        Operation::ListUsers => (format!("{USERS}?query={}", person.email), None),
        Operation::GetUser | Operation::DeleteUser => (format!("{USERS}/{}", person.id), None),
        Operation::UpdateUserRoles => {
            (format!("{USERS}/roles"), Some(json!({"email": person.email, "roles": ["tenant-admin"]})))
        }
        Operation::ActivateUser => (format!("{USERS}/activate"), Some(json!({"email": person.email}))),
        Operation::DeactivateUser => (format!("{USERS}/deactivate"), Some(json!({"email": person.email}))),
        Operation::InviteUser => {
            let body = json!({"email": person.email, "acceptInviteClientUrl": "https://console.example.com"});
            (format!("{USERS}/invite"), Some(body))
        }
        Operation::AcceptInvitation => (INVITATIONS.into(), Some(json!({"code": person.code}))),
        Operation::ListUserResources => (format!("/api/svc/v1/x/users/{}/resources", person.id), None),
        Operation::ListUserPermissions => (format!("/api/svc/v1/x/users/{}/permissions", person.id), None),
        Operation::ListUserTeams => (format!("/api/svc/v1/x/users/{}/teams", person.id), None),
        Operation::ListTokens => (TOKENS.into(), None),
        Operation::CreateToken => (TOKENS.into(), Some(json!({"name": name}))),
        Operation::DeleteToken => (format!("{TOKENS}/{}", person.token_id), None),
        Operation::RegisterUser => {
            ("/api/svc/v1/users/register".into(), Some(json!({"email": format!("{name}@example.com")})))
        }
        Operation::CreateTokenForUser => {
            let body = json!({"name": name, "userEmail": "shared-stranger@example.com"});
            ("/api/svc/v1/personal-access-tokens/for-user".into(), Some(body))
        }
        Operation::RevokeTokensOfUser => {
            let body = json!({"email": "shared-revoked@example.com"});
            ("/api/svc/v1/personal-access-tokens/revoke/all".into(), Some(body))
        }
        Operation::ApplyVirtualAccount => {
            let manifest = json!({"type": "virtual-account", "name": format!("{name}-va")});
            (ACCOUNTS.into(), Some(json!({"manifest": manifest})))
        }
        Operation::ListVirtualAccounts => (ACCOUNTS.into(), None),
        Operation::VirtualAccountExists => (format!("{ACCOUNTS}/exists?name={name}-va"), None),
        Operation::GetVirtualAccount | Operation::DeleteVirtualAccount => (format!("{ACCOUNTS}/{other_id}"), None),
        Operation::GetVirtualAccountToken => (format!("{ACCOUNTS}/{other_id}/token"), None),
        Operation::RegenerateVirtualAccountToken => {
            (format!("{ACCOUNTS}/{other_id}/regenerate-token"), Some(json!({"gracePeriodInMinutes": 1})))
        }
        Operation::SyncVirtualAccountToken => (format!("{ACCOUNTS}/{other_id}/sync-to-secret-store"), None),
        Operation::DeleteVirtualAccountJwt => (format!("{ACCOUNTS}/{other_id}/jwt/{}", person.token_id), None),
        Operation::ListAgents => (AGENTS.into(), None),
        Operation::ApplyAgent => (AGENTS.into(), Some(json!({"manifest": agent(&format!("{name}-new"))}))),
        Operation::GetAgent | Operation::DeleteAgent => (format!("{AGENTS}/{other_id}"), None),
        Operation::GetAgentToken => (format!("{AGENTS}/{other_id}/token"), None),
        Operation::CreateAgentToken => (format!("{AGENTS}/{other_id}/token"), Some(json!({}))),
        Operation::RegenerateAgentToken => {
            (format!("{AGENTS}/{other_id}/regenerate-token"), Some(json!({"gracePeriodInMinutes": 1})))
        }
        Operation::WellKnownJwks => ("/.well-known/jwks.json".into(), None),
        Operation::Jwks => ("/api/svc/v1/keys/jwks".into(), None),
        Operation::ListAuditLogs => (format!("/api/svc/v1/audit-logs?metric=list&resourceId={group_id}"), None),
        Operation::ListTrash => (format!("{TRASH}?limit=1000"), None),
        Operation::RestoreSecretGroup => (format!("/api/v1/secret-groups/{group_id}/restore"), Some(json!({}))),
        Operation::RestoreSecret => (format!("/api/v1/secrets/{secret_id}/restore"), Some(json!({}))),
        Operation::ExplainAccess => {
            let asked = "subject=user:shared-editor@example.com&action=read-values";
            (format!("/api/v1/access/explain?{asked}&resource={group_id}"), None)
        }
        Operation::ListReaders => (format!("/api/v1/secret-groups/{group_id}/access"), None),
        Operation::DependencyTree => ("/api/svc/v1/dependency-tree".into(), Some(json!({"manifests": [manifest]}))),
        Operation::ListTeams => (format!("{TEAMS}/user"), None),
        Operation::ApplyTeam => (TEAMS.into(), Some(json!({"manifest": team(&format!("{name}-new"))}))),
        Operation::GetTeam | Operation::DeleteTeam => (format!("{TEAMS}/{other_id}"), None),
        Operation::ListTeamMembers => (format!("{TEAMS}/{other_id}/members"), None),
        Operation::ListTeamManagers => (format!("{TEAMS}/{other_id}/managers"), None),
        Operation::ListTeamPermissions => (format!("{TEAMS}/{other_id}/permissions"), None),
        Operation::ListRoles => ("/api/svc/v1/roles".into(), None),
        Operation::ListRoleBindings => (BINDINGS.into(), None),
        Operation::ApplyRoleBinding => (BINDINGS.into(), Some(json!({"manifest": binding(name, "new")}))),
        Operation::CreateInlineRoleBindings => {
            let role = json!({
                "resourceType": "secret-group",
                "resourceFqn": format!("default:{name}"),
                "subjectFqn": "user:shared-viewer@example.com",
                "role": "secret-group-viewer",
            });
            (format!("{BINDINGS}/inline"), Some(json!({"roleBindings": [role]})))
        }
        Operation::GenerateRoleBindingManifests => {
            (format!("{BINDINGS}/generate-manifest?resourceType=secret-group&resourceId={group_id}"), None)
        }
        Operation::RoleBindingExists => (format!("{BINDINGS}/exists?name={name}-old"), None),
        Operation::GetRoleBinding | Operation::DeleteRoleBinding => (format!("{BINDINGS}/{other_id}"), None),
        Operation::ListIdentityProviders => (PROVIDERS.into(), None),
        Operation::ApplyIdentityProvider => {
            (PROVIDERS.into(), Some(json!({"manifest": provider(&format!("{name}-new"))})))
        }
        Operation::DeleteIdentityProvider => (format!("{PROVIDERS}/{other_id}"), None),
        Operation::GetOperation => (format!("/api/v1/operations/{other_id}"), None),
        Operation::Metrics => ("/metrics".into(), None),
        Operation::Healthz => ("/healthz".into(), None),
        Operation::Readyz => ("/readyz".into(), None),
        Operation::OpenApi => ("/openapi.json".into(), None),
    }
}

pub(super) async fn send(app: &TestApp, client: &Client, operation: Operation, target: &Target) -> Answer {
    let (path, body) = request(app, operation, target);
    let request = client.request(operation.spec().method.name(), &path);
    match body {
        Some(body) => request.json(&body).send().await,
        None => request.send().await,
    }
}

/// A group of the owner with the secret `K`, shared with the crowd; and, where the operation needs it, deleted.
pub(super) async fn target(app: &TestApp, crowd: &Crowd, number: usize, operation: Operation) -> Target {
    let cast = &crowd.cast;
    let name = format!("target-{number}");
    let group = app.group(&cast.owner, &name, &[("K", VALUE), ("OTHER", "x")]).await;
    crowd.share(app, &name).await;
    let secret = secret_id(&group, "K").to_owned();
    match operation {
        Operation::RestoreSecretGroup => {
            cast.owner.delete(&group_path(&group)).await.expect(200);
        }
        Operation::RestoreSecret | Operation::ListTrash => {
            cast.owner.delete(&format!("{SECRETS}/{secret}")).await.expect(200);
        }
        _ => {}
    }
    let made = |manifest: Value, path: &'static str| async move {
        let answer = cast.admin.put(path, json!({"manifest": manifest})).await.expect(200);
        text(&answer, "/data/id").to_owned()
    };
    let other_id = match operation {
        Operation::GetTeam | Operation::DeleteTeam | Operation::ListTeamMembers | Operation::ListTeamManagers => {
            made(team(&name), TEAMS).await
        }
        Operation::ListTeamPermissions => {
            // Of none of those who call; it has a role on the group.
            let team = made(json!({"type": "team", "name": name, "members": []}), TEAMS).await;
            let mut manifest = binding(&name, "team");
            manifest["subjects"] = json!([{"type": "team", "name": name}]);
            made(manifest, BINDINGS).await;
            team
        }
        Operation::GetRoleBinding | Operation::DeleteRoleBinding => made(binding(&name, "old"), BINDINGS).await,
        Operation::GetOperation => {
            let id = format!("0192f0c1-2b3c-7d4e-8f50-{number:012x}");
            app.tamper().run(&format!(
                "INSERT INTO operations (id, group_id, integration_id, action, state, change, actor, holder, fence, \
                 expires_at, created_at, finished_at) VALUES ('{id}', '{}', '{}', 'update', 'done', '', \
                 '{{\"id\":\"i\",\"type\":\"user\",\"slug\":\"s\"}}', '', 1, 1, 1, 1)",
                text(&group, "/id"),
                app.integration_id(),
            ));
            id
        }
        Operation::DeleteIdentityProvider => made(provider(&name), PROVIDERS).await,
        Operation::DeleteProviderAccount => made(stores(&name), STORES).await,
        Operation::GetVirtualAccount
        | Operation::DeleteVirtualAccount
        | Operation::GetVirtualAccountToken
        | Operation::RegenerateVirtualAccountToken
        | Operation::SyncVirtualAccountToken
        | Operation::DeleteVirtualAccountJwt => made(account(&name), ACCOUNTS).await,
        Operation::GetAgent
        | Operation::DeleteAgent
        | Operation::GetAgentToken
        | Operation::CreateAgentToken
        | Operation::RegenerateAgentToken => made(agent(&name), AGENTS).await,
        _ => ABSENT.into(),
    };
    let mut person = person(app, &name, operation).await;
    if operation == Operation::DeleteVirtualAccountJwt {
        let found = cast.admin.get(&format!("{ACCOUNTS}/{other_id}")).await.expect(200);
        text(&found, "/data/jwtId").clone_into(&mut person.token_id);
    }
    Target { name, group_id: text(&group, "/id").into(), secret_id: secret, person, other_id }
}

/// A person with a token and an invitation, where the operation is about one.
async fn person(app: &TestApp, name: &str, operation: Operation) -> Person {
    let spec = operation.spec();
    if !matches!(spec.tag, "Users" | "Personal Access Tokens") {
        return Person::absent(ABSENT);
    }
    let email = format!("{name}-person@example.com");
    let client = app.person(&email).await;
    let id = client.get("/api/svc/v1/x/users/info").await.expect(200);
    let tokens = client.get(TOKENS).await.expect(200);
    let wanted = json!({"email": email, "acceptInviteClientUrl": "https://console.example.com"});
    let invited = app.admin().post(&format!("{USERS}/invite"), wanted).await.expect(200);
    let code = text(&invited, "/link").split_once("#invitation=").unwrap().1.to_owned();
    Person { email, id: text(&id, "/id").into(), token_id: text(&tokens, "/data/0/id").into(), code }
}
