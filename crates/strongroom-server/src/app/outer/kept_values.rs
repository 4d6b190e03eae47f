//! Values of outer stores, kept sealed for the case that their store can't be reached: only where an integration's manifest
//! asks for it, in memory, and for as long as it says.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::{SecretId, SecretValue, Timestamp};
use strongroom_metadata::SecretRow;

use super::super::{App, Store};

/// Bytes kept, more or less.
const KEPT: u64 = 32 << 20;
/// What an entry takes beside the sealed value.
const AN_ENTRY: u64 = 200;

/// A value that was read.
pub(crate) struct ReadValue {
    pub(crate) value: SecretValue,
    /// How many seconds ago, where the store could not be asked now.
    pub(crate) read_before: Option<i64>,
}

/// Sealed values, by secret and by where its version is.
pub(crate) struct KeptValues(Cache<(SecretId, String), Arc<Kept>, ByBytes>);

struct Kept {
    read_at: Timestamp,
    sealed: Vec<u8>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(SecretId, String), Arc<Kept>> for ByBytes {
    fn weight(&self, _: &(SecretId, String), kept: &Arc<Kept>) -> u64 {
        AN_ENTRY + kept.sealed.len() as u64
    }
}

impl Default for KeptValues {
    fn default() -> Self {
        Self(Cache::with_weighter(10_000, KEPT, ByBytes))
    }
}

impl App {
    /// Keeps what was read, where the integration allows it.
    pub(super) fn keep_value(&self, store: &Store, row: &SecretRow, key: &DataKey, value: &SecretValue) {
        if store.serve_cached.is_zero() {
            return;
        }
        let sealed = key.seal(&self.kept_binding(row), value.expose().as_bytes());
        let kept = Arc::new(Kept { read_at: self.clock.now(), sealed });
        self.caches.kept_values.0.insert((row.id, row.version.store_version.clone()), kept);
    }

    /// What was read of the same version, if that isn't longer ago than the integration allows.
    pub(super) fn kept_value(&self, store: &Store, row: &SecretRow, key: &DataKey) -> Option<ReadValue> {
        let kept = self.caches.kept_values.0.get(&(row.id, row.version.store_version.clone()))?;
        let seconds = (self.clock.now().micros() - kept.read_at.micros()).max(0) / 1_000_000;
        if u64::try_from(seconds).ok()? >= store.serve_cached.as_secs() {
            return None;
        }
        let opened = key.open(&self.kept_binding(row), &kept.sealed).ok()?;
        let value = SecretValue::new(std::str::from_utf8(&opened).ok()?.to_owned());
        Some(ReadValue { value, read_before: Some(seconds) })
    }

    fn kept_binding(&self, row: &SecretRow) -> Binding {
        Binding::new("kept-value")
            .field(self.instance_id.as_bytes())
            .field(row.group_id.as_bytes())
            .field(row.id.as_bytes())
            .field(row.version.store_version.as_bytes())
            .field(&row.version.digest)
    }
}
