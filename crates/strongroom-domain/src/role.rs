//! Roles: what a grant says.

use crate::names::RoleName;

/// A role on one secret group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupRole {
    /// Sees names and keys, no values.
    Viewer,
    /// Sees values too, and changes nothing. Our own: the contract has no role for those who only read.
    Reader,
    /// Sees values, changes and deletes secrets.
    Editor,
    /// All of that, and collaborators, and the group itself.
    Admin,
}

impl GroupRole {
    /// Every role, from least to most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Reader, Self::Editor, Self::Admin];

    /// Reads a role id; `secret-group-manager` is another name of admin.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        match id {
            "secret-group-viewer" => Some(Self::Viewer),
            "secret-group-reader" => Some(Self::Reader),
            "secret-group-editor" => Some(Self::Editor),
            "secret-group-admin" | "secret-group-manager" => Some(Self::Admin),
            _ => None,
        }
    }

    /// The role's id on the wire and in the database.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Viewer => "secret-group-viewer",
            Self::Reader => "secret-group-reader",
            Self::Editor => "secret-group-editor",
            Self::Admin => "secret-group-admin",
        }
    }

    /// A number that sorts as the roles do, so that a database finds the strongest with `max`. Gaps are for roles to
    /// come.
    #[must_use]
    pub const fn rank(self) -> i64 {
        match self {
            Self::Viewer => 10,
            Self::Reader => 15,
            Self::Editor => 20,
            Self::Admin => 30,
        }
    }

    /// The role of a [`rank`](Self::rank).
    #[must_use]
    pub fn from_rank(rank: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.rank() == rank)
    }
}

/// A built-in role in the tenant: everyone has exactly one role, this or a custom one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TenantRole {
    /// Nothing but what groups grant.
    Member,
    /// Admin of every group, and manager of users, accounts and tokens.
    Admin,
}

impl TenantRole {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::Member, Self::Admin];

    /// Reads a role id.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.id() == id)
    }

    /// The role's id on the wire and in the database.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Member => "tenant-member",
            Self::Admin => "tenant-admin",
        }
    }
}

/// A built-in role in a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TeamRole {
    /// Belongs to it.
    Member,
    /// Chooses who belongs to it.
    Manager,
}

impl TeamRole {
    /// Every role, from least to most.
    pub const ALL: [Self; 2] = [Self::Member, Self::Manager];

    /// Reads a role id.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.id() == id)
    }

    /// The role's id on the wire and in the database.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Member => "team-member",
            Self::Manager => "team-manager",
        }
    }
}

/// The one role on a provider integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntegrationRole {
    /// Creates groups on it.
    Access,
}

impl IntegrationRole {
    /// Every role.
    pub const ALL: [Self; 1] = [Self::Access];

    /// Reads a role id.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.id() == id)
    }

    /// The role's id on the wire and in the database.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Access => "provider-integration-access",
        }
    }
}

/// A role on a provider account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountRole {
    /// Uses all of its integrations.
    Access,
    /// Changes and deletes it.
    Manager,
}

impl AccountRole {
    /// Every role, from least to most.
    pub const ALL: [Self; 2] = [Self::Access, Self::Manager];

    /// Reads a role id.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.id() == id)
    }

    /// The role's id on the wire and in the database.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Access => "provider-account-access",
            Self::Manager => "provider-account-manager",
        }
    }
}

/// Which role a grant in the tenant or a team speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NamedRole<T> {
    /// One that every tenant has.
    BuiltIn(T),
    /// One that the tenant made, to be looked up by its name.
    Custom(RoleName),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back() {
        for role in GroupRole::ALL {
            assert_eq!(GroupRole::parse(role.id()), Some(role));
            assert_eq!(GroupRole::from_rank(role.rank()), Some(role));
        }
        assert_eq!(GroupRole::parse("secret-group-manager"), Some(GroupRole::Admin));
        assert_eq!(GroupRole::parse("admin"), None);
        assert_eq!(GroupRole::from_rank(0), None);
        assert_eq!(TenantRole::ALL.map(|role| TenantRole::parse(role.id())), TenantRole::ALL.map(Some));
        assert_eq!(TeamRole::ALL.map(|role| TeamRole::parse(role.id())), TeamRole::ALL.map(Some));
        assert_eq!(IntegrationRole::ALL.map(|role| IntegrationRole::parse(role.id())), IntegrationRole::ALL.map(Some));
        assert_eq!(AccountRole::ALL.map(|role| AccountRole::parse(role.id())), AccountRole::ALL.map(Some));
    }

    #[test]
    fn ranks_sort_as_roles_do() {
        assert!(GroupRole::ALL.is_sorted());
        assert_eq!(GroupRole::ALL.map(GroupRole::rank), [10, 15, 20, 30]);
    }
}
