//! Manifests: what people write in YAML or JSON and apply.

mod faults;
mod secret_group;
mod virtual_account;

use serde_json::Value;

pub use secret_group::{Collaborator, SecretGroupManifest};
pub use virtual_account::{GroupPermission, VirtualAccountManifest};

/// The `type` of a manifest, by which `apply` chooses what to do.
#[must_use]
pub fn manifest_type(manifest: &Value) -> Option<&str> {
    manifest.get("type")?.as_str()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::NameRule;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let field =
                prop_oneof!["type|name|integration_fqn|collaborators|ownedBy|permissions|subject|role_id", ".{0,4}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((field, inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_taken_or_refused_without_panic(value in any_json()) {
            let _ = SecretGroupManifest::parse(&value, NameRule::Loose);
            let _ = VirtualAccountManifest::parse(&value);
        }
    }
}
