//! The roles that every tenant has, as `GET /roles` shows them.

use serde_json::json;
use strongroom_api::wire;
use strongroom_domain::policy::GroupAction;
use strongroom_domain::rights::{TeamPermission, TenantPermission};
use strongroom_domain::role::{AccountRole, GroupRole, IntegrationRole, TeamRole, TenantRole};

use super::view;
use crate::app::{App, AppError};

/// All of them, from least to most on each type of resource.
pub(super) fn built_in_roles(app: &App) -> Result<Vec<wire::Role>, AppError> {
    let groups = GroupRole::ALL.map(|role| ("secret-group", role.id(), on_group(role)));
    let tenant = TenantRole::ALL.map(|role| ("account", role.id(), in_tenant(role)));
    let teams = TeamRole::ALL.map(|role| ("team", role.id(), in_team(role)));
    let accounts = AccountRole::ALL.map(|role| ("provider-account", role.id(), on_account(role)));
    let integrations = IntegrationRole::ALL.map(|role| ("provider-integration", role.id(), on_integration(role)));
    let all = groups.into_iter().chain(tenant).chain(teams).chain(accounts).chain(integrations);
    all.map(|(resource_type, id, terms)| built_in_role(app, resource_type, id, &terms)).collect()
}

/// What a role is for, and the permissions that it stands for, in the words of roles of one's own where these have them.
type Terms = (&'static str, Vec<&'static str>);

fn on_group(role: GroupRole) -> Terms {
    let description = match role {
        GroupRole::Viewer => "Sees the group and its keys, no values.",
        GroupRole::Reader => "Sees the group and reads its values.",
        GroupRole::Editor => "Reads, changes, adds and deletes the group's secrets.",
        GroupRole::Admin => "Does all with the group: its secrets, its collaborators, and the group itself.",
    };
    let word = |action| match action {
        GroupAction::See => TenantPermission::ViewGroups.id(),
        GroupAction::ReadValues => TenantPermission::ReadValues.id(),
        GroupAction::WriteSecrets => "secret-group:write-secrets",
        GroupAction::Manage => "secret-group:manage",
    };
    (description, GroupAction::ALL.into_iter().filter(|action| action.least_role() <= role).map(word).collect())
}

fn in_tenant(role: TenantRole) -> Terms {
    match role {
        TenantRole::Member => ("Has what groups, teams and role bindings give, and nothing else.", Vec::new()),
        TenantRole::Admin => {
            let all = TenantPermission::ALL.iter().map(|permission| permission.id());
            let more = ["secret-group:write-secrets", "secret-group:manage", "tenant:manage"];
            ("Does everything in the tenant, and is admin of every secret group.", all.chain(more).collect())
        }
    }
}

fn in_team(role: TeamRole) -> Terms {
    match role {
        TeamRole::Member => ("Belongs to the team.", vec![TeamPermission::Read.id()]),
        TeamRole::Manager => {
            ("Chooses who belongs to the team.", TeamPermission::ALL.iter().map(|permission| permission.id()).collect())
        }
    }
}

fn on_account(role: AccountRole) -> Terms {
    match role {
        AccountRole::Access => {
            ("Creates secret groups on all integrations of the account.", vec!["provider-account:use"])
        }
        AccountRole::Manager => {
            ("Changes the account and its integrations.", vec!["provider-account:use", "provider-account:manage"])
        }
    }
}

fn on_integration(role: IntegrationRole) -> Terms {
    match role {
        IntegrationRole::Access => ("Creates secret groups on the integration.", vec!["provider-integration:use"]),
    }
}

fn built_in_role(
    app: &App,
    resource_type: &str,
    id: &str,
    (description, permissions): &Terms,
) -> Result<wire::Role, AppError> {
    let written = json!({
        "type": "role", "name": id, "displayName": id, "description": description, "resourceType": resource_type,
        "permissions": permissions,
    });
    Ok(wire::Role {
        id: id.to_owned(),
        name: id.to_owned(),
        tenant_name: app.tenant.as_str().to_owned(),
        account_id: app.account_id.to_string(),
        resource_type: resource_type.to_owned(),
        manifest: view::manifest(&written.to_string())?,
        // The server itself: the official SDK needs somebody.
        created_by_subject: wire::Subject {
            subject_id: "strongroom".into(),
            subject_type: wire::SubjectType::ServiceAccount,
            subject_slug: Some("strongroom".into()),
            subject_display_name: Some("Strongroom".into()),
            subject_pat_name: None,
            subject_controller_name: None,
            subject_external_identity_slug: None,
        },
        is_editable: false,
        is_default: true,
        is_reserved: true,
    })
}
