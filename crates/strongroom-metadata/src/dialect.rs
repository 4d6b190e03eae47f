//! What truly differs between the engines' dialects. Everything else is written once.

/// Spells a migration's type placeholders for SQLite.
pub(crate) fn sqlite(migration: &str) -> String {
    migration
        .replace("{text}", "TEXT")
        .replace("{bytes}", "BLOB")
        .replace("{int}", "INTEGER")
        .replace("{clustered}", "WITHOUT ROWID")
}

/// The longest name or key that any rule allows.
const LONGEST: usize = 253;

/// Escapes a text for a `LIKE ? ESCAPE '\'` that looks for it anywhere.
///
/// `None` where nothing stored can contain the text: it is too long, or it has a NUL. The engines would not agree on
/// those: SQLite reads a pattern up to its NUL and refuses one of 50,000 bytes.
pub(crate) fn like_anywhere(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    if text.len() > LONGEST || text.contains('\0') {
        return None;
    }
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    Some(pattern)
}
