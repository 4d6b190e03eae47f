//! Real stores, and an emulated one, behind what makes them misbehave.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use strongroom_domain::{SecretId, SecretValue, SystemClock};
use strongroom_server::SystemEntropy;
use strongroom_stores::aws::{
    AwsAuthData, AwsEndpoints, AwsRegion, AwsSecretsManagerSettings, AwsSecretsManagerStore, EntryRemoval,
    ProcessIdentity,
};
use strongroom_stores::egress::{AddressPolicy, EgressClient, KeepAlive};
use strongroom_stores::model::{EntryView, Misbehaving, VersionState, VersionView};
use strongroom_stores::outer::OuterPolicy;
use strongroom_stores::{Owner, SecretStore, VaultAuth, VaultSettings, VaultStore};
use strongroom_throwaway::{Moto, OpenBao};

use super::plan::Outside;

/// A store that runs.
pub(super) struct Real {
    /// As it is.
    pub(super) inner: Arc<dyn SecretStore>,
    pub(super) misbehaving: Arc<Misbehaving>,
    bao: Option<Arc<OpenBao>>,
}

fn client() -> Arc<EgressClient> {
    let addresses = AddressPolicy { deny_private: false, allow: vec!["127.0.0.1/32".parse().unwrap()] };
    Arc::new(EgressClient::new(addresses).keeping_connections(KeepAlive::default()))
}

pub(super) fn openbao() -> Option<Arc<OpenBao>> {
    let program = std::env::var_os("STRONGROOM_TEST_BAO").map(PathBuf::from);
    program.map(|program| Arc::new(OpenBao::start(&program).unwrap()))
}

pub(super) fn moto() -> Option<Moto> {
    Moto::program().map(|program| Moto::start(&program).unwrap())
}

impl Real {
    pub(super) fn on_openbao(server: &Arc<OpenBao>) -> Self {
        let settings = VaultSettings {
            vault_url: server.url(),
            kv_mount_path: "secret".to_owned(),
            root_path: None,
            namespace: None,
            auth: VaultAuth::Token(SecretValue::new(server.root_token().to_owned())),
        };
        let owner = Owner { instance: "instance-1".to_owned(), tenant: "default".to_owned() };
        let store = VaultStore::new(&settings, owner, client(), Arc::new(SystemEntropy), OuterPolicy::default());
        Self::over(Arc::new(store.unwrap()), Some(server.clone()))
    }

    pub(super) fn on_moto(server: &Moto) -> Self {
        let url = Some(server.url().parse().unwrap());
        let key = SecretValue::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let auth = AwsAuthData::AccessKey { access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret_access_key: key };
        let settings = AwsSecretsManagerSettings {
            region: AwsRegion::parse("eu-central-1").unwrap(),
            account_auth: Some(auth),
            integration_auth: None,
            process: ProcessIdentity::refused("not lent"),
            kms_arn: None,
            tags: BTreeMap::new(),
            instance: "instance-1".to_owned(),
            removal: EntryRemoval::AtOnce,
            endpoints: AwsEndpoints { secrets_manager: url.clone(), sts: url },
        };
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let store = AwsSecretsManagerStore::new(settings, client(), clock, entropy, OuterPolicy::default());
        Self::over(Arc::new(store.unwrap()), None)
    }

    fn over(inner: Arc<dyn SecretStore>, bao: Option<Arc<OpenBao>>) -> Self {
        Self { misbehaving: Arc::new(Misbehaving::over(inner.clone())), inner, bao }
    }

    /// Somebody else is at an entry; `false` when that can't be.
    pub(super) fn change_outside(&self, what: Outside, name: &str, value: &str) -> bool {
        let Some(bao) = &self.bao else { return false };
        let (data, metadata) = (format!("secret/data/{name}"), format!("secret/metadata/{name}"));
        if bao.ask("GET", &metadata, &[], "").is_err() {
            return false;
        }
        let body = format!(r#"{{"data":{{"value":"{value}"}}}}"#);
        match what {
            Outside::Write => drop(bao.ask("POST", &data, &[], &body).unwrap()),
            Outside::Delete => drop(bao.ask("DELETE", &metadata, &[], "").unwrap()),
            Outside::Recreate => {
                bao.ask("DELETE", &metadata, &[], "").unwrap();
                bao.ask("POST", &data, &[], &body).unwrap();
            }
        }
        true
    }

    /// All that it holds of a group, where that can be seen.
    pub(super) fn entries(&self, group: &str) -> Vec<EntryView> {
        let Some(bao) = &self.bao else { return Vec::new() };
        let json = |path: &str| -> Option<Value> { serde_json::from_str(&bao.ask("GET", path, &[], "").ok()?).ok() };
        let Some(listed) = json(&format!("secret/metadata/tfy-secret/default/{group}?list=true")) else {
            return Vec::new();
        };
        let keys = listed["data"]["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned());
        keys.map(|key| {
            let name = format!("tfy-secret/default/{group}/{key}");
            let entry = json(&format!("secret/metadata/{name}")).unwrap();
            // Whoever was killed between a put and its metadata has left the mark in the version alone.
            let first = json(&format!("secret/data/{name}?version=1")).unwrap_or_default();
            let owner = entry["data"]["custom_metadata"]["strongroom_secret"].as_str();
            let owner = owner.or_else(|| first["data"]["data"]["strongroom_secret"].as_str()).map(str::to_owned);
            let current = entry["data"]["current_version"].as_u64().unwrap();
            let version = |number: u64| {
                let read = json(&format!("secret/data/{name}?version={number}"))?;
                let fields = &read["data"]["data"];
                Some(VersionView {
                    version: number.to_string(),
                    value: Some(fields["value"].as_str()?.to_owned()),
                    mark: fields["strongroom_operation"].as_str().map(str::to_owned),
                    number: fields["strongroom_version"].as_str().and_then(|number| number.parse().ok()),
                    state: if number == current { VersionState::Latest } else { VersionState::Older },
                })
            };
            EntryView {
                owner: owner.and_then(|id| SecretId::parse(&id)),
                is_trash: false,
                versions: (1..=current).filter_map(version).collect(),
                name,
            }
        })
        .collect()
    }
}
