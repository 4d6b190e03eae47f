//! Roles: what a grant says.

use crate::names::RoleName;
use crate::with_ids::with_ids;

with_ids! {
    /// A role on one secret group.
    GroupRole {
        /// Sees names and keys, no values.
        Viewer = "secret-group-viewer",
        /// Sees values too, and changes nothing. Our own: the contract has no role for those who only read.
        Reader = "secret-group-reader",
        /// Sees values, changes and deletes secrets.
        Editor = "secret-group-editor",
        /// All of that, and collaborators, and the group itself.
        Admin = "secret-group-admin" | "secret-group-manager",
    }
}

impl GroupRole {
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

with_ids! {
    /// A built-in role in the tenant: everyone has exactly one role, this or a custom one.
    TenantRole {
        /// Nothing but what groups grant.
        Member = "tenant-member",
        /// Admin of every group, and manager of users, accounts and tokens.
        Admin = "tenant-admin",
    }
}

with_ids! {
    /// A built-in role in a team.
    TeamRole {
        /// Belongs to it.
        Member = "team-member",
        /// Chooses who belongs to it.
        Manager = "team-manager",
    }
}

with_ids! {
    /// The one role on a provider integration.
    IntegrationRole {
        /// Creates groups on it.
        Access = "provider-integration-access",
    }
}

with_ids! {
    /// A role on a provider account.
    AccountRole {
        /// Uses all of its integrations.
        Access = "provider-account-access",
        /// Changes and deletes it.
        Manager = "provider-account-manager",
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
