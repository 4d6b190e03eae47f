use proptest::{collection::vec, prelude::*};

use super::*;
use crate::test_support::{assert_rejects_every_change, hex, key_bytes, unhex};

fn key() -> DataKey {
    DataKey::from_bytes(key_bytes(2))
}

fn binding() -> Binding {
    Binding::new("test").field(b"group").number(3)
}

#[test]
fn keys_are_random() {
    assert_ne!(DataKey::make().bytes().expose(), DataKey::make().bytes().expose());
}

#[test]
fn a_value_opens_under_its_own_key_and_binding_only() {
    let (key, other) = (DataKey::make(), DataKey::make());
    let blob = key.seal(&binding(), b"value");
    assert_eq!(*key.open(&binding(), &blob).unwrap(), b"value");
    for (key, binding) in [(&key, binding().field(b"")), (&other, binding())] {
        let error = key.open(&binding, &blob).unwrap_err();
        assert_eq!(error, OpenError::Authentication);
    }
}

#[test]
fn every_change_of_a_sealed_value_is_an_error() {
    let key = DataKey::make();
    let blob = key.seal(&binding(), b"v");
    assert_rejects_every_change(&blob, |blob| key.open(&binding(), blob).map(drop));
}

#[test]
fn digests_and_macs_tell_everything_apart() {
    let key = key();
    let other = DataKey::from_bytes(key_bytes(3));
    let all = [
        key.value_digest(&binding(), b"value"),
        key.value_digest(&binding(), b"valuf"),
        key.value_digest(&binding(), b""),
        key.value_digest(&binding().number(0), b"value"),
        other.value_digest(&binding(), b"value"),
        key.revision_mac(&binding()),
        key.revision_mac(&binding().number(0)),
        other.revision_mac(&binding()),
    ];
    for (i, a) in all.iter().enumerate() {
        assert!(!all[i + 1..].contains(a), "number {i} is not unique");
    }
    assert_eq!(all[0], key.value_digest(&binding(), b"value"));
    assert_eq!(all[5], key.revision_mac(&binding()));
}

#[test]
fn a_value_is_not_read_as_more_fields() {
    let key = key();
    let field = Binding::new("test").field(b"second");
    let encoded = &field.as_bytes()[Binding::new("test").as_bytes().len()..];
    assert_ne!(key.value_digest(&Binding::new("test"), &[encoded, b"v"].concat()), key.value_digest(&field, b"v"),);
}

// Computed with another implementation (Python's cryptography and hmac).
#[test]
fn sealing_digests_and_macs_are_fixed() {
    let key = key();
    let blob = unhex("010109090909090909090909090907904901882501a6e93a548f8ca5655b8cfd2d7d28");
    assert_eq!(*key.open(&binding(), &blob).unwrap(), b"value");
    assert_eq!(
        hex(&key.value_digest(&binding(), b"value")),
        "70c9f800ee1c40a9e47ab97b50a7e2cbc2fdb58d6060871d61faf1fee44f00e8"
    );
    assert_eq!(hex(&key.revision_mac(&binding())), "7021229ac0a36b6e926ab2bb8f760f2fe27d0b5e26c3e267e14ede48d2295c20");
}

#[test]
fn debug_prints_nothing_of_the_key() {
    let key = key();
    // With everything derived, too.
    let _ = (key.seal(&binding(), b""), key.value_digest(&binding(), b""), key.revision_mac(&binding()));
    assert_eq!(format!("{key:?} {key:#?}"), "DataKey(..) DataKey(..)");
}

proptest! {
    #[test]
    fn no_blob_panics_or_opens(blob in vec(any::<u8>(), 0..120)) {
        prop_assert!(key().open(&binding(), &blob).is_err());
    }
}
