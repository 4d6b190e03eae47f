//! What real clients do with the binary.

use std::path::Path;

use super::{
    environment::{self, Environment},
    python,
};
use crate::process::{self, Closing, Ended};

const CLIENTS: &str = "tests/clients";

/// Runs them with Python.
pub(super) fn run(root: &Path, environment: &Environment) -> Result<Ended, String> {
    let target = python::target_directory(root)?;
    let python = python::with(root, &format!("{CLIENTS}/requirements.txt"), &target.join("client-tests/venv"))?;
    // Each by itself: built together, the binary would get what only the test kit switches on.
    for package in ["strongroom", "strongroom-testkit"] {
        if !process::succeeds(&mut process::cargo(root, &["build", "--package", package, "--bins"]))? {
            return Err(format!("{package} doesn't build"));
        }
    }
    let mut command = process::command(root, python, &["-m", "pytest", "-q", CLIENTS]);
    environment::give(&mut command, environment)
        .env("STRONGROOM_BIN", target.join("debug/strongroom"))
        .env("STRONGROOM_FAULTS_BIN", target.join("debug/strongroom-with-faults"));
    process::watch(&mut command, Closing::Last)
}
