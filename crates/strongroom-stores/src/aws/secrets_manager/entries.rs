//! Entries: whose they are, and their end.

use super::{
    EntryRemoval, NAME, Turn, explain,
    naming::{self, Place},
    protocol::{DeleteSecret, DescribeSecret, Description},
    settings::{INSTANCE_TAG, SECRET_TAG},
};
use crate::{Entry, StoreError, StoreErrorKind};

/// An entry of ours.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) description: Description,
}

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// This secret's.
    This,
    /// An earlier secret's of the same name.
    Earlier,
    /// Nobody's whom we know.
    Stranger,
}

impl Turn<'_> {
    /// The entry of this very secret, if it is there and not in AWS' trash.
    pub(super) async fn find_entry(&self, entry: &Entry<'_>) -> Result<Option<Found>, StoreError> {
        for place in Place::of(entry).iter().copied() {
            if let Some(description) = self.look(&naming::name(entry, place)).await?
                && description.deleted.is_none()
                && self.owner(&description, entry) == Owner::This
            {
                return Ok(Some(Found { place, description }));
            }
        }
        Ok(None)
    }

    /// What is under a name, or under an ARN.
    pub(super) async fn look(&self, name: &str) -> Result<Option<Description>, StoreError> {
        match self.call(&DescribeSecret { secret_id: name }).await {
            Ok(description) => Ok(Some(description)),
            Err(failure) if failure.code() == "ResourceNotFoundException" => Ok(None),
            Err(failure) => Err(explain::<DescribeSecret<'_>>(failure, name)),
        }
    }

    pub(super) fn owner(&self, description: &Description, entry: &Entry<'_>) -> Owner {
        if description.tag(INSTANCE_TAG) != Some(&self.store.instance) {
            Owner::Stranger
        } else if description.tag(SECRET_TAG) == Some(&naming::simple(entry.secret_id)) {
            Owner::This
        } else {
            Owner::Earlier
        }
    }

    /// Deletes what is this secret's, under whichever name, in AWS' trash too. Nothing else: what is under the name now
    /// may be another's.
    pub(super) async fn delete(&self, entry: &Entry<'_>) -> Result<(), StoreError> {
        for place in Place::of(entry).iter().copied() {
            let name = naming::name(entry, place);
            let Some(description) = self.look(&name).await? else { continue };
            if self.owner(&description, entry) != Owner::This {
                continue;
            }
            let (window, force) = match self.store.removal {
                EntryRemoval::AtOnce => (None, Some(true)),
                EntryRemoval::Trash { .. } if description.deleted.is_some() => continue,
                EntryRemoval::Trash { days } => (Some(days), None),
            };
            let call = DeleteSecret {
                secret_id: &description.arn,
                recovery_window_in_days: window,
                force_delete_without_recovery: force,
            };
            match self.call(&call).await {
                Ok(_) => {}
                // Somebody was quicker.
                Err(failure) if failure.code() == "ResourceNotFoundException" || failure.is_about_trash() => {}
                Err(failure) => return Err(explain::<DeleteSecret<'_>>(failure, &name)),
            }
        }
        Ok(())
    }
}

pub(super) fn refused(reason: impl Into<String>) -> StoreError {
    StoreError::new(NAME, StoreErrorKind::Refused, reason)
}

pub(super) fn not_found(reason: impl Into<String>) -> StoreError {
    StoreError::new(NAME, StoreErrorKind::NotFound, reason)
}

pub(super) fn precondition(reason: impl Into<String>) -> StoreError {
    StoreError::new(NAME, StoreErrorKind::Precondition, reason)
}
