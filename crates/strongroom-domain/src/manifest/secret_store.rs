//! Integrations of the kind `secret-store`: what says where values are kept.

use std::collections::BTreeMap;

use serde_json::Value;

use super::credential::Credential;
use super::fields::{Fields, Written};
use super::provider_account::Provider;
use crate::names::ProviderName;
use crate::subject::SubjectName;

/// An integration of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationManifest {
    /// The integration's name, unique in its account.
    pub name: ProviderName,
    /// Which store it stands for.
    pub store: StoreManifest,
    /// Who may create groups on it; `None` when the manifest doesn't say.
    pub authorized_subjects: Option<Vec<SubjectName>>,
    /// For how long after it was read a value is given while the store can't be reached; `None`: not at all.
    pub serve_cached_minutes: Option<u32>,
}

/// A secret store as a manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreManifest {
    /// The metadata database.
    Embedded,
    /// AWS Secrets Manager.
    AwsSecretsManager(AwsStoreManifest),
    /// A KV engine of `HashiCorp` Vault or OpenBao, version 2.
    Vault(VaultManifest),
}

/// A store of AWS. What isn't said holds as the account says it, or is AWS' default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsStoreManifest {
    /// The region.
    pub region: String,
    /// Who we are; goes before the account's.
    pub auth_data: Option<AwsAuth>,
    /// Which key AWS encrypts with.
    pub kms_arn: Option<String>,
    /// Tags of what is made there.
    pub tags: Option<BTreeMap<String, String>>,
}

/// The `auth_data` of an AWS account or integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsAuth {
    /// `access-key-based`
    AccessKey {
        /// Its id.
        access_key_id: Credential,
        /// The key.
        secret_access_key: Credential,
    },
    /// `assumed-role-based`
    AssumedRole {
        /// Which role.
        assumed_role_arn: String,
        /// What the role's owner asks for.
        external_id: Option<String>,
    },
}

/// A KV engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultManifest {
    /// Where Vault is.
    pub vault_url: String,
    /// Where the engine is mounted.
    pub kv_mount_path: String,
    /// A path in the mount that everything is below.
    pub root_path: Option<String>,
    /// The namespace of mount and role.
    pub namespace: Option<String>,
    /// Who we are.
    pub auth_data: VaultAuthManifest,
}

/// The `auth_data` of a Vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultAuthManifest {
    /// `token`
    Token {
        /// The token.
        token: Credential,
    },
    /// `approle`
    AppRole {
        /// Which role.
        role_id: Credential,
        /// Its password.
        secret_id: Credential,
        /// Where the auth method is mounted; `approle` when the manifest doesn't say.
        role_path: Option<String>,
    },
}

/// The types of the contract whose stores are still to come.
const TO_COME: [&str; 4] = [
    "integration/secret-store/aws/parameter-store",
    "integration/secret-store/gcp/gsm",
    "integration/secret-store/azure/vault",
    "integration/secret-store/custom/generic",
];

/// A day: long enough to mend a store, short enough that nobody forgets that it is broken.
const LONGEST_CACHED: u32 = 1_440;

impl IntegrationManifest {
    pub(super) fn read(entry: &Fields<'_>, provider: &Provider) -> Option<Self> {
        let own = match provider {
            Provider::Truefoundry => StoreManifest::EMBEDDED,
            Provider::Aws(_) => StoreManifest::AWS_SECRETS_MANAGER,
            Provider::Hashicorp => StoreManifest::VAULT,
        };
        let fits = entry.parsed("type", |text| match text {
            _ if text == own => Ok(()),
            _ if TO_COME.contains(&text) => Err(format!("not supported yet; accounts of this type have `{own}`")),
            _ => Err(format!("accounts of this type have integrations of type `{own}`")),
        });
        let name = entry.parsed("name", ProviderName::parse);
        let store = fits.and_then(|()| match provider {
            Provider::Truefoundry => Some(StoreManifest::Embedded),
            Provider::Aws(_) => AwsStoreManifest::read(entry).map(StoreManifest::AwsSecretsManager),
            Provider::Hashicorp => VaultManifest::read(entry).map(StoreManifest::Vault),
        });
        let authorized_subjects = entry.texts("authorized_subjects", SubjectName::parse);
        entry.unique("authorized_subjects", authorized_subjects.iter().flatten().map(SubjectName::as_str));
        let serve_cached_minutes = entry.minutes("serve_cached_minutes", LONGEST_CACHED);
        if *provider == Provider::Truefoundry {
            entry.refuse("serve_cached_minutes", "the values are in this server's own database");
        }
        Some(Self { name: name?, store: store?, authorized_subjects, serve_cached_minutes })
    }
}

impl From<&IntegrationManifest> for Value {
    fn from(integration: &IntegrationManifest) -> Self {
        let subjects = |list: &[SubjectName]| list.iter().map(SubjectName::as_str).collect::<Self>();
        let written = Written::new(integration.store.kind()).with("name", integration.name.as_str());
        integration
            .store
            .write(written)
            .maybe("authorized_subjects", integration.authorized_subjects.as_deref().map(subjects))
            .maybe("serve_cached_minutes", integration.serve_cached_minutes)
            .into()
    }
}

impl StoreManifest {
    /// The `type` of an integration with the embedded store.
    pub const EMBEDDED: &str = "integration/secret-store/truefoundry/db";
    /// The `type` of one with AWS Secrets Manager.
    pub const AWS_SECRETS_MANAGER: &str = "integration/secret-store/aws/secrets-manager";
    /// The `type` of one with Vault or OpenBao.
    pub const VAULT: &str = "integration/secret-store/hashicorp/vault";

    /// The `type` of such an integration.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Embedded => Self::EMBEDDED,
            Self::AwsSecretsManager(_) => Self::AWS_SECRETS_MANAGER,
            Self::Vault(_) => Self::VAULT,
        }
    }

    /// All that says which store it is and how we get there: the manifest without its name and subjects.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.write(Written::new(self.kind())).into()
    }

    /// The credentials in its `auth_data`, by field.
    #[must_use]
    pub fn credentials(&self) -> Vec<(&'static str, &Credential)> {
        match self {
            Self::Embedded => Vec::new(),
            Self::AwsSecretsManager(store) => store.auth_data.as_ref().map(AwsAuth::credentials).unwrap_or_default(),
            Self::Vault(store) => store.auth_data.credentials(),
        }
    }

    /// Where a kept credential is sent to as it is. Nobody who was not given it may have it sent elsewhere.
    #[must_use]
    pub fn recipient(&self) -> Option<&str> {
        match self {
            Self::Vault(store) => Some(&store.vault_url),
            // AWS is sent signatures.
            Self::Embedded | Self::AwsSecretsManager(_) => None,
        }
    }

    fn write(&self, written: Written) -> Written {
        match self {
            Self::Embedded => written,
            Self::AwsSecretsManager(store) => written
                .with("region", store.region.as_str())
                .maybe("auth_data", store.auth_data.as_ref().map(AwsAuth::to_json))
                .maybe("kms_arn", store.kms_arn.as_deref())
                .maybe("tags", store.tags.clone().map(|tags| tags.into_iter().collect::<Value>())),
            Self::Vault(store) => written
                .with("vault_url", store.vault_url.as_str())
                .with("kv_mount_path", store.kv_mount_path.as_str())
                .maybe("root_path", store.root_path.as_deref())
                .maybe("namespace", store.namespace.as_deref())
                .with("auth_data", store.auth_data.to_json()),
        }
    }
}

impl AwsStoreManifest {
    fn read(entry: &Fields<'_>) -> Option<Self> {
        const MOST_TAGS: usize = 48;
        let region = entry.filled_text("region");
        // Whether it may be left out depends on the server.
        let auth_data = entry.object("auth_data").as_ref().and_then(AwsAuth::read);
        let kms_arn = entry.optional_text("kms_arn").map(str::to_owned);
        let tags = entry.pairs("tags", MOST_TAGS, |value| match value {
            Value::String(text) if text.len() <= 1_024 && !text.contains('\0') => Ok(text.clone()),
            _ => Err("must be a string of at most 1024 bytes, without U+0000"),
        });
        let tags = tags.map(BTreeMap::from_iter);
        Some(Self { region: region?.to_owned(), auth_data, kms_arn, tags })
    }
}

impl AwsAuth {
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        const TYPES: &str = "must be `access-key-based` or `assumed-role-based`";
        match fields.text("type")? {
            "access-key-based" => {
                let access_key_id = Credential::shown(fields, "access_key_id");
                let secret_access_key = Credential::hidden(fields, "secret_access_key");
                Some(Self::AccessKey { access_key_id: access_key_id?, secret_access_key: secret_access_key? })
            }
            "assumed-role-based" => {
                let assumed_role_arn = fields.filled_text("assumed_role_arn").map(str::to_owned);
                let external_id = fields.optional_text("external_id").map(str::to_owned);
                Some(Self::AssumedRole { assumed_role_arn: assumed_role_arn?, external_id })
            }
            _ => {
                fields.fault("type", TYPES);
                None
            }
        }
    }

    /// As it is stored and given back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::AccessKey { access_key_id, secret_access_key } => Written::new("access-key-based")
                .with("access_key_id", access_key_id.written())
                .with("secret_access_key", secret_access_key.written()),
            Self::AssumedRole { assumed_role_arn, external_id } => Written::new("assumed-role-based")
                .with("assumed_role_arn", assumed_role_arn.as_str())
                .maybe("external_id", external_id.as_deref()),
        }
        .into()
    }

    /// The credentials in it, by field.
    #[must_use]
    pub fn credentials(&self) -> Vec<(&'static str, &Credential)> {
        match self {
            Self::AccessKey { access_key_id, secret_access_key } => {
                vec![("access_key_id", access_key_id), ("secret_access_key", secret_access_key)]
            }
            Self::AssumedRole { .. } => Vec::new(),
        }
    }
}

impl VaultManifest {
    fn read(entry: &Fields<'_>) -> Option<Self> {
        let text = |field| entry.optional_text(field).map(str::to_owned);
        let vault_url = entry.filled_text("vault_url").map(str::to_owned);
        let kv_mount_path = entry.filled_text("kv_mount_path").map(str::to_owned);
        let (root_path, namespace) = (text("root_path"), text("namespace"));
        let auth_data = entry.required_object("auth_data").as_ref().and_then(VaultAuthManifest::read);
        Some(Self { vault_url: vault_url?, kv_mount_path: kv_mount_path?, root_path, namespace, auth_data: auth_data? })
    }
}

impl VaultAuthManifest {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        match fields.text("type")? {
            "token" => Some(Self::Token { token: Credential::hidden(fields, "token")? }),
            "approle" => {
                let role_id = Credential::shown(fields, "role_id");
                let secret_id = Credential::hidden(fields, "secret_id");
                let role_path = fields.optional_text("role_path").map(str::to_owned);
                Some(Self::AppRole { role_id: role_id?, secret_id: secret_id?, role_path })
            }
            _ => {
                fields.fault("type", "must be `token` or `approle`");
                None
            }
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Token { token } => Written::new("token").with("token", token.written()),
            Self::AppRole { role_id, secret_id, role_path } => Written::new("approle")
                .with("role_id", role_id.written())
                .with("secret_id", secret_id.written())
                .maybe("role_path", role_path.as_deref()),
        }
        .into()
    }

    fn credentials(&self) -> Vec<(&'static str, &Credential)> {
        match self {
            Self::Token { token } => vec![("token", token)],
            Self::AppRole { role_id, secret_id, .. } => vec![("role_id", role_id), ("secret_id", secret_id)],
        }
    }
}
