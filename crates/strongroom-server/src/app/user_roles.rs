//! What a person has: the roles that reach them, and the teams that they are in. For themselves, and tenant admins. And
//! what a team has, for whoever sees the team.

use std::collections::{HashMap, HashSet};

use strongroom_domain::names::Tenant;
use strongroom_domain::subject::{SubjectKind, SubjectName};
use strongroom_domain::{GroupId, UserId, fqn};
use strongroom_metadata::{GrantRow, TeamRoleRow, UserRow};

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

/// Whose a role can be.
struct Holder {
    id: String,
    is_team: bool,
}

/// Roles as they are found, and by name those whose they can be.
struct Held {
    holders: HashMap<String, Holder>,
    roles: Vec<HeldRole>,
}

impl Held {
    /// Adds a role. A team that was left since it was asked who holds roles is no holder, and its roles are none any more.
    fn add(&mut self, resource_type: &str, resource_id: String, role: &str, holder: &str) -> Option<&mut HeldRole> {
        let holder = self.holders.get(holder)?;
        self.roles.push(HeldRole {
            resource_type: resource_type.to_owned(),
            resource_id,
            resource_name: None,
            resource_fqn: None,
            role: role.to_owned(),
            subject_id: holder.id.clone(),
            by_team: holder.is_team,
        });
        self.roles.last_mut()
    }

    fn add_on_group(&mut self, tenant: &Tenant, grant: &GrantRow, group: GroupId, name: String) {
        if let Some(role) = self.add("secret-group", group.to_string(), grant.role.id(), &grant.subject) {
            role.resource_fqn = Some(fqn::group(tenant, &name));
            role.resource_name = Some(name);
        }
    }

    /// Two manifests that grant the same are one permission.
    fn once_each(self) -> Vec<HeldRole> {
        let key = |role: &HeldRole| (role.resource_id.clone(), role.role.clone(), role.subject_id.clone());
        let mut seen = HashSet::new();
        let mut roles = self.roles;
        roles.retain(|role| seen.insert(key(role)));
        roles
    }
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
        let mut holders: HashMap<String, Holder> =
            teams.into_iter().map(|row| (row.team, Holder { id: row.id, is_team: true })).collect();
        holders.insert(subject.clone(), Holder { id: user.id.to_string(), is_team: false });
        let mut roles = Held { holders, roles: Vec::new() };
        roles.add("account", app.account_id.to_string(), &user.tenant_role, &subject);
        for (grant, group, name) in app.metadata.group_grants_of(&subject).await? {
            roles.add_on_group(&app.tenant, &grant, group, name);
        }
        self.add_others(&mut roles, &subject).await?;
        Ok(roles.once_each())
    }

    /// The roles of a team, in the tenant, on everything else, and on those secret groups that the caller knows of.
    pub(crate) async fn roles_of_team(&self, id: &str) -> Result<Vec<HeldRole>, AppError> {
        self.check_directory()?;
        let app = self.app();
        let row = self.team_row(id).await?;
        let subject = format!("team:{}", row.name);
        let standing = &self.caller().standing;
        // Who manages the team may join it, and so sees whatever it has.
        let knows_all = standing.viewpoint.floor.is_some() || standing.manages_team(&subject, &row.id);
        let granted = if knows_all {
            app.metadata.group_grants_of(&subject).await?
        } else {
            app.metadata.group_grants_seen(&subject, &standing.viewpoint).await?
        };
        let holders = HashMap::from([(subject.clone(), Holder { id: row.id, is_team: true })]);
        let mut roles = Held { holders, roles: Vec::new() };
        for (grant, group, name) in granted {
            roles.add_on_group(&app.tenant, &grant, group, name);
        }
        self.add_others(&mut roles, &subject).await?;
        Ok(roles.once_each())
    }

    /// Roles that hold on what is no secret group.
    async fn add_others(&self, roles: &mut Held, subject: &str) -> Result<(), AppError> {
        if let Ok(name) = SubjectName::parse(subject) {
            let now = self.app().clock.now();
            let others = self.app().metadata.memberships(&name).await?.roles;
            for row in others.into_iter().filter(|row| row.expires_at.is_none_or(|at| at > now)) {
                roles.add(&row.resource_type, row.resource_id, &row.role, &row.subject);
            }
        }
        Ok(())
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
