use serde_json::{Map, Value};

use crate::Violation;

/// The longest list in a manifest.
pub(super) const ENTRIES: usize = 1_000;
/// Bytes of a whole manifest as it is stored: it comes with every answer that has the group.
pub(super) const MANIFEST_BYTES: usize = 64 * 1024;
/// So many faults are told in one answer.
pub(super) const FAULTS: usize = 100;

/// Collects what is wrong, so that one answer names all of it.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<Violation>);

impl Faults {
    pub(super) fn add(&mut self, path: &str, message: impl Into<String>) {
        if self.0.len() < FAULTS {
            self.0.push(Violation::new(path, message));
        }
    }

    pub(super) fn object<'a>(&mut self, manifest: &'a Value, expected: &str) -> &'a Map<String, Value> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let Some(fields) = manifest.as_object() else {
            self.add("manifest", "must be an object");
            return &EMPTY;
        };
        if fields.get("type").and_then(Value::as_str) != Some(expected) {
            self.add("manifest.type", format!("must be `{expected}`"));
        }
        fields
    }

    pub(super) fn text<'a>(&mut self, fields: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
        let text = fields.get(field).and_then(Value::as_str);
        if text.is_none() {
            self.add(&format!("manifest.{field}"), "a string is required");
        }
        text
    }

    pub(super) fn list<T>(
        &mut self,
        fields: &Map<String, Value>,
        field: &str,
        parse: impl Fn(&Map<String, Value>) -> Result<T, (&'static str, String)>,
    ) -> Option<Vec<T>> {
        let value = fields.get(field).filter(|value| !value.is_null())?;
        let Some(entries) = value.as_array() else {
            self.add(&format!("manifest.{field}"), "must be a list");
            return None;
        };
        if entries.len() > ENTRIES {
            self.add(&format!("manifest.{field}"), format!("has more than {ENTRIES} entries"));
            return None;
        }
        let mut out = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            match entry.as_object().ok_or(("", "must be an object".into())).and_then(&parse) {
                Ok(parsed) => out.push(parsed),
                Err((part, message)) => {
                    let dot = if part.is_empty() { "" } else { "." };
                    self.add(&format!("manifest.{field}[{index}]{dot}{part}"), message);
                }
            }
        }
        Some(out)
    }

    pub(super) fn duplicates<'a>(&mut self, names: impl Iterator<Item = &'a str>, path: &str) {
        let mut seen = std::collections::HashSet::new();
        for name in names {
            if !seen.insert(name) {
                self.add(path, format!("`{name}` is named more than once"));
            }
        }
    }
}

/// Whether U+0000, which no text but a value may have, stands anywhere in it.
pub(super) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, item)| name.contains('\0') || has_nul(item)),
        _ => false,
    }
}

pub(super) fn within_bounds(manifest: &Value) -> Result<(), Vec<Violation>> {
    if manifest.to_string().len() <= MANIFEST_BYTES {
        return Ok(());
    }
    Err(vec![Violation::new("manifest", format!("has more than {MANIFEST_BYTES} bytes"))])
}

pub(super) fn required<'a>(
    entry: &'a Map<String, Value>,
    field: &'static str,
) -> Result<&'a str, (&'static str, String)> {
    entry.get(field).and_then(Value::as_str).ok_or_else(|| (field, "a string is required".into()))
}
