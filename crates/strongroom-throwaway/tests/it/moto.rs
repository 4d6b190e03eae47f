use std::net::TcpStream;

use strongroom_throwaway::Moto;

#[test]
fn it_takes_connections_until_it_is_dropped() {
    let Some(program) = Moto::program() else {
        eprintln!("SKIPPED: STRONGROOM_TEST_MOTO isn't set; cargo xtask test sets it");
        return;
    };
    let (one, other) = (Moto::start(&program).unwrap(), Moto::start(&program).unwrap());
    let address = |moto: &Moto| moto.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let (at, other_at) = (address(&one), address(&other));
    assert_ne!(at, other_at);
    TcpStream::connect(&at).unwrap();
    drop(one);
    assert!(TcpStream::connect(&at).is_err());
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:List*","Resource":"*"}]}"#;
    let (id, secret) = other.user_with_policy("somebody", policy).unwrap();
    assert!(id.starts_with("AKIA") && secret.len() == 40, "{id}");
    assert!(other.user_with_policy("somebody", policy).is_err());
}

#[test]
fn one_that_ends_at_its_start_says_what_it_said() {
    let error = Moto::start("/bin/ls".as_ref()).err().unwrap();
    assert!(error.contains("moto ended at its start") && error.contains("127.0.0.1"), "{error}");
}
