//! Who may do what: pure functions over what is known of the caller.

use crate::role::{GroupRole, TenantRole};

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
}

/// What is known of a caller with respect to one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The caller's role in the tenant.
    pub tenant_role: TenantRole,
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
        GroupAction::ReadValues => role >= GroupRole::Editor && (standing.machine || !rules.values_hidden_from_people),
        GroupAction::WriteSecrets => role >= GroupRole::Editor,
        GroupAction::Manage => role >= GroupRole::Admin,
    };
    if allowed { Decision::Allowed } else { Decision::Forbidden }
}

/// Whether a caller may create groups on an integration: tenant admins, and the subjects that it authorizes.
#[must_use]
pub fn may_use_integration(
    tenant_role: TenantRole,
    authorized_subjects: &[String],
    caller_subjects: &[String],
) -> bool {
    tenant_role == TenantRole::Admin || caller_subjects.iter().any(|subject| authorized_subjects.contains(subject))
}

fn effective_role(standing: Standing) -> Option<GroupRole> {
    match standing.tenant_role {
        TenantRole::Admin => Some(GroupRole::Admin),
        TenantRole::Member => standing.group_role,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The whole policy as a picture: a change of it shows in review.
    #[test]
    fn matrix() {
        let mut drawn = String::new();
        let callers = [(TenantRole::Admin, None)].into_iter().chain(
            [None, Some(GroupRole::Viewer), Some(GroupRole::Editor), Some(GroupRole::Admin)]
                .map(|r| (TenantRole::Member, r)),
        );
        for (tenant_role, group_role) in callers {
            for machine in [false, true] {
                for hidden in [false, true] {
                    let standing = Standing { tenant_role, group_role, machine };
                    let rules = PolicyRules { values_hidden_from_people: hidden };
                    let who = group_role.map_or(tenant_role.id(), GroupRole::id);
                    let kind = if machine { "machine" } else { "person" };
                    let mode = if hidden { "hidden" } else { "shown" };
                    write!(drawn, "{who:<20}{kind:<8}{mode:<7}").unwrap();
                    for action in GroupAction::ALL {
                        let mark = match decide(standing, action, rules) {
                            Decision::Allowed => "yes",
                            Decision::Forbidden => "403",
                            Decision::Invisible => "404",
                        };
                        write!(drawn, " {mark}").unwrap();
                    }
                    drawn.push('\n');
                }
            }
        }
        assert_eq!(drawn, include_str!("policy_matrix.txt"), "\n{drawn}");
    }

    #[test]
    fn integrations_serve_whom_they_name() {
        let authorized = [String::from("team:everyone")];
        let everyone = [String::from("user:a@b.c"), String::from("team:everyone")];
        assert!(may_use_integration(TenantRole::Member, &authorized, &everyone));
        assert!(!may_use_integration(TenantRole::Member, &authorized, &[String::from("virtualaccount:ci")]));
        assert!(may_use_integration(TenantRole::Admin, &[], &[]));
    }
}
