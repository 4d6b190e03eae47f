//! The roles on something, or of somebody, written down as manifests of role bindings that give them.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use strongroom_domain::manifest::{GrantedRole, Permission, RoleBindingManifest};
use strongroom_domain::names::BindingName;
use strongroom_domain::role::TeamRole;
use strongroom_domain::subject::{SubjectName, SubjectType};
use strongroom_domain::{GroupId, Timestamp, fqn};
use strongroom_metadata::{GroupState, IntegrationRow, Named, Page, RoleGrantRow};

use super::inline_bindings::tag;
use super::secret_groups::living;
use super::{AppError, Authorized, Context, Manage, Resource};

/// So many subjects or permissions stand in one manifest: at their longest they are within what a manifest may have.
const ENTRIES: usize = 150;

/// Whose roles, or the roles on what.
pub(crate) enum RolesOf {
    Resource { kind: String, id: String },
    Subject { kind: String, id: String, only_in_tenant: bool },
}

/// A role that somebody has on something.
struct Given {
    subject: SubjectName,
    role: GrantedRole,
    fqn: String,
    until: Option<Timestamp>,
}

/// What the roles of a list have in common, and by which their manifests are told from others.
enum Common {
    Resource { id: String },
    Subject { id: String },
}

impl Context {
    /// Manifests that, applied, give every role that holds now on a resource, or of a subject.
    pub(crate) async fn binding_manifests(&self, of: RolesOf) -> Result<Vec<Value>, AppError> {
        let (common, given) = match of {
            RolesOf::Resource { kind, id } => (Common::Resource { id: id.clone() }, self.given_on(&kind, &id).await?),
            RolesOf::Subject { kind, id, only_in_tenant } => {
                let mut given = self.given_to(&kind, &id).await?;
                given.retain(|one| !only_in_tenant || matches!(one.role, GrantedRole::Tenant(_)));
                (Common::Subject { id }, given)
            }
        };
        Ok(manifests(&common, given).iter().map(RoleBindingManifest::to_json).collect())
    }

    /// The roles on a resource, for those who manage it.
    async fn given_on(&self, kind: &str, id: &str) -> Result<Vec<Given>, AppError> {
        if kind == "secret-group" {
            return self.given_on_group(id).await;
        }
        let [_, integration, account, team, tenant] = GrantedRole::RESOURCE_TYPES;
        // One word for two names of the tenant, as in manifests.
        let kind = if kind == "tenant" { tenant } else { kind };
        if ![integration, account, team, tenant].contains(&kind) {
            let message = format!("must be one of `{}`", GrantedRole::RESOURCE_TYPES.join("`, `"));
            return Err(AppError::invalid("query.resourceType", message));
        }
        // As with bindings themselves: who manages no more than groups is not told who has roles on anything else.
        if !self.is_tenant_admin() {
            return Err(self.refused_operation("on anything but secret groups this takes the role tenant-admin"));
        }
        let (metadata, now) = (&self.app().metadata, self.app().clock.now());
        let rows = metadata.roles_on(kind, id).await?;
        let mut given = Vec::new();
        let fqn = if kind == integration {
            let row = self.integrations().await?.into_iter().find(|row| row.id.to_string() == id);
            let row = row.ok_or_else(|| missing("query.resourceId", "provider integration"))?;
            row.fqn
        } else if kind == account {
            let row = metadata.provider_accounts().await?.into_iter().find(|row| row.id.to_string() == id);
            row.ok_or(AppError::NotFound(Resource::ProviderAccount))?.fqn
        } else if kind == team {
            let name = self.team_row(id).await?.name;
            let (managers, _) = metadata.team_people(&format!("team:{name}"), true, 0, i64::MAX).await?;
            given.extend(managers.into_iter().filter_map(|manager| manages(&manager.name, &name)));
            name
        } else {
            if self.app().account_id.to_string() != id {
                return Err(missing("query.resourceId", "account"));
            }
            given.extend(self.tenant_roles_of_people().await?);
            self.app().tenant.as_str().to_owned()
        };
        given.extend(rows.iter().filter_map(|row| given_by(row, fqn.clone(), now)));
        Ok(given)
    }

    async fn given_on_group(&self, id: &str) -> Result<Vec<Given>, AppError> {
        let metadata = &self.app().metadata;
        let state = match GroupId::parse(id) {
            Some(id) => metadata.group(id, self.caller().viewpoint()).await?,
            None => None,
        };
        let group: Authorized<GroupState, Manage> = self.authorize(living(state)?)?;
        let fqn = fqn::group(&self.app().tenant, &group.group.name);
        let rows = metadata.grants_on(group.group.id).await?;
        let given = rows.into_iter().filter_map(|row| {
            let (role, until) = (GrantedRole::Group(row.role), row.expires_at);
            Some(Given { subject: SubjectName::parse(&row.subject).ok()?, role, fqn: fqn.clone(), until })
        });
        Ok(given.collect())
    }

    /// The roles that every person has in the tenant in their own right.
    async fn tenant_roles_of_people(&self) -> Result<Vec<Given>, AppError> {
        const LIMIT: i64 = 1_000;
        let fqn = self.app().tenant.as_str();
        let (mut given, mut before) = (Vec::new(), None);
        loop {
            let page = Page { before, offset: 0, limit: LIMIT };
            let (users, _) = self.app().metadata.user_page("", true, page).await?;
            before = users.last().map(|user| user.id);
            let last = users.len() < 1_000;
            given.extend(
                users.iter().filter_map(|user| in_tenant(&format!("user:{}", user.email), &user.tenant_role, fqn)),
            );
            if last {
                return Ok(given);
            }
        }
    }

    /// A subject's own roles, none of their teams', for them and tenant admins.
    async fn given_to(&self, kind: &str, id: &str) -> Result<Vec<Given>, AppError> {
        let kind = SubjectType::read(kind).map_err(|rule| AppError::invalid("query.subjectType", rule))?;
        let standing = &self.caller().standing;
        let themselves = standing.id == id && standing.subject.kind() == kind;
        if !self.is_tenant_admin() && !themselves {
            return Err(self.refused_operation("only the subject themselves and tenant admins see this"));
        }
        let (app, now) = (self.app(), self.app().clock.now());
        let subject = app.metadata.subject_name(id).await?.filter(|name| name.kind() == kind);
        let subject = subject.ok_or_else(|| missing("query.subjectId", kind.id()))?;
        let mut given = Vec::new();
        let row = app.metadata.subject(&subject).await?.ok_or_else(|| missing("query.subjectId", kind.id()))?;
        if let Some(person) = row.person {
            given.extend(in_tenant(subject.as_str(), &person.tenant_role, app.tenant.as_str()));
        }
        for (grant, _, name) in app.metadata.group_grants_of(subject.as_str()).await? {
            if grant.subject == subject.as_str() {
                let (role, fqn) = (GrantedRole::Group(grant.role), fqn::group(&app.tenant, &name));
                given.push(Given { subject: subject.clone(), role, fqn, until: grant.expires_at });
            }
        }
        let integrations = self.integrations().await?;
        let memberships = app.metadata.memberships(&subject).await?;
        let managed = memberships.manages.iter().filter_map(|team| team.strip_prefix("team:"));
        given.extend(managed.filter_map(|team| manages(subject.as_str(), team)));
        let own = memberships.roles.into_iter().filter(|row| row.subject == subject.as_str());
        let own: Vec<_> = own.collect();
        let names = self.names_of(&own, &integrations).await?;
        given.extend(own.iter().filter_map(|row| {
            let fqn = names.get(&(row.resource_type.clone(), row.resource_id.clone()))?.clone();
            given_by(row, fqn, now)
        }));
        Ok(given)
    }

    /// What manifests call the resources of roles, by type and id. What is gone meanwhile has no name.
    async fn names_of(
        &self,
        rows: &[RoleGrantRow],
        integrations: &[IntegrationRow],
    ) -> Result<HashMap<(String, String), String>, AppError> {
        let metadata = &self.app().metadata;
        let accounts = metadata.provider_accounts().await?;
        let mut names = HashMap::new();
        for row in rows {
            let id = row.resource_id.as_str();
            let name = match row.resource_type.as_str() {
                "provider-integration" => {
                    integrations.iter().find(|row| row.id.to_string() == id).map(|row| row.fqn.clone())
                }
                "provider-account" => accounts.iter().find(|row| row.id.to_string() == id).map(|row| row.fqn.clone()),
                "team" => metadata.named(Named::Team, id).await?.map(|row| row.name),
                _ => Some(self.app().tenant.as_str().to_owned()),
            };
            if let Some(name) = name {
                names.insert((row.resource_type.clone(), row.resource_id.clone()), name);
            }
        }
        Ok(names)
    }
}

/// A role that a binding or a virtual account's manifest gives, while it holds.
fn given_by(row: &RoleGrantRow, fqn: String, now: Timestamp) -> Option<Given> {
    let role = GrantedRole::parse(&row.resource_type, &row.role)?;
    let subject = SubjectName::parse(&row.subject).ok()?;
    let given = Given { subject, role, fqn, until: row.expires_at };
    given.until.is_none_or(|at| at > now).then_some(given)
}

/// Somebody whom a team's manifest makes its manager, which is the role on it.
fn manages(subject: &str, team: &str) -> Option<Given> {
    let subject = SubjectName::parse(subject).ok()?;
    let role = GrantedRole::parse("team", TeamRole::Manager.id())?;
    Some(Given { subject, role, fqn: team.to_owned(), until: None })
}

fn in_tenant(subject: &str, role: &str, tenant: &str) -> Option<Given> {
    let subject = SubjectName::parse(subject).ok()?;
    Some(Given { subject, role: GrantedRole::parse("account", role)?, fqn: tenant.to_owned(), until: None })
}

fn missing(path: &str, what: &str) -> AppError {
    AppError::missing(path, format!("there is no {what} with this id"))
}

/// One manifest for each role: of a subject with all that they have it on, or of a resource with all who have it. A role
/// that ends at different times is a permission for each, and takes a manifest for each where the subjects are many.
fn manifests(common: &Common, given: Vec<Given>) -> Vec<RoleBindingManifest> {
    // Who has a role twice has it until the later end.
    let mut latest: BTreeMap<(String, SubjectName, String), Given> = BTreeMap::new();
    for one in given {
        let key = (one.role.id().to_owned(), one.subject.clone(), one.fqn.clone());
        let longer = |kept: &Given| kept.until.is_some_and(|kept| one.until.is_none_or(|until| until > kept));
        if latest.get(&key).is_none_or(longer) {
            latest.insert(key, one);
        }
    }
    let mut by_role: BTreeMap<(String, Option<i64>), Vec<Given>> = BTreeMap::new();
    for one in latest.into_values() {
        let end = match common {
            Common::Resource { .. } => one.until.map(Timestamp::micros),
            Common::Subject { .. } => None,
        };
        by_role.entry((one.role.id().to_owned(), end)).or_default().push(one);
    }
    let chunks = by_role.values().flat_map(|given| given.chunks(ENTRIES).enumerate());
    chunks.filter_map(|(part, given)| manifest(common, part, given)).collect()
}

fn manifest(common: &Common, part: usize, given: &[Given]) -> Option<RoleBindingManifest> {
    let first = given.first()?;
    let permission =
        |one: &Given| Permission { resource_fqn: one.fqn.clone(), role: one.role.clone(), expires_at: one.until };
    let kind = first.role.resource_type();
    let part = part.to_string();
    Some(match common {
        Common::Resource { id } => {
            let tag = tag(&[id, kind, first.role.id(), &part], first.until);
            RoleBindingManifest {
                name: BindingName::of_resource(&first.role, &first.fqn, &tag),
                subjects: given.iter().map(|one| one.subject.clone()).collect(),
                permissions: vec![permission(first)],
            }
        }
        Common::Subject { id } => {
            let tag = tag(&[id, kind, first.role.id(), &part], None);
            RoleBindingManifest {
                name: BindingName::of_subject(&first.subject, &first.role, &tag),
                subjects: vec![first.subject.clone()],
                permissions: given.iter().map(permission).collect(),
            }
        }
    })
}
