//! What the audit log must hold: an event for each value that a client received, and for each acknowledged change.

use std::collections::{BTreeMap, BTreeSet};

/// An answer that was read to its end, and what must be on record for it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) request: String,
    /// The secrets whose values were in it, each with its version; empty for a change.
    pub(crate) values: Vec<(String, i64)>,
    /// Whether it was the answer to a change, which is on record even without values.
    pub(crate) change: bool,
}

/// The events of a stretch of time, by the request that they are of.
#[derive(Debug, Default)]
pub(crate) struct Events {
    by_request: BTreeMap<String, BTreeSet<(String, i64)>>,
}

impl Events {
    /// Adds an event with the values that it names.
    pub(crate) fn add(&mut self, request: &str, values: impl IntoIterator<Item = (String, i64)>) {
        self.by_request.entry(request.to_owned()).or_default().extend(values);
    }

    /// Whether everything that was given is on record; else what isn't.
    pub(crate) fn cover(&self, given: &[Given]) -> Result<(), String> {
        for answer in given.iter().filter(|answer| answer.change || !answer.values.is_empty()) {
            let Some(recorded) = self.by_request.get(&answer.request) else {
                return Err(format!(
                    "no event of request {}, which was answered with {:?}",
                    answer.request, answer.values
                ));
            };
            if let Some(missing) = answer.values.iter().find(|value| !recorded.contains(*value)) {
                return Err(format!("the event of request {} does not name {missing:?}", answer.request));
            }
        }
        Ok(())
    }
}
