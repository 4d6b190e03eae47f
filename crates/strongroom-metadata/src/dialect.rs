//! What truly differs between the engines' dialects. Everything else is written once.

/// Around a part of a migration that is for PostgreSQL alone.
const OWN: [&str; 2] = ["{postgres}\n", "{/postgres}\n"];

/// A migration without what is PostgreSQL's own.
fn without(text: &str) -> String {
    match text.split_once(OWN[0]).and_then(|(before, rest)| Some((before, rest.split_once(OWN[1])?.1))) {
        Some((before, after)) => before.to_owned() + after,
        None => text.to_owned(),
    }
}

/// Spells the placeholders of a statement or migration for SQLite.
pub(crate) fn sqlite(text: &str) -> String {
    without(text)
        .replace("{text}", "TEXT")
        .replace("{bytes}", "BLOB")
        .replace("{int}", "INTEGER")
        .replace("{clustered}", "WITHOUT ROWID")
        .replace("{now}", "CAST(unixepoch('subsec') * 1000000 AS INTEGER)")
}

/// Spells the placeholders of a statement or migration for PostgreSQL.
pub(crate) fn postgres(text: &str) -> String {
    // Compared byte by byte, as SQLite does: another collation would order and page otherwise.
    text.replace(OWN[0], "")
        .replace(OWN[1], "")
        .replace("{text}", "TEXT COLLATE \"C\"")
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

/// Escapes a text for a `LIKE ? ESCAPE '\'` that looks for it anywhere, in lower case as what is searched is stored:
/// names, keys and addresses have a case in A-Z only.
///
/// `None` where nothing stored can contain the text: it is too long, or it has a NUL. The engines would not agree on
/// those: SQLite reads a pattern up to its NUL and refuses one of 50,000 bytes.
pub(crate) fn like_anywhere(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
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

/// PostgreSQL only: one replica migrates at a time. The number is this product's own.
pub(crate) const LOCK_MIGRATIONS: &str = "SELECT pg_advisory_xact_lock(7305808869232144500)";

/// PostgreSQL only: whether there is a schema.
pub(crate) const IS_MIGRATED: &str = "SELECT to_regclass('schema_migrations') IS NOT NULL";

/// PostgreSQL only: the server's version, and a text that it gives once.
pub(crate) const VERSION_AND_RUN: &str = "SELECT current_setting('server_version_num')::INT, gen_random_uuid()::TEXT";

/// PostgreSQL only: how a batch begins. What is set ends with the transaction: the batch's id, by which each of its
/// statements knows that it runs inside; that COMMIT waits for the disk and for synchronous copies; time limits for the
/// case that this process stops in the middle.
pub(crate) const BEGIN_BATCH: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// `?1` the batch's id, `?2` the time limit in milliseconds.
pub(crate) const OPEN_BATCH: &str = "SELECT set_config('strongroom.batch', $1, true), \
    set_config('synchronous_commit', 'on', true), set_config('statement_timeout', $2, true), \
    set_config('lock_timeout', $2, true), set_config('idle_in_transaction_session_timeout', $2, true)";
/// The batch's last write, inside the guard: whoever finds the row knows that all was committed. `$2` and `$3` as with
/// every guarded statement.
pub(crate) const MARK_BATCH: &str = "WITH touched AS (INSERT INTO batches (id, committed, at) VALUES ($1, 1, \
    (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT) RETURNING 1) SELECT 1 / (CASE WHEN COUNT(*) = $2 \
    AND current_setting('strongroom.batch', true) = $3 THEN 1 ELSE 0 END) FROM touched";
/// A COMMIT that waits for a synchronous copy is not to be cut short by a time limit: the server would then acknowledge
/// what the copy may not have.
pub(crate) const UNTIMED_COMMIT: &str = "SELECT set_config('statement_timeout', '0', true)";
/// Asked on the same connection after COMMIT, which answers without an error also where it rolled back.
pub(crate) const PROVE_BATCH: &str = "SELECT 1 FROM batches WHERE id = $1 AND committed = 1";
/// Settles a batch whose fate is unclear: either its row is there, or from now on it can't be. Waits for a batch that
/// still runs. Writes in any case, so that its own COMMIT waits for the synchronous copies that the batch's should have.
pub(crate) const CLAIM_BATCH: &str = "INSERT INTO batches (id, committed, at) VALUES ($1, 0, \
    (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT) \
    ON CONFLICT (id) DO UPDATE SET at = batches.at RETURNING committed";
/// A read that takes as long as it takes.
pub(crate) const BEGIN_LONG_READ: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = 0";
pub(crate) const BEGIN_CLAIM: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = 0";
/// Tells the other replicas, as far as they can hear it, to ask for the change number at once.
pub(crate) const NOTIFY_CHANGE: &str = "SELECT pg_notify('strongroom_changes', '')";
pub(crate) const LISTEN_CHANGES: &str = "LISTEN strongroom_changes";
/// Frees the place of purged values, so that it is written over.
pub(crate) const VACUUM_PURGED: &str = "VACUUM secret_versions, secret_groups";

/// What a write is refused with while the instance is copied: an SQLSTATE of our own on PostgreSQL, and on SQLite the
/// beginning of the message.
pub(crate) const MOVING: &str = "SR001";

/// For a look at a database that isn't opened, whichever schema it has.
pub(crate) const SCHEMA_VERSION: &str = "SELECT MAX(version) FROM schema_migrations";
pub(crate) const INSTANCE_FACTS: &str = "SELECT tenant, state, note FROM instance WHERE id = 1";
pub(crate) const FIRST_INSTANCE_FACTS: &str = "SELECT tenant, 'live', '' FROM instance WHERE id = 1";
/// PostgreSQL only: what a server's promises rest on.
pub(crate) const SERVER_FACTS: &str = "SELECT current_setting('server_version_num')::INT, pg_is_in_recovery(), \
    current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_standby_names'), \
    current_setting('max_connections')::INT, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT, \
    to_regclass('instance') IS NOT NULL";
