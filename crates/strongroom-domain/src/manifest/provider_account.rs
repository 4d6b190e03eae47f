use serde_json::Value;

use super::credential::PlacedCredential;
use super::fields::{Fields, Written, read};
use super::manifest_type;
use super::secret_store::{AwsAuth, IntegrationManifest};
use crate::Violation;
use crate::names::ProviderName;

/// A checked manifest of a type like `provider-account/aws`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAccountManifest {
    /// Whose stores its integrations are.
    pub provider: Provider,
    /// The account's name; the match is by provider and name.
    pub name: ProviderName,
    /// Its integrations; `None` when the manifest doesn't say.
    pub integrations: Option<Vec<IntegrationManifest>>,
    /// The owning account, and what else is said of it.
    pub owned_by: Option<Value>,
}

/// The provider of an account, and what is said of the account there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// This server.
    Truefoundry,
    /// AWS.
    Aws(AwsAccount),
    /// `HashiCorp` Vault, or OpenBao.
    Hashicorp,
}

/// An account of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsAccount {
    /// Its number.
    pub aws_account_id: String,
    /// Who we are there, where an integration doesn't say it.
    pub auth_data: Option<AwsAuth>,
}

impl ProviderAccountManifest {
    /// The `type`s of such manifests.
    pub const TYPES: [&str; 3] = ["provider-account/truefoundry", "provider-account/aws", "provider-account/hashicorp"];

    /// Checks a manifest field by field.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        let kind = manifest_type(manifest).filter(|kind| Self::TYPES.contains(kind)).unwrap_or(Self::TYPES[0]);
        read(manifest, kind, |fields| Self::read(fields, kind), Self::to_json)
    }

    fn read(fields: &Fields<'_>, kind: &str) -> Option<Self> {
        let name = fields.parsed("name", ProviderName::parse);
        let provider = match kind {
            "provider-account/aws" => AwsAccount::read(fields).map(Provider::Aws),
            "provider-account/hashicorp" => Some(Provider::Hashicorp),
            _ => Some(Provider::Truefoundry),
        };
        let integrations = provider
            .as_ref()
            .and_then(|of| fields.objects("integrations", |entry| IntegrationManifest::read(entry, of)));
        fields.unique("integrations", integrations.iter().flatten().map(|one| one.name.as_str()));
        fields.refuse("collaborators", "provider accounts have none: give roles on them with a `role-binding`");
        let owned_by = fields.owned_by();
        Some(Self { provider: provider?, name: name?, integrations, owned_by })
    }

    /// The manifest as it is stored and given back: with the mask where there are credentials.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let integrations = self.integrations.as_deref();
        let written = Written::new(self.provider.kind()).with("name", self.name.as_str());
        let written = match &self.provider {
            Provider::Truefoundry | Provider::Hashicorp => written,
            Provider::Aws(account) => written
                .with("aws_account_id", account.aws_account_id.as_str())
                .maybe("auth_data", account.auth_data.as_ref().map(AwsAuth::to_json)),
        };
        written
            .maybe("integrations", integrations.map(|list| list.iter().map(Value::from).collect::<Value>()))
            .maybe("ownedBy", self.owned_by.clone())
            .into()
    }

    /// Every credential in it, the account's first.
    #[must_use]
    pub fn credentials(&self) -> Vec<PlacedCredential<'_>> {
        let of_account = self.provider.credentials().into_iter().map(|(field, credential)| PlacedCredential {
            kept_as: format!("auth_data.{field}"),
            path: format!("manifest.auth_data.{field}"),
            integration: None,
            credential,
        });
        let integrations = self.integrations.iter().flatten().enumerate();
        let of_integrations = integrations.flat_map(|(at, one)| {
            let place = move |(field, credential)| PlacedCredential {
                kept_as: format!("integrations.{}.auth_data.{field}", one.name),
                path: format!("manifest.integrations[{at}].auth_data.{field}"),
                integration: Some(at),
                credential,
            };
            one.store.credentials().into_iter().map(place)
        });
        of_account.chain(of_integrations).collect()
    }
}

impl Provider {
    /// As FQNs have it.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Truefoundry => "truefoundry",
            Self::Aws(_) => "aws",
            Self::Hashicorp => "hashicorp",
        }
    }

    /// The `type` of an account's manifest.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        let [truefoundry, aws, hashicorp] = ProviderAccountManifest::TYPES;
        match self {
            Self::Truefoundry => truefoundry,
            Self::Aws(_) => aws,
            Self::Hashicorp => hashicorp,
        }
    }

    /// The `auth_data` of the account itself, as it is stored.
    #[must_use]
    pub fn auth_json(&self) -> Value {
        match self {
            Self::Aws(account) => account.auth_data.as_ref().map(AwsAuth::to_json).unwrap_or_default(),
            Self::Truefoundry | Self::Hashicorp => Value::Null,
        }
    }

    fn credentials(&self) -> Vec<(&'static str, &super::Credential)> {
        match self {
            Self::Aws(account) => account.auth_data.as_ref().map(AwsAuth::credentials).unwrap_or_default(),
            Self::Truefoundry | Self::Hashicorp => Vec::new(),
        }
    }
}

impl AwsAccount {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let aws_account_id = fields.parsed("aws_account_id", |text| {
            let is_number = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { Ok(text.to_owned()) } else { Err("must be the twelve digits of an AWS account") }
        });
        let given = fields.object("auth_data");
        let auth_data = given.as_ref().and_then(AwsAuth::read);
        // What is wrong with it would be said of every integration again.
        if given.is_some() && auth_data.is_none() {
            return None;
        }
        Some(Self { aws_account_id: aws_account_id?, auth_data })
    }
}

#[cfg(test)]
#[path = "provider_account_tests.rs"]
mod tests;
