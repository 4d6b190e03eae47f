//! Under which licences others' crates are, those of every feature too.

use serde_json::Value;

/// What we may ship. None of them says anything of our own licence.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What must not come in with something else: a second way to do TLS or cryptography.
const BANNED: [&str; 4] = ["native-tls", "openssl", "openssl-sys", "rsa"];

/// Every package that isn't under one of them, and every one that is banned.
pub(super) fn check(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut problems = Vec::new();
    if packages.is_empty() {
        problems.push("cargo metadata has no packages".to_owned());
    }
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or("no licence");
        if !is_allowed(licence) {
            problems.push(format!("{name} is under `{licence}`, which is not in the list"));
        }
        if BANNED.contains(&name) {
            problems.push(format!("{name} is banned: TLS and cryptography are rustls and aws-lc-rs here"));
        }
    }
    problems
}

/// Of each part that holds, one choice must be in the list.
fn is_allowed(licence: &str) -> bool {
    let is_choice = |choice: &str| ALLOWED.contains(&choice.trim_matches(['(', ')', ' ']));
    licence.replace('/', " OR ").split(" AND ").all(|part| part.split(" OR ").any(is_choice))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_part_must_have_a_choice_that_is_allowed() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR MIT",
            "ISC AND (Apache-2.0 OR ISC)",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND MPL-2.0", "no licence"] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn strangers_are_named() {
        let package = |name: &str, licence: Value| json!({"packages": [{"name": name, "license": licence}]});
        assert_eq!(check(&package("a", json!("MIT"))), Vec::<String>::new());
        assert_eq!(check(&package("a", Value::Null)).len(), 1);
        assert_eq!(check(&package("rsa", json!("MIT"))).len(), 1);
        assert_eq!(check(&json!({})).len(), 1);
    }
}
