//! TLS from files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Answer, Launch, Raw, http, request};

struct Files {
    folder: tempfile::TempDir,
    cert: PathBuf,
    key: PathBuf,
    trusted: CertificateDer<'static>,
}

fn files() -> Files {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Files { folder, cert, key, trusted: made.cert.der().clone() }
}

fn launch(data: &Path, cert: &Path, key: &Path) -> Launch {
    Launch::on(data).arg("tls-cert", cert.to_str().unwrap()).arg("tls-key", key.to_str().unwrap())
}

#[test]
fn https_is_served_from_files_and_plain_http_is_not() {
    let files = files();
    let server = launch(&files.folder.path().join("data"), &files.cert, &files.key).start();
    let mut roots = RootCertStore::empty();
    roots.add(files.trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, http::connect(server.address()).unwrap());
    let text = request("GET", "/api/svc/v1/session", &server.token(), None);
    for _ in 0..2 {
        stream.write_all(text.as_bytes()).unwrap();
        Answer::read(&mut stream).unwrap().success();
    }

    let mut plain = Raw::connect(server.address());
    assert!(plain.send(&text).answer().is_none(), "plain HTTP is not answered");
    plain.closed();
    stream.write_all(text.as_bytes()).unwrap();
    Answer::read(&mut stream).unwrap().success();
    server.stop();
}

#[test]
fn bad_files_refuse_the_start_and_are_not_quoted() {
    let (files, others) = (files(), files());
    let data = files.folder.path().join("data");
    let cut = files.folder.path().join("cut.key");
    let key = fs::read_to_string(&files.key).unwrap();
    fs::write(&cut, &key[..key.len() / 2]).unwrap();
    let nothing = files.folder.path().join("nothing.pem");
    for (cert, key_file, word) in [
        (&nothing, &files.key, "nothing.pem"),
        (&files.cert, &nothing, "nothing.pem"),
        (&files.key, &files.cert, "tls.key"),
        (&files.cert, &cut, "cut.key"),
        (&files.cert, &others.key, "tls.crt"),
    ] {
        let refused = launch(&data, cert, key_file).refused();
        for word in ["tls-cert", "tls-key", word] {
            assert!(refused.output.contains(word), "{}", refused.output);
        }
        let quoted = key.lines().filter(|line| !line.starts_with('-')).any(|line| refused.output.contains(line));
        assert!(!quoted, "the key is shown: {}", refused.output);
        assert!(!data.exists());
    }
    let alone = Launch::on(&data).arg("tls-cert", files.cert.to_str().unwrap()).refused();
    assert!(alone.output.contains("tls-cert") && alone.output.contains("needs tls-key"), "{}", alone.output);
}
