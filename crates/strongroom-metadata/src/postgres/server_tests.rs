//! Over the wire to a real PostgreSQL.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use strongroom_throwaway::{Postgres, PostgresOptions, postgres_programs};
use tokio::{sync::mpsc, time::timeout};
use tokio_postgres::{AsyncMessage, Client, error::SqlState};

use super::{
    PostgresAddress,
    certificates::{Authority, Made},
    connect::{ConnectError, ConnectSetup},
};

const PASSWORD: &str = "canary 5f1c9a@/%";
const SETUP: ConnectSetup<'_> = ConnectSetup { application_name: "strongroom test", options: None };

/// Whoever comes over TCP says a password or shows a certificate.
const HBA: &str = "\
local   all all                  trust
hostssl all by_certificate all   cert
host    all all            all   scram-sha-256
";

/// One for all tests; the files are beside its data and go with it.
struct Server {
    postgres: Postgres,
    files: PathBuf,
}

impl Server {
    fn make() -> Result<Self, String> {
        let options = PostgresOptions { durable: false, tcp: true, ..PostgresOptions::default() };
        let mut postgres = Postgres::start(options)?;
        let files = postgres.data_dir().to_owned();
        let (ours, other) = (Authority::new("ours"), Authority::new("other"));
        let (server, client): (Made, Made) = (ours.sign("db.test"), ours.sign("by_certificate"));
        for (name, content) in [
            ("server.crt", &server.certificate),
            ("server.key", &server.key),
            ("ours.crt", &ours.certificate),
            ("other.crt", &other.certificate),
            ("both.crt", &(other.certificate.clone() + &ours.certificate)),
            ("client.crt", &client.certificate),
            ("client.key", &client.key),
            ("pg_hba.conf", &HBA.to_owned()),
        ] {
            private(&files.join(name), content);
        }
        for sql in [
            "ALTER SYSTEM SET ssl = on",
            "ALTER SYSTEM SET ssl_ca_file = 'ours.crt'",
            &format!("CREATE USER by_password PASSWORD '{PASSWORD}'"),
            "CREATE USER by_certificate",
            "CREATE DATABASE frozen",
            "ALTER DATABASE frozen SET default_transaction_read_only = on",
        ] {
            postgres.execute("postgres", sql)?;
        }
        postgres.restart()?;
        Ok(Self { postgres, files })
    }

    /// Over TCP, under a name that the server may have in its certificate or not.
    fn url(&self, user: &str, name: &str, parameters: &str) -> String {
        let port = self.postgres.port();
        let parameters = parameters.replace("FILES", self.files.to_str().unwrap());
        format!("postgres://{user}@{name}:{port}/postgres?hostaddr=127.0.0.1&{parameters}")
    }
}

/// As the server insists on: its own, and nobody else's to read.
fn private(file: &Path, content: &str) {
    fs::write(file, content).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let owner = fs::metadata(file.parent().unwrap()).unwrap();
    chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| found().then(|| Server::make().unwrap())).as_ref()
}

#[expect(clippy::print_stderr, reason = "a test that was skipped must say so")]
fn found() -> bool {
    let found = postgres_programs().is_some();
    if !found {
        assert!(env::var("CI").as_deref() != Ok("true"), "no PostgreSQL programs found");
        eprintln!("SKIPPED: no PostgreSQL programs found");
    }
    found
}

async fn connect(url: &str) -> Result<Client, ConnectError> {
    let beside = url.starts_with("postgres://by_password@").then_some(PASSWORD);
    PostgresAddress::parse(url, beside).unwrap().connect(&SETUP, drop).await
}

async fn refusal(url: &str) -> ConnectError {
    let error = connect(url).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    error
}

fn code(error: &ConnectError) -> Option<&SqlState> {
    match error {
        ConnectError::Failed { source: Some(source), .. } => source.code(),
        _ => None,
    }
}

async fn value(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// So that what never comes is a failure rather than silence.
async fn within_a_minute<T>(coming: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), coming).await.expect("what was waited for didn't come")
}

async fn is_encrypted(client: &Client) -> bool {
    value(client, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await == "true"
}

#[tokio::test]
async fn each_mode_takes_and_refuses_what_it_should() {
    let Some(server) = server() else { return };
    let (right, wrong) = ("db.test", "other.test");
    let name = "only subjectAltName counts";
    let issuer = "UnknownIssuer (name the CA's certificate with the parameter sslrootcert)";
    for (host, parameters, problem) in [
        (right, "sslrootcert=FILES/ours.crt", None),
        (right, "sslmode=verify-full&sslrootcert=FILES/both.crt", None),
        (wrong, "sslmode=verify-full&sslrootcert=FILES/ours.crt", Some(name)),
        // By address, too: the certificate has none.
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=FILES/ours.crt", Some(name)),
        (right, "sslmode=verify-full&sslrootcert=FILES/other.crt", Some(issuer)),
        (right, "sslmode=verify-ca&sslrootcert=FILES/ours.crt", None),
        (wrong, "sslmode=verify-ca&sslrootcert=FILES/ours.crt", None),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=FILES/ours.crt", None),
        (right, "sslmode=verify-ca&sslrootcert=FILES/other.crt", Some(issuer)),
        (wrong, "sslmode=require", None),
        // As libpq has it: with a CA given, it must be that one.
        (wrong, "sslmode=require&sslrootcert=FILES/ours.crt", None),
        (right, "sslmode=require&sslrootcert=FILES/other.crt", Some(issuer)),
        // The tag of the channel: nobody sits between.
        (right, "sslmode=require&channel_binding=require", None),
        (right, "sslmode=disable&channel_binding=require", Some("server did not use channel binding")),
    ] {
        let url = server.url("by_password", host, parameters);
        match problem {
            None => assert!(is_encrypted(&connect(&url).await.unwrap()).await, "{url}"),
            Some(problem) => {
                let error = refusal(&url).await.to_string();
                assert!(error.contains(problem), "{url}: {error}");
            }
        }
    }
    let plain = connect(&server.url("by_password", wrong, "sslmode=disable")).await.unwrap();
    assert!(!is_encrypted(&plain).await);
}

#[tokio::test]
async fn the_systems_cas_are_the_default() {
    let Some(server) = server() else { return };
    let error = refusal(&server.url("by_password", "db.test", "sslmode=verify-full")).await.to_string();
    // Ours isn't among them, if there are any.
    assert!(error.contains("sslrootcert"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_wanted() {
    if !found() {
        return;
    }
    let options = PostgresOptions { durable: false, tcp: true, ..PostgresOptions::default() };
    let postgres = Postgres::start(options).unwrap();
    let url = postgres.tcp_url("postgres").unwrap();
    let error = refusal(&format!("{url}?sslmode=require")).await.to_string();
    assert!(error.contains("server does not support TLS (turn ssl on there, or write sslmode=disable)"), "{error}");
    assert!(!is_encrypted(&connect(&url).await.unwrap()).await);
}

#[tokio::test]
async fn who_may_not_in_is_told_why() {
    let Some(server) = server() else { return };
    let parameters = "sslmode=require";
    let wrong = server.url("by_password:canary-wrong", "db.test", parameters);
    let error = refusal(&wrong).await;
    let shown = format!("can't connect to postgres://by_password@db.test:{}/postgres: ", server.postgres.port());
    let expected = shown + "FATAL: password authentication failed for user \"by_password\" (SQLSTATE 28P01)";
    assert_eq!(error.to_string(), expected);
    assert_eq!(code(&error), Some(&SqlState::INVALID_PASSWORD));

    let error = refusal(&server.url("postgres", "db.test", parameters)).await.to_string();
    assert!(error.contains("password missing (the server asks for one; set database-password)"), "{error}");

    let nowhere = server.url("by_password", "db.test", parameters).replace("/postgres?", "/nowhere?");
    let error = refusal(&nowhere).await;
    assert_eq!(code(&error), Some(&SqlState::UNDEFINED_DATABASE), "{error}");
}

#[tokio::test]
async fn a_certificate_may_take_the_place_of_a_password() {
    let Some(server) = server() else { return };
    let identity = "sslrootcert=FILES/ours.crt&sslcert=FILES/client.crt&sslkey=FILES/client.key";
    let client = connect(&server.url("by_certificate", "db.test", identity)).await.unwrap();
    assert_eq!(value(&client, "SELECT current_user::text").await, "by_certificate");
    let error = refusal(&server.url("by_certificate", "db.test", "sslrootcert=FILES/ours.crt")).await.to_string();
    assert!(error.contains("certificate"), "{error}");

    let mixed = server.url("by_certificate", "db.test", &identity.replace("client.crt", "server.crt"));
    let problem = PostgresAddress::parse(&mixed, None).unwrap().prepare().unwrap_err();
    assert!(problem.contains("server.crt with sslkey") && problem.contains("KeyMismatch"), "{problem}");
}

#[tokio::test]
async fn a_session_is_set_up_over_sockets_and_tls() {
    let Some(server) = server() else { return };
    let setup = ConnectSetup { application_name: "strongroom test", options: Some("-c statement_timeout=1234") };
    let socket = server.postgres.url("postgres");
    let tls = server.url("by_password", "db.test", "sslmode=require");
    for (url, password) in [(socket, None), (tls, Some(PASSWORD))] {
        let show = async |parameters: &str, name: &str| {
            let address = PostgresAddress::parse(&format!("{url}&{parameters}"), password).unwrap();
            let client = address.connect(&setup, drop).await.unwrap();
            value(&client, &format!("SHOW {name}")).await
        };
        assert_eq!(show("", "application_name").await, "strongroom test");
        assert_eq!(show("application_name=mine", "application_name").await, "mine");
        assert_eq!(show("", "statement_timeout").await, "1234ms");
        assert_eq!(show("options=-c%20work_mem%3D1MB", "work_mem").await, "1MB");
        assert_eq!(show("options=-c%20work_mem%3D1MB", "statement_timeout").await, "1234ms");
    }
}

#[tokio::test]
async fn of_several_hosts_the_first_that_can_be_written_is_taken() {
    let Some(server) = server() else { return };
    let folder = server.postgres.socket_dir().to_str().unwrap();
    let port = server.postgres.port();
    let hosts = |first: &str| format!("postgres://postgres@/postgres?host={first},{folder}&port={port}");
    connect(&hosts("/nowhere")).await.unwrap();
    let frozen = hosts(folder).replace("/postgres?", "/frozen?");
    let error = refusal(&frozen).await.to_string();
    assert!(error.contains("database does not allow writes"), "{error}");
    connect(&format!("{frozen}&target_session_attrs=any")).await.unwrap();
}

#[tokio::test]
async fn notifications_are_handed_on_until_the_client_goes() {
    let Some(server) = server() else { return };
    let tls = server.url(&format!("by_password:{}", super::url::encoded(PASSWORD)), "db.test", "sslmode=require");
    for url in [server.postgres.url("postgres"), tls] {
        let (heard, mut hearing) = mpsc::unbounded_channel();
        let address = PostgresAddress::parse(&url, None).unwrap();
        let client = address.connect(&SETUP, move |message| heard.send(message).unwrap()).await.unwrap();
        let sql = "LISTEN news; DO $$ BEGIN RAISE NOTICE 'one'; END $$; NOTIFY news, 'two'";
        client.batch_execute(sql).await.unwrap();
        // Notices too: a warning at a COMMIT is one.
        assert!(matches!(within_a_minute(hearing.recv()).await, Some(AsyncMessage::Notice(_))));
        match within_a_minute(hearing.recv()).await {
            Some(AsyncMessage::Notification(news)) => assert_eq!((news.channel(), news.payload()), ("news", "two")),
            other => panic!("{other:?}"),
        }
        drop(client);
        assert!(within_a_minute(hearing.recv()).await.is_none(), "the connection's task goes on");
    }
}

#[tokio::test]
async fn tls_without_asking_first() {
    let Some(server) = server() else { return };
    let url = server.url("by_password", "db.test", "sslrootcert=FILES/ours.crt&sslnegotiation=direct");
    // Older ones don't know it and hang up.
    let connected = connect(&url).await.is_ok();
    assert_eq!(connected, server.postgres.version() >= 17);
}
