//! Where somebody stands in the tenant: what they are, whom they belong to, and what they may do apart from secret groups.

use strongroom_domain::policy;
use strongroom_domain::rights::{TeamPermission, TenantPermission, TenantRights};
use strongroom_domain::role::{AccountRole, GroupRole, IntegrationRole, TeamRole, TenantRole};
use strongroom_domain::subject::{SubjectName, SubjectType};
use strongroom_domain::{AccountId, IntegrationId, Timestamp};
use strongroom_metadata::{Memberships, Metadata, PersonRow, ReadError, RoleGrantRow, SubjectRow, Viewpoint};

use super::{AppError, Context};
use crate::audit::Target;

/// What is known of a subject. It holds until an identity changes, or until [`Standing::until`].
#[derive(PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) subject: SubjectName,
    pub(crate) id: String,
    pub(crate) rights: TenantRights,
    /// Ids of the roles that they have in the tenant: a person's own, and what is granted to them and their teams.
    pub(crate) tenant_roles: Vec<String>,
    pub(crate) manages: Vec<String>,
    /// Roles on teams, provider accounts and integrations that hold.
    pub(crate) roles: Vec<RoleGrantRow>,
    pub(crate) viewpoint: Viewpoint,
    /// When the first of their roles ends.
    pub(crate) until: Option<Timestamp>,
}

impl Standing {
    /// Reads where somebody stands.
    pub(crate) async fn read(metadata: &Metadata, subject: &SubjectRow, now: Timestamp) -> Result<Self, ReadError> {
        let memberships = metadata.memberships(&subject.name).await?;
        Ok(Self::of(subject, memberships, now))
    }

    /// Where the server itself stands: it may do all that a tenant admin may.
    pub(super) fn of_server() -> Self {
        let subject = SubjectName::parse("virtualaccount:strongroom").expect("a well-formed name");
        let rights = TenantRights::ADMIN;
        Self {
            viewpoint: Viewpoint { floor: rights.floor(), subject: subject.as_str().to_owned() },
            id: "strongroom".into(),
            subject,
            rights,
            tenant_roles: Vec::new(),
            manages: Vec::new(),
            roles: Vec::new(),
            until: None,
        }
    }

    pub(super) fn of(subject: &SubjectRow, memberships: Memberships, now: Timestamp) -> Self {
        let given = tenant_grants(subject, &memberships, now);
        let Memberships { manages, mut roles, .. } = memberships;
        roles.retain(|role| role.expires_at.is_none_or(|at| at > now));
        let until = roles.iter().filter_map(|role| role.expires_at).min();
        let rights = given.iter().fold(TenantRights::MEMBER, |rights, one| rights.union(one.rights));
        let mut tenant_roles: Vec<String> = Vec::new();
        for TenantGrant { role, .. } in given {
            if !tenant_roles.contains(&role) {
                tenant_roles.push(role);
            }
        }
        roles.retain(|role| role.resource_type != "account");
        let viewpoint = Viewpoint { floor: rights.floor(), subject: subject.name.as_str().to_owned() };
        Self {
            subject: subject.name.clone(),
            id: subject.id.clone(),
            rights,
            tenant_roles,
            manages,
            roles,
            viewpoint,
            until,
        }
    }

    /// Where they stand to a group on which grants give them a role.
    pub(super) fn toward(&self, group_role: Option<GroupRole>) -> policy::Standing {
        let machine = !matches!(self.subject.kind(), SubjectType::User | SubjectType::Team);
        policy::Standing { floor: self.rights.floor(), group_role, machine }
    }

    /// Whether they see people and teams: people do.
    pub(crate) fn reads_directory(&self) -> bool {
        self.subject.kind() == SubjectType::User || self.rights.has(TenantPermission::ReadUsers)
    }

    /// Whether they choose who is in a team, `team:<name>`.
    pub(crate) fn manages_team(&self, team: &str, id: &str) -> bool {
        let by_role = self.roles.iter().any(|role| {
            role.resource_type == "team"
                && role.resource_id == id
                && manages_members(&role.role, role.permissions.as_deref())
        });
        policy::may_manage_team(self.rights, by_role || self.manages.iter().any(|managed| managed == team))
    }

    /// Whether they may create groups on an integration.
    pub(crate) fn may_use(&self, integration: IntegrationId, account: AccountId) -> bool {
        let has_role = self.roles.iter().any(|role| match role.resource_type.as_str() {
            "provider-integration" => {
                role.resource_id == integration.to_string() && role.role == IntegrationRole::Access.id()
            }
            "provider-account" => role.resource_id == account.to_string() && AccountRole::parse(&role.role).is_some(),
            _ => false,
        });
        policy::may_use_integration(self.rights, has_role)
    }

    /// Whether they may change a provider account.
    pub(crate) fn manages_account(&self, account: AccountId) -> bool {
        self.rights.is_admin()
            || self.roles.iter().any(|role| {
                role.resource_type == "provider-account"
                    && role.resource_id == account.to_string()
                    && role.role == AccountRole::Manager.id()
            })
    }
}

impl Context {
    /// 403, with its event, unless one of the caller's roles in the tenant has the permission.
    pub(crate) fn require(&self, permission: TenantPermission) -> Result<(), AppError> {
        if self.caller().standing.rights.has(permission) {
            return Ok(());
        }
        Err(self.refused_operation(match permission {
            TenantPermission::ReadUsers => "this takes the role tenant-admin, or one with `user:read`",
            TenantPermission::RegisterUsers => "this takes the role tenant-admin, or one with `user:register`",
            TenantPermission::CreateTeams => "this takes the role tenant-admin, or one with `team:create`",
            TenantPermission::ReadAuditLog => "this takes the role tenant-admin, or one with `audit-log:read`",
            TenantPermission::ViewGroups => "this takes the role tenant-admin, or one with `secret-group:view`",
            TenantPermission::ReadValues => "this takes the role tenant-admin, or one with `secret-group:read-values`",
        }))
    }

    /// 403 for the request's operation as such, whatever it is aimed at; with its event.
    pub(crate) fn refused_operation(&self, message: &'static str) -> AppError {
        let name = self.request().operation.to_owned();
        self.refusal("USE_OPERATION", Target { kind: "tenant", id: String::new(), name, fqn: String::new() }, message)
    }
}

/// A role in the tenant that somebody has: a person's own, or one that is granted to them or a team of theirs.
pub(super) struct TenantGrant {
    pub(super) role: String,
    pub(super) rights: TenantRights,
    /// Who has it: they themselves, or the team.
    pub(super) subject: String,
    pub(super) expires_at: Option<Timestamp>,
}

/// All roles in the tenant that hold, somebody's own first.
pub(super) fn tenant_grants(subject: &SubjectRow, memberships: &Memberships, now: Timestamp) -> Vec<TenantGrant> {
    let (own, permissions) = match &subject.person {
        Some(PersonRow { tenant_role, permissions, .. }) => (tenant_role.as_str(), permissions.as_deref()),
        None => (TenantRole::Member.id(), None),
    };
    let own = TenantGrant {
        role: own.to_owned(),
        rights: rights_of(own, permissions),
        subject: subject.name.as_str().to_owned(),
        expires_at: None,
    };
    let holds = |role: &&RoleGrantRow| role.expires_at.is_none_or(|at| at > now);
    let granted = memberships.roles.iter().filter(|role| role.resource_type == "account").filter(holds);
    let granted = granted.map(|role| TenantGrant {
        role: role.role.clone(),
        rights: rights_of(&role.role, role.permissions.as_deref()),
        subject: role.subject.clone(),
        expires_at: role.expires_at,
    });
    std::iter::once(own).chain(granted).collect()
}

/// What a role gives in the tenant: a built-in one, or one of the tenant's own with its permissions.
pub(super) fn rights_of(role: &str, permissions: Option<&str>) -> TenantRights {
    match TenantRole::parse(role) {
        Some(TenantRole::Admin) => TenantRights::ADMIN,
        Some(TenantRole::Member) => TenantRights::MEMBER,
        None => {
            let permissions = listed(permissions);
            TenantRights::of(permissions.iter().filter_map(|text| TenantPermission::parse(text)))
        }
    }
}

/// Whether a role on a team lets somebody choose who is in it: a built-in one, or one of the tenant's own with its
/// permissions.
fn manages_members(role: &str, permissions: Option<&str>) -> bool {
    if let Some(role) = TeamRole::parse(role) {
        return role == TeamRole::Manager;
    }
    listed(permissions).iter().any(|text| TeamPermission::parse(text) == Some(TeamPermission::ManageMembers))
}

/// The permissions of a role of the tenant's own as they are stored; what is no list has none.
fn listed(permissions: Option<&str>) -> Vec<String> {
    permissions.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::manages_members;

    #[test]
    fn permissions_are_read_and_not_searched_for() {
        for (role, permissions, manages) in [
            ("team-manager", None, true),
            ("team-member", None, false),
            // A built-in role has what it has.
            ("team-member", Some(r#"["team:manage-members"]"#), false),
            ("leads", Some(r#"["team:manage-members"]"#), true),
            ("leads", Some(r#"["team:read", "team:manage-members"]"#), true),
            ("leads", Some(r#"["team:manage\u002dmembers"]"#), true),
            ("leads", Some(r#"["team:read"]"#), false),
            ("leads", Some(r#"{"team:manage-members": false}"#), false),
            ("leads", Some(r#"[["team:manage-members"]]"#), false),
            ("leads", Some(r#"["team:manage-members""#), false),
            ("leads", None, false),
        ] {
            assert_eq!(manages_members(role, permissions), manages, "{role} {permissions:?}");
        }
    }
}
