//! What lies in the trash.

use strongroom_metadata::{DeletedGroup, DeletedSecret};

use super::{AppError, Context};

/// What the caller may bring back, newest first.
pub(crate) struct Trash {
    pub(crate) groups: Vec<DeletedGroup>,
    pub(crate) secrets: Vec<DeletedSecret>,
}

impl Context {
    /// Up to `limit` groups and as many secrets. The queries give only what the caller's roles let them bring back.
    pub(crate) async fn list_trash(&self, limit: i64) -> Result<Trash, AppError> {
        let metadata = &self.app().metadata;
        let viewpoint = self.caller().viewpoint();
        Ok(Trash {
            groups: metadata.deleted_groups(viewpoint.clone(), limit).await?,
            secrets: metadata.deleted_secrets(viewpoint.clone(), limit).await?,
        })
    }
}
