//! The embedded store: values sealed under their group's data key, in rows of the metadata database.

use async_trait::async_trait;
use strongroom_domain::SecretValue;

use crate::store::{
    Entry, KeptVersions, Latest, Pinned, Placed, Placement, Put, Removal, SecretStore, StoreDescription, StoreVersion,
};
use crate::{StoreError, StoreErrorKind};

const NAME: &str = "truefoundry/db";

/// The store that every instance has. It holds nothing itself: a put seals, a get opens, and the rows in between are
/// committed with the change that they belong to and removed by its retention.
#[derive(Debug)]
pub struct EmbeddedStore {
    description: StoreDescription,
}

impl EmbeddedStore {
    /// With the instance's limit on values, in bytes.
    #[must_use]
    pub fn new(max_value_bytes: usize) -> Self {
        Self {
            description: StoreDescription {
                name: NAME,
                placement: Placement::Inline,
                max_value_bytes,
                max_key_bytes: 253,
                kept_versions: KeptVersions::All,
                soft_delete: false,
                conditional_put: false,
                marks: false,
                staging: false,
                removes_versions: false,
                enumerates: false,
            },
        }
    }
}

#[async_trait]
impl SecretStore for EmbeddedStore {
    fn description(&self) -> &StoreDescription {
        &self.description
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        if put.value.byte_len() > self.description.max_value_bytes {
            let limit = self.description.max_value_bytes;
            return Err(StoreError::new(NAME, StoreErrorKind::Refused, format!("a value has at most {limit} bytes")));
        }
        Ok(Placed {
            version: StoreVersion(put.version.to_string()),
            sealed: Some(put.seal.key.seal(put.seal.binding, put.value.expose().as_bytes())),
        })
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        let Some(sealed) = pinned.sealed else {
            return Err(StoreError::new(NAME, StoreErrorKind::NotFound, "the version's value is gone"));
        };
        let damaged = || StoreError::new(NAME, StoreErrorKind::Integrity, "the sealed value does not open");
        let opened = pinned.seal.key.open(pinned.seal.binding, sealed).map_err(|error| damaged().caused_by(error))?;
        std::str::from_utf8(&opened).map(|text| SecretValue::new(text.to_owned())).map_err(|_| damaged())
    }

    async fn latest(&self, _entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        Err(not_supported("nobody reads it directly"))
    }

    async fn promote(&self, _entry: &Entry<'_>, _version: &StoreVersion) -> Result<(), StoreError> {
        Err(not_supported("versions are not staged"))
    }

    async fn remove(&self, _entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        match removal {
            // The rows go with their retention; there is nothing else to remove.
            Removal::Entry => Ok(()),
            Removal::Version(_) => Err(not_supported("single versions are not removed")),
        }
    }

    async fn list(&self, _prefix: &str, _after: &str, _limit: usize) -> Result<Vec<String>, StoreError> {
        Err(not_supported("its rows are the metadata's own"))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn not_supported(why: &str) -> StoreError {
    StoreError::new(NAME, StoreErrorKind::NotSupported, why)
}
