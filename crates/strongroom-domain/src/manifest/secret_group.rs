use serde_json::{Map, Value, json};

use super::faults::{Faults, has_nul, required, within_bounds};
use crate::Violation;
use crate::names::{GroupName, NameRule};
use crate::role::GroupRole;
use crate::subject::SubjectName;

/// Who may do what with a group, as one line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collaborator {
    /// Whom.
    pub subject: SubjectName,
    /// What.
    pub role: GroupRole,
}

/// A checked manifest of type `secret-group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretGroupManifest {
    /// The group's name; the match is by name.
    pub name: GroupName,
    /// The integration whose store keeps the values.
    pub integration_fqn: String,
    /// Who shares the group; `None` when the manifest doesn't say.
    pub collaborators: Option<Vec<Collaborator>>,
    /// The owning account, passed through.
    pub owned_by: Option<Value>,
}

impl SecretGroupManifest {
    /// Checks a manifest field by field; every fault is reported, with its path below `manifest`.
    ///
    /// Fields that it doesn't know are ignored, as clients of other versions send them, but `secrets` is refused:
    /// somebody who writes values there believes that they are stored.
    pub fn parse(manifest: &Value, rule: NameRule) -> Result<Self, Vec<Violation>> {
        let mut faults = Faults::default();
        let fields = faults.object(manifest, "secret-group");
        if fields.contains_key("secrets") {
            faults.add(
                "manifest.secrets",
                "a manifest carries no values: remove `secrets` and send them with PUT /api/svc/v1/secret-groups/{id}",
            );
        }
        let name = faults.text(fields, "name").and_then(|text| {
            GroupName::parse(text, rule).map_err(|error| faults.add("manifest.name", error.to_string())).ok()
        });
        let integration_fqn = faults.text(fields, "integration_fqn").map(str::to_owned);
        let collaborators = faults.list(fields, "collaborators", parse_collaborator);
        if let Some(list) = &collaborators {
            faults.duplicates(list.iter().map(|entry| entry.subject.as_str()), "manifest.collaborators");
        }
        let owned_by = fields.get("ownedBy").filter(|value| !value.is_null()).cloned();
        if owned_by.as_ref().is_some_and(|value| !value.is_object()) {
            faults.add("manifest.ownedBy", "must be an object like {\"account\": \"root\"}");
        }
        if owned_by.as_ref().is_some_and(has_nul) {
            faults.add("manifest.ownedBy", "must not contain U+0000");
        }
        match (name, integration_fqn) {
            (Some(name), Some(integration_fqn)) if faults.0.is_empty() => {
                let manifest = Self { name, integration_fqn, collaborators, owned_by };
                within_bounds(&manifest.to_json())?;
                Ok(manifest)
            }
            _ => Err(faults.0),
        }
    }

    /// The manifest as it is stored and given back: only what is known, in a fixed order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = json!({
            "type": "secret-group",
            "name": self.name.as_str(),
            "integration_fqn": self.integration_fqn,
        });
        if let Some(collaborators) = &self.collaborators {
            out["collaborators"] = collaborators
                .iter()
                .map(|entry| json!({"subject": entry.subject.as_str(), "role_id": entry.role.id()}))
                .collect();
        }
        if let Some(owned_by) = &self.owned_by {
            out["ownedBy"] = owned_by.clone();
        }
        out
    }
}

fn parse_collaborator(entry: &Map<String, Value>) -> Result<Collaborator, (&'static str, String)> {
    let subject = required(entry, "subject")?;
    let role = required(entry, "role_id")?;
    Ok(Collaborator {
        subject: SubjectName::parse(subject).map_err(|form| ("subject", form.to_owned()))?,
        role: parse_role(role)?,
    })
}

pub(super) fn parse_role(id: &str) -> Result<GroupRole, (&'static str, String)> {
    GroupRole::parse(id).ok_or_else(|| {
        let known = GroupRole::ALL.map(|role| format!("`{}`", role.id())).join(", ");
        ("role_id", format!("no role of a secret group; there are {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::faults::{FAULTS, MANIFEST_BYTES};

    fn faults(manifest: &Value) -> Vec<String> {
        SecretGroupManifest::parse(manifest, NameRule::Strict)
            .expect_err("a faulty manifest")
            .into_iter()
            .map(|fault| fault.path)
            .collect()
    }

    #[test]
    fn a_full_manifest_reads_and_writes_back() {
        let written = json!({
            "type": "secret-group", "name": "prod-db", "integration_fqn": "acme:truefoundry:default:secret-store:db",
            "collaborators": [{"subject": "user:alice@x.io", "role_id": "secret-group-admin"}],
            "ownedBy": {"account": "root"},
        });
        assert_eq!(SecretGroupManifest::parse(&written, NameRule::Strict).unwrap().to_json(), written);
    }

    #[test]
    fn unknown_fields_are_ignored_but_secrets_are_refused() {
        let mut manifest =
            json!({"type": "secret-group", "name": "prod", "integration_fqn": "x", "workspace_fqn": "w"});
        assert!(SecretGroupManifest::parse(&manifest, NameRule::Strict).is_ok());
        manifest["secrets"] = json!({"K": "v"});
        assert_eq!(faults(&manifest), ["manifest.secrets"]);
    }

    #[test]
    fn every_fault_is_named_with_its_path() {
        let manifest = json!({
            "type": "secret-groups", "name": "P", "ownedBy": 1,
            "collaborators": [
                {"subject": "alice", "role_id": "secret-group-admin"}, {"subject": "user:a@b.c", "role_id": "workspace-admin"}, 7,
                {"subject": "user:d@b.c", "role_id": "secret-group-viewer"}, {"subject": "user:D@b.c", "role_id": "secret-group-admin"},
            ],
        });
        assert_eq!(
            faults(&manifest),
            [
                "manifest.type",
                "manifest.name",
                "manifest.integration_fqn",
                "manifest.collaborators[0].subject",
                "manifest.collaborators[1].role_id",
                "manifest.collaborators[2]",
                "manifest.collaborators",
                "manifest.ownedBy",
            ]
        );
        assert_eq!(faults(&json!([])), ["manifest", "manifest.name", "manifest.integration_fqn"]);
        assert!(
            faults(&json!({"type": "secret-group", "name": "ab", "integration_fqn": "x", "collaborators": {}}))
                .contains(&"manifest.collaborators".into())
        );
    }

    #[test]
    fn manifests_are_bounded_and_so_is_what_is_said_of_them() {
        let manifest = |field: &str, value: Value| {
            let mut manifest =
                json!({"type": "secret-group", "name": "pay", "integration_fqn": "a:b:c:secret-store:d"});
            manifest[field] = value;
            SecretGroupManifest::parse(&manifest, NameRule::Strict)
        };
        let told = |result: Result<SecretGroupManifest, Vec<Violation>>| {
            result.unwrap_err().into_iter().map(|fault| fault.path).collect::<Vec<_>>()
        };
        assert_eq!(told(manifest("ownedBy", json!({"account": "x".repeat(MANIFEST_BYTES)}))), ["manifest"]);
        assert_eq!(told(manifest("collaborators", json!(vec![0; 1_001]))), ["manifest.collaborators"]);
        assert_eq!(told(manifest("collaborators", json!(vec![0; 1_000]))).len(), FAULTS);
    }
}
