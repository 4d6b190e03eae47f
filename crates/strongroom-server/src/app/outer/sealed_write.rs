//! What an operation is to flip, as it waits in the database: with a MAC, so that whoever settles it signs nothing that
//! somebody else has put there.

use std::fmt::Write;

use strongroom_crypto::{Binding, DataKey, constant_time_eq};
use strongroom_domain::{GroupId, OperationId};
use strongroom_metadata::{GroupWrite, OperationRow};

use super::super::{App, AppError};

impl App {
    /// The text that is kept.
    pub(super) fn seal_write(
        &self,
        id: OperationId,
        group: GroupId,
        write: &GroupWrite,
        key: &DataKey,
    ) -> Result<String, AppError> {
        let text = to_json(write)?;
        let mac = self.write_mac(id, group, &text, key);
        Ok(format!("{}:{text}", hex(&mac)))
    }

    /// Whether a writer of ours made it for this operation.
    pub(super) fn is_sealed(
        &self,
        row: &OperationRow,
        write: &GroupWrite,
        mac: &str,
        key: &DataKey,
    ) -> Result<bool, AppError> {
        let right = self.write_mac(row.id, row.group_id, &to_json(write)?, key);
        Ok(constant_time_eq(hex(&right).as_bytes(), mac.as_bytes()))
    }

    fn write_mac(&self, id: OperationId, group: GroupId, text: &str, key: &DataKey) -> [u8; 32] {
        let message = Binding::new("operation")
            .field(self.instance_id.as_bytes())
            .field(id.as_bytes())
            .field(group.as_bytes())
            .field(text.as_bytes());
        key.revision_mac(&message)
    }
}

/// What was kept, and the MAC beside it; `None` where it reads as nothing.
pub(super) fn read_write(text: &str) -> Option<(GroupWrite, String)> {
    let (mac, text) = text.split_once(':')?;
    Some((serde_json::from_str(text).ok()?, mac.to_owned()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn to_json(write: &GroupWrite) -> Result<String, AppError> {
    serde_json::to_string(write).map_err(|error| AppError::Internal { internal: error.to_string() })
}
