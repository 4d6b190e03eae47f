//! Manifests: what people write in YAML or JSON and apply.

use serde_json::{Map, Value, json};

use crate::Violation;
use crate::names::{GroupName, MachineName, NameRule};
use crate::role::GroupRole;
use crate::subject::SubjectName;

/// The longest list in a manifest.
const ENTRIES: usize = 1_000;
/// Bytes of a whole manifest as it is stored: it comes with every answer that has the group.
const MANIFEST_BYTES: usize = 64 * 1024;
/// So many faults are told in one answer.
const FAULTS: usize = 100;

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

/// Whether U+0000, which no text but a value may have, stands anywhere in it.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, item)| name.contains('\0') || has_nul(item)),
        _ => false,
    }
}

/// The `type` of a manifest, by which `apply` chooses what to do.
#[must_use]
pub fn manifest_type(manifest: &Value) -> Option<&str> {
    manifest.get("type")?.as_str()
}

fn within_bounds(manifest: &Value) -> Result<(), Vec<Violation>> {
    if manifest.to_string().len() <= MANIFEST_BYTES {
        return Ok(());
    }
    Err(vec![Violation::new("manifest", format!("has more than {MANIFEST_BYTES} bytes"))])
}

fn parse_collaborator(entry: &Map<String, Value>) -> Result<Collaborator, (&'static str, String)> {
    let subject = required(entry, "subject")?;
    let role = required(entry, "role_id")?;
    Ok(Collaborator {
        subject: SubjectName::parse(subject).map_err(|form| ("subject", form.to_owned()))?,
        role: parse_role(role)?,
    })
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

fn parse_role(id: &str) -> Result<GroupRole, (&'static str, String)> {
    GroupRole::parse(id).ok_or_else(|| {
        let known = GroupRole::ALL.map(|role| format!("`{}`", role.id())).join(", ");
        ("role_id", format!("no role of a secret group; there are {known}"))
    })
}

fn required<'a>(entry: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, (&'static str, String)> {
    entry.get(field).and_then(Value::as_str).ok_or_else(|| (field, "a string is required".into()))
}

/// Collects what is wrong, so that one answer names all of it.
#[derive(Default)]
struct Faults(Vec<Violation>);

impl Faults {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        if self.0.len() < FAULTS {
            self.0.push(Violation::new(path, message));
        }
    }

    fn object<'a>(&mut self, manifest: &'a Value, expected: &str) -> &'a Map<String, Value> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let Some(fields) = manifest.as_object() else {
            self.add("manifest", "must be an object");
            return &EMPTY;
        };
        if fields.get("type").and_then(Value::as_str) != Some(expected) {
            self.add("manifest.type", format!("must be `{expected}`"));
        }
        fields
    }

    fn text<'a>(&mut self, fields: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
        let text = fields.get(field).and_then(Value::as_str);
        if text.is_none() {
            self.add(&format!("manifest.{field}"), "a string is required");
        }
        text
    }

    fn list<T>(
        &mut self,
        fields: &Map<String, Value>,
        field: &str,
        parse: impl Fn(&Map<String, Value>) -> Result<T, (&'static str, String)>,
    ) -> Option<Vec<T>> {
        let value = fields.get(field).filter(|value| !value.is_null())?;
        let Some(entries) = value.as_array() else {
            self.add(&format!("manifest.{field}"), "must be a list");
            return None;
        };
        if entries.len() > ENTRIES {
            self.add(&format!("manifest.{field}"), format!("has more than {ENTRIES} entries"));
            return None;
        }
        let mut out = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            match entry.as_object().ok_or(("", "must be an object".into())).and_then(&parse) {
                Ok(parsed) => out.push(parsed),
                Err((part, message)) => {
                    let dot = if part.is_empty() { "" } else { "." };
                    self.add(&format!("manifest.{field}[{index}]{dot}{part}"), message);
                }
            }
        }
        Some(out)
    }

    fn duplicates<'a>(&mut self, names: impl Iterator<Item = &'a str>, path: &str) {
        let mut seen = std::collections::HashSet::new();
        for name in names {
            if !seen.insert(name) {
                self.add(path, format!("`{name}` is named more than once"));
            }
        }
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
