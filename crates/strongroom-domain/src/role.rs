//! Roles: what a grant says.

/// A role on one secret group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupRole {
    /// Sees names and keys, no values.
    Viewer,
    /// Sees values, changes and deletes secrets.
    Editor,
    /// All of that, and collaborators, and the group itself.
    Admin,
}

impl GroupRole {
    /// Every role, from least to most.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    /// Reads a role id; `secret-group-manager` is another name of admin.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        match id {
            "secret-group-viewer" => Some(Self::Viewer),
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
            Self::Editor => "secret-group-editor",
            Self::Admin => "secret-group-admin",
        }
    }
}

/// A role in the tenant: everyone has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TenantRole {
    /// Nothing but what groups grant.
    Member,
    /// Admin of every group, and manager of users, accounts and tokens.
    Admin,
}

impl TenantRole {
    /// Reads a role id.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        match id {
            "tenant-member" => Some(Self::Member),
            "tenant-admin" => Some(Self::Admin),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back() {
        for role in GroupRole::ALL {
            assert_eq!(GroupRole::parse(role.id()), Some(role));
        }
        assert_eq!(GroupRole::parse("secret-group-manager"), Some(GroupRole::Admin));
        assert_eq!(GroupRole::parse("admin"), None);
        assert_eq!(TenantRole::parse(TenantRole::Admin.id()), Some(TenantRole::Admin));
        assert_eq!(TenantRole::parse(TenantRole::Member.id()), Some(TenantRole::Member));
    }
}
