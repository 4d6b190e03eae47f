use serde_json::{Map, Value, json};

use super::faults::{Faults, required, within_bounds};
use super::secret_group::parse_role;
use crate::Violation;
use crate::names::MachineName;
use crate::role::GroupRole;

/// Fields of a virtual account's manifest that promise something about its token. To ignore one would let somebody rely
/// on what doesn't happen.
const UNKEPT_PROMISES: &[(&str, &str)] = &[
    ("expiration_date", "let tokens of virtual accounts expire"),
    ("auto_rotate", "rotate tokens"),
    ("secret_store_config", "write tokens to a secret store"),
    ("identity_provider_mapping", "take the tokens of identity providers"),
];

/// A checked manifest of type `virtual-account`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAccountManifest {
    /// The account's name; the match is by name.
    pub name: MachineName,
    /// Roles on secret groups; `None` leaves access as it is.
    pub permissions: Option<Vec<GroupPermission>>,
}

/// A role on one group, as a virtual account's manifest grants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPermission {
    /// `<tenant>:<group>`.
    pub group_fqn: String,
    /// The role.
    pub role: GroupRole,
}

impl VirtualAccountManifest {
    /// Checks a manifest field by field. An empty `permissions` list is refused, as the contract has it.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        let mut faults = Faults::default();
        let fields = faults.object(manifest, "virtual-account");
        let name = faults.text(fields, "name").and_then(|text| {
            MachineName::parse(text).map_err(|error| faults.add("manifest.name", error.to_string())).ok()
        });
        for (field, promise) in UNKEPT_PROMISES {
            if fields.get(*field).is_some_and(|value| !value.is_null()) {
                faults.add(&format!("manifest.{field}"), format!("this server does not {promise}: remove the field"));
            }
        }
        if fields.get("token_type").is_some_and(|kind| !kind.is_null() && *kind != "opaque") {
            faults.add("manifest.token_type", "this server makes `opaque` tokens only");
        }
        let permissions = faults.list(fields, "permissions", parse_permission);
        if permissions.as_ref().is_some_and(Vec::is_empty) && fields["permissions"] == json!([]) {
            faults.add("manifest.permissions", "must not be empty: leave it out to keep access as it is");
        }
        if let Some(list) = &permissions {
            faults.duplicates(list.iter().map(|entry| entry.group_fqn.as_str()), "manifest.permissions");
        }
        match name {
            Some(name) if faults.0.is_empty() => {
                let manifest = Self { name, permissions };
                within_bounds(&manifest.to_json())?;
                Ok(manifest)
            }
            _ => Err(faults.0),
        }
    }

    /// The manifest as it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = json!({"type": "virtual-account", "name": self.name.as_str()});
        if let Some(permissions) = &self.permissions {
            out["permissions"] = permissions
                .iter()
                .map(|entry| {
                    json!({"resource_type": "secret-group", "resource_fqn": entry.group_fqn, "role_id": entry.role.id()})
                })
                .collect();
        }
        out
    }
}

fn parse_permission(entry: &Map<String, Value>) -> Result<GroupPermission, (&'static str, String)> {
    if required(entry, "resource_type")? != "secret-group" {
        return Err(("resource_type", "this server grants roles on `secret-group` only".into()));
    }
    Ok(GroupPermission {
        group_fqn: required(entry, "resource_fqn")?.to_owned(),
        role: parse_role(required(entry, "role_id")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_accounts() {
        let written = json!({"type": "virtual-account", "name": "ci-bot", "permissions": [
            {"resource_type": "secret-group", "resource_fqn": "acme:prod", "role_id": "secret-group-editor"}]});
        assert_eq!(VirtualAccountManifest::parse(&written).unwrap().to_json(), written);
        assert_eq!(
            VirtualAccountManifest::parse(&json!({"type": "virtual-account", "name": "ci-bot"})).unwrap().permissions,
            None
        );
        for (permissions, path) in [
            (json!([]), "manifest.permissions"),
            (
                json!([{"resource_type": "cluster", "resource_fqn": "c", "role_id": "x"}]),
                "manifest.permissions[0].resource_type",
            ),
        ] {
            let manifest = json!({"type": "virtual-account", "name": "ci-bot", "permissions": permissions});
            assert_eq!(VirtualAccountManifest::parse(&manifest).unwrap_err()[0].path, path);
        }
    }

    #[test]
    fn what_a_token_would_not_do_is_refused() {
        let manifest = |field: &str, value: Value| {
            let mut manifest = json!({"type": "virtual-account", "name": "ci-bot"});
            manifest[field] = value;
            VirtualAccountManifest::parse(&manifest)
        };
        for (field, _) in UNKEPT_PROMISES {
            let faults = manifest(field, json!("2027-01-01")).unwrap_err();
            assert_eq!(
                faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(),
                [format!("manifest.{field}")]
            );
            assert!(manifest(field, Value::Null).is_ok());
        }
        assert!(manifest("token_type", json!("jwt")).is_err());
        assert!(manifest("token_type", json!("opaque")).is_ok());
    }
}
