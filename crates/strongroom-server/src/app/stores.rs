//! Which store an integration stands for.
//!
//! Stores are made of manifests and credentials and kept, with their connections and what they know of failures, until
//! one of these changes. That is noticed by the change number, so nothing is read to find a store again.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use strongroom_domain::manifest::{IntegrationManifest, ProviderAccountManifest};
use strongroom_domain::{IntegrationId, Timestamp};
use strongroom_metadata::{AccountRow, IntegrationRow, Stamp};
use strongroom_stores::outer::OuterStats;
use strongroom_stores::{Placement, SecretStore, StoreError, StoreErrorKind};

use super::credentials::Credentials;
use super::store_builder::described;
use super::store_references::{Pointer, Reference, references_of};
use super::watched_store::WatchedStore;
use super::{App, AppError};

/// How long nobody looks whether what a credential refers to has changed.
const LOOK_AGAIN_SECONDS: i64 = 30;
/// The same after the store has refused it.
const AFTER_REFUSAL_SECONDS: i64 = 1;
/// How often a read is repeated when integrations change under it.
const READS: usize = 3;

/// The store of an integration, as its manifest describes it.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "it is that, and what is known of it")]
pub(crate) struct Store {
    /// What speaks to it.
    pub(crate) store: Arc<dyn SecretStore>,
    /// The integration.
    pub(crate) integration: IntegrationId,
    /// What names are unique in: account and region, or address, namespace, mount and root. Empty for the embedded one.
    pub(crate) target: Arc<str>,
    /// The integration's FQN, as errors name it.
    pub(crate) fqn: Arc<str>,
    /// For how long after it was read a value is given while the store can't be reached.
    pub(crate) serve_cached: Duration,
}

impl Store {
    /// Whether values are kept in another system.
    pub(crate) fn is_outer(&self) -> bool {
        self.store.description().placement == Placement::Outer
    }
}

/// What was made of integrations.
pub(crate) struct Stores {
    /// As of the change number that it was read at.
    view: RwLock<Option<(Stamp, Slots)>>,
    /// What was made last, from which goes on what hasn't changed.
    last: Mutex<Slots>,
}

type Slots = Arc<HashMap<IntegrationId, Arc<Slot>>>;

impl Stores {
    pub(super) fn new() -> Self {
        Self { view: RwLock::new(None), last: Mutex::default() }
    }

    fn as_of(&self, present: Option<Stamp>) -> Option<Slots> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.as_ref().filter(|(as_of, _)| present == Some(*as_of)).map(|(_, slots)| slots.clone())
    }
}

/// One integration.
struct Slot {
    integration: IntegrationId,
    fqn: Arc<str>,
    target: Arc<str>,
    /// The store's name in errors.
    name: &'static str,
    account: Arc<Account>,
    serve_cached: Duration,
    /// What decides which store it is, but for credentials.
    described: BTreeMap<&'static str, String>,
    made: Arc<Made>,
}

/// An account as it is stored, and as it reads; `None` where this release can't read it.
struct Account {
    row: AccountRow,
    manifest: Option<ProviderAccountManifest>,
}

enum Made {
    Embedded,
    /// Why there is none.
    Broken(String),
    Store(Arc<dyn SecretStore>),
    /// Of credentials that are secrets of this server.
    Referring {
        references: Vec<Reference>,
        current: RwLock<Option<Current>>,
        /// One looks for all.
        turn: tokio::sync::Mutex<()>,
    },
}

#[derive(Clone)]
struct Current {
    store: Arc<dyn SecretStore>,
    pointers: Vec<Pointer>,
    looked_at: Timestamp,
    refused: Arc<AtomicBool>,
}

impl Current {
    fn holds(&self, now: Timestamp) -> bool {
        let refused = self.refused.load(Ordering::SeqCst);
        now < self.looked_at.plus_seconds(if refused { AFTER_REFUSAL_SECONDS } else { LOOK_AGAIN_SECONDS })
    }
}

impl App {
    /// The store of an integration.
    pub(crate) async fn store_of(&self, integration: IntegrationId) -> Result<Store, AppError> {
        let slot = self.slot(integration).await?;
        let store = match self.outer_of(&slot.fqn) {
            Some(outer) => return Ok(slot.with(outer, Some(slot.fqn.clone()))),
            None => match &*slot.made {
                Made::Embedded => self.store.clone(),
                Made::Broken(reason) => return Err(slot.unusable(reason)),
                Made::Store(store) => store.clone(),
                Made::Referring { .. } => Box::pin(self.referring(&slot)).await?,
            },
        };
        Ok(slot.with(store, None))
    }

    /// A store of the same making that nobody else has asked yet.
    pub(super) async fn fresh_store_of(&self, integration: IntegrationId) -> Result<Store, AppError> {
        let slot = self.slot(integration).await?;
        match &*slot.made {
            Made::Store(_) if self.outer_of(&slot.fqn).is_none() => {
                let fresh = self.make(&slot, &Credentials::new()).map_err(|reason| slot.unusable(&reason))?;
                Ok(slot.with(fresh, None))
            }
            Made::Referring { references, .. } if self.outer_of(&slot.fqn).is_none() => {
                self.present_pointers(&slot, references).await?;
                Ok(slot.with(self.make_referring(&slot, references).await?, None))
            }
            _ => self.store_of(integration).await,
        }
    }

    /// A store that tests put in the place of an integration's.
    pub(super) fn outer_of(&self, fqn: &str) -> Option<Arc<dyn SecretStore>> {
        self.outer.as_ref().and_then(|stores| stores(fqn))
    }

    /// Whether credentials of an integration are looked up elsewhere.
    pub(super) async fn is_referring(&self, integration: IntegrationId) -> Result<bool, AppError> {
        Ok(matches!(&*self.slot(integration).await?.made, Made::Referring { .. }))
    }

    /// What became of the requests to each outer store that was made; its FQN and its kind.
    pub(super) fn store_stats(&self) -> Vec<(Arc<str>, &'static str, OuterStats)> {
        let slots = self.caches.stores.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stats = |slot: &Arc<Slot>| {
            let stats = match &*slot.made {
                Made::Store(store) => store.stats(),
                Made::Referring { current, .. } => {
                    let current = current.read().unwrap_or_else(PoisonError::into_inner);
                    current.as_ref().and_then(|current| current.store.stats())
                }
                Made::Embedded | Made::Broken(_) => None,
            };
            stats.map(|stats| (slot.fqn.clone(), slot.name, stats))
        };
        let mut all: Vec<_> = slots.values().filter_map(stats).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    async fn slot(&self, integration: IntegrationId) -> Result<Arc<Slot>, AppError> {
        let slots = match self.caches.stores.as_of(self.metadata.identity_stamp()) {
            Some(slots) => slots,
            // Rare, and large: whoever only looks one up doesn't carry it along.
            None => Box::pin(self.read_slots()).await?,
        };
        slots.get(&integration).cloned().ok_or(AppError::NoIntegration)
    }

    async fn read_slots(&self) -> Result<Slots, AppError> {
        let mut read = None;
        for _ in 0..READS {
            let present = self.metadata.identity_stamp();
            let accounts = self.metadata.provider_accounts().await?;
            let rows = self.metadata.provider_integrations().await?;
            let same = present.filter(|_| self.metadata.identity_stamp() == present);
            read = Some((same, accounts, rows));
            if same.is_some() {
                break;
            }
        }
        let (as_of, accounts, rows) = read.unwrap_or_default();
        let stores = &self.caches.stores;
        // Made under the lock, so that nobody makes a second one of the same. Nothing is asked of anybody for it.
        let mut last = stores.last.lock().unwrap_or_else(PoisonError::into_inner);
        let slots: Slots = Arc::new(self.slots(accounts, &rows, &last));
        *last = slots.clone();
        *stores.view.write().unwrap_or_else(PoisonError::into_inner) = as_of.map(|as_of| (as_of, slots.clone()));
        Ok(slots)
    }

    fn slots(
        &self,
        accounts: Vec<AccountRow>,
        rows: &[IntegrationRow],
        last: &HashMap<IntegrationId, Arc<Slot>>,
    ) -> HashMap<IntegrationId, Arc<Slot>> {
        let mut slots = HashMap::new();
        for account in accounts {
            let own: Vec<_> = rows.iter().filter(|row| row.account_id == account.id).collect();
            let same = |slot: &&Arc<Slot>| {
                slot.account.row.manifest == account.manifest && slot.account.row.credentials == account.credentials
            };
            let before: Vec<_> = own.iter().filter_map(|row| last.get(&row.id).filter(same)).collect();
            if before.len() == own.len() {
                slots.extend(before.into_iter().map(|slot| (slot.integration, slot.clone())));
                continue;
            }
            let manifest = serde_json::from_str(&account.manifest).ok();
            let manifest = manifest.and_then(|manifest| ProviderAccountManifest::parse(&manifest).ok());
            let account = Arc::new(Account { row: account, manifest });
            for row in own {
                slots.insert(row.id, Arc::new(self.new_slot(&account, row, last.get(&row.id))));
            }
        }
        slots
    }

    fn new_slot(&self, account: &Arc<Account>, row: &IntegrationRow, before: Option<&Arc<Slot>>) -> Slot {
        let mut slot = Slot {
            integration: row.id,
            fqn: row.fqn.as_str().into(),
            target: "".into(),
            name: "truefoundry/db",
            account: account.clone(),
            serve_cached: Duration::ZERO,
            described: BTreeMap::new(),
            made: Arc::new(Made::Embedded),
        };
        if account.row.provider == "truefoundry" {
            return slot;
        }
        slot.name = "integration";
        let Some((manifest, at, integration)) = account.integration(&row.name) else {
            slot.made = Arc::new(Made::Broken("its manifest can't be read".into()));
            return slot;
        };
        let kind = integration.store.kind();
        slot.name = kind.strip_prefix("integration/secret-store/").unwrap_or(kind);
        slot.target = self.builder.target(manifest, &integration.store).into();
        slot.described = described(manifest, &integration.store);
        slot.serve_cached = Duration::from_mins(integration.serve_cached_minutes.unwrap_or(0).into());
        let same = |before: &&Arc<Slot>| {
            before.described == slot.described && before.account.row.credentials == account.row.credentials
        };
        if let Some(before) = before.filter(same) {
            slot.made = before.made.clone();
            return slot;
        }
        let references = references_of(&manifest.credentials(), Some(at));
        slot.made = Arc::new(if references.is_empty() {
            self.make(&slot, &Credentials::new()).map_or_else(Made::Broken, Made::Store)
        } else {
            Made::Referring { references, current: RwLock::default(), turn: tokio::sync::Mutex::default() }
        });
        slot
    }

    /// Makes a store with what its account keeps and what was looked up.
    fn make(&self, slot: &Slot, looked_up: &Credentials) -> Result<Arc<dyn SecretStore>, String> {
        let name = slot.fqn.rsplit(':').next().unwrap_or_default();
        let (manifest, _, integration) = slot.account.integration(name).ok_or("its manifest can't be read")?;
        let mut credentials = self.open_credentials(&slot.account.row).map_err(|error| match error {
            AppError::Integrity { public, internal } => {
                tracing::error!(integration = &*slot.fqn, internal, "credentials do not open");
                public
            }
            _ => "its credentials can't be read".to_owned(),
        })?;
        credentials.extend(looked_up.iter().map(|(path, value)| (path.clone(), value.clone())));
        let store = self.builder.build(manifest, integration, &credentials).map_err(|error| error.reason)?;
        store.ok_or_else(|| "its manifest can't be read".to_owned())
    }

    /// The store of an integration with references: the one that there is, or another one where they hold something else.
    async fn referring(&self, slot: &Slot) -> Result<Arc<dyn SecretStore>, AppError> {
        let Made::Referring { references, current, turn } = &*slot.made else {
            return Err(slot.unusable("it has no references"));
        };
        let known = || current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let holds = |known: &Current| known.holds(self.clock.now());
        if let Some(known) = known().filter(holds) {
            return Ok(known.store);
        }
        let _turn = turn.lock().await;
        let before = known();
        if let Some(known) = before.clone().filter(holds) {
            return Ok(known.store);
        }
        let looked_at = self.clock.now();
        let pointers = self.present_pointers(slot, references).await?;
        if let Some(known) = before.filter(|known| known.pointers == pointers) {
            known.refused.store(false, Ordering::SeqCst);
            let store = known.store.clone();
            *current.write().unwrap_or_else(PoisonError::into_inner) = Some(Current { looked_at, ..known });
            return Ok(store);
        }
        let store = self.make_referring(slot, references).await?;
        let refused = Arc::new(AtomicBool::new(false));
        let store: Arc<dyn SecretStore> = Arc::new(WatchedStore::new(store, refused.clone()));
        let made = Current { store: store.clone(), pointers, looked_at, refused };
        *current.write().unwrap_or_else(PoisonError::into_inner) = Some(made);
        Ok(store)
    }

    async fn make_referring(&self, slot: &Slot, references: &[Reference]) -> Result<Arc<dyn SecretStore>, AppError> {
        let mut looked_up = Credentials::new();
        for reference in references {
            let read = self.read_references(std::slice::from_ref(reference)).await;
            looked_up.extend(read.map_err(|error| slot.unreadable(reference, error))?);
        }
        self.make(slot, &looked_up).map_err(|reason| slot.unusable(&reason))
    }

    async fn present_pointers(&self, slot: &Slot, references: &[Reference]) -> Result<Vec<Pointer>, AppError> {
        let mut pointers = Vec::new();
        for reference in references {
            pointers.push(self.present_pointer(slot, reference).await?);
        }
        Ok(pointers)
    }

    async fn present_pointer(&self, slot: &Slot, reference: &Reference) -> Result<Pointer, AppError> {
        let pointer = self.pointer(reference).await?.ok_or_else(|| {
            slot.unusable(&format!("`{}`, which its manifest refers to, doesn't exist", reference.fqn))
        })?;
        if self.is_referring(pointer.integration).await? {
            let reason = format!("`{}` is kept where the credentials are references again", reference.fqn);
            return Err(slot.unusable(&reason));
        }
        Ok(pointer)
    }
}

impl Account {
    fn integration(&self, name: &str) -> Option<(&ProviderAccountManifest, usize, &IntegrationManifest)> {
        let manifest = self.manifest.as_ref()?;
        let mut integrations = manifest.integrations.iter().flatten().enumerate();
        let (at, integration) = integrations.find(|(_, one)| one.name.as_str() == name)?;
        Some((manifest, at, integration))
    }
}

impl Slot {
    fn with(&self, store: Arc<dyn SecretStore>, target: Option<Arc<str>>) -> Store {
        let target = target.unwrap_or_else(|| self.target.clone());
        Store { store, integration: self.integration, target, fqn: self.fqn.clone(), serve_cached: self.serve_cached }
    }

    fn unusable(&self, reason: &str) -> AppError {
        let reason = format!("integration `{}`: {reason}", self.fqn);
        AppError::Store(StoreError::new(self.name, StoreErrorKind::Unavailable, reason))
    }

    /// What is the matter with the referenced secret is a matter of this store; with the database, it isn't.
    fn unreadable(&self, reference: &Reference, error: AppError) -> AppError {
        let fqn = &reference.fqn;
        match error {
            AppError::NotFound(_) => self.unusable(&format!("`{fqn}`, which its manifest refers to, doesn't exist")),
            AppError::Store(error) => self.unusable(&format!("`{fqn}` can't be read: {error}")),
            AppError::ChangedOutside { store, what } => {
                self.unusable(&format!("`{fqn}` can't be read: secret store {store}: {what}"))
            }
            AppError::Integrity { public, internal } => {
                tracing::error!(integration = &*self.fqn, internal, "a referenced secret can't be read");
                self.unusable(&format!("`{fqn}` can't be read: {public}"))
            }
            error => error,
        }
    }
}
