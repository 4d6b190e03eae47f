use serde_json::Value;

use super::fields::{Fields, Written, read};
use crate::Violation;
use crate::names::RoleName;
use crate::rights::{TeamPermission, TenantPermission};

/// What a custom role allows, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolePermissions {
    /// In the whole tenant: resource type `account`.
    Tenant(Vec<TenantPermission>),
    /// In one team: resource type `team`.
    Team(Vec<TeamPermission>),
}

/// A checked manifest of type `role`: a custom role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleManifest {
    /// The role's name; the match is by name.
    pub name: RoleName,
    /// A name for people to read.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// What it allows; never nothing.
    pub permissions: RolePermissions,
}

impl RoleManifest {
    /// The `type` of such a manifest.
    pub const TYPE: &str = "role";

    /// Checks a manifest field by field.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        read(manifest, Self::TYPE, Self::read, Self::to_json)
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let name = fields.parsed("name", RoleName::parse);
        let display_name = fields.text("displayName");
        let description = fields.text("description");
        let permissions = match fields.text("resourceType") {
            Some("account" | "tenant") => {
                known(fields, &TenantPermission::ALL, TenantPermission::parse, TenantPermission::id)
                    .map(RolePermissions::Tenant)
            }
            Some("team") => known(fields, &TeamPermission::ALL, TeamPermission::parse, TeamPermission::id)
                .map(RolePermissions::Team),
            Some(_) => {
                fields.fault("resourceType", "custom roles are of `account` (also called `tenant`) or `team`");
                None
            }
            None => None,
        };
        Some(Self {
            name: name?,
            display_name: display_name?.to_owned(),
            description: description?.to_owned(),
            permissions: permissions?,
        })
    }

    /// The manifest as it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (resource_type, permissions): (_, Value) = match &self.permissions {
            RolePermissions::Tenant(list) => ("account", list.iter().map(|one| one.id()).collect()),
            RolePermissions::Team(list) => ("team", list.iter().map(|one| one.id()).collect()),
        };
        Written::new(Self::TYPE)
            .with("name", self.name.as_str())
            .with("displayName", self.display_name.as_str())
            .with("description", self.description.as_str())
            .with("resourceType", resource_type)
            .with("permissions", permissions)
            .into()
    }
}

fn known<T: Copy>(
    fields: &Fields<'_>,
    all: &[T],
    parse: impl Fn(&str) -> Option<T>,
    id: fn(T) -> &'static str,
) -> Option<Vec<T>> {
    let there_are = || all.iter().map(|one| format!("`{}`", id(*one))).collect::<Vec<_>>().join(", ");
    if fields.get("permissions").is_none() {
        fields.fault("permissions", format!("a list is required; there are {}", there_are()));
    }
    fields.not_empty("permissions", "must not be empty: a role that allows nothing is no role");
    let permissions = fields.texts("permissions", |text| {
        parse(text).ok_or_else(|| format!("no permission of this resource type; there are {}", there_are()))
    })?;
    fields.unique("permissions", permissions.iter().map(|one| id(*one)));
    Some(permissions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(resource_type: &str, permissions: Value) -> Value {
        let mut role = json!({"type": "role", "name": "auditor", "displayName": "Auditor", "description": "Looks on.",
                              "resourceType": resource_type});
        role["permissions"] = permissions;
        role
    }

    fn faults(manifest: &Value) -> Vec<String> {
        RoleManifest::parse(manifest).unwrap_err().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn roles_read_and_write_back() {
        for written in
            [role("account", json!(["audit-log:read", "user:read"])), role("team", json!(["team:manage-members"]))]
        {
            assert_eq!(RoleManifest::parse(&written).unwrap().to_json(), written);
        }
        let alias = RoleManifest::parse(&role("tenant", json!(["audit-log:read"]))).unwrap();
        assert_eq!(alias.to_json()["resourceType"], "account");
    }

    #[test]
    fn permissions_belong_to_the_resource_type() {
        for (manifest, path) in [
            (role("account", json!(["user:read", "team:read"])), "manifest.permissions[1]"),
            (role("team", json!(["user:read"])), "manifest.permissions[0]"),
            (role("team", json!([])), "manifest.permissions"),
            (role("team", Value::Null), "manifest.permissions"),
            (role("team", json!(["team:read", "team:read"])), "manifest.permissions"),
            (role("secret-group", json!(["secret-group:view"])), "manifest.resourceType"),
        ] {
            assert_eq!(faults(&manifest), [path]);
        }
        let mut built_in = role("team", json!(["team:read"]));
        built_in["name"] = json!("team-manager");
        assert_eq!(faults(&built_in), ["manifest.name"]);
        assert_eq!(
            faults(&json!({"type": "role"})),
            ["manifest.name", "manifest.displayName", "manifest.description", "manifest.resourceType"]
        );
    }
}
