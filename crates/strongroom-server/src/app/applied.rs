//! What applying a manifest does to something that has a name.

use serde_json::Value;
use strongroom_metadata::{Guard, NamedRow};

use super::{AppError, Context};

/// Something after its manifest was applied, or as it would be.
pub(crate) struct AppliedNamed {
    pub(crate) row: NamedRow,
    /// The manifest before, when there was one.
    pub(crate) before: Option<String>,
}

impl AppliedNamed {
    pub(crate) fn is_new(&self) -> bool {
        self.before.is_none()
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_same(&self) -> bool {
        self.before.as_ref() == Some(&self.row.manifest)
    }
}

impl Context {
    /// The row after a manifest: a new one, or the one that there is with the manifest replaced.
    pub(crate) fn applied(&self, existing: Option<NamedRow>, name: &str, manifest: &Value) -> AppliedNamed {
        let app = self.app();
        let now = app.clock.now();
        let before = existing.as_ref().map(|row| row.manifest.clone());
        let row = match existing {
            Some(row) if before.as_deref() == Some(manifest.to_string().as_str()) => row,
            Some(row) => NamedRow { manifest: manifest.to_string(), updated_at: now, ..row },
            None => NamedRow {
                id: app.ids.at::<uuid::Uuid>(now).to_string(),
                name: name.to_owned(),
                manifest: manifest.to_string(),
                created_by: self.caller().actor.clone(),
                created_at: now,
                updated_at: now,
            },
        };
        AppliedNamed { row, before }
    }
}

impl AppError {
    /// A guard that the use case has no answer to.
    pub(crate) fn missed(guard: Guard) -> Self {
        Self::Internal { internal: format!("guard {guard:?} was missed") }
    }
}

/// An id of a path in its canonical form.
pub(crate) fn parse_id(text: &str) -> Option<String> {
    uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 36).map(|id| id.to_string())
}
