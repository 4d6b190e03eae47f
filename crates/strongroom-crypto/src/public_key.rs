//! Public keys of others, and whether a signature is theirs.

use std::fmt;

use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
    },
};

/// How a signature is made. The names are those of JSON Web Algorithms (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SignatureAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// A public key together with the one algorithm that it is used with. Parsed once, for many signatures.
pub struct PublicKey {
    algorithm: SignatureAlgorithm,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// An RSA key of 2048 to 8192 bits, from its big-endian modulus and exponent. `None` if it is none, or if the
    /// algorithm isn't one of RSA.
    #[must_use]
    pub fn rsa(algorithm: SignatureAlgorithm, modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        use SignatureAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let parameters = match algorithm {
            Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Ps256 => &RSA_PSS_2048_8192_SHA256,
            Ps384 => &RSA_PSS_2048_8192_SHA384,
            Ps512 => &RSA_PSS_2048_8192_SHA512,
            Es256 | Es384 | EdDsa => return None,
        };
        let [n, e] = [modulus, exponent].map(without_leading_zeros);
        // The library looks at the size when it verifies; a key that never will is better known now.
        let bits = (8 * n.len()).saturating_sub(n.first()?.leading_zeros() as usize);
        if !(2_048..=8_192).contains(&bits) {
            return None;
        }
        let key = PublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()?;
        Some(Self { algorithm, key })
    }

    /// A key on the curve P-256 for ES256, from its coordinates. `None` if the point isn't on the curve.
    #[must_use]
    pub fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        Self::point(SignatureAlgorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32, x, y)
    }

    /// A key on the curve P-384 for ES384, from its coordinates. `None` if the point isn't on the curve.
    #[must_use]
    pub fn p384(x: &[u8], y: &[u8]) -> Option<Self> {
        Self::point(SignatureAlgorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48, x, y)
    }

    /// An Ed25519 key. `None` if it doesn't have 32 bytes.
    #[must_use]
    pub fn ed25519(public: &[u8]) -> Option<Self> {
        // The library would take other encodings too.
        let public: &[u8; 32] = public.try_into().ok()?;
        let key = ParsedPublicKey::new(&ED25519, public).ok()?;
        Some(Self { algorithm: SignatureAlgorithm::EdDsa, key })
    }

    /// What it is used with.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Whether `signature` is one of `message` by this key, in the form that JSON Web Signatures have.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    fn point(
        algorithm: SignatureAlgorithm,
        verification: &'static dyn VerificationAlgorithm,
        size: usize,
        x: &[u8],
        y: &[u8],
    ) -> Option<Self> {
        const UNCOMPRESSED: &[u8] = &[4];
        if x.len() != size || y.len() != size {
            return None;
        }
        let key = ParsedPublicKey::new(verification, [UNCOMPRESSED, x, y].concat()).ok()?;
        Some(Self { algorithm, key })
    }
}

/// Not secret, but long.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, ..)", self.algorithm)
    }
}

/// Some publish numbers with the zero that other encodings put before them.
fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests;
