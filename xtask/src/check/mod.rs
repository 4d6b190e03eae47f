//! What the compiler doesn't check. Each check gives the list of what it found; an empty one is good.

mod arrows;
mod licences;
mod sizes;
mod sql;

use std::path::Path;

use crate::{generate, process, sources};

type Check = fn(&Path) -> Result<Vec<String>, String>;

/// All checks, by the name that is printed.
const CHECKS: &[(&str, Check)] = &[
    ("formatting", formatting),
    ("lints", lints),
    ("lints with cloud-credentials", lints_with_cloud),
    ("nothing of the cloud by default", no_cloud_by_default),
    ("licences", licences),
    ("file sizes", file_sizes),
    ("import arrows", import_arrows),
    ("no SQL outside of metadata", no_sql_elsewhere),
    ("references are fresh", |root| Ok(generate::stale(root))),
];

/// Runs all checks, whatever each of them finds, and says whether all were good.
pub(crate) fn run(root: &Path) -> bool {
    let mut closing = Vec::new();
    for (name, check) in CHECKS {
        let found = check(root).unwrap_or_else(|error| vec![error]);
        for problem in &found {
            println!("{name}: {problem}");
        }
        closing.push((name, found.len()));
    }
    println!();
    for (name, found) in &closing {
        println!("{:7} {name}", if *found == 0 { "ok" } else { "FAILED" });
    }
    closing.iter().all(|(_, found)| *found == 0)
}

fn formatting(root: &Path) -> Result<Vec<String>, String> {
    let formatted = process::succeeds(&mut process::cargo(root, &["fmt", "--all", "--check"]))?;
    Ok(if formatted { vec![] } else { vec!["not as rustfmt writes it: run `cargo fmt --all`".to_owned()] })
}

fn lints(root: &Path) -> Result<Vec<String>, String> {
    let args = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    let clean = process::succeeds(&mut process::cargo(root, &args))?;
    Ok(if clean { vec![] } else { vec!["clippy has warnings or the code doesn't compile".to_owned()] })
}

fn lints_with_cloud(root: &Path) -> Result<Vec<String>, String> {
    let packages = ["-p", "strongroom-stores", "-p", "strongroom-server", "-p", "strongroom"];
    let feature = ["--features", "strongroom/cloud-credentials", "--all-targets", "--quiet", "--", "-D", "warnings"];
    let args = [&["clippy"][..], &packages, &feature].concat();
    let clean = process::succeeds(&mut process::cargo(root, &args))?;
    Ok(if clean { vec![] } else { vec!["clippy has warnings or the code doesn't compile".to_owned()] })
}

/// The crates behind the feature must not come in by another way.
fn no_cloud_by_default(root: &Path) -> Result<Vec<String>, String> {
    let args = ["tree", "--package", "strongroom", "--edges", "normal,build", "--prefix", "none"];
    let tree = process::output(&mut process::cargo(root, &args))?;
    let tree = String::from_utf8_lossy(&tree);
    let strangers = tree.lines().filter(|line| {
        ["aws-config ", "aws-smithy-", "aws-sdk-", "aws-runtime ", "aws-types "]
            .iter()
            .any(|name| line.starts_with(name))
    });
    Ok(strangers.map(|line| format!("{line} is in the default build")).collect())
}

fn licences(root: &Path) -> Result<Vec<String>, String> {
    let args = ["metadata", "--format-version", "1", "--all-features"];
    let metadata = process::output(&mut process::cargo(root, &args))?;
    let metadata = serde_json::from_slice(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(licences::check(&metadata))
}

fn file_sizes(root: &Path) -> Result<Vec<String>, String> {
    let sources = sources::collect(root, &["crates", "xtask", "bench"]).map_err(|error| error.to_string())?;
    let report = sizes::check(&sources);
    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    Ok(report.problems)
}

fn import_arrows(root: &Path) -> Result<Vec<String>, String> {
    let args = ["metadata", "--format-version", "1", "--no-deps"];
    let metadata = process::output(&mut process::cargo(root, &args))?;
    let metadata = serde_json::from_slice(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(arrows::check(&metadata))
}

fn no_sql_elsewhere(root: &Path) -> Result<Vec<String>, String> {
    Ok(sql::check(&sources::collect(root, &["crates"]).map_err(|error| error.to_string())?))
}
