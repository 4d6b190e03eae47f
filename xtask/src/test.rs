//! The one test command: what cargo tests, then what real clients do with the binary.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::process::{self, Closing, Ended};

const CLIENTS: &str = "tests/clients";

/// Runs all parts, whatever becomes of each, prints how each ended and says whether all were good.
pub(crate) fn run(root: &Path, with_clients: bool) -> bool {
    let mut parts = vec![("workspace", workspace(root))];
    if with_clients {
        parts.push(("clients", clients(root)));
    }
    println!();
    for (name, ended) in &parts {
        match ended {
            Ok(ended) => {
                println!("{:7} {name}", if ended.succeeded { "ok" } else { "FAILED" });
                for line in &ended.closing {
                    println!("        {line}");
                }
            }
            Err(error) => println!("{:7} {name}: {error}", "FAILED"),
        }
    }
    parts.iter().all(|(_, ended)| matches!(ended, Ok(ended) if ended.succeeded))
}

fn workspace(root: &Path) -> Result<Ended, String> {
    // Asking tells; the answer itself is of no interest.
    let has_nextest =
        process::cargo(root, &["nextest", "--version"]).output().is_ok_and(|asked| asked.status.success());
    if has_nextest {
        let mut command = process::cargo(root, &["nextest", "run", "--workspace", "--no-fail-fast"]);
        return process::watch(&mut command, Closing::From("Summary ["));
    }
    let mut command = process::cargo(root, &["test", "--workspace", "--no-fail-fast"]);
    process::watch(&mut command, Closing::Each("test result:"))
}

fn clients(root: &Path) -> Result<Ended, String> {
    let target = target_directory(root)?;
    let python = environment(root, &target.join("client-tests/venv"))?;
    // Each by itself: built together, the binary would get what only the test kit switches on.
    for package in ["strongroom", "strongroom-testkit"] {
        if !process::succeeds(&mut process::cargo(root, &["build", "--package", package, "--bins"]))? {
            return Err(format!("{package} doesn't build"));
        }
    }
    let mut command = process::command(root, python, &["-m", "pytest", "-q", CLIENTS]);
    command
        .env("STRONGROOM_BIN", target.join("debug/strongroom"))
        .env("STRONGROOM_FAULTS_BIN", target.join("debug/strongroom-with-faults"));
    process::watch(&mut command, Closing::Last)
}

/// The Python of an environment that has what the client tests need; made anew only when that has changed.
fn environment(root: &Path, venv: &Path) -> Result<PathBuf, String> {
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
