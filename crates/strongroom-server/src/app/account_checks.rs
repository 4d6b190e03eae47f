//! What is looked at before an account's manifest is written: while others may go on with theirs.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use strongroom_domain::Violation;
use strongroom_domain::manifest::{Credential, IntegrationManifest, ProviderAccountManifest};
use strongroom_metadata::{AccountRow, SealedCredentials};
use strongroom_stores::{SecretStore, StoreError, StoreErrorKind};

use super::credentials::{Credentials, are_same, same};
use super::store_builder::{address, described, with_any};
use super::store_references::references_of;
use super::{App, AppError, Context, ReadValues};

/// How long a store may take to show that it can be used.
const PROBE: Duration = Duration::from_secs(10);

/// What was found of an account, and what is to become of it.
pub(super) struct Prepared {
    /// As of which it was.
    before: Option<(String, Option<SealedCredentials>)>,
    /// What is to be kept, where that is something else than before.
    pub(super) credentials: Option<Credentials>,
    /// The paths of what is new among it, or gone.
    pub(super) changed: BTreeSet<String>,
    /// Names of the integrations that point to somewhere else from now on.
    pub(super) moved: BTreeSet<String>,
}

impl Prepared {
    /// Whether the account still is what it was.
    pub(super) fn holds(&self, account: Option<&AccountRow>) -> bool {
        let before = self.before.as_ref().map(|(manifest, credentials)| (manifest, credentials));
        before == account.map(|row| (&row.manifest, &row.credentials))
    }
}

impl Context {
    /// Checks everything about stores that a manifest says, the last of it by asking the stores that are new or changed.
    pub(super) async fn prepare_account(
        &self,
        manifest: &ProviderAccountManifest,
        existing: Option<&AccountRow>,
        dry_run: bool,
    ) -> Result<Prepared, AppError> {
        let app = self.app();
        let before = existing.map(|row| serde_json::from_str(&row.manifest).unwrap_or_default());
        let before = before.and_then(|manifest: Value| ProviderAccountManifest::parse(&manifest).ok());
        let opened = existing.map_or_else(|| Ok(Credentials::new()), |row| app.open_credentials(row));
        let is_damaged = opened.is_err();
        let keeps = manifest.credentials().iter().any(|placed| *placed.credential == Credential::Kept);
        // Whoever gives all of them anew needs none of the old ones.
        let kept = if is_damaged && !keeps { Credentials::new() } else { opened? };
        let after = collect(manifest, before.as_ref(), &kept)?;
        self.check_references(manifest, existing).await?;
        let any = with_any(manifest, &after);
        let faults = manifest.integrations.iter().flatten().enumerate().filter_map(|(at, one)| {
            let wrong = app.builder.build(manifest, one, &any).err()?;
            Some(Violation::new(format!("manifest.integrations[{at}].{}", wrong.field), wrong.reason))
        });
        let faults: Vec<_> = faults.collect();
        if !faults.is_empty() {
            return Err(AppError::Invalid(faults));
        }
        let moved = self.moved(manifest, before.as_ref(), existing).await?;
        if !dry_run {
            let differ = |one: &IntegrationManifest| differs(manifest, before.as_ref(), one, &kept, &after);
            self.probe_all(manifest, &after, differ).await?;
        }
        let paths = kept.keys().chain(after.keys());
        let changed = paths.filter(|path| match (kept.get(*path), after.get(*path)) {
            (Some(one), Some(other)) => !same(one, other),
            _ => true,
        });
        Ok(Prepared {
            changed: changed.cloned().collect(),
            credentials: (is_damaged || !are_same(&kept, &after)).then_some(after),
            moved,
            before: existing.map(|row| (row.manifest.clone(), row.credentials.clone())),
        })
    }

    /// Which integrations point to somewhere else; 422 where they keep groups, whose values are where they pointed to.
    async fn moved(
        &self,
        manifest: &ProviderAccountManifest,
        before: Option<&ProviderAccountManifest>,
        existing: Option<&AccountRow>,
    ) -> Result<BTreeSet<String>, AppError> {
        let (app, mut moved) = (self.app(), BTreeSet::new());
        let (Some(before), Some(existing)) = (before, existing) else { return Ok(moved) };
        let rows = self.integrations().await?;
        for (at, one) in manifest.integrations.iter().flatten().enumerate() {
            let Some(old) = named(before, one) else { continue };
            if app.builder.target(before, &old.store) == app.builder.target(manifest, &one.store) {
                continue;
            }
            let row = rows.iter().find(|row| row.account_id == existing.id && row.name == one.name.as_str());
            let Some(row) = row else { continue };
            let groups = app.metadata.kept_groups(row.id).await?;
            if groups.living + groups.deleted > 0 {
                let message = format!(
                    "would point to another place, but {} secret groups and {} in the trash have their values where it \
                     points to now: make another integration, and move them; credentials may change",
                    groups.living, groups.deleted
                );
                return Err(AppError::invalid(format!("manifest.integrations[{at}]"), message));
            }
            moved.insert(one.name.as_str().to_owned());
        }
        Ok(moved)
    }

    /// Each reference must be of a secret that the caller may read, or else they would use what they can't read; and kept
    /// where no references are, or else none of them might ever be read.
    async fn check_references(
        &self,
        manifest: &ProviderAccountManifest,
        existing: Option<&AccountRow>,
    ) -> Result<(), AppError> {
        let app = self.app();
        let rows = self.integrations().await?;
        let placed = manifest.credentials();
        let mut faults = Vec::new();
        let referring: Vec<_> = manifest
            .integrations
            .iter()
            .flatten()
            .enumerate()
            .filter(|(at, _)| !references_of(&placed, Some(*at)).is_empty())
            .filter_map(|(_, one)| {
                let is_it = |row: &&_| is_of(row, existing) && row.name == one.name.as_str();
                rows.iter().find(is_it).map(|row| row.id)
            })
            .collect();
        for one in &placed {
            let Some(reference) = one.credential.reference() else { continue };
            let Some(row) = app.referenced(reference, self.caller().viewpoint()).await? else {
                faults.push(Violation::new(&*one.path, format!("there is no secret `{reference}`")));
                continue;
            };
            self.authorize::<_, ReadValues>(&row)?;
            let of_other = rows.iter().any(|other| other.id == row.integration_id && !is_of(other, existing));
            if referring.contains(&row.integration_id) || of_other && app.is_referring(row.integration_id).await? {
                let message = format!(
                    "`{reference}` is kept in a store whose own credentials are references: name one in a store that \
                     has none"
                );
                faults.push(Violation::new(&*one.path, message));
            }
        }
        if !referring.is_empty() {
            for (owner, reference) in self.references_of_others(existing).await? {
                let server = strongroom_metadata::Viewpoint {
                    floor: strongroom_domain::rights::TenantRights::ADMIN.floor(),
                    subject: String::new(),
                };
                let row = app.referenced(&reference, &server).await?;
                if row.is_some_and(|row| referring.contains(&row.integration_id)) {
                    let message = format!(
                        "credentials of `{owner}` are kept in a store of this account, so its own can't be references"
                    );
                    faults.push(Violation::new("manifest.integrations", message));
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(AppError::Invalid(faults)) }
    }

    async fn references_of_others(&self, existing: Option<&AccountRow>) -> Result<Vec<(String, String)>, AppError> {
        let mut found = Vec::new();
        for account in self.app().metadata.provider_accounts().await? {
            if existing.is_some_and(|existing| existing.id == account.id) {
                continue;
            }
            let manifest: Value = serde_json::from_str(&account.manifest).unwrap_or_default();
            let Ok(manifest) = ProviderAccountManifest::parse(&manifest) else { continue };
            for placed in manifest.credentials() {
                let reference = placed.credential.reference().map(str::to_owned);
                found.extend(reference.map(|reference| (account.fqn.clone(), reference)));
            }
        }
        Ok(found)
    }

    async fn probe_all(
        &self,
        manifest: &ProviderAccountManifest,
        credentials: &Credentials,
        differs: impl Fn(&IntegrationManifest) -> bool,
    ) -> Result<(), AppError> {
        let app = self.app();
        let placed = manifest.credentials();
        let mut probes = Vec::new();
        for (at, one) in manifest.integrations.iter().flatten().enumerate().filter(|(_, one)| differs(one)) {
            let path = format!("manifest.integrations[{at}]");
            let mut all = credentials.clone();
            for reference in references_of(&placed, Some(at)) {
                let read = app.read_references(std::slice::from_ref(&reference)).await;
                all.extend(read.map_err(|error| match error {
                    AppError::NotFound(_) => {
                        AppError::invalid(&*path, format!("there is no secret `{}`", reference.fqn))
                    }
                    error => error,
                })?);
            }
            let fqn = format!("{}:{}:{}:secret-store:{}", app.tenant, manifest.provider.id(), manifest.name, one.name);
            let built = app.builder.build(manifest, one, &all);
            let built = built.map_err(|wrong| AppError::invalid(format!("{path}.{}", wrong.field), wrong.reason))?;
            let Some(store) = app.outer_of(&fqn).or(built) else { continue };
            probes.push(async move { (path, probe(store).await) });
        }
        let failed = join_all(probes).await.into_iter().filter_map(|(path, found)| Some((path, found.err()?)));
        let failed: Vec<_> = failed.map(|(path, error)| Violation::new(path, error.to_string())).collect();
        if failed.is_empty() { Ok(()) } else { Err(AppError::StoreCheck(failed)) }
    }
}

impl App {
    /// Asks an integration's store whether it can be used; the outer error says that it can't be asked.
    pub(super) async fn probe_integration(
        &self,
        integration: strongroom_domain::IntegrationId,
    ) -> Result<Result<(), StoreError>, AppError> {
        match self.fresh_store_of(integration).await {
            Ok(store) => Ok(probe(store.store).await),
            Err(AppError::Store(error)) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }
}

async fn probe(store: Arc<dyn SecretStore>) -> Result<(), StoreError> {
    let late = || {
        let reason = format!("no answer within {} seconds", PROBE.as_secs());
        StoreError::new(store.description().name, StoreErrorKind::Unavailable, reason)
    };
    tokio::time::timeout(PROBE, store.probe()).await.unwrap_or_else(|_| Err(late()))
}

/// What is to be kept: what is given, and what was kept where the mask stands.
fn collect(
    manifest: &ProviderAccountManifest,
    before: Option<&ProviderAccountManifest>,
    kept: &Credentials,
) -> Result<Credentials, AppError> {
    let (mut after, mut faults) = (Credentials::new(), Vec::new());
    let integrations: Vec<_> = manifest.integrations.iter().flatten().collect();
    let placed_before: HashMap<_, _> = before
        .iter()
        .flat_map(|before| before.credentials())
        .map(|placed| (placed.kept_as.clone(), placed.integration))
        .collect();
    for placed in manifest.credentials() {
        match placed.credential {
            Credential::Shown(_) | Credential::Reference(_) => {}
            Credential::Given(value) => _ = after.insert(placed.kept_as, value.clone()),
            Credential::Kept => {
                let value = kept.get(&placed.kept_as).filter(|_| placed_before.contains_key(&placed.kept_as));
                let Some(value) = value else {
                    let message = "the mask keeps what was there before, and there was nothing: give it in the clear";
                    faults.push(Violation::new(placed.path, message));
                    continue;
                };
                let now = placed.integration.and_then(|at| integrations.get(at)).copied();
                let old = now.zip(before).and_then(|(now, before)| named(before, now));
                let to = |one: &IntegrationManifest| one.store.recipient().map(address);
                if now.and_then(to) != old.and_then(to) {
                    let message = "what the mask keeps was given for another address and isn't sent to this one: give \
                        it in the clear";
                    faults.push(Violation::new(placed.path, message));
                    continue;
                }
                after.insert(placed.kept_as, value.clone());
            }
        }
    }
    if faults.is_empty() { Ok(after) } else { Err(AppError::Invalid(faults)) }
}

/// Whether an integration is new, or its store another one than before.
fn differs(
    manifest: &ProviderAccountManifest,
    before: Option<&ProviderAccountManifest>,
    one: &IntegrationManifest,
    kept: &Credentials,
    after: &Credentials,
) -> bool {
    let Some((before, old)) = before.and_then(|before| Some((before, named(before, one)?))) else { return true };
    let own = format!("integrations.{}.", one.name);
    let of = |all: &Credentials| -> Credentials {
        let own = all.iter().filter(|(path, _)| path.starts_with("auth_data.") || path.starts_with(&own));
        own.map(|(path, value)| (path.clone(), value.clone())).collect()
    };
    described(before, &old.store) != described(manifest, &one.store) || !are_same(&of(kept), &of(after))
}

fn named<'a>(before: &'a ProviderAccountManifest, one: &IntegrationManifest) -> Option<&'a IntegrationManifest> {
    before.integrations.iter().flatten().find(|old| old.name == one.name)
}

fn is_of(row: &strongroom_metadata::IntegrationRow, account: Option<&AccountRow>) -> bool {
    account.is_some_and(|account| account.id == row.account_id)
}
