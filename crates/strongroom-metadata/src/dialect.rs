//! What truly differs between the engines' dialects. Everything else is written once.

/// Spells the placeholders of a statement or migration for SQLite.
pub(crate) fn sqlite(text: &str) -> String {
    text.replace("{text}", "TEXT")
        .replace("{bytes}", "BLOB")
        .replace("{int}", "INTEGER")
        .replace("{clustered}", "WITHOUT ROWID")
        .replace("{now}", "CAST(unixepoch('subsec') * 1000000 AS INTEGER)")
}

/// Spells the placeholders of a statement or migration for PostgreSQL.
pub(crate) fn postgres(text: &str) -> String {
    // Compared byte by byte, as SQLite does: another collation would order and page otherwise.
    text.replace("{text}", "TEXT COLLATE \"C\"")
        .replace("{bytes}", "BYTEA")
        .replace("{int}", "BIGINT")
        .replace(" {clustered}", "")
        .replace("{now}", "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT")
        .replace('?', "$")
}

/// Wraps a write so that it fails inside the server, by a division by zero, when it touches another number of rows than
/// it must, or when it doesn't run in the transaction of its own batch. Two parameters come after the statement's own:
/// the number of rows, and the batch's id.
pub(crate) fn postgres_guarded(text: &str) -> String {
    let (rows, batch) = (parameters(text) + 1, parameters(text) + 2);
    format!(
        "WITH touched AS ({} RETURNING 1) SELECT 1 / (CASE WHEN (COUNT(*) = ${rows} OR ${rows} < 0) \
         AND current_setting('{BATCH_SETTING}', true) = ${batch} THEN 1 ELSE 0 END) FROM touched",
        postgres(text)
    )
}

/// What a batch's transaction sets to the batch's id, for as long as it lasts.
pub(crate) const BATCH_SETTING: &str = "strongroom.batch";

/// How many parameters a statement has.
pub(crate) fn parameters(text: &str) -> usize {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split('?').skip(1).filter_map(|rest| digits(rest).parse().ok()).max().unwrap_or(0)
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
