//! Who may do what: pure functions over what is known of the caller.

use crate::rights::TenantRights;
use crate::role::GroupRole;

/// What can be done to a secret group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupAction {
    /// Know that it exists: its name, keys, versions and who made them.
    See,
    /// Get values.
    ReadValues,
    /// Change, add, delete and restore secrets.
    WriteSecrets,
    /// Change its manifest and collaborators, delete it, restore it.
    Manage,
}

impl GroupAction {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::See, Self::ReadValues, Self::WriteSecrets, Self::Manage];

    /// Reads an action as questions about access write it.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.id() == id)
    }

    /// As questions about access write it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::ReadValues => "read-values",
            Self::WriteSecrets => "write-secrets",
            Self::Manage => "manage",
        }
    }

    /// The least role that allows it, where nothing is hidden.
    #[must_use]
    pub fn least_role(self) -> GroupRole {
        let allows = |role: &GroupRole| {
            let standing = Standing { floor: None, group_role: Some(*role), machine: true };
            decide(standing, self, PolicyRules::default()) == Decision::Allowed
        };
        GroupRole::ALL.into_iter().find(allows).unwrap_or(GroupRole::Admin)
    }
}

/// What is known of a caller with respect to one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The role that the caller has on every group, from its roles in the tenant ([`TenantRights::floor`]).
    pub floor: Option<GroupRole>,
    /// The strongest role that grants give the caller on the group.
    pub group_role: Option<GroupRole>,
    /// Whether the caller is a machine (a virtual account) rather than a person.
    pub machine: bool,
}

/// Rules that the operator sets for the whole instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PolicyRules {
    /// `DISABLE_SECRET_VALUE_VIEW`: people get no values, machines do.
    pub values_hidden_from_people: bool,
}

/// The answer to "may they?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No, but they may know that the group exists (403).
    Forbidden,
    /// No, and for them the group does not exist (404).
    Invisible,
}

/// Decides one action on one group.
#[must_use]
pub fn decide(standing: Standing, action: GroupAction, rules: PolicyRules) -> Decision {
    let Some(role) = effective_role(standing) else { return Decision::Invisible };
    let allowed = match action {
        GroupAction::See => true,
        GroupAction::ReadValues => role >= GroupRole::Reader && (standing.machine || !rules.values_hidden_from_people),
        GroupAction::WriteSecrets => role >= GroupRole::Editor,
        GroupAction::Manage => role >= GroupRole::Admin,
    };
    if allowed { Decision::Allowed } else { Decision::Forbidden }
}

/// Whether a caller may create groups on an integration: tenant admins, and who has a role on it or its account.
#[must_use]
pub const fn may_use_integration(rights: TenantRights, has_role: bool) -> bool {
    rights.is_admin() || has_role
}

/// Whether a caller may choose who is in a team: tenant admins, and its managers.
#[must_use]
pub const fn may_manage_team(rights: TenantRights, is_manager: bool) -> bool {
    rights.is_admin() || is_manager
}

/// The role that counts: `None` is less than any role.
#[must_use]
pub fn effective_role(standing: Standing) -> Option<GroupRole> {
    standing.floor.max(standing.group_role)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::rights::TenantPermission;

    const GROUP_ROLES: [Option<GroupRole>; 5] =
        [None, Some(GroupRole::Viewer), Some(GroupRole::Reader), Some(GroupRole::Editor), Some(GroupRole::Admin)];
    const FLOORS: [Option<GroupRole>; 4] =
        [None, Some(GroupRole::Viewer), Some(GroupRole::Reader), Some(GroupRole::Admin)];

    fn name(role: Option<GroupRole>) -> &'static str {
        role.map_or("-", |role| role.id().trim_start_matches("secret-group-"))
    }

    /// What a caller may do, in one word each.
    fn drawn(standing: Standing, hidden: bool) -> String {
        let rules = PolicyRules { values_hidden_from_people: hidden };
        let marks = GroupAction::ALL.map(|action| match decide(standing, action, rules) {
            Decision::Allowed => "yes",
            Decision::Forbidden => "403",
            Decision::Invisible => "404",
        });
        marks.join(" ")
    }

    /// The whole policy as a picture: a change of it shows in review.
    #[test]
    fn matrix() {
        let mut picture = String::from(
            "each cell: see, read values, write secrets, manage\n\n\
             tenant  group   machine, or shown  person, hidden\n",
        );
        for floor in FLOORS {
            for group_role in GROUP_ROLES {
                let machine = Standing { floor, group_role, machine: true };
                let person = Standing { machine: false, ..machine };
                let open = drawn(machine, false);
                assert_eq!(drawn(machine, true), open, "hiding values from people hides none from machines");
                assert_eq!(drawn(person, false), open, "people and machines are alike while nothing is hidden");
                let (floor, group) = (name(floor), name(group_role));
                writeln!(picture, "{floor:<8}{group:<8}{open:<19}{}", drawn(person, true)).unwrap();
            }
        }
        assert_eq!(picture, include_str!("policy_matrix.txt"), "\n{picture}");
    }

    #[test]
    fn actions_read_back_and_take_a_role() {
        for action in GroupAction::ALL {
            assert_eq!(GroupAction::parse(action.id()), Some(action));
        }
        assert_eq!(GroupAction::parse("See"), None);
        assert_eq!(GroupAction::ALL.map(GroupAction::least_role), GroupRole::ALL);
    }

    #[test]
    fn integrations_serve_whom_they_authorize() {
        let (member, admin) = (TenantRights::MEMBER, TenantRights::ADMIN);
        assert!(may_use_integration(member, true) && !may_use_integration(member, false));
        assert!(may_use_integration(admin, false));
        let all = TenantRights::of(TenantPermission::ALL);
        assert!(!may_use_integration(all, false) && !may_manage_team(all, false));
        assert!(may_manage_team(member, true) && may_manage_team(admin, false) && !may_manage_team(member, false));
    }
}
