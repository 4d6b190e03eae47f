//! What real clients do with the binary.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::environment::{self, Environment};
use crate::process::{self, Closing, Ended};

const CLIENTS: &str = "tests/clients";

/// Runs them with Python.
pub(super) fn run(root: &Path, environment: &Environment) -> Result<Ended, String> {
    let target = target_directory(root)?;
    let python = python(root, &target.join("client-tests/venv"))?;
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

/// The Python of an environment that has what the client tests need; made anew only when that has changed.
fn python(root: &Path, venv: &Path) -> Result<PathBuf, String> {
    let requirements = format!("{CLIENTS}/requirements.txt");
    let wanted = fs::read_to_string(root.join(&requirements)).map_err(|error| format!("{requirements}: {error}"))?;
    let python = venv.join("bin/python");
    let installed = venv.join("installed-requirements.txt");
    if python.exists() && fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let venv_arg = venv.to_string_lossy();
    let made = process::succeeds(&mut process::command(root, "python3", &["-m", "venv", "--clear", &venv_arg]))
        .map_err(|error| format!("{error}; install Python 3, or leave the client tests out with --no-clients"))?;
    if !made {
        return Err("python3 can't make a virtual environment: is its venv module installed?".to_owned());
    }
    let args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", &requirements];
    if !process::succeeds(&mut process::command(root, &python, &args))? {
        return Err(format!("pip can't install {requirements}"));
    }
    fs::write(&installed, wanted).map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(python)
}

fn target_directory(root: &Path) -> Result<PathBuf, String> {
    let metadata = process::output(&mut process::cargo(root, &["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).map_err(|error| error.to_string())?;
    metadata["target_directory"].as_str().map(PathBuf::from).ok_or_else(|| "cargo names no target directory".to_owned())
}
