//! The keys that our own JWTs are signed with.

use strongroom_domain::{SigningKeyId, Timestamp};

use crate::sql::{params, statements};
use crate::{AuditRow, Batch, CommitError, Guard, Metadata, ReadError, audit};

statements! {
    SELECT_SIGNING_KEYS = "SELECT id, public, sealed, kek, created_at FROM signing_keys ORDER BY created_at DESC, id DESC";
    INSERT_SIGNING_KEY = "INSERT INTO signing_keys (id, public, sealed, kek, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
}

/// A signing key: its public half, and the other one sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// Id: the `kid` of what it signs.
    pub id: SigningKeyId,
    /// The public key.
    pub public: Vec<u8>,
    /// The seed, sealed.
    pub sealed: Vec<u8>,
    /// Which key-encryption key seals it.
    pub kek: u32,
    /// When made.
    pub created_at: Timestamp,
}

impl Metadata {
    /// Every signing key, the newest, which signs, first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, ReadError> {
        self.rows(&SELECT_SIGNING_KEYS, &[], |row| {
            Ok(SigningKeyRow {
                id: row.parsed(0, SigningKeyId::parse)?,
                public: row.bytes(1)?,
                sealed: row.bytes(2)?,
                kek: u32::try_from(row.int(3)?).map_err(|_| row.damaged(3))?,
                created_at: row.time(4)?,
            })
        })
        .await
    }

    /// Keeps a new signing key.
    pub async fn add_signing_key(&self, key: &SigningKeyRow, event: &AuditRow) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        let params = params![key.id, &key.public, &key.sealed, i64::from(key.kek), key.created_at];
        batch.one(Guard::Fresh, &INSERT_SIGNING_KEY, params);
        audit::insert(&mut batch, event);
        self.commit(batch).await
    }
}
