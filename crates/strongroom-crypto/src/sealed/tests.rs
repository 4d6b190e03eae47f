use proptest::{collection::vec, prelude::*};

use super::*;
use crate::test_support::{assert_rejects_every_change, hex, key_bytes, unhex};

fn sealer() -> Sealer {
    Sealer::new(&key_bytes(1), "test")
}

fn binding() -> Binding {
    Binding::new("test").field(b"group").number(3)
}

#[test]
fn a_blob_opens_to_what_was_sealed() {
    for length in [0, 1, 15, 16, 17, 1000, 65536] {
        let plaintext = vec![0xa5; length];
        let blob = sealer().seal(&binding(), &plaintext);
        assert_eq!(blob.len(), length + 30);
        assert_eq!(*sealer().open(&binding(), &blob).unwrap(), plaintext);
    }
}

#[test]
fn sealing_twice_gives_different_blobs() {
    let sealer = sealer();
    let (a, b) = (sealer.seal(&binding(), b"value"), sealer.seal(&binding(), b"value"));
    assert_ne!(a[2..14], b[2..14], "nonces");
    assert_ne!(a[14..], b[14..]);
}

#[test]
fn every_change_of_a_blob_is_an_error() {
    for plaintext in [b"".as_slice(), b"a small value"] {
        let sealer = sealer();
        let blob = sealer.seal(&binding(), plaintext);
        assert_rejects_every_change(&blob, |blob| sealer.open(&binding(), blob).map(drop));
    }
}

#[test]
fn another_binding_key_or_label_does_not_open() {
    let blob = sealer().seal(&binding(), b"value");
    for (sealer, binding) in [
        (sealer(), Binding::new("test").field(b"group").number(4)),
        (sealer(), Binding::new("else").field(b"group").number(3)),
        (Sealer::new(&key_bytes(2), "test"), binding()),
        (Sealer::new(&key_bytes(1), "else"), binding()),
    ] {
        let error = sealer.open(&binding, &blob).unwrap_err();
        assert_eq!(error, OpenError::Authentication);
    }
}

// Computed with another implementation (Python's cryptography and hmac).
#[test]
fn the_layout_is_fixed() {
    let blob = sealer().seal_with_nonce([9; NONCE_LEN], &binding(), b"value");
    assert_eq!(hex(&blob), "010109090909090909090909090933ebcfd48b48d71ae8b7bcc61ab0531d569b5dbd06");
    let empty = sealer().seal_with_nonce([9; NONCE_LEN], &binding(), b"");
    assert_eq!(hex(&empty), "0101090909090909090909090909aea4f467c4b8792aee341ba2b857a1fe");
}

// The second test case of RFC 8452, C.2. It knows no subkeys, hence not through `seal`.
#[test]
fn the_primitive_is_aes_256_gcm_siv() {
    let (mut key, mut nonce) = ([0; 32], [0; NONCE_LEN]);
    (key[0], nonce[0]) = (1, 3);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &key).unwrap());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let mut text = unhex("0100000000000000");
    let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut text).unwrap();
    assert_eq!(hex(&[&text, tag.as_ref()].concat()), "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28");
}

proptest! {
    #[test]
    fn any_plaintext_comes_back(plaintext in vec(any::<u8>(), 0..300)) {
        let sealer = sealer();
        let blob = sealer.seal(&binding(), &plaintext);
        prop_assert_eq!(&*sealer.open(&binding(), &blob).unwrap(), &plaintext);
    }

    #[test]
    fn no_blob_panics_or_opens(
        header in prop_oneof![Just(vec![1, 1]), vec(any::<u8>(), 0..3)],
        rest in vec(any::<u8>(), 0..120),
    ) {
        let blob = [header, rest].concat();
        prop_assert!(sealer().open(&binding(), &blob).is_err());
        prop_assert!(sealer().open_key(&binding(), &blob).is_err());
    }
}

#[test]
fn errors_say_what_is_wrong() {
    for (error, text) in [
        (OpenError::Format(7), "unknown blob format 7"),
        (OpenError::Algorithm(9), "unknown blob algorithm 9"),
        (OpenError::Truncated, "the blob is truncated"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
