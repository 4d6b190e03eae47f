//! A real OpenBao, where the test command has installed one.

use std::{net::TcpStream, path::PathBuf};

use strongroom_throwaway::OpenBao;

#[test]
fn it_answers_and_is_gone_when_dropped() {
    let Some(program) = std::env::var_os("STRONGROOM_TEST_BAO").map(PathBuf::from) else {
        eprintln!("SKIPPED: STRONGROOM_TEST_BAO names no OpenBao");
        return;
    };
    let server = OpenBao::start(&program).unwrap();
    let health = server.ask("GET", "sys/health", &[], "").unwrap();
    assert!(health.contains(r#""sealed":false"#), "{health}");
    server.ask("POST", "secret/data/a", &[], r#"{"data":{"value":"kept"}}"#).unwrap();
    assert!(server.ask("GET", "secret/data/a", &[], "").unwrap().contains("kept"));
    let missing = server.ask("GET", "secret/data/b", &[], "").unwrap_err();
    assert!(missing.contains("status 404") && !missing.contains(server.root_token()), "{missing}");

    let second = OpenBao::start(&program).unwrap();
    assert!(second.url() != server.url() && second.root_token() != server.root_token());
    let address = server.url().replace("http://", "");
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    second.ask("GET", "sys/health", &[], "").unwrap();
}

#[test]
fn a_program_that_ends_is_an_error_with_its_words() {
    let error = OpenBao::start("/bin/echo".as_ref()).err().unwrap();
    assert!(error.starts_with("OpenBao ended at its start:\nserver -dev"), "{error}");
}
