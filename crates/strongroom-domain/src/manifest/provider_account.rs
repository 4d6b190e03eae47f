use serde_json::Value;

use super::fields::{Fields, Written, read};
use crate::Violation;
use crate::names::ProviderName;
use crate::subject::SubjectName;

/// The embedded store, as an integration of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedIntegration {
    /// The integration's name, unique in its account.
    pub name: ProviderName,
    /// Who may create groups on it; `None` when the manifest doesn't say.
    pub authorized_subjects: Option<Vec<SubjectName>>,
}

/// A checked manifest of type `provider-account/truefoundry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAccountManifest {
    /// The account's name; the match is by name.
    pub name: ProviderName,
    /// Its integrations; `None` when the manifest doesn't say.
    pub integrations: Option<Vec<EmbeddedIntegration>>,
    /// The owning account, and what else is said of it.
    pub owned_by: Option<Value>,
}

impl ProviderAccountManifest {
    /// The `type` of such a manifest.
    pub const TYPE: &str = "provider-account/truefoundry";

    /// Checks a manifest field by field.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        read(manifest, Self::TYPE, Self::read, Self::to_json)
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let name = fields.parsed("name", ProviderName::parse);
        let integrations = fields.objects("integrations", EmbeddedIntegration::read);
        fields.unique("integrations", integrations.iter().flatten().map(|one| one.name.as_str()));
        fields.refuse("collaborators", "provider accounts have none: give roles on them with a `role-binding`");
        let owned_by = fields.owned_by();
        Some(Self { name: name?, integrations, owned_by })
    }

    /// The manifest as it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let integrations = self.integrations.as_deref();
        Written::new(Self::TYPE)
            .with("name", self.name.as_str())
            .maybe("integrations", integrations.map(|list| list.iter().map(Value::from).collect::<Value>()))
            .maybe("ownedBy", self.owned_by.clone())
            .into()
    }
}

impl EmbeddedIntegration {
    /// The `type` of such an integration.
    pub const TYPE: &str = "integration/secret-store/truefoundry/db";

    fn read(entry: &Fields<'_>) -> Option<Self> {
        entry.parsed("type", |text| match text {
            Self::TYPE => Ok(()),
            _ => Err(format!("not supported yet; accounts of this type have `{}`", Self::TYPE)),
        });
        let name = entry.parsed("name", ProviderName::parse);
        let authorized_subjects = entry.texts("authorized_subjects", SubjectName::parse);
        entry.unique("authorized_subjects", authorized_subjects.iter().flatten().map(SubjectName::as_str));
        Some(Self { name: name?, authorized_subjects })
    }
}

impl From<&EmbeddedIntegration> for Value {
    fn from(integration: &EmbeddedIntegration) -> Self {
        let subjects = |list: &[SubjectName]| list.iter().map(SubjectName::as_str).collect::<Self>();
        Written::new(EmbeddedIntegration::TYPE)
            .with("name", integration.name.as_str())
            .maybe("authorized_subjects", integration.authorized_subjects.as_deref().map(subjects))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn accounts_read_and_write_back() {
        let written = json!({
            "type": "provider-account/truefoundry", "name": "default",
            "integrations": [
                {"type": "integration/secret-store/truefoundry/db", "name": "db", "authorized_subjects": ["team:everyone"]},
                {"type": "integration/secret-store/truefoundry/db", "name": "closed", "authorized_subjects": []},
                {"type": "integration/secret-store/truefoundry/db", "name": "unsaid"},
            ],
            "ownedBy": {"account": "root"},
        });
        assert_eq!(ProviderAccountManifest::parse(&written).unwrap().to_json(), written);
        let least = json!({"type": "provider-account/truefoundry", "name": "default"});
        assert_eq!(ProviderAccountManifest::parse(&least).unwrap().to_json(), least);
    }

    #[test]
    fn every_fault_is_named_with_its_path() {
        let manifest = json!({
            "type": "provider-account/truefoundry", "name": "a:b", "collaborators": [],
            "integrations": [
                {"type": "integration/secret-store/aws/secrets-manager", "name": "a"},
                {"type": "integration/secret-store/truefoundry/db", "name": "db", "authorized_subjects": ["everyone"]},
                {"type": "integration/secret-store/truefoundry/db", "name": "db"},
            ],
        });
        let faults = ProviderAccountManifest::parse(&manifest).unwrap_err();
        assert_eq!(
            faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(),
            [
                "manifest.name",
                "manifest.integrations[0].type",
                "manifest.integrations[1].authorized_subjects[0]",
                "manifest.integrations",
                "manifest.collaborators",
            ]
        );
    }
}
