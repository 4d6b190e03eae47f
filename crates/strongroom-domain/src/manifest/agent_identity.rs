use serde_json::Value;

use super::fields::{Fields, Written, read};
use super::machine::{self, AutoRotate, IdentityMapping, MachineOwner, Tags, TokenTarget};
use crate::names::MachineName;
use crate::{Day, Violation};

/// How an agent shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentIdentity {
    /// By a token from here.
    Token {
        /// When the token ends, if it does.
        expiration_date: Option<Day>,
        /// Whether and how it is replaced by itself.
        auto_rotate: Option<AutoRotate>,
        /// Where it is written.
        secret_store_config: Option<TokenTarget>,
    },
    /// By tokens of identity providers; never none.
    Mapped(Vec<IdentityMapping>),
}

/// A checked manifest of type `agent-identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentIdentityManifest {
    /// The agent's name; the match is by name.
    pub name: MachineName,
    /// How it shows who it is.
    pub identity: AgentIdentity,
    /// Free words.
    pub tags: Option<Tags>,
    /// Who owns it.
    pub owned_by: Option<MachineOwner>,
}

impl AgentIdentityManifest {
    /// The `type` of such a manifest.
    pub const TYPE: &str = "agent-identity";

    /// Checks a manifest field by field.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        read(manifest, Self::TYPE, Self::read, Self::to_json)
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let name = fields.parsed("name", MachineName::parse);
        let identity = fields.required_object("identity").and_then(|identity| AgentIdentity::read(&identity));
        let tags = machine::tags(fields);
        let owned_by = machine::owner(fields);
        Some(Self { name: name?, identity: identity?, tags, owned_by })
    }

    /// The manifest as it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Written::new(Self::TYPE)
            .with("name", self.name.as_str())
            .with("identity", &self.identity)
            .maybe("tags", self.tags.as_ref().map(machine::write_tags))
            .maybe("ownedBy", self.owned_by.as_ref())
            .into()
    }
}

impl AgentIdentity {
    const TOKEN: &str = "truefoundry-backed";
    const MAPPED: &str = "identity-provider-backed";

    fn read(identity: &Fields<'_>) -> Option<Self> {
        match identity.text("type")? {
            Self::TOKEN => {
                machine::no_notifications(identity);
                Some(Self::Token {
                    expiration_date: machine::expiration_date(identity),
                    auto_rotate: machine::auto_rotate(identity),
                    secret_store_config: machine::token_target(identity),
                })
            }
            Self::MAPPED => {
                const FIELD: &str = "identity_provider_mapping";
                if identity.get(FIELD).is_none() {
                    identity.fault(FIELD, "a list is required");
                }
                identity.not_empty(FIELD, "must not be empty: nothing would stand for the agent");
                machine::identity_mappings(identity).map(Self::Mapped)
            }
            _ => {
                identity.fault("type", format!("must be `{}` or `{}`", Self::TOKEN, Self::MAPPED));
                None
            }
        }
    }
}

impl From<&AgentIdentity> for Value {
    fn from(identity: &AgentIdentity) -> Self {
        match identity {
            AgentIdentity::Token { expiration_date, auto_rotate, secret_store_config } => {
                Written::new(AgentIdentity::TOKEN)
                    .maybe("expiration_date", expiration_date.map(|day| day.to_string()))
                    .maybe("auto_rotate", *auto_rotate)
                    .maybe("secret_store_config", secret_store_config.as_ref())
                    .into()
            }
            AgentIdentity::Mapped(mappings) => Written::new(AgentIdentity::MAPPED)
                .with("identity_provider_mapping", machine::write_mappings(mappings))
                .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn agent(identity: &Value) -> Value {
        json!({"type": "agent-identity", "name": "helper", "identity": identity, "tags": {"env": "prod"},
               "ownedBy": {"team": "devs"}})
    }

    #[test]
    fn both_kinds_read_and_write_back() {
        for identity in [
            json!({"type": "truefoundry-backed"}),
            json!({"type": "truefoundry-backed", "expiration_date": "2027-01-31",
                   "auto_rotate": {"auto_rotate_interval": 30, "grace_period": 1},
                   "secret_store_config": {"type": "secret-store", "integration_fqn": "f", "secret_path": "p"}}),
            json!({"type": "identity-provider-backed",
                   "identity_provider_mapping": [{"identity_provider": "okta", "value": "helper@x.io"}]}),
        ] {
            let written = agent(&identity);
            assert_eq!(AgentIdentityManifest::parse(&written).unwrap().to_json(), written);
        }
        // As the official SDK sends it.
        let untyped = agent(&json!({"type": "truefoundry-backed",
                                    "secret_store_config": {"integration_fqn": "f", "secret_path": "p"}}));
        assert!(AgentIdentityManifest::parse(&untyped).is_ok());
    }

    #[test]
    fn every_fault_is_named_with_its_path() {
        for (identity, path) in [
            (Value::Null, "manifest.identity"),
            (json!("token"), "manifest.identity"),
            (json!({}), "manifest.identity.type"),
            (json!({"type": "password"}), "manifest.identity.type"),
            (json!({"type": "truefoundry-backed", "expiration_date": "x"}), "manifest.identity.expiration_date"),
            (json!({"type": "truefoundry-backed", "notification_target": {}}), "manifest.identity.notification_target"),
            (json!({"type": "identity-provider-backed"}), "manifest.identity.identity_provider_mapping"),
            (
                json!({"type": "identity-provider-backed", "identity_provider_mapping": []}),
                "manifest.identity.identity_provider_mapping",
            ),
        ] {
            let faults = AgentIdentityManifest::parse(&agent(&identity)).unwrap_err();
            assert_eq!(faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), [path]);
        }
    }
}
