//! Ends of roles that are past when the roles are given.

use serde_json::Value;
use strongroom_domain::{Timestamp, Violation};

use super::{AppError, Context};

impl Context {
    /// 422 when an entry of a manifest's list would give something that has ended already. What the manifest `before` gave
    /// may have ended since: applying a manifest again isn't at fault.
    pub(crate) fn check_ends(&self, list: &str, manifest: &Value, before: Option<&str>) -> Result<(), AppError> {
        let now = self.app().clock.now();
        let before: Value = before.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let given = before[list].as_array().map_or(&[][..], Vec::as_slice);
        let is_past =
            |entry: &Value| entry["expires_at"].as_str().and_then(Timestamp::parse).is_some_and(|at| at <= now);
        let entries = manifest[list].as_array().into_iter().flatten().enumerate();
        let faults: Vec<_> = entries
            .filter(|(_, entry)| is_past(entry) && !given.contains(entry))
            .map(|(at, _)| Violation::new(format!("manifest.{list}[{at}].expires_at"), "must be a time still to come"))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(AppError::Invalid(faults)) }
    }
}
