//! What truly differs between the engines' dialects. Everything else is written once.

/// Spells a migration's type placeholders for SQLite.
pub(crate) fn sqlite(migration: &str) -> String {
    migration
        .replace("{text}", "TEXT")
        .replace("{bytes}", "BLOB")
        .replace("{int}", "INTEGER")
        .replace("{clustered}", "WITHOUT ROWID")
}

/// Escapes a text for a `LIKE ? ESCAPE '\'` that looks for it anywhere.
pub(crate) fn like_anywhere(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
