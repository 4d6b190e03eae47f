use serde_json::Value;

use super::fields::{Fields, Written, read};
use super::permission::{self, CAMEL, Permission};
use crate::Violation;
use crate::names::BindingName;
use crate::subject::{SubjectName, SubjectType};

/// A checked manifest of type `role-binding`: one subject with many permissions, or many subjects with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleBindingManifest {
    /// The binding's name; the match is by name.
    pub name: BindingName,
    /// Whom.
    pub subjects: Vec<SubjectName>,
    /// What.
    pub permissions: Vec<Permission>,
}

impl RoleBindingManifest {
    /// The `type` of such a manifest.
    pub const TYPE: &str = "role-binding";

    /// Checks a manifest field by field.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        read(manifest, Self::TYPE, Self::read, Self::to_json)
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let name = fields.parsed("name", BindingName::parse);
        for field in ["subjects", "permissions"] {
            if fields.get(field).is_none() {
                fields.fault(field, "a list is required");
            }
            fields.not_empty(field, "must not be empty: to take the roles away, delete the role binding");
        }
        let subjects = fields.objects("subjects", read_subject);
        fields.unique("subjects", subjects.iter().flatten().map(SubjectName::as_str));
        let permissions = permission::read(fields, &CAMEL);
        let many = |field| fields.get(field).and_then(Value::as_array).is_some_and(|list| list.len() > 1);
        if many("subjects") && many("permissions") {
            fields.fault(
                "permissions",
                "either one subject with many permissions, or many subjects with one permission: make a role binding \
                 of each permission",
            );
        }
        Some(Self { name: name?, subjects: subjects?, permissions: permissions? })
    }

    /// The manifest as it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let subject = |one: &SubjectName| Value::from(Written::new(one.kind().id()).with("name", one.name()));
        Written::new(Self::TYPE)
            .with("name", self.name.as_str())
            .with("subjects", self.subjects.iter().map(subject).collect::<Value>())
            .with("permissions", permission::write(&self.permissions, &CAMEL))
            .into()
    }
}

fn read_subject(entry: &Fields<'_>) -> Option<SubjectName> {
    let kind = entry.parsed("type", SubjectType::read);
    entry.parsed("name", |name| kind.map(|kind| SubjectName::of(kind, name)).transpose()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binding(subjects: Value, permissions: Value) -> Value {
        let mut binding = json!({"type": "role-binding", "name": "sg-prod-admin-x7"});
        binding["subjects"] = subjects;
        binding["permissions"] = permissions;
        binding
    }

    fn admin_of(group: &str) -> Value {
        json!({"resourceType": "secret-group", "resourceFqn": group, "role": "secret-group-admin"})
    }

    fn faults(manifest: &Value) -> Vec<String> {
        RoleBindingManifest::parse(manifest).unwrap_err().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn bindings_read_and_write_back() {
        let mut written = binding(
            json!([{"type": "user", "name": "alice@x.io"}, {"type": "virtualaccount", "name": "ci-bot"}]),
            json!([admin_of("acme:prod")]),
        );
        written["permissions"][0]["expires_at"] = json!("2027-01-31T12:30:00.000Z");
        assert_eq!(RoleBindingManifest::parse(&written).unwrap().to_json(), written);
    }

    #[test]
    fn one_side_is_one() {
        let (alice, bob) = (json!({"type": "user", "name": "a@x.io"}), json!({"type": "user", "name": "b@x.io"}));
        let both = json!([admin_of("acme:a"), admin_of("acme:b")]);
        assert!(RoleBindingManifest::parse(&binding(json!([alice]), both.clone())).is_ok());
        assert!(RoleBindingManifest::parse(&binding(json!([alice, bob]), json!([admin_of("acme:a")]))).is_ok());
        assert_eq!(faults(&binding(json!([alice, bob]), both.clone())), ["manifest.permissions"]);
        assert_eq!(faults(&binding(json!([]), both)), ["manifest.subjects"]);
        assert_eq!(faults(&binding(json!([alice]), json!([]))), ["manifest.permissions"]);
        assert_eq!(
            faults(&json!({"type": "role-binding", "name": "abc"})),
            ["manifest.subjects", "manifest.permissions"]
        );
        assert_eq!(faults(&binding(json!([alice, alice]), json!([admin_of("acme:a")]))), ["manifest.subjects"]);
    }

    #[test]
    fn every_fault_is_named_with_its_path() {
        for (subject, path) in [
            (json!({"type": "external-identity", "name": "x"}), "manifest.subjects[0].type"),
            (json!({"type": "user", "name": "alice"}), "manifest.subjects[0].name"),
            (json!({"type": "user"}), "manifest.subjects[0].name"),
            (json!("user:a@x.io"), "manifest.subjects[0]"),
        ] {
            assert_eq!(faults(&binding(json!([subject]), json!([admin_of("acme:a")]))), [path]);
        }
        for (field, value) in [
            ("resourceType", json!("workspace")),
            ("resourceType", json!("mlf-project")),
            ("resourceFqn", json!("")),
            ("role", json!("workspace-admin")),
            ("expires_at", json!("tomorrow")),
        ] {
            let mut permission = admin_of("acme:a");
            permission[field] = value;
            let manifest = binding(json!([{"type": "team", "name": "devs"}]), json!([permission]));
            assert_eq!(faults(&manifest), [format!("manifest.permissions[0].{field}")]);
        }
    }
}
