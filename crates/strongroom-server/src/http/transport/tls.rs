//! TLS from files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};

/// Why TLS can't be set up; says which file and what is wrong with it, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {problem}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// Both files are well-formed and still don't work.
    #[error("certificate {} with key {}: {source}", cert_file.display(), key_file.display())]
    Refused {
        /// The file with the certificates.
        cert_file: PathBuf,
        /// The file with the private key.
        key_file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// Reads a chain of certificates (the server's own first) and its private key, both in PEM, for HTTP/2 and HTTP/1.1.
pub fn load_tls(cert_file: &Path, key_file: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(&read(cert_file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(cert_file, pem_problem(&error, "holds no certificate in PEM")))?;
    if certificates.is_empty() {
        return Err(content(cert_file, "holds no certificate in PEM"));
    }
    let key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(read(key_file)?)).map_err(|error| {
        content(key_file, pem_problem(&error, "holds no unencrypted private key in PEM (PKCS#8, PKCS#1 or SEC1)"))
    })?;
    let refused = |source| TlsError::Refused { cert_file: cert_file.into(), key_file: key_file.into(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(refused)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|source| TlsError::Read { file: file.into(), source })
}

fn content(file: &Path, problem: &'static str) -> TlsError {
    TlsError::Content { file: file.into(), problem }
}

/// The library's own messages quote lines of the file.
fn pem_problem(error: &pem::Error, nothing_found: &'static str) -> &'static str {
    match error {
        pem::Error::NoItemsFound => nothing_found,
        pem::Error::MissingSectionEnd { .. } => "is cut off: a PEM section has no end",
        pem::Error::Base64Decode(_) => "is damaged: a PEM section is not valid base64",
        _ => "is not valid PEM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(certificate: &str, key: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (cert_file, key_file) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        fs::write(&cert_file, certificate).unwrap();
        fs::write(&key_file, key).unwrap();
        load_tls(&cert_file, &key_file).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_file_and_what_is_wrong() {
        let ours = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (ours.cert.pem(), ours.signing_key.serialize_pem());

        let missing = load_tls(Path::new("/nowhere/tls.crt"), Path::new("/nowhere/tls.key")).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/tls.crt: "), "{missing}");
        assert!(error("", &key).contains("tls.crt: holds no certificate"));
        assert!(error(&certificate, &certificate).contains("tls.key: holds no unencrypted private key"));
        assert!(error(&certificate[..200], &key).contains("tls.crt: is cut off"));
        assert!(error(&certificate, &key[..100]).contains("tls.key: is cut off"));
        let mismatch = error(&certificate, &other.signing_key.serialize_pem());
        assert!(mismatch.contains("tls.crt with key") && mismatch.contains("KeyMismatch"), "{mismatch}");
    }

    #[test]
    fn errors_never_quote_the_key() {
        let canary = "c2VjcmV0LWNhbmFyeQ";
        for key in [
            format!("-----BEGIN PRIVATE KEY-----\n{canary}!\n-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN {canary}\n"),
            format!("-----BEGIN PRIVATE KEY-----\n{canary}"),
        ] {
            let ours = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let message = error(&ours.cert.pem(), &key);
            assert!(!message.contains(canary), "{message}");
        }
    }
}
