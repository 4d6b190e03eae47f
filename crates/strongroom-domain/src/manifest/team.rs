use serde_json::Value;

use super::fields::{Fields, Written, read};
use super::machine::{self, Tags};
use crate::Violation;
use crate::names::{Email, TeamName};

/// A checked manifest of type `team`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamManifest {
    /// The team's name; the match is by name.
    pub name: TeamName,
    /// A name for people to read.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Who chooses the members, besides tenant admins; `None` when the manifest doesn't say.
    pub managers: Option<Vec<Email>>,
    /// Who is in it.
    pub members: Vec<Email>,
    /// The owning account, and what else is said of it.
    pub owned_by: Option<Value>,
    /// Free words.
    pub tags: Option<Tags>,
}

impl TeamManifest {
    /// The `type` of such a manifest.
    pub const TYPE: &str = "team";

    /// Checks a manifest field by field.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        read(manifest, Self::TYPE, Self::read, Self::to_json)
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let name = fields.parsed("name", TeamName::parse);
        if name.as_ref().is_some_and(TeamName::is_reserved) {
            fields.fault("name", "`everyone` is the built-in team of all people: choose another name");
        }
        let display_name = fields.optional_text("displayName").map(str::to_owned);
        let description = fields.optional_text("description").map(str::to_owned);
        let managers = fields.texts("managers", Email::parse);
        fields.unique("managers", managers.iter().flatten().map(Email::as_str));
        if fields.get("members").is_none() {
            fields.fault("members", "a list of email addresses is required: `[]` for a team without members");
        }
        let members = fields.texts("members", Email::parse);
        fields.unique("members", members.iter().flatten().map(Email::as_str));
        let owned_by = fields.owned_by();
        let tags = machine::tags(fields);
        fields.refuse(
            "identity_provider_mapping",
            "members of teams can't come from an identity provider yet: remove the field and name them in `members`",
        );
        Some(Self { name: name?, display_name, description, managers, members: members?, owned_by, tags })
    }

    /// The manifest as it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let emails = |list: &[Email]| list.iter().map(Email::as_str).collect::<Value>();
        Written::new(Self::TYPE)
            .with("name", self.name.as_str())
            .maybe("displayName", self.display_name.as_deref())
            .maybe("description", self.description.as_deref())
            .maybe("managers", self.managers.as_deref().map(emails))
            .with("members", emails(&self.members))
            .maybe("ownedBy", self.owned_by.clone())
            .maybe("tags", self.tags.as_ref().map(machine::write_tags))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(manifest: &Value) -> Vec<String> {
        TeamManifest::parse(manifest).unwrap_err().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn a_full_manifest_reads_and_writes_back() {
        let written = json!({
            "type": "team", "name": "devs", "displayName": "Developers", "description": "They build it.",
            "managers": ["lead@x.io"], "members": ["a@x.io", "lead@x.io"], "ownedBy": {"account": "root"},
            "tags": {"site": "berlin"},
        });
        assert_eq!(TeamManifest::parse(&written).unwrap().to_json(), written);
        let least = json!({"type": "team", "name": "devs", "members": []});
        assert_eq!(TeamManifest::parse(&least).unwrap().to_json(), least);
    }

    #[test]
    fn every_fault_is_named_with_its_path() {
        assert_eq!(faults(&json!({"type": "team", "name": "everyone", "members": []})), ["manifest.name"]);
        let manifest = json!({
            "type": "team", "name": "Devs", "displayName": 1, "managers": "lead@x.io",
            "members": ["a@x.io", "user:b@x.io", 7, "A@x.io"], "identity_provider_mapping": [],
        });
        assert_eq!(
            faults(&manifest),
            [
                "manifest.name",
                "manifest.displayName",
                "manifest.managers",
                "manifest.members[1]",
                "manifest.members[2]",
                "manifest.members",
                "manifest.identity_provider_mapping",
            ]
        );
        assert_eq!(faults(&json!({"type": "team", "name": "devs"})), ["manifest.members"]);
        // The database can't keep U+0000 in text.
        let manifest = json!({"type": "team", "name": "devs", "members": [], "description": "a\0b",
                              "ownedBy": {"account": "a", "site": "a\0b"}});
        assert_eq!(faults(&manifest), ["manifest.description", "manifest.ownedBy"]);
    }
}
