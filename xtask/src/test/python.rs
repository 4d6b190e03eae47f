//! Python environments for what comes from its package index.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::process;

/// The Python of an environment that has what `requirements` lists; made anew only when that has changed.
pub(super) fn with(root: &Path, requirements: &str, venv: &Path) -> Result<PathBuf, String> {
    let wanted = fs::read_to_string(root.join(requirements)).map_err(|error| format!("{requirements}: {error}"))?;
    let python = venv.join("bin/python");
    let installed = venv.join("installed-requirements.txt");
    if python.exists() && fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let venv_arg = venv.to_string_lossy();
    let made = process::succeeds(&mut process::command(root, "python3", &["-m", "venv", "--clear", &venv_arg]))
        .map_err(|error| format!("{error}; install Python 3, or leave what needs it out with --no-clients"))?;
    if !made {
        return Err("python3 can't make a virtual environment: is its venv module installed?".to_owned());
    }
    let args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
    if !process::succeeds(&mut process::command(root, &python, &args))? {
        return Err(format!("pip can't install {requirements}"));
    }
    fs::write(&installed, wanted).map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(python)
}

/// Where cargo builds, and the environments are.
pub(super) fn target_directory(root: &Path) -> Result<PathBuf, String> {
    let metadata = process::output(&mut process::cargo(root, &["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).map_err(|error| error.to_string())?;
    metadata["target_directory"].as_str().map(PathBuf::from).ok_or_else(|| "cargo names no target directory".to_owned())
}
