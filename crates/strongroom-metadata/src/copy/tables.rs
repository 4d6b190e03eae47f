//! What an instance consists of. A test on both engines compares this with the schema, so that no table is forgotten.

/// A table that is copied.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its primary key: the order in which its rows are read on both sides.
    pub(super) key: &'static [&'static str],
    /// Columns that say something of the database rather than of the instance; the target keeps its own.
    pub(super) own: &'static [&'static str],
    /// A number that is one higher in the target, so that nothing which was read from the source passes for new there.
    pub(super) raised: Option<&'static str>,
    /// Whether a migration puts a row into it, so that a new database has one.
    pub(super) made: bool,
}

const fn table(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, own: &[], raised: None, made: false }
}

/// Every table that is copied; what is referred to stands before what refers to it.
pub(super) static TABLES: &[Table] = &[
    Table { own: &["state", "note"], ..table("instance", &["id"]) },
    table("root_key_slots", &["key_id", "fingerprint"]),
    table("users", &["id"]),
    Table { made: true, ..table("subjects", &["name"]) },
    table("teams", &["id"]),
    table("team_members", &["team", "member"]),
    table("team_managers", &["team", "member"]),
    table("roles", &["id"]),
    table("role_bindings", &["id"]),
    table("role_grants", &["subject", "resource_type", "resource_id", "role", "source", "source_id"]),
    table("invitations", &["id"]),
    table("identity_providers", &["id"]),
    table("identity_mappings", &["provider_id", "value"]),
    table("signing_keys", &["id"]),
    table("virtual_accounts", &["id"]),
    table("tokens", &["hash"]),
    table("provider_accounts", &["id"]),
    table("provider_integrations", &["id"]),
    table("secret_groups", &["id"]),
    table("group_revisions", &["group_id", "revision"]),
    table("secrets", &["id"]),
    table("secret_versions", &["secret_id", "version"]),
    table("lifetimes", &["group_id", "secret_id", "from_revision"]),
    table("grants", &["group_id", "subject", "source", "source_id"]),
    table("store_entries", &["secret_id"]),
    table("operations", &["id"]),
    table("operation_puts", &["operation_id", "secret_id"]),
    table("audit_events", &["id"]),
    Table { raised: Some("number"), made: true, ..table("change_number", &["id"]) },
];

/// Tables that belong to the database: its own schema, who does what at the moment, which batches were committed, what
/// replicas are to read again.
#[cfg(test)]
pub(super) const NOT_COPIED: &[&str] = &["schema_migrations", "leases", BATCHES, "grant_number", "grant_changes"];

/// Stays open while the source is read-only: it alone tells a replica whether its last batch was committed, and whoever
/// asks must write there. A batch has other writes, which are refused.
#[cfg(test)]
pub(super) const BATCHES: &str = "batches";

/// Tables that take no writes while the instance is copied and ever after. The schema isn't changed then either.
pub(super) fn guarded() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|table| table.name).chain(["leases", "schema_migrations", "grant_number", "grant_changes"])
}

/// What writers are told.
pub(super) const REFUSAL: &str =
    "this database takes no writes: its instance is being moved to another one, or was moved";

impl Table {
    /// The columns of the schema that are copied.
    pub(super) fn copied(&self, columns: Vec<String>) -> Vec<String> {
        columns.into_iter().filter(|column| !self.own.contains(&column.as_str())).collect()
    }

    /// All rows in the order of the key.
    pub(super) fn select(&self, columns: &[String]) -> String {
        format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), self.name, self.key.join(", "))
    }
}
