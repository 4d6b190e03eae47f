//! What a person has: the roles that reach them, and the teams that they are in. For themselves, and tenant admins.

use std::collections::HashMap;

use strongroom_domain::UserId;
use strongroom_domain::fqn;
use strongroom_domain::subject::{SubjectKind, SubjectName};
use strongroom_metadata::{TeamRoleRow, UserRow};

use super::{AppError, Context};

/// A role on something, and who has it: the person, or a team of theirs.
pub(crate) struct HeldRole {
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    pub(crate) resource_name: Option<String>,
    pub(crate) resource_fqn: Option<String>,
    pub(crate) role: String,
    pub(crate) subject_id: String,
    /// The role is a team's.
    pub(crate) by_team: bool,
}

impl Context {
    /// The teams of the caller, as (name, id).
    pub(crate) async fn own_teams(&self) -> Result<Vec<(String, String)>, AppError> {
        let rows = self.app().metadata.team_roles_of(self.caller().standing.subject.as_str()).await?;
        let is_member = |row: &TeamRoleRow| row.role == "team-member";
        Ok(rows.into_iter().filter(is_member).map(|row| (team_name(&row.team).to_owned(), row.id)).collect())
    }

    /// The teams of a person, each with their roles in it.
    pub(crate) async fn teams_of_user(&self, id: Option<UserId>) -> Result<Vec<(String, Vec<String>)>, AppError> {
        let user = self.own_or_any(id).await?;
        let mut teams: Vec<(String, Vec<String>)> = Vec::new();
        for row in self.app().metadata.team_roles_of(&subject(&user)).await? {
            let name = team_name(&row.team);
            match teams.last_mut().filter(|(last, _)| last == name) {
                Some((_, roles)) => roles.push(row.role),
                None => teams.push((name.to_owned(), vec![row.role])),
            }
        }
        Ok(teams)
    }

    /// Every role that reaches a person: in the tenant, on secret groups, on everything else.
    pub(crate) async fn roles_of_user(&self, id: Option<UserId>) -> Result<Vec<HeldRole>, AppError> {
        let app = self.app();
        let user = self.own_or_any(id).await?;
        let subject = subject(&user);
        let teams = app.metadata.team_roles_of(&subject).await?;
        let mut ids: HashMap<String, String> = teams.into_iter().map(|row| (row.team, row.id)).collect();
        ids.insert(subject.clone(), user.id.to_string());
        let held = |resource_type: &str, resource_id: String, role: &str, holder: &str| HeldRole {
            resource_type: resource_type.to_owned(),
            resource_id,
            resource_name: None,
            resource_fqn: None,
            role: role.to_owned(),
            // A team that was left since the first of these reads has no id here, and its roles are none any more.
            subject_id: ids.get(holder).cloned().unwrap_or_default(),
            by_team: holder != subject,
        };
        let mut roles = vec![held("account", app.account_id.to_string(), &user.tenant_role, &subject)];
        for (grant, group, name) in app.metadata.group_grants_of(&subject).await? {
            roles.push(HeldRole {
                resource_fqn: Some(fqn::group(&app.tenant, &name)),
                resource_name: Some(name),
                ..held("secret-group", group.to_string(), grant.role.id(), &grant.subject)
            });
        }
        if let Ok(name) = SubjectName::parse(&subject) {
            let now = app.clock.now();
            let others = app.metadata.memberships(&name).await?.roles;
            for row in others.into_iter().filter(|row| row.expires_at.is_none_or(|at| at > now)) {
                roles.push(held(&row.resource_type, row.resource_id, &row.role, &row.subject));
            }
        }
        roles.retain(|role| !role.subject_id.is_empty());
        // Two manifests that grant the same are one permission.
        let key = |role: &HeldRole| (role.resource_id.clone(), role.role.clone(), role.subject_id.clone());
        let mut seen = std::collections::HashSet::new();
        roles.retain(|role| seen.insert(key(role)));
        Ok(roles)
    }

    /// The person, when it is the caller or the caller is a tenant admin.
    async fn own_or_any(&self, id: Option<UserId>) -> Result<UserRow, AppError> {
        if !self.is_tenant_admin() && (id.is_none() || id != self.own_user_id()) {
            return Err(self.refused_operation("only the person themselves and tenant admins see this"));
        }
        self.user_of_id(id).await
    }

    /// The id of the caller, when it is a person.
    pub(super) fn own_user_id(&self) -> Option<UserId> {
        let caller = self.caller();
        (caller.kind == SubjectKind::User).then(|| UserId::parse(&caller.standing.id)).flatten()
    }
}

fn subject(user: &UserRow) -> String {
    format!("user:{}", user.email)
}

fn team_name(team: &str) -> &str {
    team.strip_prefix("team:").unwrap_or(team)
}
