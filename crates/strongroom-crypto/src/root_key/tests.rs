use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::{
    DataKey,
    test_support::{assert_rejects_every_change, key_bytes, unhex},
};

const TEXT: &str = "strongroom-root-key-v1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=:111e93fd\n";

fn root() -> FileRootKey {
    FileRootKey::from_bytes(key_bytes(1))
}

fn binding() -> Binding {
    Binding::new("test").field(b"slot").number(3)
}

/// A file root key answers at once.
fn now<T>(mut future: RootKeyFuture<'_, T>) -> Result<T, RootKeyError> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a file root key does not wait"),
    }
}

#[test]
fn a_wrapped_key_comes_back_as_itself_through_the_trait_object() {
    let root: Box<dyn RootKey> = Box::new(FileRootKey::make());
    let kek = KeyEncryptionKey::make(5);
    let blob = now(root.wrap(&binding(), &kek)).unwrap();
    let back = now(root.unwrap(5, &binding(), &blob)).unwrap();
    assert_eq!((root.kind(), back.id()), ("file", 5));
    let wrapped = kek.wrap(&binding(), &DataKey::make());
    assert!(back.unwrap(&binding(), &wrapped).is_ok());
    assert_eq!(back.event_mac(&binding()), kek.event_mac(&binding()));
}

#[test]
fn another_id_binding_or_root_key_does_not_unwrap() {
    let root = FileRootKey::make();
    let blob = now(root.wrap(&binding(), &KeyEncryptionKey::make(5))).unwrap();
    for (root, id, binding) in
        [(&root, 6, binding()), (&root, 5, binding().number(5)), (&FileRootKey::make(), 5, binding())]
    {
        let error = now(root.unwrap(id, &binding, &blob)).unwrap_err();
        assert_eq!(error, RootKeyError::Open(OpenError::Authentication));
    }
}

#[test]
fn every_change_of_a_wrapped_key_is_an_error() {
    let root = root();
    let blob = now(root.wrap(&binding(), &KeyEncryptionKey::make(1))).unwrap();
    assert_rejects_every_change(&blob, |blob| match now(root.unwrap(1, &binding(), blob)) {
        Ok(_) => Ok(()),
        Err(RootKeyError::Open(error)) => Err(error),
    });
}

#[test]
fn text_reads_back_and_trailing_white_space_does_no_harm() {
    let root = FileRootKey::make();
    let text = root.to_text();
    assert_eq!(text.len(), text.capacity(), "the text grew and left a copy");
    for text in [text.to_string(), text.trim_end().to_owned(), text.replace('\n', " \r\n\n")] {
        let back = FileRootKey::parse(&text).unwrap();
        assert_eq!(back.bytes.expose(), root.bytes.expose());
        assert_eq!(back.fingerprint(), root.fingerprint());
    }
}

#[test]
fn each_way_of_being_wrong_has_its_own_error() {
    let good = TEXT.trim_end();
    let (start, checksum) = good.rsplit_once(':').unwrap();
    let encoded = start.strip_prefix(PREFIX).unwrap();
    for (text, expected) in [
        (String::new(), RootKeyFormatError::Prefix),
        (format!(" {good}"), RootKeyFormatError::Prefix),
        (good.replace("v1", "v2"), RootKeyFormatError::Prefix),
        (start.to_owned(), RootKeyFormatError::Incomplete),
        (PREFIX.to_owned(), RootKeyFormatError::Incomplete),
        (good.replacen(encoded, "A?==", 1), RootKeyFormatError::Base64),
        (good.replacen('=', "", 1), RootKeyFormatError::Base64),
        (good.replacen(encoded, "AAAA", 1), RootKeyFormatError::Length(3)),
        (good.replacen(encoded, "", 1), RootKeyFormatError::Length(0)),
        (format!("{PREFIX}Ag{}", &good[PREFIX.len() + 2..]), RootKeyFormatError::Checksum),
        (format!("{start}:"), RootKeyFormatError::Checksum),
        (format!("{start}:{}", &checksum[1..]), RootKeyFormatError::Checksum),
        (format!("{good}0"), RootKeyFormatError::Checksum),
        (format!("{good}:"), RootKeyFormatError::Checksum),
        (good.replacen(encoded, &"A".repeat(64), 1), RootKeyFormatError::Length(48)),
    ] {
        let error = FileRootKey::parse(&text).unwrap_err();
        assert_eq!(error, expected, "{text:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&encoded[..6]) && !shown.contains(checksum));
    }
}

#[test]
fn every_changed_character_is_noticed() {
    let good = TEXT.trim_end();
    for at in 0..good.len() {
        for other in ['A', 'z', '0', ':', '\u{e9}'] {
            let text = format!("{}{other}{}", &good[..at], &good[at + 1..]);
            assert_eq!(FileRootKey::parse(&text).is_ok(), text == good, "{text:?}");
        }
    }
}

// Computed with another implementation (Python's cryptography and hashlib).
#[test]
fn text_fingerprint_and_wrapping_are_fixed() {
    assert_eq!(*root().to_text(), TEXT);
    assert_eq!(root().fingerprint(), "rk-6eb4c3ba6f8119db");
    let blob = unhex(
        "010109090909090909090909090941cffe42e8ab24402ed4a23b12561cb0088436a1c023a484b12327074c69988bfe4ba5839d8eac0cdc58deb8ca98bec3",
    );
    let kek = now(root().unwrap(5, &binding(), &blob)).unwrap();
    assert_eq!(kek.bytes().expose(), key_bytes(2).expose());
}

#[test]
fn debug_prints_the_fingerprint_only() {
    assert_eq!(format!("{:?}", root()), "FileRootKey(rk-6eb4c3ba6f8119db, ..)");
}

proptest! {
    #[test]
    fn no_text_panics_or_parses(tail in ".{0,80}", prefix in any::<bool>()) {
        let text = if prefix { format!("{PREFIX}{tail}") } else { tail };
        prop_assert!(FileRootKey::parse(&text).is_err());
    }
}
