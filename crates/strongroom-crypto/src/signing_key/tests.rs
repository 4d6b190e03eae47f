use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    DataKey, KeyEncryptionKey, OpenError,
    test_support::{assert_rejects_every_change, hex, key_bytes, unhex},
};

// RFC 8032, 7.1, tests 1 to 3: seed, public key, message, signature.
const VECTORS: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&[byte; 32])
}

#[test]
fn signs_as_the_standard_says() {
    for [seed, public, message, signature] in VECTORS {
        let key = SigningKey::from_seed(&unhex(seed).try_into().unwrap());
        let message = unhex(message);
        assert_eq!(hex(key.public_key()), public);
        assert_eq!(hex(&key.sign(&message)), signature);
        assert!(verify_ed25519(key.public_key(), &message, &unhex(signature)));
    }
}

#[test]
fn keys_are_random() {
    assert_ne!(SigningKey::make().public_key(), SigningKey::make().public_key());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let message = b"a message";
    let signature = key(1).sign(message);
    let flipped = |bytes: &[u8], bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    for bit in 0..message.len() * 8 {
        assert!(!verify_ed25519(key(1).public_key(), &flipped(message, bit), &signature));
    }
    for bit in 0..signature.len() * 8 {
        assert!(!verify_ed25519(key(1).public_key(), message, &flipped(&signature, bit)));
    }
    for bit in 0..256 {
        assert!(!verify_ed25519(&flipped(key(1).public_key(), bit), message, &signature));
    }
}

#[test]
fn a_wrapped_key_comes_back_as_itself() {
    let (kek, key) = (KeyEncryptionKey::make(1), SigningKey::make());
    let blob = kek.wrap_signing_key(b"instance", b"id", &key);
    let back = kek.unwrap_signing_key(b"instance", b"id", &blob).unwrap();
    assert_eq!(back.public_key(), key.public_key());
    assert_eq!(back.sign(b"message"), key.sign(b"message"));
}

#[test]
fn a_wrapped_key_opens_in_its_own_place_only() {
    let (kek, other) = (KeyEncryptionKey::make(1), KeyEncryptionKey::make(1));
    let blob = kek.wrap_signing_key(b"instance", b"id", &key(1));
    for (kek, instance, id) in [
        (&kek, &b"instance"[..], &b"id2"[..]),
        (&kek, b"other", b"id"),
        (&kek, b"instancei", b"d"),
        (&kek, b"id", b"instance"),
        (&other, b"instance", b"id"),
    ] {
        assert_eq!(kek.unwrap_signing_key(instance, id, &blob).unwrap_err(), OpenError::Authentication);
    }
}

#[test]
fn a_signing_key_is_no_data_key() {
    let kek = KeyEncryptionKey::make(1);
    let blob = kek.wrap_signing_key(b"instance", b"id", &key(1));
    assert_eq!(kek.unwrap(&binding(b"instance", b"id"), &blob).unwrap_err(), OpenError::Authentication);
    let blob = kek.wrap(&binding(b"instance", b"id"), &DataKey::make());
    assert_eq!(kek.unwrap_signing_key(b"instance", b"id", &blob).unwrap_err(), OpenError::Authentication);
}

#[test]
fn every_change_of_a_wrapped_key_is_an_error() {
    let kek = KeyEncryptionKey::make(1);
    let blob = kek.wrap_signing_key(b"instance", b"id", &key(1));
    assert_eq!(blob.len(), 62);
    assert_rejects_every_change(&blob, |blob| kek.unwrap_signing_key(b"instance", b"id", blob).map(drop));
}

// Computed with another implementation (Python's cryptography).
#[test]
fn wrapping_is_fixed() {
    let kek = KeyEncryptionKey::from_bytes(1, key_bytes(1));
    let blob = unhex(
        "010109090909090909090909090949b7ff50e865e90c83dffeab8cdf5484662f483ac61eaacf2b85db3df547984642bb6b4bc3b9b37980ef81ec2f46b37f",
    );
    let opened = kek.unwrap_signing_key(b"instance", b"id", &blob).unwrap();
    assert_eq!(opened.seed().expose(), key_bytes(2).expose());
}

#[test]
fn debug_prints_nothing_of_the_key() {
    assert_eq!(format!("{:?}", key(1)), "SigningKey(..)");
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_arbitrary_verifies(
        public in vec(any::<u8>(), 0..70),
        message in vec(any::<u8>(), 0..70),
        signature in vec(any::<u8>(), 0..70),
    ) {
        prop_assert!(!verify_ed25519(&public, &message, &signature));
        prop_assert!(!verify_ed25519(key(1).public_key(), &message, &signature));
    }

    #[test]
    fn what_is_signed_verifies(message in vec(any::<u8>(), 0..200)) {
        prop_assert!(verify_ed25519(key(1).public_key(), &message, &key(1).sign(&message)));
        prop_assert!(!verify_ed25519(key(2).public_key(), &message, &key(1).sign(&message)));
    }
}
