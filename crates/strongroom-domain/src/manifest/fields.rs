//! Reading a manifest field by field, so that one answer names all that is wrong, each fault with its path.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Display;

use serde_json::{Map, Value};

use crate::{Timestamp, Violation};

/// The longest list in a manifest.
pub(super) const ENTRIES: usize = 1_000;
/// Bytes of a whole manifest as it is stored: it comes with every answer that has the thing.
pub(super) const MANIFEST_BYTES: usize = 64 * 1024;
/// So many faults are told in one answer.
pub(super) const FAULTS: usize = 100;

/// Reads a whole manifest. `parse` reports what it finds and gives `None` when it can't go on; `to_json` gives the form
/// whose size is bounded.
pub(super) fn read<T>(
    manifest: &Value,
    kind: &str,
    parse: impl FnOnce(&Fields<'_>) -> Option<T>,
    to_json: impl FnOnce(&T) -> Value,
) -> Result<T, Vec<Violation>> {
    let faults = RefCell::default();
    let Some(object) = manifest.as_object() else {
        return Err(vec![Violation::new("manifest", "must be an object")]);
    };
    let fields = Fields { object, path: "manifest".into(), faults: &faults };
    if object.get("type").and_then(Value::as_str) != Some(kind) {
        fields.fault("type", format!("must be `{kind}`"));
    }
    let read = parse(&fields);
    let faults = faults.into_inner();
    let read = read.filter(|_| faults.is_empty()).ok_or(faults)?;
    if to_json(&read).to_string().len() > MANIFEST_BYTES {
        return Err(vec![Violation::new("manifest", format!("has more than {MANIFEST_BYTES} bytes"))]);
    }
    Ok(read)
}

/// One object of a manifest. What is asked of it is either right or reported, so callers go on and give up at the end;
/// a field that is null counts as left out.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
    faults: &'a RefCell<Vec<Violation>>,
}

impl<'a> Fields<'a> {
    /// Reports what is wrong with a field.
    pub(super) fn fault(&self, field: &str, message: impl Into<String>) {
        self.fault_at(format!("{}.{field}", self.path), message);
    }

    fn fault_at(&self, path: String, message: impl Into<String>) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < FAULTS {
            faults.push(Violation::new(path, message));
        }
    }

    /// A field's value, if it has one.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    /// Reports fields other than these.
    pub(super) fn only(&self, known: &[&str]) {
        for field in self.object.keys().filter(|field| !known.contains(&field.as_str())) {
            let field: String = field.chars().take(100).collect();
            self.fault(&field, format!("there is no such field; there are `{}`", known.join("`, `")));
        }
    }

    /// Reports a field that this server would not act on: to ignore it would let somebody rely on what doesn't happen.
    pub(super) fn refuse(&self, field: &str, message: &str) {
        if self.get(field).is_some() {
            self.fault(field, message);
        }
    }

    /// Text that must be there.
    pub(super) fn text(&self, field: &str) -> Option<&'a str> {
        if self.get(field).is_none() {
            self.fault(field, "a string is required");
        }
        self.optional_text(field)
    }

    /// Text that may be left out.
    pub(super) fn optional_text(&self, field: &str) -> Option<&'a str> {
        let value = self.get(field)?;
        let text = value.as_str();
        if text.is_none() {
            self.fault(field, "must be a string");
        }
        text.filter(|text| self.without_nul(field, text.contains('\0')))
    }

    /// Text that must be there and have something in it.
    pub(super) fn filled_text(&self, field: &str) -> Option<&'a str> {
        self.parsed(field, |text| if text.is_empty() { Err("must not be empty") } else { Ok(text) })
    }

    /// Text that must be there and follow a rule.
    pub(super) fn parsed<T, E: Display>(&self, field: &str, parse: impl FnOnce(&'a str) -> Result<T, E>) -> Option<T> {
        self.text(field).and_then(|text| self.checked(field, parse(text)))
    }

    /// Text that may be left out, and follows a rule if it is there.
    pub(super) fn optional<T, E: Display>(
        &self,
        field: &str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        self.optional_text(field).and_then(|text| self.checked(field, parse(text)))
    }

    fn checked<T, E: Display>(&self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.fault(field, error.to_string())).ok()
    }

    /// A yes or no that may be left out.
    pub(super) fn flag(&self, field: &str) -> Option<bool> {
        let flag = self.get(field)?.as_bool();
        if flag.is_none() {
            self.fault(field, "must be true or false");
        }
        flag
    }

    /// A number of days that may be left out.
    /// A number of minutes, at most so many.
    pub(super) fn minutes(&self, field: &str, most: u32) -> Option<u32> {
        let value = self.get(field)?;
        let minutes = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let minutes = minutes.filter(|number| (1..=most).contains(number));
        if minutes.is_none() {
            self.fault(field, format!("must be a number of minutes from 1 to {most}"));
        }
        minutes
    }

    pub(super) fn days(&self, field: &str, least: u32) -> Option<u32> {
        const MOST: u32 = 36_500;
        let days = self.get(field)?.as_u64().and_then(|days| u32::try_from(days).ok());
        let days = days.filter(|days| (least..=MOST).contains(days));
        if days.is_none() {
            self.fault(field, format!("must be a whole number of days from {least} to {MOST}"));
        }
        days
    }

    /// When something ends, if it does: to the millisecond, as times are given back. Either spelling will do, as the
    /// fields beside it are spelled in both ways.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        const OTHER: &str = "expiresAt";
        let (one, other) = (self.optional("expires_at", end), self.optional(OTHER, end));
        if one.is_some_and(|one| other.is_some_and(|other| one != other)) {
            self.fault(OTHER, "is another spelling of `expires_at` and says something else: give one of them");
        }
        one.or(other)
    }

    /// An object that may be left out.
    pub(super) fn object(&self, field: &str) -> Option<Fields<'a>> {
        let value = self.get(field)?;
        self.inner(value, format!("{}.{field}", self.path))
    }

    /// An object that must be there.
    pub(super) fn required_object(&self, field: &str) -> Option<Fields<'a>> {
        if self.get(field).is_none() {
            self.fault(field, "an object is required");
        }
        self.object(field)
    }

    fn inner(&self, value: &'a Value, path: String) -> Option<Fields<'a>> {
        let Some(object) = value.as_object() else {
            self.fault_at(path, "must be an object");
            return None;
        };
        Some(Fields { object, path, faults: self.faults })
    }

    /// A list of objects that may be left out; entries with faults are not in it.
    pub(super) fn objects<T>(&self, field: &str, parse: impl Fn(&Fields<'a>) -> Option<T>) -> Option<Vec<T>> {
        let path = |index| format!("{}.{field}[{index}]", self.path);
        let parse = |(index, entry)| self.inner(entry, path(index)).and_then(|fields| parse(&fields));
        Some(self.entries(field)?.iter().enumerate().filter_map(parse).collect())
    }

    /// A list of texts that may be left out; entries with faults are not in it.
    pub(super) fn texts<T, E: Display>(&self, field: &str, parse: impl Fn(&'a str) -> Result<T, E>) -> Option<Vec<T>> {
        let parse = |(index, entry): (usize, &'a Value)| {
            let at = format!("{field}[{index}]");
            let Some(text) = entry.as_str() else {
                self.fault(&at, "must be a string");
                return None;
            };
            let text = Some(text).filter(|text| self.without_nul(&at, text.contains('\0')))?;
            self.checked(&at, parse(text))
        };
        Some(self.entries(field)?.iter().enumerate().filter_map(parse).collect())
    }

    fn entries(&self, field: &str) -> Option<&'a [Value]> {
        let Some(entries) = self.get(field)?.as_array() else {
            self.fault(field, "must be a list");
            return None;
        };
        if entries.len() > ENTRIES {
            self.fault(field, format!("has more than {ENTRIES} entries"));
            return None;
        }
        Some(entries)
    }

    /// Names and values of an object that may be left out, each checked by `check`, which says what is wrong.
    pub(super) fn pairs<T>(
        &self,
        field: &str,
        most: usize,
        check: impl Fn(&'a Value) -> Result<T, &'static str>,
    ) -> Option<Vec<(String, T)>> {
        const NAME_BYTES: usize = 128;
        let fields = self.object(field)?.object;
        if fields.len() > most {
            self.fault(field, format!("has more than {most} entries"));
            return None;
        }
        let mut pairs = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            if name.is_empty() || name.len() > NAME_BYTES || name.contains('\0') {
                self.fault(field, format!("names have 1 to {NAME_BYTES} bytes and no U+0000"));
            } else if let Some(value) = self.checked(&format!("{field}.{name}"), check(value)) {
                pairs.push((name.clone(), value));
            }
        }
        Some(pairs)
    }

    /// Reports a list without entries.
    pub(super) fn not_empty(&self, field: &str, message: &str) {
        if self.get(field).and_then(Value::as_array).is_some_and(Vec::is_empty) {
            self.fault(field, message);
        }
    }

    /// Reports names that come more than once.
    pub(super) fn unique<'n>(&self, field: &str, names: impl IntoIterator<Item = &'n str>) {
        let mut seen = HashSet::new();
        for name in names {
            if !seen.insert(name) {
                self.fault(field, format!("`{name}` is named more than once"));
            }
        }
    }

    /// `ownedBy` of what an account owns, kept as it was written. The official SDK reads no list in which an account has
    /// no name.
    pub(super) fn owned_by(&self) -> Option<Value> {
        const FIELD: &str = "ownedBy";
        self.object(FIELD)?.filled_text("account")?;
        self.get(FIELD).filter(|value| self.without_nul(FIELD, has_nul(value))).cloned()
    }

    /// Text other than values has no U+0000: PostgreSQL can't keep it.
    fn without_nul(&self, field: &str, nul: bool) -> bool {
        if nul {
            self.fault(field, "must not contain U+0000");
        }
        !nul
    }
}

/// Writes manifests: fields in the order in which they are put, those without a value left out.
pub(super) struct Written(Map<String, Value>);

impl Written {
    /// A manifest of a type.
    pub(super) fn new(kind: &str) -> Self {
        Self::default().with("type", kind)
    }

    /// A field.
    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    /// A field that may be left out.
    pub(super) fn maybe(self, field: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    /// An end, if there is one.
    pub(super) fn until(self, expires_at: Option<Timestamp>) -> Self {
        self.maybe("expires_at", expires_at.map(Timestamp::to_wire))
    }
}

impl Default for Written {
    fn default() -> Self {
        Self(Map::new())
    }
}

impl From<Written> for Value {
    fn from(written: Written) -> Self {
        Self::Object(written.0)
    }
}

fn end(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text)
        .map(|at| Timestamp::from_micros(at.micros() - at.micros().rem_euclid(1_000)))
        .filter(|at| Timestamp::parse(&at.to_wire()) == Some(*at))
        .ok_or("must be a time like `2027-01-31T12:00:00Z`, or a date like `2027-01-31` (its first moment in UTC)")
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, item)| name.contains('\0') || has_nul(item)),
        _ => false,
    }
}
