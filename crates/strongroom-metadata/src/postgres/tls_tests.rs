//! Without PostgreSQL; `server_tests` has what needs one.

use std::{sync::Arc, time::Duration};

use rustls::{
    CertificateError, Error as TlsError, RootCertStore, SupportedProtocolVersion,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{
    PostgresAddress,
    certificates::{Authority, Made},
    connect::ConnectSetup,
    tls::{AnyName, advice},
};

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// What verify-ca says of a certificate.
fn verify_ca(known: &Authority, shown: &str, now: UnixTime) -> Result<(), TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(der(&known.certificate)).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = AnyName(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap());
    let name = ServerName::try_from("any.test").unwrap();
    verifier.verify_server_cert(&der(shown), &[], &name, &[], now).map(drop)
}

#[test]
fn verify_ca_forgives_the_name_only() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let [now, late] =
        [1_800_000_000, 100_000_000_000].map(|time| UnixTime::since_unix_epoch(Duration::from_secs(time)));
    let shown = ours.sign("db.test").certificate;
    verify_ca(&ours, &shown, now).unwrap();
    let error = verify_ca(&other, &shown, now).unwrap_err();
    assert_eq!(error, TlsError::InvalidCertificate(CertificateError::UnknownIssuer));
    assert!(advice(&error).is_some_and(|advice| advice.contains("sslrootcert")));
    let error = verify_ca(&ours, &shown, late).unwrap_err();
    assert!(matches!(error, TlsError::InvalidCertificate(CertificateError::ExpiredContext { .. })), "{error}");
    // What many servers have: a certificate that signed itself.
    let error = verify_ca(&ours, &ours.certificate, now).unwrap_err();
    assert!(advice(&error).is_some_and(|advice| advice.contains("one that the CA has signed")), "{error:?}");
}

/// Shows a certificate whether or not it has its key.
#[derive(Debug)]
struct Thief(Arc<CertifiedKey>);

impl ResolvesServerCert for Thief {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[tokio::test]
async fn without_a_name_the_certificates_key_is_wanted_still() {
    let authority = Authority::new("ours");
    let (shown, other): (Made, Made) = (authority.sign("db.test"), authority.sign("db.test"));
    let dir = tempfile::tempdir().unwrap();
    let known = dir.path().join("ca.crt");
    std::fs::write(&known, &authority.certificate).unwrap();
    let verify_ca = format!("sslmode=verify-ca&sslrootcert={}", known.display());
    for parameters in ["sslmode=require", &verify_ca] {
        for version in [&TLS12, &TLS13] {
            for (key, is_thief) in [(&other.key, true), (&shown.key, false)] {
                let (problem, accepted) = meet(&shown.certificate, key, version, parameters).await;
                let case = format!("{parameters}, {version:?}, {is_thief}: {problem}");
                assert_eq!(problem.contains("invalid peer certificate: BadSignature"), is_thief, "{case}");
                assert_eq!(accepted, !is_thief, "{case}");
            }
        }
    }
}

/// What a client says of a server with this certificate and key, and whether the server got through the handshake.
/// Nobody speaks PostgreSQL there, so the client always has something to say.
async fn meet(
    certificate: &str,
    key: &str,
    version: &'static SupportedProtocolVersion,
    parameters: &str,
) -> (String, bool) {
    let config = server_config(certificate, key, version);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 8]).await.unwrap();
        stream.write_all(b"S").await.unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.is_ok()
    });
    let address = PostgresAddress::parse(&format!("postgres://u@127.0.0.1:{port}/d?{parameters}"), None).unwrap();
    let setup = ConnectSetup { application_name: "strongroom", options: None };
    let error = address.connect(&setup, drop).await.unwrap_err();
    (error.to_string(), server.await.unwrap())
}

fn server_config(certificate: &str, key: &str, version: &'static SupportedProtocolVersion) -> rustls::ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Thief(Arc::new(CertifiedKey::new(vec![der(certificate)], key)))))
}

#[tokio::test]
async fn direct_tls_says_first_what_it_is_for() {
    let made = Authority::new("ours").sign("db.test");
    let mut config = server_config(&made.certificate, &made.key, &TLS13);
    config.alpn_protocols = vec![b"other".to_vec(), b"postgresql".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
    });
    let url = format!("postgres://u@127.0.0.1:{port}/d?sslmode=require&sslnegotiation=direct");
    let setup = ConnectSetup { application_name: "strongroom", options: None };
    PostgresAddress::parse(&url, None).unwrap().connect(&setup, drop).await.unwrap_err();
    assert_eq!(server.await.unwrap().as_deref(), Some(&b"postgresql"[..]));
}
