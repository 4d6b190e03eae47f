//! From what a manifest says to a store that can be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use strongroom_domain::manifest::{
    AwsAuth, Credential, IntegrationManifest, Provider, ProviderAccountManifest, StoreManifest, VaultAuthManifest,
    VaultManifest,
};
use strongroom_domain::{Clock, Entropy, SecretValue};
use strongroom_stores::aws::{
    AwsAuthData, AwsEndpoints, AwsRegion, AwsSecretsManagerSettings, AwsSecretsManagerStore, EntryRemoval,
    ProcessIdentity,
};
use strongroom_stores::egress::{AddressPolicy, EgressClient, EgressUrl, KeepAlive};
use strongroom_stores::outer::OuterPolicy;
use strongroom_stores::{Owner, SecretStore, VaultAuth, VaultSettings, VaultSettingsError, VaultStore};

use super::credentials::Credentials;

/// Makes stores, all with the same way out.
pub(crate) struct StoreBuilder {
    /// To addresses that manifests name.
    egress: Arc<EgressClient>,
    /// To those that the operator has set, wherever they are.
    operators: Arc<EgressClient>,
    aws: AwsEndpoints,
    /// One for all stores.
    process: ProcessIdentity,
    owner: Owner,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Why there is no store, by the field of the integration that says so. Never has a credential in it.
#[derive(Debug)]
pub(super) struct Unbuildable {
    pub(super) field: &'static str,
    pub(super) reason: String,
}

/// Sees to it that a store can be made of a manifest where its references aren't looked at.
const ANY: &str = "any";

impl StoreBuilder {
    pub(crate) fn new(
        policy: AddressPolicy,
        aws: AwsEndpoints,
        ambient_identity: bool,
        owner: Owner,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok()).collect();
        let operators = AddressPolicy { deny_private: false, allow: everywhere };
        let client = |policy| Arc::new(EgressClient::new(policy).keeping_connections(KeepAlive::default()));
        let operators = client(operators);
        let process = process_identity(ambient_identity, &operators);
        Self { egress: client(policy), operators, aws, process, owner, clock, entropy }
    }

    /// The store of an integration, with these credentials for what isn't in the manifest. `None` for the embedded one.
    pub(super) fn build(
        &self,
        account: &ProviderAccountManifest,
        integration: &IntegrationManifest,
        credentials: &Credentials,
    ) -> Result<Option<Arc<dyn SecretStore>>, Unbuildable> {
        let own = format!("integrations.{}.", integration.name);
        match &integration.store {
            StoreManifest::Embedded => Ok(None),
            StoreManifest::AwsSecretsManager(store) => {
                let wrong = |reason: String| Unbuildable { field: aws_field(&reason), reason };
                let of_account = match &account.provider {
                    Provider::Aws(account) => account.auth_data.as_ref(),
                    Provider::Truefoundry | Provider::Hashicorp => None,
                };
                let region = AwsRegion::parse(&store.region).map_err(wrong)?;
                let settings = AwsSecretsManagerSettings {
                    region,
                    account_auth: of_account.map(|auth| aws_auth(auth, "", credentials)).transpose().map_err(wrong)?,
                    integration_auth: store
                        .auth_data
                        .as_ref()
                        .map(|auth| aws_auth(auth, &own, credentials))
                        .transpose()
                        .map_err(wrong)?,
                    process: self.process.clone(),
                    kms_arn: store.kms_arn.clone(),
                    tags: store.tags.clone().unwrap_or_default(),
                    instance: self.owner.instance.clone(),
                    removal: EntryRemoval::AtOnce,
                    endpoints: self.aws.clone(),
                };
                // All addresses are AWS' or the operator's, and none comes from a manifest.
                let is_set = self.aws.secrets_manager.is_some() || self.aws.sts.is_some();
                let egress = if is_set { &self.operators } else { &self.egress };
                let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
                let store =
                    AwsSecretsManagerStore::new(settings, egress.clone(), clock, entropy, OuterPolicy::default());
                Ok(Some(Arc::new(store.map_err(|error| wrong(error.reason))?)))
            }
            StoreManifest::Vault(store) => {
                let settings = vault_settings(store, &own, credentials)?;
                let wrong = |error: VaultSettingsError| Unbuildable {
                    field: match &error {
                        VaultSettingsError::Url(_) => "vault_url",
                        VaultSettingsError::Path { field } => field,
                        VaultSettingsError::Credential { .. } => "auth_data",
                    },
                    reason: error.to_string(),
                };
                let url: EgressUrl = store.vault_url.parse().map_err(|error| wrong(VaultSettingsError::Url(error)))?;
                self.egress
                    .check(&url)
                    .map_err(|refusal| Unbuildable { field: "vault_url", reason: refusal.to_string() })?;
                let (egress, entropy) = (self.egress.clone(), self.entropy.clone());
                let store = VaultStore::new(&settings, self.owner.clone(), egress, entropy, OuterPolicy::default());
                Ok(Some(Arc::new(store.map_err(wrong)?)))
            }
        }
    }

    /// What names are unique in, by what the manifest says; empty for the embedded store.
    pub(super) fn target(&self, account: &ProviderAccountManifest, store: &StoreManifest) -> String {
        match store {
            StoreManifest::Embedded => String::new(),
            StoreManifest::AwsSecretsManager(store) => {
                let endpoint = self.aws.secrets_manager.as_ref().map(ToString::to_string);
                let own = match &account.provider {
                    Provider::Aws(account) => {
                        let role = store.auth_data.as_ref().or(account.auth_data.as_ref());
                        role.and_then(account_of_role).unwrap_or(&account.aws_account_id)
                    }
                    Provider::Truefoundry | Provider::Hashicorp => "",
                };
                format!("aws/secrets-manager:{}:{}", endpoint.as_deref().unwrap_or(own), store.region)
            }
            StoreManifest::Vault(store) => {
                let part = |path: &Option<String>| path.as_deref().unwrap_or_default().trim_matches('/').to_owned();
                let mount = store.kv_mount_path.trim_matches('/');
                let place = json!([address(&store.vault_url), part(&store.namespace), mount, part(&store.root_path)]);
                format!("hashicorp/vault:{place}")
            }
        }
    }
}

/// Where it is asked for, the environment says, so it is the operator's.
#[cfg(feature = "cloud-credentials")]
fn process_identity(is_lent: bool, operators: &Arc<EgressClient>) -> ProcessIdentity {
    if is_lent {
        ProcessIdentity::lent(operators.clone())
    } else {
        ProcessIdentity::refused(
            "the identity of the machine itself is not lent unless the server's setting `ambient-identity` is true",
        )
    }
}

#[cfg(not(feature = "cloud-credentials"))]
fn process_identity(_: bool, _: &Arc<EgressClient>) -> ProcessIdentity {
    ProcessIdentity::refused(
        "this build of the server can't use the identity of the machine itself: that takes one with the feature \
         `cloud-credentials`, and the setting `ambient-identity`",
    )
}

/// Something in the place of every credential that is looked up elsewhere.
pub(super) fn with_any(account: &ProviderAccountManifest, credentials: &Credentials) -> Credentials {
    let mut all = credentials.clone();
    for placed in account.credentials() {
        if placed.credential.reference().is_some() {
            all.insert(placed.kept_as, SecretValue::new(ANY.to_owned()));
        }
    }
    all
}

/// An address in its one spelling.
pub(super) fn address(url: &str) -> String {
    url.parse::<EgressUrl>().map_or_else(|_| url.to_owned(), |url| url.to_string()).trim_end_matches('/').to_owned()
}

fn account_of_role(auth: &AwsAuth) -> Option<&str> {
    match auth {
        AwsAuth::AssumedRole { assumed_role_arn, .. } => assumed_role_arn.split(':').nth(4),
        AwsAuth::AccessKey { .. } => None,
    }
}

fn text(credential: &Credential, kept_as: &str, credentials: &Credentials) -> Result<SecretValue, String> {
    match credential {
        Credential::Shown(text) => Ok(SecretValue::new(text.clone())),
        Credential::Given(value) => Ok(value.clone()),
        Credential::Kept | Credential::Reference(_) => {
            credentials.get(kept_as).cloned().ok_or_else(|| format!("`{kept_as}` is not known any more: give it again"))
        }
    }
}

fn aws_auth(auth: &AwsAuth, at: &str, credentials: &Credentials) -> Result<AwsAuthData, String> {
    let field = |name: &str, credential| text(credential, &format!("{at}auth_data.{name}"), credentials);
    Ok(match auth {
        AwsAuth::AccessKey { access_key_id, secret_access_key } => AwsAuthData::AccessKey {
            access_key_id: field("access_key_id", access_key_id)?.expose().to_owned(),
            secret_access_key: field("secret_access_key", secret_access_key)?,
        },
        AwsAuth::AssumedRole { assumed_role_arn, external_id } => {
            AwsAuthData::AssumedRole { assumed_role_arn: assumed_role_arn.clone(), external_id: external_id.clone() }
        }
    })
}

/// The adapter's texts begin with the field that they are about.
fn aws_field(reason: &str) -> &'static str {
    let named = reason.split('`').nth(1).unwrap_or_default();
    ["region", "kms_arn", "tags"].into_iter().find(|field| *field == named).unwrap_or("auth_data")
}

fn vault_settings(store: &VaultManifest, at: &str, credentials: &Credentials) -> Result<VaultSettings, Unbuildable> {
    let field = |name: &str, credential: &Credential| {
        text(credential, &format!("{at}auth_data.{name}"), credentials)
            .map_err(|reason| Unbuildable { field: "auth_data", reason })
    };
    let auth = match &store.auth_data {
        VaultAuthManifest::Token { token } => VaultAuth::Token(field("token", token)?),
        VaultAuthManifest::AppRole { role_id, secret_id, role_path } => VaultAuth::AppRole {
            role_id: field("role_id", role_id)?.expose().to_owned(),
            secret_id: field("secret_id", secret_id)?,
            role_path: role_path.clone().unwrap_or_else(|| "approle".to_owned()),
        },
    };
    Ok(VaultSettings {
        vault_url: store.vault_url.clone(),
        kv_mount_path: store.kv_mount_path.clone(),
        root_path: store.root_path.clone(),
        namespace: store.namespace.clone(),
        auth,
    })
}

/// What decides which store an integration is, but for its credentials.
pub(super) fn described(account: &ProviderAccountManifest, store: &StoreManifest) -> BTreeMap<&'static str, String> {
    let number = match &account.provider {
        Provider::Aws(account) => account.aws_account_id.clone(),
        Provider::Truefoundry | Provider::Hashicorp => String::new(),
    };
    BTreeMap::from([
        ("account", number),
        ("auth_data", account.provider.auth_json().to_string()),
        ("store", store.to_json().to_string()),
    ])
}
