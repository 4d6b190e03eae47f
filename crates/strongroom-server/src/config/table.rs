//! The table of settings.

/// What a setting's value looks like; decides the placeholder in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Address,
    Text,
    Path,
    Url,
    Networks,
    Bool,
    Seconds,
    Count,
    Bytes,
    Days,
    Choice(&'static [&'static str]),
}

/// How the file with a secret is named: as a flag or in TOML, and in the environment.
#[derive(Debug)]
pub(super) struct FileNames {
    pub(super) name: &'static str,
    pub(super) env: &'static str,
}

/// One setting.
#[derive(Debug)]
pub(super) struct Row {
    /// In kebab case: the flag without its dashes, and the key in TOML.
    pub(super) name: &'static str,
    /// The environment variable.
    pub(super) env: &'static str,
    /// For a secret, whose value is never shown: the names under which a file with it can be given.
    pub(super) secret_file: Option<FileNames>,
    pub(super) kind: Kind,
    /// Whole sentences. `default.toml` has the same words above the key.
    pub(super) doc: &'static str,
}

/// All settings, in the order of `default.toml` and the reference.
pub(super) const ROWS: &[Row] = &[
    row("listen", "STRONGROOM_LISTEN", Kind::Address, "Address and port to listen on."),
    row(
        "public-url",
        "STRONGROOM_PUBLIC_URL",
        Kind::Url,
        "The address that clients reach the server under. Without it: the address listened on.",
    ),
    row(
        "tls-cert",
        "STRONGROOM_TLS_CERT",
        Kind::Path,
        "File with the TLS certificate chain in PEM, the server's own certificate first. Needs tls-key.",
    ),
    row(
        "tls-key",
        "STRONGROOM_TLS_KEY",
        Kind::Path,
        "File with the certificate's private key in PEM, unencrypted. Needs tls-cert.",
    ),
    row(
        "trusted-proxies",
        "STRONGROOM_TRUSTED_PROXIES",
        Kind::Networks,
        "Networks of the proxies in front whose X-Forwarded-For is believed, separated by commas.",
    ),
    row(
        "egress-allow",
        "STRONGROOM_EGRESS_ALLOW",
        Kind::Networks,
        "Networks that addresses in manifests may lie in whatever else holds, and over plain http too, separated by \
         commas. Without it: https only, and no loopback, link-local or metadata addresses.",
    ),
    row(
        "egress-deny-private",
        "STRONGROOM_EGRESS_DENY_PRIVATE",
        Kind::Bool,
        "Refuse private networks too as addresses in manifests, but for those in egress-allow.",
    ),
    row(
        "store-endpoint-aws-secrets-manager",
        "STRONGROOM_STORE_ENDPOINT_AWS_SECRETS_MANAGER",
        Kind::Url,
        "Where AWS Secrets Manager is, if not at AWS' own addresses: a VPC endpoint, or a stand-in for tests. May lie \
         anywhere, and in plain http too.",
    ),
    row(
        "store-endpoint-aws-sts",
        "STRONGROOM_STORE_ENDPOINT_AWS_STS",
        Kind::Url,
        "The same for AWS STS, which gives sessions of roles.",
    ),
    row(
        "ambient-identity",
        "STRONGROOM_AMBIENT_IDENTITY",
        Kind::Bool,
        "Lend the identity that this machine or process has at AWS to integrations without auth_data, and to roles of \
         accounts without an access key. Whoever may manage provider accounts can then use it. Needs a build with the \
         feature cloud-credentials.",
    ),
    row("data-dir", "STRONGROOM_DATA_DIR", Kind::Path, "Folder for everything that the server keeps."),
    secret(
        row(
            "database-url",
            "STRONGROOM_DATABASE_URL",
            Kind::Url,
            "The metadata database: sqlite:PATH for one server, postgres://USER@HOST/DATABASE for several. Parameters \
             are libpq's, but for sslmode (disable, require, verify-ca or verify-full): without it that is \
             verify-full, or disable where PostgreSQL is on this machine. Without the setting: an SQLite file in \
             data-dir.",
        ),
        "database-url-file",
        "STRONGROOM_DATABASE_URL_FILE",
    ),
    secret(
        row(
            "database-password",
            "STRONGROOM_DATABASE_PASSWORD",
            Kind::Text,
            "Password for database-url and database-direct-url, so that it needn't stand in them. For PostgreSQL only.",
        ),
        "database-password-file",
        "STRONGROOM_DATABASE_PASSWORD_FILE",
    ),
    secret(
        row(
            "database-direct-url",
            "STRONGROOM_DATABASE_DIRECT_URL",
            Kind::Url,
            "The same database past a connection pooler, for what a pooler can't do: migrations, listening for \
             changes, and `strongroom doctor`. For PostgreSQL only. Without it: database-url.",
        ),
        "database-direct-url-file",
        "STRONGROOM_DATABASE_DIRECT_URL_FILE",
    ),
    row(
        "database-connections",
        "STRONGROOM_DATABASE_CONNECTIONS",
        Kind::Count,
        "Connections of this server to PostgreSQL at most. SQLite needs none.",
    ),
    row(
        "database-timeout",
        "STRONGROOM_DATABASE_TIMEOUT",
        Kind::Seconds,
        "How long one request to PostgreSQL may take before it is given up.",
    ),
    row(
        "database-prepared-statements",
        "STRONGROOM_DATABASE_PREPARED_STATEMENTS",
        Kind::Bool,
        "Keep statements prepared in PostgreSQL. false behind a pooler in transaction mode that can't keep them, like \
         PgBouncer before 1.21.",
    ),
    row(
        "root-key-file",
        "STRONGROOM_ROOT_KEY_FILE",
        Kind::Path,
        "File with the root key, which wraps all other keys. A file named here must exist. Without it: root.key in \
         data-dir, made at the first start.",
    ),
    row(
        "tenant",
        "STRONGROOM_TENANT",
        Kind::Text,
        "Name of the tenant, the first part of every FQN. Fixed once the server has started for the first time.",
    ),
    row(
        "admin-email",
        "STRONGROOM_ADMIN_EMAIL",
        Kind::Text,
        "E-mail address of the first administrator. Used at the first start only.",
    ),
    secret(
        row(
            "admin-token",
            "STRONGROOM_ADMIN_TOKEN",
            Kind::Text,
            "Token of the first administrator, as `strongroom token new` prints it. Used at the first start only. Without \
         it one is made, printed once and kept in data-dir.",
        ),
        "admin-token-file",
        "STRONGROOM_ADMIN_TOKEN_FILE",
    ),
    row(
        "disable-secret-value-view",
        "DISABLE_SECRET_VALUE_VIEW",
        Kind::Bool,
        "Give values of secrets to machines only, never to people.",
    ),
    row(
        "group-name-rule",
        "STRONGROOM_GROUP_NAME_RULE",
        Kind::Choice(&["strict", "loose"]),
        "Which names secret groups may have. strict: 2 to 50 lower-case letters, digits and dashes. loose: up to 127 \
         letters, digits, dots, underscores and dashes, compared without case.",
    ),
    row(
        "retention-days",
        "STRONGROOM_RETENTION_DAYS",
        Kind::Days,
        "How long deleted secrets and groups can be brought back.",
    ),
    row("max-value-bytes", "STRONGROOM_MAX_VALUE_BYTES", Kind::Bytes, "Largest value of a secret."),
    row("max-body-bytes", "STRONGROOM_MAX_BODY_BYTES", Kind::Bytes, "Largest request body. At least max-value-bytes."),
    row(
        "max-connections",
        "STRONGROOM_MAX_CONNECTIONS",
        Kind::Count,
        "Connections served at once. More wait until one of them ends.",
    ),
    row(
        "rate-limit-subject",
        "STRONGROOM_RATE_LIMIT_SUBJECT",
        Kind::Count,
        "Requests a second that one subject, a person or a virtual account, may send with all its tokens. Ten \
         times as many may come at once. Each server counts for itself. 0 is without limit.",
    ),
    row(
        "rate-limit-address",
        "STRONGROOM_RATE_LIMIT_ADDRESS",
        Kind::Count,
        "Requests a second from one client address (IPv6: one /64) that take no token, and as many with one that isn't \
         valid. Ten times as many may come at once. Probes, and whoever has a valid token, are not counted; of tokens \
         that the server has not seen before, a hundred times as many may be tried. Each server counts for itself. 0 is \
         without limit.",
    ),
    row(
        "header-timeout",
        "STRONGROOM_HEADER_TIMEOUT",
        Kind::Seconds,
        "Time for a TLS handshake and for the head of a request. Idle HTTP/1 connections are closed after it.",
    ),
    row("body-timeout", "STRONGROOM_BODY_TIMEOUT", Kind::Seconds, "Time for the whole body of a request."),
    row(
        "drain-timeout",
        "STRONGROOM_DRAIN_TIMEOUT",
        Kind::Seconds,
        "How long running requests may go on when the server is told to stop.",
    ),
    row(
        "drain-delay",
        "STRONGROOM_DRAIN_DELAY",
        Kind::Seconds,
        "How long the server goes on taking requests after it was told to stop, with /readyz already saying no, so \
         that load balancers notice. Comes before drain-timeout. Without it: 3 over PostgreSQL, 0 over SQLite.",
    ),
    row("log-format", "STRONGROOM_LOG_FORMAT", Kind::Choice(&["text", "json"]), "Form of the log lines."),
    row("log-level", "STRONGROOM_LOG_LEVEL", Kind::Choice(&["error", "warn", "info", "debug"]), "How much is logged."),
];

const fn row(name: &'static str, env: &'static str, kind: Kind, doc: &'static str) -> Row {
    Row { name, env, secret_file: None, kind, doc }
}

const fn secret(mut row: Row, name: &'static str, env: &'static str) -> Row {
    row.secret_file = Some(FileNames { name, env });
    row
}
