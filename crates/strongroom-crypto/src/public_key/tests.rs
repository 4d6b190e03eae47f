use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaEncoding,
    },
};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::SigningKey;

const MESSAGE: &[u8] = b"a message";

/// A signature is its maker's, over this message, whole and unchanged.
fn assert_tells_apart(key: &PublicKey, stranger: &PublicKey, signature: &[u8]) {
    assert!(key.verify(MESSAGE, signature), "{key:?}");
    assert!(!stranger.verify(MESSAGE, signature), "{key:?}");
    assert!(!key.verify(b"another message", signature), "{key:?}");
    assert!(!key.verify(MESSAGE, &signature[..signature.len() - 1]), "{key:?}");
    assert!(!key.verify(MESSAGE, &[signature, &[0]].concat()), "{key:?}");
    for at in (0..signature.len()).step_by(7) {
        let mut changed = signature.to_vec();
        changed[at] ^= 1;
        assert!(!key.verify(MESSAGE, &changed), "{key:?}, byte {at}");
    }
}

fn rsa(algorithm: SignatureAlgorithm, pair: &RsaKeyPair) -> PublicKey {
    // PKCS#1 in DER: two headers of four bytes, the modulus after a zero, a header of two bytes, the exponent.
    let der = pair.public_key().as_ref();
    PublicKey::rsa(algorithm, &der[8..265], &der[267..]).unwrap()
}

#[test]
fn rsa_in_all_its_ways() {
    use SignatureAlgorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    let all: [(SignatureAlgorithm, &'static dyn RsaEncoding); 6] = [
        (Rs256, &RSA_PKCS1_SHA256),
        (Rs384, &RSA_PKCS1_SHA384),
        (Rs512, &RSA_PKCS1_SHA512),
        (Ps256, &RSA_PSS_SHA256),
        (Ps384, &RSA_PSS_SHA384),
        (Ps512, &RSA_PSS_SHA512),
    ];
    let [pair, other] = [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    for (algorithm, encoding) in all {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
        assert_tells_apart(&rsa(algorithm, &pair), &rsa(algorithm, &other), &signature);
        for (wrong, _) in all.iter().filter(|(wrong, _)| *wrong != algorithm) {
            assert!(!rsa(*wrong, &pair).verify(MESSAGE, &signature), "{algorithm:?} as {wrong:?}");
        }
    }
}

#[test]
fn rsa_keys_have_2048_to_8192_bits() {
    let modulus = |bits: usize| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        modulus
    };
    for bits in [2_048, 2_049, 3_072, 4_096, 8_192] {
        assert!(PublicKey::rsa(SignatureAlgorithm::Rs256, &modulus(bits), &[1, 0, 1]).is_some(), "{bits}");
    }
    for bits in [8, 1_024, 2_047, 8_193, 16_384] {
        assert!(PublicKey::rsa(SignatureAlgorithm::Rs256, &modulus(bits), &[1, 0, 1]).is_none(), "{bits}");
    }
    for (modulus, exponent) in [(vec![], vec![3]), (vec![0; 256], vec![3]), (modulus(2_048), vec![])] {
        assert!(PublicKey::rsa(SignatureAlgorithm::Rs256, &modulus, &exponent).is_none());
    }
    for algorithm in [SignatureAlgorithm::Es256, SignatureAlgorithm::Es384, SignatureAlgorithm::EdDsa] {
        assert!(PublicKey::rsa(algorithm, &modulus(2_048), &[1, 0, 1]).is_none());
    }
}

#[test]
fn both_curves() {
    type Make = fn(&[u8], &[u8]) -> Option<PublicKey>;
    let all: [(&'static EcdsaSigningAlgorithm, Make, usize); 2] = [
        (&ECDSA_P256_SHA256_FIXED_SIGNING, PublicKey::p256, 32),
        (&ECDSA_P384_SHA384_FIXED_SIGNING, PublicKey::p384, 48),
    ];
    for (algorithm, make, size) in all {
        let [pair, other] = [(); 2].map(|()| EcdsaKeyPair::generate(algorithm).unwrap());
        let public = |pair: &EcdsaKeyPair| {
            let (x, y) = pair.public_key().as_ref()[1..].split_at(size);
            make(x, y).unwrap()
        };
        let signature = pair.sign(&SystemRandom::new(), MESSAGE).unwrap();
        assert_tells_apart(&public(&pair), &public(&other), signature.as_ref());
        let (x, y) = pair.public_key().as_ref()[1..].split_at(size);
        assert!(make(y, x).is_none(), "not on the curve");
        let both = [x, y].concat();
        assert!(make(&both[..size - 1], &both[size - 1..]).is_none(), "the same bytes, cut elsewhere");
        assert!(make(&x[1..], y).is_none() && make(x, &[y, &[0]].concat()).is_none() && make(&[], &[]).is_none());
    }
}

#[test]
fn ed25519() {
    let (pair, other) = (SigningKey::make(), SigningKey::make());
    let public = |key: &SigningKey| PublicKey::ed25519(key.public_key()).unwrap();
    assert_tells_apart(&public(&pair), &public(&other), &pair.sign(MESSAGE));
    assert!(PublicKey::ed25519(&[]).is_none() && PublicKey::ed25519(&[1; 33]).is_none());
    assert_eq!(format!("{:?}", public(&pair)), "PublicKey(EdDsa, ..)");
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_arbitrary_verifies(
        a in vec(any::<u8>(), 0..300), b in vec(any::<u8>(), 0..60), signature in vec(any::<u8>(), 0..300)
    ) {
        let keys = [
            PublicKey::rsa(SignatureAlgorithm::Rs256, &a, &b),
            PublicKey::rsa(SignatureAlgorithm::Ps512, &a, &b),
            PublicKey::p256(&a, &b),
            PublicKey::p384(&a, &b),
            PublicKey::ed25519(&b),
            PublicKey::ed25519(&a[..a.len().min(32)]),
        ];
        for key in keys.into_iter().flatten() {
            prop_assert!(!key.verify(MESSAGE, &signature));
        }
    }
}
