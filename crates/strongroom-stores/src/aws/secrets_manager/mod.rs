//! AWS Secrets Manager.
//!
//! Each secret is an entry `/tfy-secret/<tenant>/<group>/<key>` whose text is the value. A put makes a version with a
//! label of ours, which nobody sees who reads without asking for it; promoting moves `AWSCURRENT` there. Every request
//! may be sent twice: a version's id is the request's token, so that the same put makes one version; labels are moved
//! away from where they were seen, so that a move done twice, or overtaken by another's, is refused; and deleting names
//! the entry by its ARN, which an entry made later under the same name doesn't have.

mod entries;
mod known;
mod naming;
mod probe;
mod protocol;
mod settings;
mod versions;

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use strongroom_domain::{Clock, Entropy, SecretValue};
use uuid::{Builder, Uuid};

use self::known::Known;
use self::protocol::{Call, Filter, ListSecrets, Tag};
pub use self::settings::{AwsEndpoints, AwsSecretsManagerSettings, EntryRemoval};
use super::{
    credentials::Source,
    failure::{Failure, Tried},
    wire::{Question, Service, Wire, judge},
};
use crate::{
    Entry, KeptVersions, Latest, Pinned, Placed, Placement, Put, Removal, SecretStore, StoreDescription, StoreError,
    StoreErrorKind, StoreVersion,
    egress::EgressClient,
    outer::{Attempt, OuterClient, OuterPolicy, OuterStats, Repeat, parse_json, to_json},
};

const NAME: &str = "aws/secrets-manager";
/// AWS' limit.
const LARGEST_VALUE: usize = 65_536;
/// A value may grow sixfold when it is written as JSON; a page of a list has a hundred entries with their tags.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Values in AWS Secrets Manager, in one account and region.
pub struct AwsSecretsManagerStore {
    description: StoreDescription,
    client: OuterClient,
    wire: Wire,
    source: Source,
    service: Service,
    kms_arn: Option<String>,
    tags: Vec<Tag>,
    instance: String,
    removal: EntryRemoval,
    entropy: Arc<dyn Entropy>,
    known: Known,
}

impl AwsSecretsManagerStore {
    /// A store by these settings. Nothing is asked of AWS yet. The error says which field is to be set how.
    pub fn new(
        settings: AwsSecretsManagerSettings,
        egress: Arc<EgressClient>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        policy: OuterPolicy,
    ) -> Result<Self, StoreError> {
        let refused = |reason| StoreError::new(NAME, StoreErrorKind::Refused, reason);
        let tags = settings.checked_tags().map_err(refused)?;
        let AwsSecretsManagerSettings {
            region,
            account_auth,
            integration_auth,
            process,
            kms_arn,
            instance,
            removal,
            ..
        } = settings;
        let AwsEndpoints { secrets_manager, sts } = settings.endpoints;
        let sts = Service {
            name: "sts",
            url: sts.unwrap_or_else(|| region.endpoint("sts")),
            content_type: "application/x-www-form-urlencoded",
        };
        let service = Service {
            name: "secretsmanager",
            url: secrets_manager.unwrap_or_else(|| region.endpoint("secretsmanager")),
            content_type: "application/x-amz-json-1.1",
        };
        let (account, integration) = (account_auth.as_ref(), integration_auth.as_ref());
        let source = Source::new(account, integration, &instance, sts, &process).map_err(refused)?;
        Ok(Self {
            description: StoreDescription {
                name: NAME,
                placement: Placement::Outer,
                max_value_bytes: LARGEST_VALUE,
                max_key_bytes: 253,
                // Those with a label of ours. AWS keeps the others too while there are few, but promises nothing.
                kept_versions: KeptVersions::Newest(naming::LABELS as usize),
                soft_delete: removal != EntryRemoval::AtOnce,
                conditional_put: true,
                marks: true,
                staging: true,
                // One that has lost its labels is dropped by AWS some day, and can be read until then.
                removes_versions: false,
                enumerates: true,
            },
            client: OuterClient::new(NAME, egress, entropy.clone(), policy, judge),
            wire: Wire::new(NAME, clock, region),
            source,
            service,
            kms_arn,
            tags,
            instance,
            removal,
            entropy,
            known: Known::default(),
        })
    }

    fn turn(&self) -> Turn<'_> {
        Turn { store: self, attempt: self.client.attempt() }
    }

    fn random_id(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// Where it is and who we are there, as far as that may be told.
impl fmt::Debug for AwsSecretsManagerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsSecretsManagerStore")
            .field("url", &self.service.url.authority())
            .field("source", &self.source)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// All that one call of the store asks of AWS, within the time of one attempt.
struct Turn<'a> {
    store: &'a AwsSecretsManagerStore,
    attempt: Attempt<'a>,
}

impl Turn<'_> {
    async fn call<C: Call + Sync>(&self, input: &C) -> Result<C::Output, Failure> {
        let AwsSecretsManagerStore { wire, source, service, .. } = self.store;
        let body = to_json(input);
        let mut may_renew = true;
        loop {
            let credentials = source.credentials(wire, &self.attempt).await.map_err(Failure::Store)?;
            let question = Question {
                target: Some(C::ACTION),
                body: body.clone(),
                repeat: C::REPEAT,
                credentials: &credentials,
                max_answer_bytes: LARGEST_ANSWER,
            };
            match wire.ask(&self.attempt, service, &question).await {
                Ok(answer) => return parse_json(&answer).map_err(|_| Failure::Unreadable),
                Err(Failure::Refused(refusal))
                    if may_renew && refusal.is_about_expiry() && source.forget(&credentials) =>
                {
                    may_renew = false;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// AWS doesn't list by name, so every call reads all entries under the prefix.
    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        // Ours are without the slash that names have in AWS.
        let beginning = format!("/{prefix}");
        let filters = [Filter { key: "name", values: [&beginning] }];
        let (mut first, mut next) = (BTreeSet::new(), None);
        loop {
            let call = ListSecrets { max_results: 100, next_token: next.as_deref(), filters: &filters };
            let page = self.call(&call).await.map_err(|failure| explain::<ListSecrets<'_>>(failure, &beginning))?;
            for name in page.secret_list.iter().filter_map(|listed| listed.name.strip_prefix('/')) {
                // AWS' filter is looser in places than its description.
                if name.starts_with(prefix) && name > after && first.insert(name.to_owned()) && first.len() > limit {
                    first.pop_last();
                }
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(first.into_iter().collect());
            }
        }
    }
}

/// What a failed call of this kind, about this entry, means.
fn explain<C: Call>(failure: Failure, target: &str) -> StoreError {
    failure.explain(&tried::<C>(target, None))
}

/// The same for a call that carried a value.
fn explain_hiding<C: Call>(failure: Failure, target: &str, value: &SecretValue) -> StoreError {
    failure.explain(&tried::<C>(target, Some(value)))
}

fn tried<'a, C: Call>(target: &'a str, hidden: Option<&'a SecretValue>) -> Tried<'a> {
    Tried { store: NAME, permission: C::PERMISSION, is_write: C::REPEAT != Repeat::Read, target, hidden }
}

#[async_trait]
impl SecretStore for AwsSecretsManagerStore {
    fn description(&self) -> &StoreDescription {
        &self.description
    }

    fn check(&self, entry: &Entry<'_>, value_bytes: usize) -> Result<(), StoreError> {
        versions::check(entry, value_bytes)
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        Ok(Placed { version: self.turn().put_version(&put).await?, sealed: None })
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        self.turn().get_version(&pinned.entry, pinned.version).await
    }

    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        self.turn().current_version(entry).await
    }

    async fn find(&self, entry: &Entry<'_>, mark: &str, version: i64) -> Result<Option<StoreVersion>, StoreError> {
        self.turn().marked(entry, mark, version).await
    }

    async fn promote(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        self.turn().promote_version(entry, version).await
    }

    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        match removal {
            Removal::Version(version) => self.turn().let_go(entry, version).await,
            Removal::Entry => {
                self.known.forget(entry.secret_id);
                self.turn().delete(entry).await
            }
        }
    }

    /// What was made a moment ago may be missing: AWS' lists lag behind, by minutes at times.
    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.turn().list(prefix, after, limit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.turn().try_everything().await
    }

    async fn answers(&self) -> Result<(), StoreError> {
        self.turn().ask_for_nothing().await
    }

    fn stats(&self) -> Option<OuterStats> {
        Some(self.client.stats())
    }
}
