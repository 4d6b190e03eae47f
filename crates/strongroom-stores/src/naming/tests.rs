use std::collections::HashMap;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::*;

/// A mapping, and how its store compares names.
#[derive(Clone, Copy)]
struct Mapping {
    store: &'static str,
    name: fn(&Entry<'_>) -> String,
    compared: fn(&str) -> String,
    longest: usize,
    letters: fn(char) -> bool,
}

const EXACTLY: fn(&str) -> String = str::to_owned;
const WITHOUT_CASE: fn(&str) -> String = str::to_lowercase;

const MAPPINGS: [Mapping; 7] = [
    Mapping {
        store: "truefoundry/db",
        name: plain,
        compared: EXACTLY,
        longest: usize::MAX,
        letters: |letter| letter.is_ascii_alphanumeric() || "/._-~".contains(letter),
    },
    Mapping {
        store: "aws/secrets-manager",
        name: secrets_manager,
        compared: EXACTLY,
        longest: LONGEST_IN_SECRETS_MANAGER,
        letters: |letter| letter.is_ascii_alphanumeric() || "/_+=.@-".contains(letter),
    },
    Mapping {
        store: "aws/parameter-store",
        name: parameter_store,
        compared: EXACTLY,
        longest: LONGEST_IN_PARAMETER_STORE,
        letters: |letter| letter.is_ascii_alphanumeric() || "/_.-".contains(letter),
    },
    Mapping {
        store: "gcp/gsm",
        name: google,
        compared: EXACTLY,
        longest: LONGEST_IN_GOOGLE,
        letters: |letter| letter.is_ascii_alphanumeric() || "_-".contains(letter),
    },
    Mapping {
        store: "azure/vault",
        name: key_vault,
        compared: WITHOUT_CASE,
        longest: LONGEST_IN_KEY_VAULT,
        letters: |letter| letter.is_ascii_alphanumeric() || letter == '-',
    },
    Mapping {
        store: "hashicorp/vault",
        name: |entry| vault(entry).join("/"),
        compared: EXACTLY,
        longest: usize::MAX,
        letters: |letter| letter.is_ascii_alphanumeric() || "/._-~".contains(letter),
    },
    Mapping {
        store: "custom/generic",
        name: |entry| generic(entry).join("/"),
        compared: EXACTLY,
        longest: usize::MAX,
        letters: |letter| letter.is_ascii_alphanumeric() || "/._-~".contains(letter),
    },
];

/// A secret and which of its names it has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    tenant: String,
    group: String,
    key: String,
    beside: Option<u128>,
}

impl Named {
    fn entry(&self) -> Entry<'_> {
        let secret_id = SecretId::from(Uuid::from_u128(self.beside.unwrap_or(1)));
        let Self { tenant, group, key, beside } = self;
        Entry { tenant, group, key, secret_id, beside: beside.is_some() }
    }
}

/// Secrets whose names are close to each other: the same few parts with the same or other letters between them, cut
/// into tenant, group and key at one place or another.
fn neighbours() -> impl Strategy<Value = Vec<Named>> {
    let part = proptest::sample::select(vec!["a", "b", "A", "pay", "Pay", "tfy-secret"]);
    let between = proptest::sample::select(vec!["-", "-", ".", "_"]);
    let parts = proptest::collection::vec((part, between), 3..6);
    let cuts = proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 2..6);
    let changes = proptest::collection::vec((0..7_u8, proptest::option::of(1..3_u128)), 6);
    (parts, cuts, changes).prop_map(|(parts, cuts, changes)| {
        let cut_up = |(left, right): (prop::sample::Index, prop::sample::Index), (change, beside)| {
            let first = 1 + left.index(parts.len() - 2);
            let second = first + 1 + right.index(parts.len() - first - 1);
            let join = |of: &[(&str, &str)]| {
                let joined: String = of.iter().flat_map(|(part, between)| [*part, *between]).collect();
                joined[..joined.len() - 1].to_owned()
            };
            let (tenant, group, key) = (join(&parts[..first]), join(&parts[first..second]), join(&parts[second..]));
            // A tenant has small letters, digits and `-`.
            let tenant = tenant.to_lowercase().replace(['.', '_'], "-");
            let key = match change {
                0 => key.to_lowercase(),
                1 => key.replace(['.', '_'], "-"),
                2 => key.to_uppercase(),
                // As the name beside another's might be spelled.
                3 => format!("{key}{}{}", parts[0].1, id(SecretId::from(Uuid::from_u128(1)))),
                4 => format!("{key}{}", id(SecretId::from(Uuid::from_u128(1)))),
                _ => key,
            };
            Named { tenant, group, key, beside }
        };
        cuts.into_iter().zip(changes).map(|(cut, change)| cut_up(cut, change)).collect()
    })
}

/// Two secrets of one name.
fn meeting(mapping: Mapping, secrets: &[Named]) -> Option<(Named, Named)> {
    let mut names = HashMap::new();
    secrets.iter().find_map(|secret| {
        let name = (mapping.compared)(&(mapping.name)(&secret.entry()));
        let first = names.entry(name).or_insert(secret);
        (*first != secret).then(|| ((*first).clone(), secret.clone()))
    })
}

/// Whether chance finds two that meet.
fn is_found_out(mapping: Mapping) -> bool {
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 2000, failure_persistence: None, max_shrink_iters: 0, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let property = |secrets: Vec<Named>| {
        prop_assert_eq!(meeting(mapping, &secrets), None);
        Ok(())
    };
    runner.run(&neighbours(), property).is_err()
}

proptest! {
    #[test]
    fn no_two_secrets_meet_in_any_store(secrets in neighbours()) {
        for mapping in MAPPINGS {
            prop_assert_eq!(meeting(mapping, &secrets), None, "{}", mapping.store);
        }
    }

    #[test]
    fn names_keep_to_their_stores_rules(
        tenant in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", group in "[A-Za-z0-9][A-Za-z0-9._-]{0,126}",
        key in "[A-Za-z0-9._-]{1,253}", beside in proptest::option::of(any::<u128>()),
    ) {
        let named = Named { tenant, group, key, beside };
        for Mapping { store, name, longest, letters, .. } in MAPPINGS {
            let name = name(&named.entry());
            prop_assert!(name.chars().all(letters) && name.len() <= longest, "{}: {}", store, name);
            prop_assert!(name.trim_start_matches('/').starts_with("tfy-secret"), "{}: {}", store, name);
        }
    }
}

#[test]
fn the_longest_names_fit() {
    let (tenant, group) = ("t".repeat(63), "G".repeat(127));
    let ends = ["a", "b", ".", "_", "A"].map(|end| format!("{}{end}", "k".repeat(252)));
    let named = ends.iter().flat_map(|key| {
        [None, Some(u128::MAX), Some(1)].map(|beside| Named {
            tenant: tenant.clone(),
            group: group.clone(),
            key: key.clone(),
            beside,
        })
    });
    let named: Vec<_> = named.collect();
    for mapping in MAPPINGS {
        for secret in &named {
            let name = (mapping.name)(&secret.entry());
            assert!(name.len() <= mapping.longest, "{}: {} characters", mapping.store, name.len());
        }
        // Also where they differ only behind what there is room for.
        assert_eq!(meeting(mapping, &named), None, "{}", mapping.store);
    }
}

#[test]
fn names_stay_what_they_are() {
    let named = |beside| Named { tenant: "acme".into(), group: "pay".into(), key: "DB_Pass.word".into(), beside };
    let told = |beside| MAPPINGS.map(|mapping| (mapping.name)(&named(beside).entry()));
    let path = "tfy-secret/acme/pay/DB_Pass.word";
    let slashed = &format!("/{path}");
    let google = "tfy-secret-acme-pay-DB_Pass-word-c4084a93fa1a3c05b226a02353c4268d16bee3dc";
    let azure = "tfy-secret-acme-pay-db-pass-word-c4084a93fa1a3c05b226a02353c4268d16bee3dc";
    assert_eq!(told(None), [path, slashed, slashed, google, azure, path, path]);
    let id = "00000000000000000000000000000007";
    let path = &format!("{path}~{id}");
    let google = "tfy-secret-acme-pay-DB_Pass-word-54f8d8e4e72b161175d19c0cb6091e60ba9b897c";
    let azure = "tfy-secret-acme-pay-db-pass-word-54f8d8e4e72b161175d19c0cb6091e60ba9b897c";
    let (manager, parameter) = (&format!("{slashed}@{id}"), &format!("{slashed}/{id}"));
    assert_eq!(told(Some(7)), [path, manager, parameter, google, azure, path, path]);
}

/// What the property is for: each of these is a mapping that somebody might have written.
#[test]
fn mappings_that_let_secrets_meet_are_found_out() {
    let flattened = |entry: &Entry<'_>| segments(entry, '-').join("-");
    let [.., google, azure, _, _] = MAPPINGS;
    let broken = [
        ("flattened", Mapping { name: flattened, ..google }),
        ("case ignored", Mapping { name: plain, ..azure }),
        ("letters replaced", Mapping { name: |entry| plain(entry).replace(['.', '_'], "-"), ..google }),
        ("beside forgotten", Mapping { name: |entry| plain(&Entry { beside: false, ..*entry }), ..google }),
        ("hash left out", Mapping { name: |entry| key_vault(entry).rsplit_once('-').unwrap().0.to_owned(), ..azure }),
        ("beside with a letter of keys", Mapping { name: |entry| segments(entry, '-').join("/"), ..google }),
    ];
    for (what, mapping) in broken {
        assert!(is_found_out(mapping), "{what}");
    }
    for mapping in MAPPINGS {
        assert!(!is_found_out(mapping), "{}", mapping.store);
    }
}
