//! Sealing and opening values: the one place where they are in the clear.

use std::sync::Arc;

use strongroom_crypto::{Binding, DataKey, constant_time_eq};
use strongroom_domain::{GroupId, SecretId, SecretValue};
use strongroom_metadata::SecretRow;
use strongroom_stores::{Condition, Entry, Pinned, Placed, Put, Seal, StoreError, StoreErrorKind, StoreVersion};

use super::{App, AppError, Authorized, Context, ReadValues, Store};

/// A group has one data key until keys can be rotated; its number is bound into what it seals all the same.
const DATA_KEY_NUMBER: u64 = 1;

/// A value to be put, sealed or handed to its store.
pub(crate) struct Sealing<'a> {
    pub(crate) group_id: GroupId,
    pub(crate) group_name: &'a str,
    pub(crate) key: &'a str,
    pub(crate) secret_id: SecretId,
    pub(crate) version: i64,
    pub(crate) value: &'a SecretValue,
}

/// A value that may be given to whom it was opened for.
pub(crate) enum Opening<'a> {
    /// It is here.
    Here(SecretValue),
    /// An outer store is to be asked for it.
    InStore { row: &'a SecretRow, store: Store, key: Arc<DataKey> },
}

impl App {
    /// The group's data key, unwrapped once and then remembered.
    pub(crate) fn data_key(&self, group: GroupId, wrapped: Option<&[u8]>, kek: u32) -> Result<Arc<DataKey>, AppError> {
        match wrapped {
            Some(_) => {
                if let Some(key) = self.caches.data_keys.get(&group) {
                    return Ok(key);
                }
            }
            // Another replica purged it.
            None => self.forget_group(group),
        }
        let damaged = |internal: String| AppError::Integrity {
            public: format!("the data key of secret group {group} does not open"),
            internal,
        };
        let wrapped = wrapped.ok_or_else(|| damaged("it was purged".into()))?;
        let wrapping = self.keys.key(kek).ok_or_else(|| damaged(format!("key-encryption key {kek} is unknown")))?;
        let key = wrapping.unwrap(&self.key_binding(group), wrapped).map_err(|error| damaged(error.to_string()))?;
        let key = Arc::new(key);
        self.caches.data_keys.insert(group, key.clone());
        Ok(key)
    }

    /// A new data key for a new group, and its wrapped form.
    pub(crate) fn make_data_key(&self, group: GroupId) -> (DataKey, Vec<u8>, u32) {
        let key = DataKey::make();
        let wrapping = self.keys.primary();
        let wrapped = wrapping.wrap(&self.key_binding(group), &key);
        (key, wrapped, wrapping.id())
    }

    pub(crate) fn forget_group(&self, group: GroupId) {
        self.caches.data_keys.remove(&group);
        self.caches.verified.remove(&group);
    }

    /// The keyed digest by which two values of one secret are compared.
    pub(crate) fn digest(&self, key: &DataKey, group: GroupId, secret: SecretId, value: &SecretValue) -> [u8; 32] {
        let binding = Binding::new("value-digest")
            .field(self.instance_id.as_bytes())
            .field(group.as_bytes())
            .field(secret.as_bytes());
        key.value_digest(&binding, value.expose().as_bytes())
    }

    /// Seals a value for an inline store.
    pub(crate) async fn put(&self, store: &Store, key: &DataKey, sealing: &Sealing<'_>) -> Result<Placed, AppError> {
        let binding = self.value_binding(sealing.group_id, sealing.secret_id, sealing.version);
        let placed = store.store.put(Put {
            entry: self.entry(sealing.group_name, sealing.key, sealing.secret_id),
            value: sealing.value,
            version: sealing.version,
            seal: Seal { key, binding: &binding },
            condition: Condition::Always,
            mark: None,
            staged: false,
        });
        placed.await.map_err(|error| match error.kind {
            StoreErrorKind::Refused => AppError::invalid(sealing.key, error.reason),
            _ => AppError::Store(error),
        })
    }

    fn entry<'a>(&'a self, group: &'a str, key: &'a str, secret_id: SecretId) -> Entry<'a> {
        Entry { tenant: self.tenant.as_str(), group, key, secret_id, beside: false }
    }

    fn key_binding(&self, group: GroupId) -> Binding {
        Binding::new("data-key").field(self.instance_id.as_bytes()).field(group.as_bytes())
    }

    fn value_binding(&self, group: GroupId, secret: SecretId, version: i64) -> Binding {
        Binding::new("secret-value")
            .field(self.instance_id.as_bytes())
            .field(group.as_bytes())
            .field(secret.as_bytes())
            .number(version.unsigned_abs())
            .number(DATA_KEY_NUMBER)
    }
}

impl Context {
    /// Opens a value for somebody who may read it, but for asking an outer store. What is opened is checked against the
    /// group's MAC and the value's digest first. [`Context::given`] writes the audit event before the value leaves.
    ///
    /// `None` means that the group moved on after the row was read: read it again.
    pub(crate) async fn open_value<'a>(
        &self,
        secret: &Authorized<&'a SecretRow, ReadValues>,
    ) -> Result<Option<Opening<'a>>, AppError> {
        let app = self.app();
        let row: &'a SecretRow = secret;
        let key = app.data_key(row.group_id, row.data_key.as_deref(), row.data_key_kek)?;
        if !self.is_current(row).await? {
            return Ok(None);
        }
        let store = app.store_of(row.integration_id).await?;
        if store.is_outer() {
            return Ok(Some(Opening::InStore { row, store, key }));
        }
        let binding = app.value_binding(row.group_id, row.id, row.version.version);
        let pinned = Pinned {
            entry: app.entry(&row.group_name, &row.key, row.id),
            version: &StoreVersion(row.version.store_version.clone()),
            sealed: row.sealed.as_deref(),
            seal: Seal { key: &key, binding: &binding },
        };
        let value = store.store.get(pinned).await.map_err(|error| unreadable(row, error))?;
        let digest = app.digest(&key, row.group_id, row.id, &value);
        if constant_time_eq(&digest, &row.version.digest) {
            Ok(Some(Opening::Here(value)))
        } else {
            Err(altered(row, "the value's digest does not fit".into()))
        }
    }

    /// The value itself.
    pub(crate) async fn opened(&self, opening: Opening<'_>) -> Result<SecretValue, AppError> {
        match opening {
            Opening::Here(value) => Ok(value),
            Opening::InStore { row, store, key } => {
                let read = self.app().read_outer(&store, row, &key).await?;
                if let Some(seconds) = read.read_before {
                    self.request().read_before.note(seconds);
                }
                Ok(read.value)
            }
        }
    }

    /// Whether the secret read is what its group's newest revision says is current, and so is the value when it is the
    /// newest; `false` when the group moved on.
    async fn is_current(&self, row: &SecretRow) -> Result<bool, AppError> {
        let app = self.app();
        // What was found right is used as it was found: in the cache, others may replace it meanwhile.
        let verified = if let Some(verified) = app.verified(row.group_id, row.revision, &row.revision_mac) {
            verified
        } else {
            // They may not see it any more, or it was purged: who reads again is told so.
            let Some(state) = app.metadata.group(row.group_id, self.caller().viewpoint()).await? else {
                return Ok(false);
            };
            let verified = app.verify(&state)?;
            // A pointer that has moved to another version of the store makes no revision, but another MAC.
            if state.group.revision > row.revision || state.group.revision_mac != row.revision_mac {
                return Ok(false);
            }
            verified
        };
        let pointer = verified.pointers.get(&row.id).filter(|_| verified.is(row.revision, &row.revision_mac));
        let fits = pointer.is_some_and(|pointer| {
            verified.name == row.group_name
                && pointer.key == row.key
                && pointer.version == row.current_version
                // An older version is bound to its number by its seal alone.
                && (row.version.version != row.current_version || pointer.digest == row.version.digest)
        });
        if fits { Ok(true) } else { Err(altered(row, "it is not what its revision names".into())) }
    }
}

fn unreadable(row: &SecretRow, error: StoreError) -> AppError {
    match error.kind {
        StoreErrorKind::Integrity => altered(row, error.reason),
        _ => AppError::Store(error),
    }
}

fn altered(row: &SecretRow, internal: String) -> AppError {
    AppError::Integrity {
        public: format!("version {} of secret {} was altered outside this server", row.version.version, row.id),
        internal,
    }
}
