use serde_json::Value;

use super::fields::{Fields, Written, read};
use super::machine::{self, AutoRotate, IdentityMapping, MachineOwner, Tags, TokenTarget};
use super::permission::{self, Permission, SNAKE};
use crate::names::MachineName;
use crate::{Day, Violation};

/// What a token looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// Random text that says nothing by itself.
    Opaque,
    /// A signed JWT.
    Jwt,
}

impl TokenType {
    /// Reads a type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "opaque" => Some(Self::Opaque),
            "jwt" => Some(Self::Jwt),
            _ => None,
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Jwt => "jwt",
        }
    }
}

/// A checked manifest of type `virtual-account`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAccountManifest {
    /// The account's name; the match is by name.
    pub name: MachineName,
    /// Its roles; `None` leaves access as it is.
    pub permissions: Option<Vec<Permission>>,
    /// When its token ends, if it does.
    pub expiration_date: Option<Day>,
    /// Whether and how its token is replaced by itself.
    pub auto_rotate: Option<AutoRotate>,
    /// Where its token is written.
    pub secret_store_config: Option<TokenTarget>,
    /// Who owns it.
    pub owned_by: Option<MachineOwner>,
    /// Free words.
    pub tags: Option<Tags>,
    /// Tokens of identity providers that stand for it.
    pub identity_provider_mapping: Option<Vec<IdentityMapping>>,
    /// What its token looks like; the instance decides when the manifest doesn't.
    pub token_type: Option<TokenType>,
}

impl VirtualAccountManifest {
    /// The `type` of such a manifest.
    pub const TYPE: &str = "virtual-account";

    /// Checks a manifest field by field. An empty `permissions` list is refused, as the contract has it.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        read(manifest, Self::TYPE, Self::read, Self::to_json)
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let name = fields.parsed("name", MachineName::parse);
        let permissions = permission::read(fields, &SNAKE);
        fields.not_empty("permissions", "must not be empty: leave it out to keep access as it is");
        let expiration_date = machine::expiration_date(fields);
        let auto_rotate = machine::auto_rotate(fields);
        let secret_store_config = machine::token_target(fields);
        machine::no_notifications(fields);
        let owned_by = machine::owner(fields);
        let tags = machine::tags(fields);
        let identity_provider_mapping = machine::identity_mappings(fields);
        let token_type = fields.optional("token_type", |text| {
            TokenType::parse(text).ok_or("must be `opaque` or `jwt`; leave it out for the server's default")
        });
        // Of an opaque token only a digest is kept, so the new one can't be asked for as a JWT can.
        let told = token_type == Some(TokenType::Jwt) || fields.get("secret_store_config").is_some();
        if auto_rotate.is_some() && !told {
            fields.fault(
                "auto_rotate",
                "nobody would learn the new token: say where it is written with `secret_store_config`, or take \
                 `token_type: jwt`",
            );
        }
        Some(Self {
            name: name?,
            permissions,
            expiration_date,
            auto_rotate,
            secret_store_config,
            owned_by,
            tags,
            identity_provider_mapping,
            token_type,
        })
    }

    /// The manifest as it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Written::new(Self::TYPE)
            .with("name", self.name.as_str())
            .maybe("permissions", self.permissions.as_deref().map(|list| permission::write(list, &SNAKE)))
            .maybe("expiration_date", self.expiration_date.map(|day| day.to_string()))
            .maybe("auto_rotate", self.auto_rotate)
            .maybe("secret_store_config", self.secret_store_config.as_ref())
            .maybe("ownedBy", self.owned_by.as_ref())
            .maybe("tags", self.tags.as_ref().map(machine::write_tags))
            .maybe("identity_provider_mapping", self.identity_provider_mapping.as_deref().map(machine::write_mappings))
            .maybe("token_type", self.token_type.map(TokenType::id))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(field: &str, value: Value) -> Result<VirtualAccountManifest, Vec<String>> {
        let mut manifest = json!({"type": "virtual-account", "name": "ci-bot"});
        manifest[field] = value;
        let faults = |faults: Vec<Violation>| faults.into_iter().map(|fault| fault.path).collect();
        VirtualAccountManifest::parse(&manifest).map_err(faults)
    }

    #[test]
    fn a_full_manifest_reads_and_writes_back() {
        let written = json!({
            "type": "virtual-account", "name": "ci-bot",
            "permissions": [
                {"resource_type": "secret-group", "resource_fqn": "acme:prod", "role_id": "secret-group-reader",
                 "expires_at": "2027-01-31T00:00:00.000Z"},
                {"resource_type": "provider-integration", "resource_fqn": "acme:aws:a:secret-store:s",
                 "role_id": "provider-integration-access"},
                {"resource_type": "provider-account", "resource_fqn": "acme:aws:a", "role_id": "provider-account-access"},
                {"resource_type": "team", "resource_fqn": "devs", "role_id": "team-manager"},
                {"resource_type": "account", "resource_fqn": "acme", "role_id": "auditor"},
                {"resource_type": "account", "resource_fqn": "acme", "role_id": "registrar"},
            ],
            "expiration_date": "2027-01-31",
            "auto_rotate": {"auto_rotate_interval": 90, "grace_period": 7},
            "secret_store_config": {"type": "tfy-secrets", "secret_group": "prod", "key": "BOT_TOKEN"},
            "ownedBy": {"account": "root", "team": "devs"},
            "tags": {"cost": 1.5, "env": "prod", "live": true, "tier": 3},
            "identity_provider_mapping": [{"identity_provider": "github", "value": "repo:acme/app:ref:refs/heads/main"}],
            "token_type": "opaque",
        });
        assert_eq!(VirtualAccountManifest::parse(&written).unwrap().to_json(), written);
        let least = json!({"type": "virtual-account", "name": "ci-bot"});
        let read = VirtualAccountManifest::parse(&least).unwrap();
        assert_eq!((read.permissions.clone(), read.to_json()), (None, least));
    }

    #[test]
    fn permissions_are_checked() {
        let role = |kind: &str, role: &str| json!({"resource_type": kind, "resource_fqn": "acme:x", "role_id": role});
        for (permissions, path) in [
            (json!([]), "manifest.permissions"),
            (json!([role("workspace", "workspace-admin")]), "manifest.permissions[0].resource_type"),
            (json!([role("secret-group", "team-member")]), "manifest.permissions[0].role_id"),
            (json!([role("secret-group", "auditor")]), "manifest.permissions[0].role_id"),
            (
                json!([role("secret-group", "secret-group-viewer"), role("secret-group", "secret-group-admin")]),
                "manifest.permissions",
            ),
            (json!([role("account", "auditor"), role("tenant", "auditor")]), "manifest.permissions"),
        ] {
            assert_eq!(with("permissions", permissions), Err(vec![path.to_owned()]));
        }
        let mut soon = role("secret-group", "secret-group-viewer");
        for bad in [json!("soon"), json!(7), json!("2027-13-01"), json!("9999-12-31T23:59:59-01:00")] {
            soon["expires_at"] = bad;
            assert_eq!(
                with("permissions", json!([soon])),
                Err(vec!["manifest.permissions[0].expires_at".to_owned()]),
                "{soon}"
            );
        }
    }

    #[test]
    fn rotation_needs_somebody_who_learns_the_new_token() {
        assert_eq!(with("auto_rotate", json!({})), Err(vec!["manifest.auto_rotate".to_owned()]));
        let mut manifest = json!({"type": "virtual-account", "name": "ci-bot", "auto_rotate": {}, "token_type": "jwt"});
        let terms = VirtualAccountManifest::parse(&manifest).unwrap().auto_rotate;
        assert_eq!(terms, Some(AutoRotate { interval_days: 360, grace_period_days: 30 }));
        manifest["token_type"] = json!("opaque");
        assert!(VirtualAccountManifest::parse(&manifest).is_err());
        manifest["secret_store_config"] = json!({"type": "secret-store", "integration_fqn": "f", "secret_path": "p"});
        assert!(VirtualAccountManifest::parse(&manifest).is_ok());
        for (terms, path) in [
            (json!({"auto_rotate_interval": 29}), "auto_rotate_interval"),
            (json!({"auto_rotate_interval": 36_501}), "auto_rotate_interval"),
            (json!({"auto_rotate_interval": "90"}), "auto_rotate_interval"),
            (json!({"grace_period": 0}), "grace_period"),
        ] {
            manifest["auto_rotate"] = terms;
            let faults = VirtualAccountManifest::parse(&manifest).unwrap_err();
            assert_eq!(faults.len(), 1);
            assert_eq!(faults[0].path, format!("manifest.auto_rotate.{path}"));
        }
    }

    #[test]
    fn every_field_is_checked() {
        for (field, value, path) in [
            ("expiration_date", json!("31.1.2027"), ""),
            ("expiration_date", json!("2027-01-31T00:00:00Z"), ""),
            ("secret_store_config", json!({"type": "vault"}), ".type"),
            ("secret_store_config", json!({"type": "tfy-secrets", "secret_group": "prod", "key": ".."}), ".key"),
            ("secret_store_config", json!({"type": "secret-store", "integration_fqn": "f"}), ".secret_path"),
            ("notification_target", json!({"type": "email"}), ""),
            ("ownedBy", json!({"account": "root"}), ".team"),
            ("tags", json!({"env": null}), ".env"),
            ("tags", json!({"env": {"name": "prod"}}), ".env"),
            ("tags", json!({"": "x"}), ""),
            ("tags", json!({"env": "\0"}), ".env"),
            ("identity_provider_mapping", json!([{"identity_provider": "g", "value": ""}]), "[0].value"),
            (
                "identity_provider_mapping",
                json!([{"identity_provider": "g", "value": "a"}, {"identity_provider": "g", "value": "a"}]),
                "",
            ),
            ("token_type", json!("paseto"), ""),
        ] {
            assert_eq!(with(field, value), Err(vec![format!("manifest.{field}{path}")]));
            assert!(with(field, Value::Null).is_ok());
        }
        let many: Vec<(String, Value)> = (0..65).map(|n| (n.to_string(), json!("x"))).collect();
        assert!(with("tags", Value::Object(many.into_iter().collect())).is_err());
    }
}
