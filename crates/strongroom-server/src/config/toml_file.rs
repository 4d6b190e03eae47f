//! TOML text to texts of settings, with the lines that they stand on.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use zeroize::Zeroizing;

use super::{
    error::{Origin, SettingsError},
    sources::Key,
    suggest::suggest,
};

/// Every setting in `text`, which `file` holds.
pub(super) fn read(text: &str, file: &Path) -> Result<Vec<(Key, Zeroizing<String>, Origin)>, SettingsError> {
    let table = DeTable::parse(text).map_err(|error| SettingsError::Syntax {
        file: file.into(),
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        // Not the whole error: that quotes the line, and there may be a secret in it.
        problem: error.message().to_owned(),
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line_at(text, key.span().start);
        let Some(known) = Key::named(key.get_ref()) else {
            return Err(SettingsError::UnknownKey {
                file: file.into(),
                line,
                key: key.get_ref().to_string(),
                suggestion: suggest(key.get_ref(), Key::all().map(|key| key.name)),
            });
        };
        let origin = Origin::File(file.into(), line);
        let Some(text) = text_of(value) else {
            let problem = "must be a text, a number, true or false, or a list of texts".to_owned();
            return Err(SettingsError::Invalid { name: known.row.name, origin, problem });
        };
        entries.push((known, text, origin));
    }
    Ok(entries)
}

fn text_of(value: &Spanned<DeValue<'_>>) -> Option<Zeroizing<String>> {
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            texts?.join(",")
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => return None,
    };
    Some(Zeroizing::new(text))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
