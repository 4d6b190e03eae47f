//! TLS to PostgreSQL, as the parameters whose names begin with `ssl` ask for it.

use std::{fs, path::PathBuf, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject as _},
    },
};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::{address::Host, url::Parameters};

/// What does TLS for tokio-postgres.
pub(super) type Connector = MakeRustlsConnect;

/// libpq's `sslmode`, without those that fall back to plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SslMode {
    /// In plain text.
    Disable,
    /// Encrypted; whoever answers is believed.
    Require,
    /// The certificate must come from a known CA; its name isn't looked at.
    VerifyCa,
    /// The certificate must come from a known CA and bear the host's name.
    VerifyFull,
}

/// Where the certificates of known CAs are.
#[derive(Clone, Debug)]
enum Roots {
    System,
    File(PathBuf),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct TlsPlan {
    pub(super) mode: SslMode,
    roots: Roots,
    /// The client's certificate and its key.
    identity: Option<(PathBuf, PathBuf)>,
    /// Begins with TLS, without asking for it in plain text.
    direct: bool,
}

impl TlsPlan {
    pub(super) fn read(parameters: &mut Parameters, hosts: &[Host]) -> Result<Self, String> {
        let given = match parameters.take("sslmode").as_deref() {
            Some("disable") => Some(SslMode::Disable),
            Some("require") => Some(SslMode::Require),
            Some("verify-ca") => Some(SslMode::VerifyCa),
            Some("verify-full") => Some(SslMode::VerifyFull),
            Some(mode @ ("prefer" | "allow")) => {
                return Err(format!(
                    "sslmode={mode} would go on in plain text without saying so where the server has no TLS; write \
                     sslmode=disable or sslmode=require (or better verify-full)"
                ));
            }
            Some(_) => {
                return Err("the parameter sslmode must be disable, require, verify-ca or verify-full".to_owned());
            }
            None => None,
        };
        let roots = parameters.take("sslrootcert");
        let identity = match (parameters.take("sslcert"), parameters.take("sslkey")) {
            (Some(cert), Some(key)) => Some((PathBuf::from(cert), PathBuf::from(key))),
            (None, None) => None,
            (Some(_), None) => return Err("has the parameter sslcert and needs sslkey too".to_owned()),
            (None, Some(_)) => return Err("has the parameter sslkey and needs sslcert too".to_owned()),
        };
        let wants_tls = roots.is_some() || identity.is_some();
        let mode = match given {
            Some(SslMode::Disable) if wants_tls => {
                return Err("has sslmode=disable, with which sslrootcert, sslcert and sslkey mean nothing".to_owned());
            }
            // As libpq does it.
            Some(SslMode::Require) if roots.is_some() => SslMode::VerifyCa,
            Some(mode) => mode,
            None if !wants_tls && hosts.iter().all(Host::is_local) => SslMode::Disable,
            None => SslMode::VerifyFull,
        };
        let roots = match roots.as_deref() {
            // Anybody can have a certificate from one of the system's CAs.
            Some("system") if mode != SslMode::VerifyFull => {
                return Err(
                    "sslrootcert=system needs sslmode=verify-full: with less, any server on the internet would be \
                            believed"
                        .to_owned(),
                );
            }
            Some("system") | None => Roots::System,
            Some(file) => Roots::File(PathBuf::from(file)),
        };
        let direct = parameters.take_choice("sslnegotiation", &[("postgres", false), ("direct", true)])?;
        if direct == Some(true) && mode == SslMode::Disable {
            return Err("sslnegotiation=direct needs TLS, and sslmode is disable".to_owned());
        }
        Ok(Self { mode, roots, identity, direct: direct == Some(true) })
    }

    pub(super) fn negotiates_directly(&self) -> bool {
        self.direct
    }

    pub(super) fn is_on(&self) -> bool {
        self.mode != SslMode::Disable
    }

    /// Reads the files. Without TLS it isn't used, but has the type.
    pub(super) fn connector(&self) -> Result<Connector, String> {
        // Never the process's default: another library may have set it.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((cert_file, key_file)) => {
                let chain = certificates("sslcert", cert_file)?;
                let key = PrivateKeyDer::from_pem_slice(&read("sslkey", key_file)?).map_err(|error| {
                    let problem =
                        pem_problem(&error, "holds no unencrypted private key in PEM (PKCS#8, PKCS#1 or SEC1)");
                    format!("sslkey: {}: {problem}", key_file.display())
                })?;
                config.with_client_auth_cert(chain, key).map_err(|error| {
                    format!("sslcert {} with sslkey {}: {error}", cert_file.display(), key_file.display())
                })?
            }
        };
        if self.direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
        if matches!(self.mode, SslMode::Disable | SslMode::Require) {
            return Ok(Arc::new(AnyCertificate(provider.signature_verification_algorithms)));
        }
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider.clone())
            .build()
            .map_err(|error| format!("sslrootcert: {error}"))?;
        Ok(if self.mode == SslMode::VerifyCa { Arc::new(AnyName(webpki)) } else { webpki })
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.roots {
            Roots::File(file) => {
                for certificate in certificates("sslrootcert", file)? {
                    roots.add(certificate).map_err(|error| format!("sslrootcert: {}: {error}", file.display()))?;
                }
            }
            Roots::System => {
                let system = rustls_native_certs::load_native_certs();
                for error in system.errors {
                    tracing::debug!(%error, "a CA certificate of the system can't be read");
                }
                roots.add_parsable_certificates(system.certs);
                if roots.is_empty() {
                    return Err(
                        "this system has no CA certificates to check PostgreSQL's certificate with; name a PEM \
                                file with sslrootcert"
                            .to_owned(),
                    );
                }
            }
        }
        Ok(roots)
    }
}

/// What to do about a handshake that failed, where that can be said.
pub(super) fn advice(error: &TlsError) -> Option<&'static str> {
    let TlsError::InvalidCertificate(error) = error else { return None };
    match error {
        CertificateError::UnknownIssuer => Some("name the CA's certificate with the parameter sslrootcert"),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("only subjectAltName counts; sslmode=verify-ca doesn't compare names")
        }
        // rustls has no variant for it.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            Some("the server shows a CA's certificate as its own: give it one that the CA has signed")
        }
        _ => None,
    }
}

/// verify-ca: all of webpki's checks but that of the name.
#[derive(Debug)]
pub(super) struct AnyName(pub(super) Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is what webpki checks last, so all else was right.
            Err(TlsError::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// require: whoever has the key of the certificate that it shows.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn certificates(parameter: &str, file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    const NONE: &str = "holds no certificate in PEM";
    let problem = |problem| format!("{parameter}: {}: {problem}", file.display());
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(parameter, file)?).collect();
    let certificates = read.map_err(|error| problem(pem_problem(&error, NONE)))?;
    if certificates.is_empty() { Err(problem(NONE)) } else { Ok(certificates) }
}

fn read(parameter: &str, file: &PathBuf) -> Result<Zeroizing<Vec<u8>>, String> {
    fs::read(file).map(Zeroizing::new).map_err(|error| format!("{parameter}: {}: {error}", file.display()))
}

/// The library's own messages quote lines of the file.
fn pem_problem(error: &pem::Error, nothing_found: &'static str) -> &'static str {
    if matches!(error, pem::Error::NoItemsFound) { nothing_found } else { "is broken PEM" }
}
