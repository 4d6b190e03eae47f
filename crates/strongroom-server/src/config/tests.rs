use std::{ffi::OsString, fs, path::PathBuf, time::Duration};

use clap::ArgMatches;
use proptest::prelude::*;

use super::{
    sources::{DEFAULTS, Key, is_service_link},
    table::ROWS,
    *,
};

const CANARY: &str = "canary-5f1c9a";

fn flags(args: &[&str]) -> ArgMatches {
    serve_command().try_get_matches_from([&["serve"], args].concat()).unwrap()
}

fn load(args: &[&str], env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::load(&flags(args), env.iter().map(|(name, value)| (name.into(), value.into())))
}

fn error(args: &[&str], env: &[(&str, &str)]) -> String {
    load(args, env).unwrap_err().to_string()
}

fn sqlite_file(settings: &Settings) -> &str {
    match &settings.database {
        Database::Sqlite(file) => file.to_str().unwrap(),
        Database::Postgres(database) => panic!("{database:?}"),
    }
}

fn postgres(settings: &Settings) -> &strongroom_metadata::PostgresOptions {
    match &settings.database {
        Database::Sqlite(file) => panic!("{}", file.display()),
        Database::Postgres(database) => database,
    }
}

struct TomlFile {
    _dir: tempfile::TempDir,
    path: String,
}

fn file(content: impl AsRef<[u8]>) -> TomlFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("strongroom.toml");
    fs::write(&path, content).unwrap();
    TomlFile { path: path.to_str().unwrap().to_owned(), _dir: dir }
}

#[test]
fn nothing_given_is_the_documented_default() {
    let settings = load(&[], &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:7700");
    assert_eq!(settings.public_url(settings.listen), "http://127.0.0.1:7700");
    assert_eq!(settings.data_dir, PathBuf::from("./strongroom-data"));
    assert_eq!(sqlite_file(&settings), "./strongroom-data/strongroom.db");
    assert_eq!(settings.drain_delay, Duration::ZERO);
    assert_eq!(settings.root_key_file, None);
    assert_eq!(settings.tls, None);
    assert_eq!(settings.trusted_proxies, []);
    assert_eq!((settings.egress_allow, settings.egress_deny_private), (vec![], false));
    assert_eq!(settings.tenant, "default");
    assert_eq!(settings.admin_email, "admin@strongroom.local");
    assert!(settings.admin_token.is_none());
    assert!(!settings.disable_secret_value_view);
    assert_eq!(settings.group_name_rule, GroupNameRule::Strict);
    assert_eq!(settings.retention_days, 30);
    assert_eq!((settings.max_value_bytes, settings.max_body_bytes), (64 << 10, 8 << 20));
    assert_eq!(settings.max_connections, 1_024);
    assert_eq!((settings.rate_limit_subject, settings.rate_limit_address), (1_000, 20));
    let timeouts = [settings.header_timeout, settings.body_timeout, settings.drain_timeout];
    assert_eq!(timeouts, [10, 30, 20].map(Duration::from_secs));
    assert_eq!((settings.log_format, settings.log_level), (LogFormat::Text, LogLevel::Info));
}

#[test]
fn the_default_file_documents_the_table_in_its_order_and_words() {
    let is_key = |line: &str| line.contains(" = ") && !line.starts_with("# ");
    let paragraphs = DEFAULTS
        .split(
            "

",
        )
        .filter(|paragraph| is_key(paragraph.lines().last().unwrap()));
    let documented: Vec<(String, String)> = paragraphs
        .map(|paragraph| {
            let mut lines: Vec<&str> = paragraph.lines().collect();
            let name = lines.pop().unwrap().trim_start_matches('#').split(" = ").next().unwrap();
            let words = lines.iter().map(|line| line.strip_prefix("# ").unwrap());
            let doc: Vec<&str> = words.filter(|line| !line.starts_with('(')).collect();
            (name.to_owned(), doc.join(" "))
        })
        .collect();
    let table: Vec<_> = ROWS.iter().map(|row| (row.name.to_owned(), row.doc.to_owned())).collect();
    assert_eq!(documented, table);
    for row in ROWS {
        let marked = DEFAULTS.contains(&format!("# (secret)\n#{} = ", row.name));
        assert_eq!(row.secret_file.is_some(), marked, "{}", row.name);
    }
}

#[test]
fn the_commented_examples_work() {
    let examples = DEFAULTS.lines().filter(|line| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1);
    let examples: Vec<_> = examples.map(|line| &line[1..]).collect();
    assert_eq!(examples.len(), 13);
    let file = file(examples.join("\n"));
    let settings = load(&["--config", &file.path], &[]).unwrap();
    assert_eq!(settings.trusted_proxies.len(), 2);
    assert_eq!(settings.public_url(settings.listen), "https://secrets.example.com");
    assert_eq!(postgres(&settings).address.shown(), "postgres://strongroom@pooler.internal:6432/strongroom");
    assert_eq!(settings.drain_delay, Duration::from_secs(3));
}

#[test]
fn names_follow_the_rules() {
    for key in Key::all() {
        assert!(!is_service_link(key.env), "{} could be made by Kubernetes", key.env);
        let derived = format!("STRONGROOM_{}", key.name.replace('-', "_").to_uppercase());
        assert!(key.env == derived || key.row.name == "disable-secret-value-view", "{derived}");
    }
    assert_eq!(Key::named("disable-secret-value-view").unwrap().env, "DISABLE_SECRET_VALUE_VIEW");
    serve_command().debug_assert();
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file = file("tenant = \"from-file\"");
    let args = ["--config", &file.path];
    let env = [("STRONGROOM_TENANT", "from-env")];
    let with_flag = [&args[..], &["--tenant", "from-flag"]].concat();
    assert_eq!(load(&with_flag, &env).unwrap().tenant, "from-flag");
    assert_eq!(load(&args, &env).unwrap().tenant, "from-env");
    assert_eq!(load(&args, &[("STRONGROOM_TENANT", "")]).unwrap().tenant, "from-file");
    assert_eq!(load(&args, &[]).unwrap().tenant, "from-file");
}

#[test]
fn toml_takes_numbers_truths_and_lists() {
    let file = file(
        "max-connections = 2_000\nbody-timeout = \"45\"\ndisable-secret-value-view = true\n\
         trusted-proxies = [\"10.0.0.0/8\", \"::1\"]\n",
    );
    let settings = load(&["--config", &file.path], &[]).unwrap();
    assert_eq!(settings.max_connections, 2_000);
    assert_eq!(settings.body_timeout, Duration::from_secs(45));
    assert!(settings.disable_secret_value_view);
    assert_eq!(settings.trusted_proxies.len(), 2);
}

#[test]
fn egress_is_opened_and_closed() {
    let env = [("STRONGROOM_EGRESS_ALLOW", "127.0.0.0/8, ::1"), ("STRONGROOM_EGRESS_DENY_PRIVATE", "true")];
    let settings = load(&[], &env).unwrap();
    assert_eq!(settings.egress_allow, ["127.0.0.0/8", "::1"].map(|network| network.parse().unwrap()));
    assert!(settings.egress_deny_private);
}

#[test]
fn truths_are_read_strictly() {
    for (text, expected) in [("true", true), ("1", true), ("True", true), ("false", false), ("0", false)] {
        let settings = load(&[], &[("DISABLE_SECRET_VALUE_VIEW", text)]).unwrap();
        assert_eq!(settings.disable_secret_value_view, expected, "{text}");
    }
    let message = error(&[], &[("DISABLE_SECRET_VALUE_VIEW", "yes")]);
    assert!(message.contains("DISABLE_SECRET_VALUE_VIEW") && message.contains("true or false"), "{message}");
    assert!(load(&["--disable-secret-value-view"], &[]).unwrap().disable_secret_value_view);
    assert!(!load(&["--disable-secret-value-view", "false"], &[]).unwrap().disable_secret_value_view);
}

#[test]
fn every_wrong_value_is_refused_with_its_name_and_place() {
    let long = "a".repeat(64);
    for (name, wrong) in [
        ("listen", "localhost:7700"),
        ("listen", "7700"),
        ("public-url", "secrets.example.com"),
        ("public-url", "ftp://secrets.example.com"),
        ("public-url", "https://user:pw@secrets.example.com"),
        ("public-url", "https://secrets.example.com/?a"),
        ("public-url", "https://secrets.example.com/#a"),
        ("trusted-proxies", "10.0.0.0/33"),
        ("trusted-proxies", "10.0.0.0/8,,::1"),
        ("egress-allow", "localhost"),
        ("egress-deny-private", "yes"),
        ("database-url", "strongroom.db"),
        ("database-url", "sqlite:"),
        ("database-url", "sqlite::memory:"),
        ("database-url", "sqlite://relative.db"),
        ("database-url", "mysql://u@h/db"),
        ("database-url", "postgres://h/db"),
        ("database-url", "postgres:u@h/db"),
        ("database-url", "postgresql://u@h/db?sslmode=prefer"),
        ("database-direct-url", "postgres://u@h/db"),
        ("database-password", "p"),
        ("database-connections", "1"),
        ("database-connections", "1001"),
        ("database-timeout", "0"),
        ("database-prepared-statements", "no"),
        ("tenant", "Default"),
        ("tenant", "-a"),
        ("tenant", "a-"),
        ("tenant", "a:b"),
        ("tenant", &long),
        ("admin-email", "admin"),
        ("admin-email", "@example.com"),
        ("admin-email", "a@b@c"),
        ("admin-email", "a b@c"),
        ("group-name-rule", "lax"),
        ("retention-days", "0"),
        ("retention-days", "+5"),
        ("max-value-bytes", "64k"),
        ("max-body-bytes", "1000"),
        ("max-connections", "0"),
        ("rate-limit-subject", "1000001"),
        ("rate-limit-address", "20/s"),
        ("header-timeout", "0"),
        ("body-timeout", "3601"),
        ("drain-timeout", "-1"),
        ("drain-delay", "3s"),
        ("log-format", "JSON "),
        ("log-level", "trace"),
    ] {
        let message = error(&[&format!("--{name}={wrong}")], &[]);
        assert!(message.starts_with(&format!("setting {name} (flag --{name}): ")), "{wrong}: {message}");
        let row = Key::named(name).unwrap();
        let message = error(&[], &[(row.env, wrong)]);
        assert!(message.starts_with(&format!("setting {name} (environment variable {})", row.env)), "{message}");
        let file = file(format!("\n{name} = '{wrong}'"));
        let message = error(&["--config", &file.path], &[]);
        assert!(message.contains(&format!("setting {name} ({}, line 2): ", file.path)), "{message}");
    }
    for right in ["a", "0", "a--b", &long[..63]] {
        assert_eq!(load(&["--tenant", right], &[]).unwrap().tenant, right);
    }
}

#[test]
fn settings_that_belong_together_are_checked_together() {
    let message = error(&[], &[("STRONGROOM_TLS_CERT", "c")]);
    assert_eq!(message, "setting tls-cert (environment variable STRONGROOM_TLS_CERT) needs tls-key too");
    assert_eq!(error(&["--tls-key", "k"], &[]), "setting tls-key (flag --tls-key) needs tls-cert too");
    let tls = load(&["--tls-key", "k", "--tls-cert", "c"], &[]).unwrap();
    assert_eq!(tls.tls, Some(TlsFiles { cert: "c".into(), key: "k".into() }));
    assert_eq!(tls.public_url("0.0.0.0:443".parse().unwrap()), "https://127.0.0.1:443");

    let message = error(&["--max-value-bytes", "9000000"], &[]);
    assert!(message.contains("max-body-bytes (built-in default)") && message.contains("9000000"), "{message}");
    let empty = error(&["--root-key-file", ""], &[]);
    assert!(empty.contains("root-key-file (flag --root-key-file): is empty"), "{empty}");
}

#[test]
fn postgresql_has_settings_of_its_own() {
    let url = ("STRONGROOM_DATABASE_URL", "postgres://u@pooler:6432/d");
    let settings = load(&[], &[url]).unwrap();
    let database = postgres(&settings);
    assert_eq!(database.address.shown(), "postgres://u@pooler:6432/d");
    assert!(database.direct.is_none() && database.prepared_statements);
    assert_eq!((database.connections, database.timeout), (20, Duration::from_secs(10)));
    assert_eq!(settings.drain_delay, Duration::from_secs(3));

    let password = file(CANARY);
    let settings = load(
        &["--database-direct-url", "postgresql://v@h/d", "--database-password-file", &password.path],
        &[
            url,
            ("STRONGROOM_DATABASE_CONNECTIONS", "2"),
            ("STRONGROOM_DATABASE_TIMEOUT", "3"),
            ("STRONGROOM_DATABASE_PREPARED_STATEMENTS", "0"),
            ("STRONGROOM_DRAIN_DELAY", "0"),
        ],
    )
    .unwrap();
    let database = postgres(&settings);
    assert_eq!(database.direct.as_ref().unwrap().shown(), "postgres://v@h:5432/d");
    assert_eq!((database.connections, database.timeout), (2, Duration::from_secs(3)));
    assert!(!database.prepared_statements);
    assert_eq!(settings.drain_delay, Duration::ZERO);
}

#[test]
fn what_is_for_postgresql_is_refused_without_it() {
    for url in ["sqlite:/srv/a.db", ""] {
        for (name, value) in [("database-password", CANARY), ("database-direct-url", "postgres://u@h/d")] {
            let message = error(&[&format!("--{name}"), value], &[("STRONGROOM_DATABASE_URL", url)]);
            let expected = format!("setting {name} (flag --{name}): is for PostgreSQL only; set database-url to ");
            assert!(message.starts_with(&expected) && !message.contains(CANARY), "{message}");
        }
    }
    // What is wrong in database-url comes first.
    let message = error(&["--database-password", CANARY, "--database-url", "mysql://u@h/d"], &[]);
    assert!(message.starts_with("setting database-url (flag --database-url): must begin with sqlite:"), "{message}");
}

#[test]
fn a_password_of_postgresql_is_given_once_and_never_shown() {
    let url = format!("postgres://u:{CANARY}@h/d");
    let url = ("STRONGROOM_DATABASE_URL", url.as_str());
    let beside = ("STRONGROOM_DATABASE_PASSWORD", CANARY);
    let direct = format!("postgres://u:{CANARY}@h/d");
    let direct = ("STRONGROOM_DATABASE_DIRECT_URL", direct.as_str());
    let plain = ("STRONGROOM_DATABASE_URL", "postgres://u@h/d");
    for (env, named) in [([url, beside], "database-url"), ([plain, direct], ""), ([url, direct], "")] {
        match load(&[], &env) {
            Ok(settings) => {
                let shown = format!("{settings:?}");
                assert!(
                    shown.contains("postgres://u@h:5432/d") && !shown.contains(CANARY) && named.is_empty(),
                    "{shown}"
                );
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                assert!(shown.starts_with(&format!("setting {named} (environment variable ")), "{shown}");
                assert!(shown.contains("database-password") && !shown.contains(CANARY), "{shown}");
            }
        }
    }
    let message = error(&[], &[plain, direct, beside]);
    assert!(message.starts_with("setting database-direct-url (") && !message.contains(CANARY), "{message}");
}

#[test]
fn unknown_variables_stop_the_start_but_those_of_kubernetes_do_not() {
    let message = error(&[], &[("STRONGROOM_LISEN", "127.0.0.1:1")]);
    assert_eq!(
        message,
        "environment variable STRONGROOM_LISEN is no setting of strongroom; did you mean STRONGROOM_LISTEN?"
    );
    assert!(error(&[], &[("STRONGROOM_TENANT_FILE", "x")]).contains("is no setting"));
    assert!(error(&[], &[("STRONGROOM_FROBNICATION", "x")]).ends_with("is no setting of strongroom"));
    let links = [
        ("STRONGROOM_PORT", "tcp://10.0.0.1:7700"),
        ("STRONGROOM_PORT_7700_TCP", "tcp://10.0.0.1:7700"),
        ("STRONGROOM_PORT_7700_TCP_ADDR", "10.0.0.1"),
        ("STRONGROOM_SERVICE_HOST", "10.0.0.1"),
        ("STRONGROOM_SERVICE_PORT", "7700"),
        ("STRONGROOM_SERVICE_PORT_HTTP", "7700"),
        ("STRONGROOM_ADMIN_PORT_80_TCP_PROTO", "tcp"),
        ("PATH", "/bin"),
    ];
    load(&[], &links).unwrap();
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_utf8_are_named() {
    use std::os::unix::ffi::OsStringExt as _;
    let bad = OsString::from_vec(vec![0xff]);
    let environment = [("UNRELATED".into(), bad.clone()), ("STRONGROOM_ADMIN_TOKEN".into(), bad)];
    let message = Settings::load(&flags(&[]), environment).unwrap_err().to_string();
    assert!(message.contains("setting admin-token (environment variable STRONGROOM_ADMIN_TOKEN)"), "{message}");
}

#[test]
fn the_file_is_checked_line_by_line() {
    let unknown = file("# one\ntenant = \"a\"\ndata_dir = \"x\"\n");
    let message = error(&["--config", &unknown.path], &[]);
    let expected = format!("{}, line 3: data_dir is no setting of strongroom; did you mean data-dir?", unknown.path);
    assert_eq!(message, expected);

    let broken = file(format!("tenant = \"a\"\nadmin-token = \"{CANARY}\n"));
    let message = error(&["--config", &broken.path], &[]);
    assert!(message.starts_with(&format!("{}, line 2: ", broken.path)) && !message.contains(CANARY), "{message}");

    for wrong in ["tenant = 1.5", "tenant = { a = 1 }", "trusted-proxies = [1]", "[tenant]\na = 1"] {
        let wrong = file(wrong);
        let message = error(&["--config", &wrong.path], &[]);
        assert!(message.contains("line 1): must be a text"), "{message}");
    }
    let message = error(&["--config", "/nowhere/strongroom.toml"], &[]);
    assert!(message.starts_with("settings file /nowhere/strongroom.toml (flag --config): "), "{message}");
}

#[test]
fn a_secret_comes_from_a_file_too() {
    for (content, expected) in [("t0ken\n", "t0ken"), ("t0ken\r\n", "t0ken"), (" t0ken", " t0ken"), ("a\nb\n", "a\nb")]
    {
        let token = file(content);
        let in_toml = file(format!("admin-token-file = '{}'", token.path));
        for settings in [
            load(&["--admin-token-file", &token.path], &[]),
            load(&[], &[("STRONGROOM_ADMIN_TOKEN_FILE", &token.path)]),
            load(&["--config", &in_toml.path], &[]),
        ] {
            assert_eq!(settings.unwrap().admin_token.unwrap().expose(), expected);
        }
    }
    let url = file("sqlite:/srv/a.db\n");
    let settings = load(&["--database-url-file", &url.path], &[]).unwrap();
    assert_eq!(sqlite_file(&settings), "/srv/a.db");
}

#[test]
fn a_secret_given_twice_is_refused_wherever_it_is_given() {
    let token = file(CANARY);
    let in_toml = file(format!("admin-token-file = '{}'", token.path));
    let message = error(&["--admin-token", CANARY, "--config", &in_toml.path], &[]);
    let expected = format!(
        "setting admin-token is given twice: as a value (flag --admin-token) and as a file ({}, line 1); give one of \
         them",
        in_toml.path
    );
    assert_eq!(message, expected);
    let both = [("STRONGROOM_ADMIN_TOKEN", CANARY), ("STRONGROOM_ADMIN_TOKEN_FILE", &*token.path)];
    let message = error(&[], &both);
    assert!(message.contains("variable STRONGROOM_ADMIN_TOKEN)"), "{message}");
    assert!(message.contains("variable STRONGROOM_ADMIN_TOKEN_FILE)"), "{message}");
}

#[test]
fn secret_files_that_cannot_be_used_are_named() {
    let large = "x".repeat((64 << 10) + 1);
    for (content, problem) in [
        (&b"\n"[..], "is empty"),
        (&b"\xff"[..], "is not valid UTF-8"),
        (large.as_bytes(), "is larger than 65536 bytes"),
    ] {
        let token = file(content);
        let message = error(&["--admin-token-file", &token.path], &[]);
        let expected = format!("setting admin-token (flag --admin-token-file): file {}: {problem}", token.path);
        assert_eq!(message, expected);
    }
    let message = error(&["--admin-token-file", "/nowhere/token"], &[]);
    assert!(message.contains("(flag --admin-token-file): file /nowhere/token: "), "{message}");
}

#[test]
fn secrets_are_not_shown() {
    let url = format!("sqlite:/srv/{CANARY}.db");
    let shown = format!("{:?}", load(&["--admin-token", CANARY], &[]).unwrap());
    assert!(!shown.contains(CANARY), "{shown}");
    let wrong = load(&["--database-url", &url.replace("sqlite", "mysql")], &[]).unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains(CANARY), "{wrong:?}");
}

#[test]
fn help_and_reference_have_every_setting() {
    let help = serve_command().render_long_help().to_string();
    let page = settings_reference();
    for key in Key::all() {
        assert!(help.contains(&format!("--{}", key.name)) && help.contains(key.env), "{}", key.name);
    }
    for row in ROWS {
        assert!(page.contains(&format!("| `{}`", row.name)) && page.contains(&format!("`{}`", row.env)));
        assert!(page.contains(row.doc));
    }
    assert!(page.contains("| `tenant` | `STRONGROOM_TENANT` | text | `default` |"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_of_any_setting_is_taken_or_refused(row in 0..ROWS.len(), text in "\\PC{0,40}|[0-9a-z:/.,@-]{0,20}") {
        let row = &ROWS[row];
        if let Err(error) = load(&[&format!("--{}={text}", row.name)], &[]) {
            let named = format!("setting {}", row.name);
            prop_assert!(error.to_string().contains(&named), "{}", error);
        }
        let _ = load(&[], &[(row.env, &text)]);
    }

    #[test]
    fn any_file_is_taken_or_refused(text in "(?s).{0,80}|([a-z-]{1,12} = [\"'0-9a-z\\[{.]{0,12}\n){0,4}") {
        let file = file(&text);
        let _ = load(&["--config", &file.path], &[]);
    }

    #[test]
    fn any_variable_is_taken_or_refused(name in "STRONGROOM_[A-Z_]{0,30}|\\PC{0,20}", value in "\\PC{0,20}") {
        let _ = load(&[], &[(&name, &value)]);
    }

    #[test]
    fn a_broken_file_never_shows_what_is_in_it(before in "\\PC{0,10}", after in "[\"'=\\[{]{0,3}\\PC{0,10}") {
        let file = file(format!("admin-token = {before}{CANARY}{after}"));
        if let Err(error) = load(&["--config", &file.path], &[]) {
            let message = error.to_string();
            prop_assert!(!message.contains(CANARY), "{}", message);
        }
    }
}
