//! Permissions: what virtual accounts and role bindings are given, in their two spellings.

use serde_json::Value;

use super::fields::{Fields, Written};
use crate::Timestamp;
use crate::names::RoleName;
use crate::role::{AccountRole, GroupRole, IntegrationRole, NamedRole, TeamRole, TenantRole};

/// A role on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The resource, by the name that resources of its type go by.
    pub resource_fqn: String,
    /// The role, and by it the resource's type.
    pub role: GrantedRole,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// A role together with the type of resource that it is a role of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GrantedRole {
    /// On a secret group, `<tenant>:<group>`.
    Group(GroupRole),
    /// On a provider integration.
    Integration(IntegrationRole),
    /// On a provider account.
    Account(AccountRole),
    /// On a team.
    Team(NamedRole<TeamRole>),
    /// In the tenant.
    Tenant(NamedRole<TenantRole>),
}

/// What is wrong with a resource's type or its role.
enum Fault {
    Type(&'static str),
    Role(String),
}

impl GrantedRole {
    /// Every resource type that roles are given on, in the spelling that is stored.
    pub const RESOURCE_TYPES: [&str; 5] =
        ["secret-group", "provider-integration", "provider-account", "team", "account"];

    /// Reads a role of a resource type; `tenant` is another name of `account`.
    #[must_use]
    pub fn parse(resource_type: &str, role: &str) -> Option<Self> {
        Self::read(resource_type, role).ok()
    }

    fn read(resource_type: &str, role: &str) -> Result<Self, Fault> {
        match resource_type {
            "secret-group" => one_of(GroupRole::parse(role).map(Self::Group), &GroupRole::ALL.map(GroupRole::id)),
            "provider-integration" => one_of(
                IntegrationRole::parse(role).map(Self::Integration),
                &IntegrationRole::ALL.map(IntegrationRole::id),
            ),
            "provider-account" => {
                one_of(AccountRole::parse(role).map(Self::Account), &AccountRole::ALL.map(AccountRole::id))
            }
            "team" if TeamRole::parse(role) == Some(TeamRole::Member) => Err(Fault::Role(
                "who is in a team is said by the `members` of its manifest; add the subject there".into(),
            )),
            "team" => named(TeamRole::parse(role), role, &[TeamRole::Manager.id()]).map(Self::Team),
            "account" | "tenant" => {
                named(TenantRole::parse(role), role, &TenantRole::ALL.map(TenantRole::id)).map(Self::Tenant)
            }
            _ => Err(Fault::Type(
                "this server has no resources of this type; it gives roles on `secret-group`, `provider-integration`, \
                 `provider-account`, `team` and `account`: remove the entry",
            )),
        }
    }

    /// The type of resource, as it is stored.
    #[must_use]
    pub const fn resource_type(&self) -> &'static str {
        let [group, integration, account, team, tenant] = Self::RESOURCE_TYPES;
        match self {
            Self::Group(_) => group,
            Self::Integration(_) => integration,
            Self::Account(_) => account,
            Self::Team(_) => team,
            Self::Tenant(_) => tenant,
        }
    }

    /// The role's id, or its name if it is a custom one.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Group(role) => role.id(),
            Self::Integration(role) => role.id(),
            Self::Account(role) => role.id(),
            Self::Team(NamedRole::BuiltIn(role)) => role.id(),
            Self::Tenant(NamedRole::BuiltIn(role)) => role.id(),
            Self::Team(NamedRole::Custom(name)) | Self::Tenant(NamedRole::Custom(name)) => name.as_str(),
        }
    }

    /// The custom role meant, if it is one.
    #[must_use]
    pub const fn custom(&self) -> Option<&RoleName> {
        match self {
            Self::Team(NamedRole::Custom(name)) | Self::Tenant(NamedRole::Custom(name)) => Some(name),
            _ => None,
        }
    }
}

fn one_of<T>(role: Option<T>, known: &[&str]) -> Result<T, Fault> {
    role.ok_or_else(|| Fault::Role(format!("no role of this resource type; there are `{}`", known.join("`, `"))))
}

fn named<T>(built_in: Option<T>, role: &str, known: &[&str]) -> Result<NamedRole<T>, Fault> {
    if let Some(role) = built_in {
        return Ok(NamedRole::BuiltIn(role));
    }
    RoleName::parse(role).map(NamedRole::Custom).map_err(|rule| {
        Fault::Role(format!(
            "no role of this resource type; there are `{}` and custom roles: {rule}",
            known.join("`, `")
        ))
    })
}

/// What the parts of a permission are called.
pub(super) struct Spelling {
    resource_type: &'static str,
    resource_fqn: &'static str,
    role: &'static str,
}

/// As virtual accounts spell them.
pub(super) const SNAKE: Spelling =
    Spelling { resource_type: "resource_type", resource_fqn: "resource_fqn", role: "role_id" };
/// As role bindings spell them.
pub(super) const CAMEL: Spelling =
    Spelling { resource_type: "resourceType", resource_fqn: "resourceFqn", role: "role" };

/// The permissions of a manifest, if it has them.
pub(super) fn read(fields: &Fields<'_>, spelling: &Spelling) -> Option<Vec<Permission>> {
    let permissions = fields.objects("permissions", |entry| read_one(entry, spelling))?;
    let keys: Vec<String> = permissions.iter().map(Permission::key).collect();
    fields.unique("permissions", keys.iter().map(String::as_str));
    Some(permissions)
}

fn read_one(entry: &Fields<'_>, spelling: &Spelling) -> Option<Permission> {
    let resource_type = entry.text(spelling.resource_type);
    let resource_fqn = entry.filled_text(spelling.resource_fqn);
    let role = entry.text(spelling.role);
    let expires_at = entry.expires_at();
    let role = match GrantedRole::read(resource_type?, role?) {
        Ok(role) => Some(role),
        Err(Fault::Type(message)) => {
            entry.fault(spelling.resource_type, message);
            None
        }
        Err(Fault::Role(message)) => {
            entry.fault(spelling.role, message);
            None
        }
    };
    Some(Permission { resource_fqn: resource_fqn?.to_owned(), role: role?, expires_at })
}

/// Permissions as a manifest has them.
pub(super) fn write(permissions: &[Permission], spelling: &Spelling) -> Value {
    let one = |entry: &Permission| {
        Written::default()
            .with(spelling.resource_type, entry.role.resource_type())
            .with(spelling.resource_fqn, entry.resource_fqn.as_str())
            .with(spelling.role, entry.role.id())
            .until(entry.expires_at)
            .into()
    };
    permissions.iter().map(one).collect::<Vec<Value>>().into()
}

impl Permission {
    /// What two permissions of one manifest may not have in common. A resource takes one built-in role, which includes
    /// the lesser ones; custom roles add up.
    fn key(&self) -> String {
        let resource = format!("{} {}", self.role.resource_type(), self.resource_fqn);
        self.role.custom().map_or_else(|| resource.clone(), |role| format!("{resource} {role}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_belong_to_their_types() {
        let roles = [
            ("secret-group", "secret-group-reader"),
            ("provider-integration", "provider-integration-access"),
            ("provider-account", "provider-account-manager"),
            ("team", "team-manager"),
            ("account", "tenant-admin"),
        ];
        for (of, _) in roles {
            for (from, role) in roles {
                let read = GrantedRole::parse(of, role);
                assert_eq!(read.is_some(), of == from, "{of} {role}");
                assert!(read.is_none_or(|read| (read.resource_type(), read.id()) == (of, role)));
            }
        }
        assert_eq!(
            GrantedRole::parse("secret-group", "secret-group-manager"),
            Some(GrantedRole::Group(GroupRole::Admin))
        );
        assert_eq!(
            GrantedRole::parse("tenant", "tenant-member"),
            Some(GrantedRole::Tenant(NamedRole::BuiltIn(TenantRole::Member)))
        );
        for foreign in ["workspace", "cluster", "mlf-project", "role", ""] {
            assert_eq!(GrantedRole::parse(foreign, "secret-group-admin"), None);
        }
    }

    #[test]
    fn only_teams_and_the_tenant_have_custom_roles() {
        for resource_type in GrantedRole::RESOURCE_TYPES {
            let role = GrantedRole::parse(resource_type, "auditor");
            assert_eq!(role.is_some(), ["team", "account"].contains(&resource_type), "{resource_type}");
            assert!(role.is_none_or(|role| role.custom().is_some_and(|name| name.as_str() == "auditor")));
            assert_eq!(GrantedRole::parse(resource_type, "Auditor"), None);
        }
        assert_eq!(GrantedRole::parse("team", "tenant-admin"), None);
        assert_eq!(GrantedRole::parse("team", "team-member"), None, "a binding would make nobody a member");
    }
}
