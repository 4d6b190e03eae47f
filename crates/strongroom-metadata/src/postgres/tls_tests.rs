//! Without PostgreSQL; `server_tests` has what needs one.

use std::{sync::Arc, time::Duration};

use rustls::{
    CertificateError, Error as TlsError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
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

/// Shows a certificate without having its key.
#[derive(Debug)]
struct Thief(Arc<CertifiedKey>);

impl ResolvesServerCert for Thief {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[tokio::test]
async fn require_still_wants_the_certificates_key() {
    let authority = Authority::new("ours");
    let (stolen, own): (Made, Made) = (authority.sign("db.test"), authority.sign("db.test"));
    for (key, refused) in [(&own.key, true), (&stolen.key, false)] {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key =
            provider.key_provider.load_private_key(PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
        let thief = Thief(Arc::new(CertifiedKey::new(vec![der(&stolen.certificate)], key)));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(thief));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 8]).await.unwrap();
            stream.write_all(b"S").await.unwrap();
            tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.map(drop)
        });
        let address =
            PostgresAddress::parse(&format!("postgres://u@127.0.0.1:{port}/d?sslmode=require"), None).unwrap();
        let setup = ConnectSetup { application_name: "strongroom", options: None };
        // Nobody speaks PostgreSQL there, so it ends in an error either way.
        let error = address.connect(&setup, drop).await.unwrap_err().to_string();
        assert_eq!(error.contains("invalid peer certificate: BadSignature"), refused, "{error}");
        assert_eq!(server.await.unwrap().is_err(), refused);
    }
}
