//! Which crate may use which: the arrows of the design, over `cargo metadata`.

use serde_json::Value;

const TESTKIT: &str = "strongroom-testkit";
const THROWAWAY: &str = "strongroom-throwaway";

/// What everyone's tests may use.
const FOR_TESTS: [&str; 2] = [TESTKIT, THROWAWAY];

/// For each of our crates, which others of ours it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("strongroom-domain", &[]),
    ("strongroom-crypto", &[]),
    ("strongroom-stores", &["strongroom-domain", "strongroom-crypto"]),
    ("strongroom-metadata", &["strongroom-domain"]),
    ("strongroom-api", &["strongroom-domain"]),
    (
        "strongroom-server",
        &["strongroom-domain", "strongroom-crypto", "strongroom-stores", "strongroom-metadata", "strongroom-api"],
    ),
    ("strongroom-cli", &["strongroom-api", "strongroom-domain"]),
    ("strongroom", &["strongroom-server", "strongroom-cli"]),
    (
        TESTKIT,
        &[
            "strongroom-domain",
            "strongroom-crypto",
            "strongroom-stores",
            "strongroom-metadata",
            "strongroom-api",
            "strongroom-server",
            THROWAWAY,
        ],
    ),
    (THROWAWAY, &[]),
    ("xtask", &["strongroom-server", "strongroom-api", THROWAWAY]),
    (
        "strongroom-bench",
        &["strongroom-api", "strongroom-crypto", "strongroom-domain", "strongroom-metadata", THROWAWAY],
    ),
];

/// Crates of others that only some of ours may depend on. What tests use is free.
const RESERVED: &[(&[&str], &[&str])] = &[
    (&["rusqlite", "libsqlite3-sys", "tokio-postgres", "deadpool-postgres", "sqlx"], &["strongroom-metadata", TESTKIT]),
    (&["axum"], &["strongroom-server", TESTKIT, "strongroom-bench"]),
    (&["aws-config", "aws-credential-types", "aws-smithy-runtime-api"], &["strongroom-stores"]),
    (&["reqwest", "ureq"], &["strongroom-stores", "strongroom-server", "strongroom-cli", TESTKIT, "strongroom-bench"]),
];

/// Every dependency that the tables don't allow.
pub(super) fn check(metadata: &Value) -> Vec<String> {
    let packages = list(&metadata["packages"]);
    let ours: Vec<&str> = packages.iter().map(|package| text(&package["name"])).collect();
    let mut problems = Vec::new();
    if packages.is_empty() {
        problems.push("cargo metadata has no packages".to_owned());
    }
    for package in packages {
        let name = text(&package["name"]);
        let Some((_, allowed)) = ARROWS.iter().find(|(crate_name, _)| *crate_name == name) else {
            problems.push(format!("{name} has no row in the table of arrows"));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let target = text(&dependency["name"]);
            let is_dev = dependency["kind"] == "dev";
            if ours.contains(&target) {
                let is_allowed =
                    allowed.contains(&target) || (is_dev && (FOR_TESTS.contains(&target) || target == name));
                if !is_allowed {
                    problems.push(format!("{name} must not depend on {target}"));
                }
            } else if !is_dev && !may_use(name, target) {
                problems.push(format!("{name} must not depend on {target}, which is reserved for others"));
            }
        }
    }
    problems
}

fn may_use(name: &str, target: &str) -> bool {
    RESERVED.iter().all(|(crates, users)| !crates.contains(&target) || users.contains(&name))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Metadata of a workspace with all our crates, in which `from` depends on `to`.
    fn problems(from: &str, to: &str, kind: Option<&str>) -> Vec<String> {
        let packages: Vec<Value> = ARROWS
            .iter()
            .map(|(name, _)| {
                let dependency = json!({"name": to, "kind": kind});
                json!({"name": name, "dependencies": if *name == from { vec![dependency] } else { vec![] }})
            })
            .collect();
        check(&json!({ "packages": packages }))
    }

    #[test]
    fn arrows_of_the_design_are_allowed() {
        for (from, to) in [
            ("strongroom-server", "strongroom-metadata"),
            ("strongroom", "strongroom-cli"),
            (TESTKIT, "strongroom-server"),
            ("xtask", THROWAWAY),
            ("strongroom-bench", THROWAWAY),
            ("strongroom-metadata", "rusqlite"),
            ("strongroom-server", "axum"),
            ("strongroom-cli", "serde_json"),
        ] {
            assert_eq!(problems(from, to, None), Vec::<String>::new());
        }
        for target in FOR_TESTS {
            assert_eq!(problems("strongroom-domain", target, Some("dev")), Vec::<String>::new());
        }
        // A crate's own integration tests switch its features on so.
        assert_eq!(problems("strongroom-stores", "strongroom-stores", Some("dev")), Vec::<String>::new());
        assert_eq!(problems("strongroom-cli", "axum", Some("dev")), Vec::<String>::new());
    }

    #[test]
    fn wrong_arrows_are_found() {
        for (from, to) in [
            ("strongroom-domain", "strongroom-crypto"),
            ("strongroom-crypto", "strongroom-domain"),
            ("strongroom-metadata", "strongroom-crypto"),
            ("strongroom-stores", "strongroom-metadata"),
            ("strongroom-server", "strongroom-cli"),
            ("strongroom-cli", "strongroom-server"),
            ("strongroom", "strongroom-metadata"),
            (TESTKIT, "strongroom-cli"),
            ("strongroom-server", TESTKIT),
            ("strongroom-server", THROWAWAY),
            (THROWAWAY, "strongroom-domain"),
        ] {
            for kind in [None, Some("build")] {
                assert_eq!(problems(from, to, kind), [format!("{from} must not depend on {to}")]);
            }
        }
        assert_eq!(problems("strongroom-server", "strongroom-cli", Some("dev")).len(), 1);
    }

    #[test]
    fn reserved_crates_are_kept_where_they_belong() {
        for (from, to) in [
            ("strongroom-server", "rusqlite"),
            ("strongroom-stores", "tokio-postgres"),
            ("strongroom-cli", "axum"),
            ("strongroom-domain", "reqwest"),
            ("strongroom-server", "aws-config"),
        ] {
            assert_eq!(problems(from, to, None).len(), 1, "{from} {to}");
        }
    }

    #[test]
    fn new_crates_and_empty_metadata_are_no_way_around() {
        let new = json!({"packages": [{"name": "strongroom-extra", "dependencies": []}]});
        assert_eq!(check(&new), ["strongroom-extra has no row in the table of arrows"]);
        assert_eq!(check(&json!({})).len(), 1);
    }
}
