use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn entry<'a>(tenant: &'a str, group: &'a str, key: &'a str) -> Entry<'a> {
    Entry { tenant, group, key, secret_id: SecretId::from(Uuid::from_u128(7)), beside: false }
}

#[test]
fn names_follow_the_contract() {
    let entry = entry("acme", "pay", "DB.password");
    assert_eq!(name(&entry, Place::Plain), "/tfy-secret/acme/pay/DB.password");
    assert_eq!(name(&entry, Place::Aside), "/tfy-secret/acme/pay/DB.password@00000000000000000000000000000007");
    check_name(&entry).unwrap();
}

#[test]
fn the_longest_names_of_ours_fit() {
    let (tenant, group, key) = ("t".repeat(63), "g".repeat(127), "k".repeat(253));
    check_name(&entry(&tenant, &group, &key)).unwrap();
    let refused = check_name(&entry(&tenant, &group, &"k".repeat(300))).unwrap_err();
    assert!(refused.contains("at most 512"), "{refused}");
}

#[test]
fn versions_are_named_so_that_aws_takes_it() {
    let random = Uuid::from_u128(1);
    let operation = Uuid::max().to_string();
    let mark = "m".repeat(39);
    for mark in [None, Some("o"), Some("operation-7"), Some(operation.as_str()), Some(mark.as_str())] {
        for number in [0, 1, i64::MAX] {
            let id = version_id(mark, number, random).unwrap();
            assert!((SHORTEST_ID..=LONGEST_ID).contains(&id.len()), "{id}");
            assert_eq!((mark_of(&id), number_of(&id)), (mark, Some(number.unsigned_abs())));
            let version = to_store_version(&id, Place::Aside);
            assert_eq!(from_store_version(&version), (id.as_str(), Place::Aside));
            assert_eq!(from_store_version(&to_store_version(&id, Place::Plain)), (id.as_str(), Place::Plain));
        }
    }
    for bad in ["", "a b", "ä", "a@b", "m".repeat(40).as_str()] {
        assert!(version_id(Some(bad), 1, random).is_err(), "{bad}");
    }
}

#[test]
fn what_others_call_versions_is_no_mark() {
    for other in ["", "op-", "op-x-v1", "op-x", "01234567-89ab-cdef-0123-456789abcdef", "op-x-v0000000000000000000x"] {
        assert_eq!((mark_of(other), number_of(other)), (None, None), "{other}");
    }
}

#[test]
fn sixteen_labels_go_round() {
    assert_eq!(
        (label(1), label(16), label(17)),
        ("strongroom-01".into(), "strongroom-00".into(), "strongroom-01".into())
    );
}

proptest! {
    #[test]
    fn no_two_secrets_meet(secrets in proptest::collection::vec(
        ("[a-c-]{1,3}", "[a-cA-C._-]{1,4}", "[a-cA-C._-]{1,5}", 0..3_u128), 2..20,
    )) {
        let mut names = HashMap::new();
        for (tenant, group, key, id) in &secrets {
            let entry = Entry { tenant, group, key, secret_id: SecretId::from(Uuid::from_u128(*id)), beside: false };
            for place in Place::of(&entry).iter().copied() {
                // The plain name belongs to whichever secret of this name was first.
                let owner = (tenant, group, key, (place == Place::Aside).then_some(*id));
                prop_assert_eq!(*names.entry(name(&entry, place)).or_insert(owner), owner);
            }
        }
    }

    #[test]
    fn a_mark_comes_back_whatever_it_is(mark in "[A-Za-z0-9._-]{1,39}", number in 0..i64::MAX) {
        let id = version_id(Some(&mark), number, Uuid::nil()).unwrap();
        prop_assert_eq!(mark_of(&id), Some(mark.as_str()));
    }
}
