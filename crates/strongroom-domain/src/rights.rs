//! What custom roles can allow, and what somebody's role in the tenant comes to.

use crate::role::{GroupRole, TenantRole};
use crate::with_ids::with_ids;

with_ids! {
    /// What a custom role of resource type `account` can allow in the whole tenant.
    TenantPermission {
        /// See people and teams. People may anyway, machines may not.
        ReadUsers = "user:read",
        /// Register people. Not invite them: whoever has an invitation's link can act as the person.
        RegisterUsers = "user:register",
        /// Make teams.
        CreateTeams = "team:create",
        /// Read the audit log.
        ReadAuditLog = "audit-log:read",
        /// See all groups and keys, no values.
        ViewGroups = "secret-group:view",
        /// Read the values of all groups, and so see them.
        ReadValues = "secret-group:read-values",
    }
}

with_ids! {
    /// What a custom role of resource type `team` can allow in one team.
    TeamPermission {
        /// See it and who is in it.
        Read = "team:read",
        /// Choose who is in it.
        ManageMembers = "team:manage-members",
    }
}

/// What all of somebody's roles in the tenant allow together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TenantRights {
    admin: bool,
    /// One bit for each permission, by its place in the enum.
    permissions: u32,
}

impl TenantRights {
    /// Everything.
    pub const ADMIN: Self = Self { admin: true, permissions: 0 };
    /// Nothing but what groups grant.
    pub const MEMBER: Self = Self { admin: false, permissions: 0 };

    /// Those that permissions add up to.
    #[must_use]
    pub fn of(permissions: impl IntoIterator<Item = TenantPermission>) -> Self {
        permissions
            .into_iter()
            .fold(Self::MEMBER, |rights, one| Self { permissions: rights.permissions | bit(one), ..rights })
    }

    /// What either allows.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { admin: self.admin || other.admin, permissions: self.permissions | other.permissions }
    }

    /// Whether these are an admin's.
    #[must_use]
    pub const fn is_admin(self) -> bool {
        self.admin
    }

    /// Whether they allow it: an admin's allow everything.
    #[must_use]
    pub const fn has(self, permission: TenantPermission) -> bool {
        self.admin || self.permissions & bit(permission) != 0
    }

    /// The role that they give on every group.
    #[must_use]
    pub const fn floor(self) -> Option<GroupRole> {
        if self.admin {
            Some(GroupRole::Admin)
        } else if self.has(TenantPermission::ReadValues) {
            Some(GroupRole::Reader)
        } else if self.has(TenantPermission::ViewGroups) {
            Some(GroupRole::Viewer)
        } else {
            None
        }
    }
}

impl From<TenantRole> for TenantRights {
    fn from(role: TenantRole) -> Self {
        match role {
            TenantRole::Admin => Self::ADMIN,
            TenantRole::Member => Self::MEMBER,
        }
    }
}

const fn bit(permission: TenantPermission) -> u32 {
    1 << permission as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back() {
        for permission in TenantPermission::ALL {
            assert_eq!(TenantPermission::parse(permission.id()), Some(permission));
            assert!(permission.id().contains(':') && TeamPermission::parse(permission.id()).is_none());
        }
        for permission in TeamPermission::ALL {
            assert_eq!(TeamPermission::parse(permission.id()), Some(permission));
        }
    }

    #[test]
    fn each_permission_allows_itself_only() {
        for given in TenantPermission::ALL {
            let rights = TenantRights::of([given]);
            for asked in TenantPermission::ALL {
                assert_eq!(rights.has(asked), given == asked, "{given:?} {asked:?}");
                assert!(TenantRights::ADMIN.has(asked) && !TenantRights::MEMBER.has(asked));
            }
            assert!(!rights.is_admin());
        }
    }

    #[test]
    fn unions_add_up() {
        let both =
            TenantRights::of([TenantPermission::CreateTeams]).union(TenantRights::of([TenantPermission::ReadUsers]));
        assert!(both.has(TenantPermission::CreateTeams) && both.has(TenantPermission::ReadUsers));
        assert!(both.union(TenantRights::ADMIN).is_admin() && TenantRights::ADMIN.union(both).is_admin());
        assert_eq!(TenantRights::MEMBER.union(TenantRights::MEMBER), TenantRights::MEMBER);
    }

    #[test]
    fn floors() {
        use TenantPermission::{CreateTeams, ReadAuditLog, ReadUsers, ReadValues, RegisterUsers, ViewGroups};
        assert_eq!(TenantRights::ADMIN.floor(), Some(GroupRole::Admin));
        assert_eq!(TenantRights::MEMBER.floor(), None);
        assert_eq!(TenantRights::of([ReadUsers, RegisterUsers, CreateTeams, ReadAuditLog]).floor(), None);
        assert_eq!(TenantRights::of([ViewGroups]).floor(), Some(GroupRole::Viewer));
        assert_eq!(TenantRights::of([ReadValues]).floor(), Some(GroupRole::Reader));
        assert_eq!(TenantRights::of([ReadValues, ViewGroups]).floor(), Some(GroupRole::Reader));
    }
}
