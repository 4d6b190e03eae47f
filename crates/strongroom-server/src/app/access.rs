//! Who may do what to a secret group, and why: for those who manage it.

use strongroom_domain::fqn::SecretFqn;
use strongroom_domain::policy::{self, Decision, GroupAction, Standing as Toward};
use strongroom_domain::rights::TenantPermission;
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::{EVERYONE, SubjectName, SubjectType};
use strongroom_domain::{GroupId, Timestamp};
use strongroom_metadata::{GrantRow, GroupState, ReadersOf, RouteRow};

use super::secret_groups::living;
use super::standing::{TenantGrant, rights_of, tenant_grants};
use super::{AppError, Authorized, Context, Manage, Resource, Standing};
use crate::auth::may_act;

/// What a request of somebody would meet, and why.
pub(crate) struct Explanation {
    pub(crate) decision: Decision,
    pub(crate) reason: String,
    pub(crate) role: Option<GroupRole>,
    pub(crate) through: Vec<AccessGrant>,
}

/// Something that gives somebody a role on a group.
pub(crate) struct AccessGrant {
    pub(crate) origin: GrantOrigin,
    pub(crate) name: String,
    /// They themselves, or a team of theirs.
    pub(crate) subject: String,
    pub(crate) role: GroupRole,
    pub(crate) expires_at: Option<Timestamp>,
    /// Whether it alone is enough for what was asked.
    pub(crate) suffices: bool,
}

/// What a grant stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantOrigin {
    TenantRole,
    Manifest,
    VirtualAccount,
    RoleBinding,
}

/// Somebody who may read a group's values, once they may act at all.
pub(crate) struct Reader {
    pub(crate) subject: String,
    pub(crate) role: GroupRole,
    pub(crate) active: bool,
    /// How many are in it, where it is the team of everyone.
    pub(crate) members: Option<i64>,
    pub(crate) through: Vec<AccessGrant>,
}

impl Context {
    /// Decides an action of another subject as a request of theirs would be decided.
    pub(crate) async fn explain_access(
        &self,
        subject: &SubjectName,
        action: GroupAction,
        resource: &str,
    ) -> Result<Explanation, AppError> {
        let group = self.managed_group_of(resource).await?;
        let app = self.app();
        let row = app.metadata.subject(subject).await?;
        let missing =
            || AppError::missing("query.subject", format!("the subject `{}` does not exist", subject.as_str()));
        let row = row.ok_or_else(missing)?;
        let now = app.clock.now();
        let memberships = app.metadata.memberships(subject).await?;
        let in_tenant = tenant_grants(&row, &memberships, now);
        let standing = Standing::of(&row, memberships, now);
        let granted = app.metadata.grants_on_for(group.group.id, subject.as_str()).await?;
        let group_role = granted.iter().map(|grant| grant.role).max();
        let toward = standing.toward(group_role);
        let active = may_act(&row);
        let decision = if active { policy::decide(toward, action, app.rules) } else { Decision::Invisible };
        let from_tenant = in_tenant.into_iter().filter_map(AccessGrant::of_tenant);
        let from_group = granted.into_iter().map(|row| AccessGrant::of_group(row, &group.group.name));
        let mut through: Vec<AccessGrant> = from_tenant.chain(from_group).collect();
        for grant in &mut through {
            let alone = Toward { floor: None, group_role: Some(grant.role), ..toward };
            grant.suffices = policy::decide(alone, action, app.rules) == Decision::Allowed;
        }
        let role = policy::effective_role(toward);
        let reason = if active {
            why(subject, action, decision, role, &through)
        } else {
            format!("`{}` is deactivated: their tokens are refused, whatever is granted to them", subject.as_str())
        };
        Ok(Explanation { decision, reason, role, through })
    }

    /// A page of those who may read a group's values, and how many they are.
    pub(crate) async fn list_readers(
        &self,
        id: GroupId,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<Reader>, i64), AppError> {
        let app = self.app();
        let state = living(app.metadata.group(id, self.caller().viewpoint()).await?)?;
        let group = self.authorize::<_, Manage>(state)?;
        let of = ReadersOf {
            group: group.group.id,
            least: GroupAction::ReadValues.least_role(),
            permission: TenantPermission::ReadValues,
            people: !app.rules.values_hidden_from_people,
        };
        let (rows, total) = app.metadata.readers(of, offset, limit).await?;
        let mut readers = Vec::with_capacity(rows.len());
        for row in rows {
            let through: Vec<AccessGrant> =
                row.routes.into_iter().filter_map(|route| AccessGrant::of_route(route, &group.group.name)).collect();
            let Some(role) = through.iter().map(|grant| grant.role).max() else { continue };
            let members = match row.subject.as_str() {
                EVERYONE => Some(app.metadata.team_people(EVERYONE, false, 0, 0).await?.1),
                _ => None,
            };
            readers.push(Reader { subject: row.subject, role, active: row.active, members, through });
        }
        Ok((readers, total))
    }

    /// The group that an id, an FQN or a reference names, for those who manage it; the secret that it names is there.
    async fn managed_group_of(&self, resource: &str) -> Result<Authorized<GroupState, Manage>, AppError> {
        let (metadata, viewpoint) = (&self.app().metadata, self.caller().viewpoint());
        let fqn = SecretFqn::parse(resource).filter(|fqn| fqn.tenant == self.app().tenant);
        let state = match (GroupId::parse(resource), &fqn) {
            (Some(id), _) => metadata.group(id, viewpoint).await?,
            (None, Some(fqn)) => metadata.group_by_name(&fqn.group.folded(), viewpoint).await?,
            (None, None) => None,
        };
        let group = self.authorize::<_, Manage>(living(state)?)?;
        if let Some(key) = fqn.and_then(|fqn| fqn.key) {
            let there = group.secrets.iter().any(|secret| secret.key == key.as_str());
            if !there {
                return Err(AppError::NotFound(Resource::Secret));
            }
        }
        Ok(group)
    }
}

impl AccessGrant {
    /// `None` for a role in the tenant that gives none on groups.
    fn of_tenant(grant: TenantGrant) -> Option<Self> {
        Some(Self {
            origin: GrantOrigin::TenantRole,
            role: grant.rights.floor()?,
            name: grant.role,
            subject: grant.subject,
            expires_at: grant.expires_at,
            suffices: true,
        })
    }

    fn of_group(row: GrantRow, group: &str) -> Self {
        let (origin, name) = origin(&row.source, row.source_name, group);
        Self { origin, name, subject: row.subject, role: row.role, expires_at: row.expires_at, suffices: true }
    }

    fn of_route(row: RouteRow, group: &str) -> Option<Self> {
        let role = row.role.or_else(|| rights_of(&row.name, row.permissions.as_deref()).floor())?;
        let (origin, name) = origin(&row.source, row.name, group);
        Some(Self { origin, name, subject: row.subject, role, expires_at: row.expires_at, suffices: true })
    }

    /// As a part of a sentence.
    fn told(&self, of: &SubjectName) -> String {
        let mut text = match self.origin {
            GrantOrigin::TenantRole => format!("the tenant's role `{}`", self.name),
            GrantOrigin::Manifest => "the group's collaborators".to_owned(),
            GrantOrigin::VirtualAccount => format!("the permissions of the virtual account `{}`", self.name),
            GrantOrigin::RoleBinding => format!("the role binding `{}`", self.name),
        };
        if self.subject != of.as_str() {
            text = format!("{text} for `{}`", self.subject);
        }
        if let Some(at) = self.expires_at {
            text = format!("{text} until {}", at.to_wire());
        }
        text
    }
}

fn origin(source: &str, name: String, group: &str) -> (GrantOrigin, String) {
    match source {
        "tenant-role" => (GrantOrigin::TenantRole, name),
        "virtual-account" => (GrantOrigin::VirtualAccount, name),
        "role-binding" => (GrantOrigin::RoleBinding, name),
        _ => (GrantOrigin::Manifest, group.to_owned()),
    }
}

/// The decision as a sentence.
fn why(
    subject: &SubjectName,
    action: GroupAction,
    decision: Decision,
    role: Option<GroupRole>,
    through: &[AccessGrant],
) -> String {
    let who = match subject.kind() {
        SubjectType::Team => format!("who is in `{}`", subject.as_str()),
        _ => format!("`{}`", subject.as_str()),
    };
    let what = match action {
        GroupAction::See => "see the group and its keys",
        GroupAction::ReadValues => "read the group's values",
        GroupAction::WriteSecrets => "change the group's secrets",
        GroupAction::Manage => "manage the group",
    };
    let Some(role) = role else {
        return format!("nothing gives {who} a role on the group: for them it does not exist");
    };
    let strongest = through.iter().find(|grant| grant.role == role);
    let by = strongest.map(|grant| grant.told(subject)).unwrap_or_default();
    let least = action.least_role();
    match decision {
        Decision::Allowed => format!("{who} may {what}: `{}` by {by}", role.id()),
        _ if role >= least => {
            format!("{who} has `{}` by {by}, but DISABLE_SECRET_VALUE_VIEW hides values from people", role.id())
        }
        _ => format!("{who} may not {what}: that takes `{}`, and they have `{}` by {by}", least.id(), role.id()),
    }
}
