use std::time::Duration;

use proptest::prelude::*;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

use super::{PostgresAddress, tls::SslMode};

const CANARY: &str = "canary5f1c9a";

fn parse(url: &str) -> PostgresAddress {
    PostgresAddress::parse(url, None).unwrap_or_else(|problem| panic!("{url}: {problem}"))
}

fn problem(url: &str) -> String {
    PostgresAddress::parse(url, None).map(|address| panic!("{url} is taken: {address:?}")).unwrap_err()
}

#[test]
fn urls_are_read_as_libpq_reads_them() {
    for (url, shown) in [
        ("postgres://u@h/d", "postgres://u@h:5432/d"),
        ("postgresql://u@h", "postgres://u@h:5432/u"),
        ("postgres://u:p@h:6432/d", "postgres://u@h:6432/d"),
        ("postgres://u@h1:1,h2,h3:3/d", "postgres://u@h1:1,h2:5432,h3:3/d"),
        ("postgres://u@h1,h2/d?port=7", "postgres://u@h1:7,h2:7/d"),
        ("postgres://u@h1,h2/d?port=7,", "postgres://u@h1:7,h2:5432/d"),
        ("postgres://u@[::1]:1,[fe80::2]/d", "postgres://u@[::1]:1,[fe80::2]:5432/d"),
        ("postgres:///d?host=h1,h2&user=u&port=1,2", "postgres://u@h1:1,h2:2/d"),
        ("postgres://u@/d?host=/run/postgresql", "postgres://u@%2Frun%2Fpostgresql:5432/d"),
        ("postgres://u@%2Frun%2Fpostgresql/d", "postgres://u@%2Frun%2Fpostgresql:5432/d"),
        ("postgres://u@:6432/d?host=/tmp", "postgres://u@%2Ftmp:6432/d"),
        ("postgres://u%40corp@h/a%2Fb%0A", "postgres://u%40corp@h:5432/a%2Fb%0A"),
        ("postgres://u:?a=b&/@h/d", "error"),
        ("postgres://u:?a=b&c@h/d", "postgres://u@h:5432/d"),
        ("postgres://u@h?dbname=d&", "postgres://u@h:5432/d"),
    ] {
        let got = PostgresAddress::parse(url, None).map_or_else(|_| "error".to_owned(), |address| address.shown());
        assert_eq!(got, shown, "{url}");
    }
}

#[test]
fn parameters_are_taken_over() {
    let address = parse(
        "postgres://u:p%25w@h/d?connect_timeout=7&target_session_attrs=any&application_name=a%20b&\
         options=-c%20work_mem%3D1MB&keepalives=0&keepalives_idle=1&keepalives_interval=2&keepalives_count=3&\
         tcp_user_timeout=4000&channel_binding=require&hostaddr=10.0.0.9",
    );
    let config = &address.config;
    assert_eq!(address.connect_timeout, Duration::from_secs(7));
    assert_eq!(address.hosts[0].address, Some([10, 0, 0, 9].into()));
    assert_eq!(config.get_password(), Some(&b"p%w"[..]));
    assert_eq!(config.get_dbname(), Some("d"));
    assert_eq!(config.get_application_name(), Some("a b"));
    assert_eq!(config.get_options(), Some("-c work_mem=1MB"));
    assert!(!config.get_keepalives());
    let times = [config.get_keepalives_idle(), config.get_keepalives_interval().unwrap()];
    assert_eq!(times, [1, 2].map(Duration::from_secs));
    assert_eq!(config.get_keepalives_retries(), Some(3));
    // Milliseconds, as in libpq.
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(4)));
    assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
}

#[test]
fn without_parameters_a_lost_server_is_noticed_soon() {
    let address = parse("postgres://u@h/d");
    let config = &address.config;
    assert_eq!(address.connect_timeout, Duration::from_secs(5));
    assert!(config.get_keepalives());
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(10));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(5)));
    assert_eq!(config.get_keepalives_retries(), Some(2));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(15)));
}

#[test]
fn of_several_hosts_one_that_can_be_written_is_wanted() {
    for (url, wanted) in [
        ("postgres://u@h", TargetSessionAttrs::Any),
        ("postgres://u@h,i", TargetSessionAttrs::ReadWrite),
        ("postgres://u@h,i?target_session_attrs=any", TargetSessionAttrs::Any),
        ("postgres://u@h?target_session_attrs=read-write", TargetSessionAttrs::ReadWrite),
        ("postgres://u@h?target_session_attrs=primary", TargetSessionAttrs::ReadWrite),
    ] {
        assert_eq!(parse(url).config.get_target_session_attrs(), wanted, "{url}");
    }
}

#[test]
fn tls_is_the_default_where_something_leaves_the_machine() {
    for (rest, mode) in [
        ("h/d", SslMode::VerifyFull),
        ("10.0.0.1/d", SslMode::VerifyFull),
        ("localhost,h/d", SslMode::VerifyFull),
        ("localhost/d", SslMode::Disable),
        ("LOCALHOST,127.0.0.2,[::1],[::ffff:127.0.0.1],%2Ftmp/d", SslMode::Disable),
        ("localhost.example.com/d", SslMode::VerifyFull),
        ("localhost/d?hostaddr=10.0.0.1", SslMode::VerifyFull),
        ("h/d?hostaddr=127.0.0.1", SslMode::Disable),
        ("localhost/d?sslrootcert=ca.pem", SslMode::VerifyFull),
        ("localhost/d?sslcert=a&sslkey=b", SslMode::VerifyFull),
        ("h/d?sslmode=disable", SslMode::Disable),
        ("localhost/d?sslmode=require", SslMode::Require),
        ("h/d?sslmode=require&sslrootcert=ca.pem", SslMode::VerifyCa),
        ("h/d?sslmode=verify-ca", SslMode::VerifyCa),
        ("h/d?sslmode=verify-full&sslrootcert=system", SslMode::VerifyFull),
        ("h/d?sslrootcert=system", SslMode::VerifyFull),
    ] {
        assert_eq!(parse(&format!("postgres://u@{rest}")).tls.mode, mode, "{rest}");
    }
}

#[test]
fn a_socket_has_no_tls_whatever_is_asked_for() {
    use tokio_postgres::config::SslMode::{Disable, Require};
    let address = parse("postgres://u@%2Ftmp,h/d?sslmode=require");
    let modes: Vec<_> = address.hosts.iter().map(|host| address.ssl_mode(host)).collect();
    assert_eq!(modes, [Disable, Require]);
}

#[test]
fn what_is_wrong_is_named() {
    for (url, expected) in [
        ("", "must begin with postgres://"),
        ("mysql://u@h/d", "must begin with postgres://"),
        ("postgres:u@h", "must begin with postgres://"),
        ("postgres://h/d", "names no user"),
        ("postgres://:p@h/d", "names no user"),
        ("postgres://u@/d", "names no host"),
        ("postgres://u@h,/d", "each host must be"),
        ("postgres://u@h%20i/d", "each host must be"),
        ("postgres://u@h:0/d", "each port must be"),
        ("postgres://u@h:65536/d", "each port must be"),
        ("postgres://u@h:+1/d", "each port must be"),
        ("postgres://u@::1/d", "IPv6"),
        ("postgres://u@[::1/d", "IPv6"),
        ("postgres://u@[::1]5/d", "IPv6"),
        ("postgres://u@h,i,j/d?port=1,2", "as many ports"),
        ("postgres://u@h/d?port=1,2", "as many ports"),
        ("postgres://u@h,i/d?hostaddr=10.0.0.1", "as many ports"),
        ("postgres://u@h/d?hostaddr=i", "hostaddr must be IP addresses"),
        ("postgres://u@%2Ftmp/d?hostaddr=10.0.0.1", "hostaddr can't go with a Unix socket"),
        ("postgres://u:p@ss@h/d", "write @ as %40"),
        ("postgres://u:p/ss@h/d", "write @ as %40"),
        ("postgres://u:p/ss/d", "names no user"),
        ("postgres://u:%zz@h/d", "write % itself as %25"),
        ("postgres://u:%2@h/d", "write % itself as %25"),
        ("postgres://u:%ff@h/d", "not UTF-8"),
        ("postgres://u:%00@h/d", "U+0000"),
        ("postgres://u:p@h/d?password=q", "the parameter password twice"),
        ("postgres://u@h/d?host=i", "the parameter host twice"),
        ("postgres://u@h/d?sslmode=disable&sslmode=disable", "the parameter sslmode twice"),
        ("postgres://u@h/d?sslmode", "a parameter without ="),
        ("postgres://u@h/d?sslmode=prefer", "sslmode=prefer would go on in plain text"),
        ("postgres://u@h/d?sslmode=allow", "sslmode=allow would go on in plain text"),
        ("postgres://u@h/d?sslmode=on", "must be disable, require, verify-ca or verify-full"),
        ("postgres://u@h/d?sslcert=a", "needs sslkey"),
        ("postgres://u@h/d?sslkey=a", "needs sslcert"),
        ("postgres://u@h/d?sslmode=disable&sslrootcert=a", "sslmode=disable, with which sslrootcert"),
        ("postgres://u@h/d?sslmode=verify-ca&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"),
        ("postgres://u@h/d?sslmode=require&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"),
        ("postgres://u@h/d?sslmode=disable&sslnegotiation=direct", "sslnegotiation=direct needs TLS"),
        ("postgres://u@h/d?sslnegotiation=x", "sslnegotiation must be one of: postgres, direct"),
        ("postgres://u@h/d?connect_timeout=0", "connect_timeout must be a whole number from 1 to 3600"),
        ("postgres://u@h/d?connect_timeout=5s", "connect_timeout must be a whole number"),
        ("postgres://u@h/d?keepalives=yes", "keepalives must be"),
        (
            "postgres://u@h/d?target_session_attrs=standby",
            "target_session_attrs must be one of: read-write, primary, any",
        ),
        ("postgres://u@h/d?pgbouncer=true", "has the parameter pgbouncer, which strongroom doesn't know"),
        ("postgres://u@h/d?sslcrl=a", "the parameter sslcrl"),
        ("postgres://u@h/d?A%20b=c", "has a parameter, which strongroom doesn't know"),
    ] {
        let problem = problem(url);
        assert!(problem.contains(expected), "{url}: {problem}");
    }
}

#[test]
fn a_password_may_stand_beside_the_url_and_only_there_or_in_it() {
    let address = PostgresAddress::parse("postgres://u@h/d", Some("p%20@/")).unwrap();
    assert_eq!(address.config.get_password(), Some(&b"p%20@/"[..]));
    let twice = PostgresAddress::parse(&format!("postgres://u:{CANARY}@h/d"), Some(CANARY)).unwrap_err();
    assert!(twice.contains("database-password") && !twice.contains(CANARY), "{twice}");
    let zero = PostgresAddress::parse("postgres://u@h/d", Some(&format!("{CANARY}\0"))).unwrap_err();
    assert!(zero.contains("database-password") && !zero.contains(CANARY), "{zero}");
    assert_eq!(parse("postgres://u:@h/d").config.get_password(), None);
}

#[test]
fn passwords_are_not_shown() {
    let address = parse(&format!("postgres://u:{CANARY}@h/d?application_name=x"));
    let shown = format!("{address:?} {}", address.shown());
    assert!(!shown.contains(CANARY) && shown.contains("postgres://u@h:5432/d"), "{shown}");
}

#[test]
fn a_wrong_file_is_named_with_its_parameter_and_not_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let empty = path("empty", "");
    let broken = path("broken", &format!("-----BEGIN CERTIFICATE-----\n{CANARY}\n"));
    let junk = path("junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (parameters, expected) in [
        ("sslrootcert=/nowhere/ca.pem".to_owned(), "sslrootcert: /nowhere/ca.pem: ".to_owned()),
        (format!("sslrootcert={empty}"), format!("sslrootcert: {empty}: holds no certificate in PEM")),
        (format!("sslrootcert={broken}"), format!("sslrootcert: {broken}: is broken PEM")),
        (format!("sslrootcert={junk}"), format!("sslrootcert: {junk}: ")),
        (format!("sslmode=require&sslcert={empty}&sslkey={empty}"), format!("sslcert: {empty}: holds no certificate")),
        (format!("sslmode=require&sslcert={junk}&sslkey={empty}"), format!("sslkey: {empty}: holds no unencrypted")),
        (format!("sslmode=require&sslcert={junk}&sslkey=/nowhere/k"), "sslkey: /nowhere/k: ".to_owned()),
    ] {
        let address = parse(&format!("postgres://u@h/d?{parameters}"));
        let problem = address.prepare().unwrap_err();
        assert!(problem.starts_with(&expected) && !problem.contains(CANARY), "{parameters}: {problem}");
    }
    parse("postgres://u@h/d?sslmode=require").prepare().unwrap();
    parse("postgres://u@localhost/d").prepare().unwrap();
}

fn url_pieces() -> impl Strategy<Value = String> {
    let piece = "[a-z]{0,3}|[@:/?&=%,\\[\\]]|sslmode=|host=|port=|password=|disable|%2F|%00|[0-9]{1,5}|\\PC";
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in "(?s).{0,60}", password in proptest::option::of("(?s).{0,8}")) {
        let _ = PostgresAddress::parse(&text, password.as_deref());
        let _ = PostgresAddress::parse(&format!("postgres://{text}"), password.as_deref());
    }

    #[test]
    fn any_url_is_taken_or_refused(rest in url_pieces()) {
        if let Ok(address) = PostgresAddress::parse(&format!("postgres://{rest}"), None) {
            let again = parse(&format!("{}?sslmode=disable", address.shown()));
            prop_assert_eq!(again.shown(), address.shown());
        }
    }

    /// However wrongly it is written down.
    #[test]
    fn a_password_is_never_shown(
        before in "[a-z@:/?&=%]{0,4}",
        after in "[a-z@:/?&=%]{0,4}",
        host in "[a-z:@,\\[]{0,3}",
        rest in url_pieces(),
    ) {
        for (url, beside) in [
            (format!("postgres://u:{before}{CANARY}{after}@{host}{rest}"), None),
            (format!("postgres://u:{before}{CANARY}{after}@{host}{rest}"), Some(CANARY)),
            (format!("postgres://u@{host}{rest}"), Some(CANARY)),
            (format!("postgres://u@h/d?password={CANARY}&{rest}"), None),
        ] {
            let shown = match PostgresAddress::parse(&url, beside) {
                Ok(address) => format!("{address:?} {}", address.shown()),
                Err(problem) => problem,
            };
            prop_assert!(!shown.contains(CANARY), "{}: {}", url, shown);
        }
    }
}
