use serde_json::Value;

use super::fields::{Fields, Written, read};
use crate::names::{GroupName, NameRule};
use crate::role::GroupRole;
use crate::subject::SubjectName;
use crate::{Timestamp, Violation};

/// Who may do what with a group, as one line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collaborator {
    /// Whom.
    pub subject: SubjectName,
    /// What.
    pub role: GroupRole,
    /// Until when, if it ends: our own addition.
    pub expires_at: Option<Timestamp>,
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
    /// The owning account, and what else is said of it.
    pub owned_by: Option<Value>,
}

impl SecretGroupManifest {
    /// The `type` of such a manifest.
    pub const TYPE: &str = "secret-group";

    /// Checks a manifest field by field; every fault is reported, with its path below `manifest`.
    ///
    /// Fields that it doesn't know are ignored, as clients of other versions send them, but `secrets` is refused:
    /// somebody who writes values there believes that they are stored.
    pub fn parse(manifest: &Value, rule: NameRule) -> Result<Self, Vec<Violation>> {
        read(manifest, Self::TYPE, |fields| Self::read(fields, rule), Self::to_json)
    }

    fn read(fields: &Fields<'_>, rule: NameRule) -> Option<Self> {
        fields.refuse(
            "secrets",
            "a manifest carries no values: remove `secrets` and send them with PUT /api/svc/v1/secret-groups/{id}",
        );
        let name = fields.parsed("name", |text| GroupName::parse(text, rule));
        let integration_fqn = fields.text("integration_fqn");
        let collaborators = fields.objects("collaborators", Collaborator::read);
        let subjects = collaborators.iter().flatten().map(|entry| entry.subject.as_str());
        fields.unique("collaborators", subjects);
        let owned_by = fields.owned_by();
        Some(Self { name: name?, integration_fqn: integration_fqn?.to_owned(), collaborators, owned_by })
    }

    /// The manifest as it is stored and given back: only what is known, in a fixed order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let collaborators = self.collaborators.as_deref();
        Written::new(Self::TYPE)
            .with("name", self.name.as_str())
            .with("integration_fqn", self.integration_fqn.as_str())
            .maybe("collaborators", collaborators.map(|list| list.iter().map(Value::from).collect::<Value>()))
            .maybe("ownedBy", self.owned_by.clone())
            .into()
    }
}

impl Collaborator {
    fn read(entry: &Fields<'_>) -> Option<Self> {
        let subject = entry.parsed("subject", SubjectName::parse);
        let role = entry.parsed("role_id", |id| {
            let known = || GroupRole::ALL.map(|role| format!("`{}`", role.id())).join(", ");
            GroupRole::parse(id).ok_or_else(|| format!("no role of a secret group; there are {}", known()))
        });
        let expires_at = entry.expires_at();
        Some(Self { subject: subject?, role: role?, expires_at })
    }
}

impl From<&Collaborator> for Value {
    fn from(entry: &Collaborator) -> Self {
        Written::default()
            .with("subject", entry.subject.as_str())
            .with("role_id", entry.role.id())
            .until(entry.expires_at)
            .into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::fields::{FAULTS, MANIFEST_BYTES};

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
            "collaborators": [
                {"subject": "user:alice@x.io", "role_id": "secret-group-admin"},
                {"subject": "team:devs", "role_id": "secret-group-reader", "expires_at": "2027-01-31T12:00:00.000Z"},
            ],
            "ownedBy": {"account": "root"},
        });
        assert_eq!(SecretGroupManifest::parse(&written, NameRule::Strict).unwrap().to_json(), written);
    }

    #[test]
    fn ends_are_told_as_they_hold() {
        for (written, told) in [
            ("2027-01-31", "2027-01-31T00:00:00.000Z"),
            ("2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00.000Z"),
            ("2027-01-31T12:00:00.123456Z", "2027-01-31T12:00:00.123Z"),
        ] {
            let manifest = json!({"type": "secret-group", "name": "prod", "integration_fqn": "x", "collaborators": [
                {"subject": "team:devs", "role_id": "secret-group-reader", "expires_at": written}]});
            let read = SecretGroupManifest::parse(&manifest, NameRule::Strict).unwrap();
            assert_eq!(read.to_json()["collaborators"][0]["expires_at"], told);
            assert_eq!(SecretGroupManifest::parse(&read.to_json(), NameRule::Strict), Ok(read));
        }
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
        assert_eq!(faults(&json!([])), ["manifest"]);
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
