//! Manifests: what people write in YAML or JSON and apply.
//!
//! Each type has a file here with what is left of a manifest once it has been checked. `parse` reports every fault with
//! its path; `to_json` writes what is stored and given back, and reading that gives the same manifest again.

mod agent_identity;
mod binding_name;
mod credential;
mod dependencies;
mod fields;
mod identity_provider;
mod machine;
mod permission;
mod provider_account;
mod role;
mod role_binding;
mod secret_group;
mod secret_store;
mod team;
mod virtual_account;

#[cfg(test)]
mod property_tests;

use serde_json::Value;

pub use agent_identity::{AgentIdentity, AgentIdentityManifest};
pub use credential::{CREDENTIAL_MASK, Credential, PlacedCredential};
pub use dependencies::{Dependencies, Dependency, dependency_tree};
pub use identity_provider::IdentityProviderManifest;
pub use machine::{AutoRotate, IdentityMapping, MachineOwner, Tags, TokenTarget};
pub use permission::{GrantedRole, Permission};
pub use provider_account::{AwsAccount, Provider, ProviderAccountManifest};
pub use role::{RoleManifest, RolePermissions};
pub use role_binding::RoleBindingManifest;
pub use secret_group::{Collaborator, SecretGroupManifest};
pub use secret_store::{
    AwsAuth, AwsStoreManifest, IntegrationManifest, StoreManifest, VaultAuthManifest, VaultManifest,
};
pub use team::TeamManifest;
pub use virtual_account::{TokenType, VirtualAccountManifest};

use crate::Violation;
use crate::names::NameRule;

/// The `type` of a manifest, by which `apply` chooses what to do.
#[must_use]
pub fn manifest_type(manifest: &Value) -> Option<&str> {
    manifest.get("type")?.as_str()
}

/// A checked manifest of any type that this server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// A secret group.
    SecretGroup(SecretGroupManifest),
    /// A virtual account.
    VirtualAccount(Box<VirtualAccountManifest>),
    /// A team.
    Team(TeamManifest),
    /// A custom role.
    Role(RoleManifest),
    /// A role binding.
    RoleBinding(RoleBindingManifest),
    /// An agent's identity.
    AgentIdentity(AgentIdentityManifest),
    /// A provider account.
    ProviderAccount(ProviderAccountManifest),
    /// An identity provider.
    IdentityProvider(IdentityProviderManifest),
}

impl Manifest {
    /// Every type of manifest that there is.
    pub const TYPES: [&str; 10] = [
        SecretGroupManifest::TYPE,
        VirtualAccountManifest::TYPE,
        TeamManifest::TYPE,
        RoleManifest::TYPE,
        RoleBindingManifest::TYPE,
        AgentIdentityManifest::TYPE,
        ProviderAccountManifest::TYPES[0],
        ProviderAccountManifest::TYPES[1],
        ProviderAccountManifest::TYPES[2],
        IdentityProviderManifest::TYPE,
    ];

    /// Checks a manifest by the rules of its type.
    pub fn parse(manifest: &Value, rule: NameRule) -> Result<Self, Vec<Violation>> {
        match manifest_type(manifest).unwrap_or_default() {
            SecretGroupManifest::TYPE => SecretGroupManifest::parse(manifest, rule).map(Self::SecretGroup),
            VirtualAccountManifest::TYPE => {
                VirtualAccountManifest::parse(manifest).map(|manifest| Self::VirtualAccount(Box::new(manifest)))
            }
            TeamManifest::TYPE => TeamManifest::parse(manifest).map(Self::Team),
            RoleManifest::TYPE => RoleManifest::parse(manifest).map(Self::Role),
            RoleBindingManifest::TYPE => RoleBindingManifest::parse(manifest).map(Self::RoleBinding),
            AgentIdentityManifest::TYPE => AgentIdentityManifest::parse(manifest).map(Self::AgentIdentity),
            IdentityProviderManifest::TYPE => IdentityProviderManifest::parse(manifest).map(Self::IdentityProvider),
            kind if ProviderAccountManifest::TYPES.contains(&kind) => {
                ProviderAccountManifest::parse(manifest).map(Self::ProviderAccount)
            }
            other => Err(vec![unknown_type(other)]),
        }
    }

    /// The manifest as it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::SecretGroup(manifest) => manifest.to_json(),
            Self::VirtualAccount(manifest) => manifest.to_json(),
            Self::Team(manifest) => manifest.to_json(),
            Self::Role(manifest) => manifest.to_json(),
            Self::RoleBinding(manifest) => manifest.to_json(),
            Self::AgentIdentity(manifest) => manifest.to_json(),
            Self::ProviderAccount(manifest) => manifest.to_json(),
            Self::IdentityProvider(manifest) => manifest.to_json(),
        }
    }
}

fn unknown_type(kind: &str) -> Violation {
    if kind.starts_with("provider-account/") {
        let message = format!(
            "the stores of provider accounts of this type aren't built yet; there are `{}`",
            ProviderAccountManifest::TYPES.join("`, `")
        );
        return Violation::new("manifest", message);
    }
    let message = format!("this server applies manifests of the types `{}`", Manifest::TYPES.join("`, `"));
    Violation::new("manifest.type", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_type_is_read_by_its_own_rules() {
        for kind in Manifest::TYPES {
            let faults = Manifest::parse(&json!({"type": kind}), NameRule::Strict).unwrap_err();
            assert!(faults.iter().all(|fault| fault.path != "manifest.type"), "{kind}");
            assert!(faults.iter().any(|fault| fault.path == "manifest.name"), "{kind}");
        }
    }

    /// The official SDK reads no list that has another one in it.
    #[test]
    fn an_owner_is_as_the_official_sdk_has_it() {
        let team = json!({"type": "team", "name": "devs", "members": []});
        let group = json!({"type": "secret-group", "name": "prod", "integration_fqn": "a:b:c:secret-store:d"});
        let account = json!({"type": "provider-account/truefoundry", "name": "main"});
        let machine = json!({"type": "virtual-account", "name": "ci-bot"});
        let agent = json!({"type": "agent-identity", "name": "helper", "identity": {"type": "truefoundry-backed"}});
        let faults = |manifest: &Value, owner: Value| {
            let mut manifest = manifest.clone();
            manifest["ownedBy"] = owner;
            let read = Manifest::parse(&manifest, NameRule::Strict);
            read.map_or_else(|faults| faults.into_iter().map(|fault| fault.path).collect(), |_| Vec::new())
        };
        for manifest in [&team, &group, &account] {
            for owner in [json!({}), json!({"account": 5}), json!({"account": null}), json!({"account": ""})] {
                assert_eq!(faults(manifest, owner), ["manifest.ownedBy.account"]);
            }
            assert_eq!(faults(manifest, json!("root")), ["manifest.ownedBy"]);
            assert!(faults(manifest, json!({"account": "root", "team": "devs"})).is_empty());
            assert!(faults(manifest, Value::Null).is_empty());
        }
        for manifest in [&machine, &agent] {
            assert_eq!(faults(manifest, json!({})), ["manifest.ownedBy.team"]);
            assert_eq!(faults(manifest, json!({"account": 5, "team": "devs"})), ["manifest.ownedBy.account"]);
            assert!(faults(manifest, json!({"account": null, "team": "devs"})).is_empty());
        }
    }

    #[test]
    fn an_end_may_be_spelled_in_both_ways() {
        let group = json!({"type": "secret-group", "name": "prod", "integration_fqn": "a:b:c:secret-store:d",
            "collaborators": [{"subject": "team:devs", "role_id": "secret-group-reader"}]});
        let machine = json!({"type": "virtual-account", "name": "ci-bot", "permissions": [
            {"resource_type": "secret-group", "resource_fqn": "acme:prod", "role_id": "secret-group-reader"}]});
        let binding = json!({"type": "role-binding", "name": "readers", "subjects": [{"type": "team", "name": "devs"}],
            "permissions": [{"resourceType": "secret-group", "resourceFqn": "acme:prod", "role": "secret-group-reader"}]});
        for (mut manifest, list) in [(group, "collaborators"), (machine, "permissions"), (binding, "permissions")] {
            manifest[list][0]["expiresAt"] = json!("2027-01-31");
            let read = Manifest::parse(&manifest, NameRule::Strict).unwrap();
            assert_eq!(read.to_json()[list][0]["expires_at"], "2027-01-31T00:00:00.000Z");
            assert_eq!(read.to_json()[list][0].get("expiresAt"), None);
            manifest[list][0]["expires_at"] = json!("2027-01-31T00:00:00Z");
            assert_eq!(Manifest::parse(&manifest, NameRule::Strict), Ok(read));
            for other in ["2027-02-01", "soon"] {
                manifest[list][0]["expiresAt"] = json!(other);
                let faults = Manifest::parse(&manifest, NameRule::Strict).unwrap_err();
                let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
                assert_eq!(paths, [format!("manifest.{list}[0].expiresAt")]);
            }
        }
    }

    /// The output of `tfy migrate-gitops` (0.17.5), which turns collaborators, authorized subjects and the permissions
    /// of virtual accounts into role bindings.
    #[test]
    fn what_the_command_line_generates_reads_and_writes_back() {
        let migrated: Vec<Value> = serde_json::from_str(include_str!("migrated_by_tfy.json")).unwrap();
        for manifest in migrated {
            assert_eq!(Manifest::parse(&manifest, NameRule::Strict).map(|read| read.to_json()), Ok(manifest));
        }
    }

    #[test]
    fn other_types_are_told_which_there_are() {
        for manifest in [json!({"type": "workspace"}), json!({"type": 7}), json!({}), json!([]), Value::Null] {
            let faults = Manifest::parse(&manifest, NameRule::Strict).unwrap_err();
            assert_eq!((faults.len(), faults[0].path.as_str()), (1, "manifest.type"));
            assert!(Manifest::TYPES.iter().all(|kind| faults[0].message.contains(kind)));
        }
        let faults = Manifest::parse(&json!({"type": "provider-account/gcp"}), NameRule::Strict).unwrap_err();
        assert_eq!(faults[0].path, "manifest");
        assert!(faults[0].message.contains("aren't built yet"));
    }
}
