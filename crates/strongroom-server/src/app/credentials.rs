//! Credentials that provider accounts hide: sealed as one object for each account.

use std::collections::BTreeMap;

use strongroom_domain::SecretValue;
use strongroom_metadata::{AccountRow, SealedCredentials};
use zeroize::Zeroizing;

use super::{App, AppError};

/// Credentials by the paths that they are kept under.
pub(crate) type Credentials = BTreeMap<String, SecretValue>;

/// Whether they are the same, path by path.
pub(super) fn are_same(one: &Credentials, other: &Credentials) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && same(one.1, other.1))
}

/// Whether two are the same text.
pub(super) fn same(one: &SecretValue, other: &SecretValue) -> bool {
    one.expose() == other.expose()
}

impl App {
    /// What an account keeps.
    pub(super) fn open_credentials(&self, account: &AccountRow) -> Result<Credentials, AppError> {
        let Some(kept) = &account.credentials else { return Ok(Credentials::new()) };
        let damaged = |internal: String| AppError::Integrity {
            public: format!("the credentials of provider account {} do not open; give all of them again", account.fqn),
            internal,
        };
        let key = self.keys.key(kept.kek);
        let key = key.ok_or_else(|| damaged(format!("key-encryption key {} is unknown", kept.kek)))?;
        let opened = key.open_credentials(self.instance_id.as_bytes(), account.id.as_bytes(), &kept.sealed);
        let opened = opened.map_err(|error| damaged(error.to_string()))?;
        // The error would say where it stands, and nothing of what.
        serde_json::from_slice(&opened).map_err(|error| damaged(format!("no object of texts: {:?}", error.classify())))
    }

    /// The same sealed, to be written into the account's row; `None` where there are none.
    pub(super) fn seal_credentials(
        &self,
        account: &AccountRow,
        credentials: &Credentials,
    ) -> Option<SealedCredentials> {
        if credentials.is_empty() {
            return None;
        }
        let exposed: BTreeMap<&str, &str> =
            credentials.iter().map(|(path, value)| (path.as_str(), value.expose())).collect();
        let text = Zeroizing::new(serde_json::to_vec(&exposed).unwrap_or_default());
        let key = self.keys.primary();
        let sealed = key.seal_credentials(self.instance_id.as_bytes(), account.id.as_bytes(), &text);
        Some(SealedCredentials { sealed, kek: key.id() })
    }
}
