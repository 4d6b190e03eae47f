//! moto, a server that behaves like AWS where it matters, and is laxer in places.

use std::{
    env,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    account::command,
    daemon::{Daemon, GLANCE},
    folders::Folders,
    reaper::Reaper,
};

/// Python starts slowly on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
/// Who asks the server's own API; it is no matter who.
const ANYBODY: &str = "AWS4-HMAC-SHA256 Credential=ANYBODY/20260101/us-east-1";

/// moto on a free port of this machine, with nothing in it. Dropped, it is killed.
pub struct Moto {
    port: u16,
    daemon: Option<Daemon>,
    // Dropped before the folders, which it would remove.
    _reaper: Reaper,
    _folders: Folders,
}

impl Moto {
    /// The program that tests are told to use: `STRONGROOM_TEST_MOTO`, which `cargo xtask test` sets.
    #[must_use]
    pub fn program() -> Option<PathBuf> {
        env::var_os("STRONGROOM_TEST_MOTO").map(PathBuf::from)
    }

    /// Starts it and waits until it answers.
    pub fn start(program: &Path) -> Result<Self, String> {
        let folders = Folders::make(None, None)?;
        let mut reaper = Reaper::over(&folders);
        let mut command = command(program, None);
        // It looks for a free port itself, and says which it has got.
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        let mut daemon = Daemon::spawn(command, &folders)?;
        reaper.watch(Some(daemon.id()));
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(port) = printed_port(&folders.end_of_log()) {
                return Ok(Self { port, daemon: Some(daemon), _reaper: reaper, _folders: folders });
            }
            if daemon.has_ended() {
                return Err(format!("moto ended at its start:\n{}", folders.end_of_log()));
            }
            if Instant::now() > deadline {
                daemon.end(Signal::KILL, LIMIT);
                return Err(format!("moto says no port:\n{}", folders.end_of_log()));
            }
            thread::sleep(GLANCE);
        }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// From now on signatures and policies are looked at.
    pub fn enforce_iam(&self) -> Result<(), String> {
        self.post("/moto-api/reset-auth", "text/plain", "", "0").map(|_| ())
    }

    /// A new user with this policy, while nothing is enforced yet: the access key's id and secret.
    pub fn user_with_policy(&self, name: &str, policy: &str) -> Result<(String, String), String> {
        self.iam(&[("Action", "CreateUser"), ("UserName", name)])?;
        let put = [("Action", "PutUserPolicy"), ("UserName", name), ("PolicyName", "it"), ("PolicyDocument", policy)];
        self.iam(&put)?;
        let key = self.iam(&[("Action", "CreateAccessKey"), ("UserName", name)])?;
        Ok((between(&key, "AccessKeyId")?, between(&key, "SecretAccessKey")?))
    }

    /// A new role with this policy, which those may assume whom `trust` names: its ARN.
    pub fn role_with_policy(&self, name: &str, trust: &str, policy: &str) -> Result<String, String> {
        let create = [("Action", "CreateRole"), ("RoleName", name), ("AssumeRolePolicyDocument", trust)];
        let role = self.iam(&create)?;
        let put = [("Action", "PutRolePolicy"), ("RoleName", name), ("PolicyName", "it"), ("PolicyDocument", policy)];
        self.iam(&put)?;
        between(&role, "Arn")
    }

    fn iam(&self, fields: &[(&str, &str)]) -> Result<String, String> {
        let fields = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let form = std::iter::once("Version=2010-05-08".to_owned()).chain(fields).collect::<Vec<_>>().join("&");
        let authorization = format!("{ANYBODY}/iam/aws4_request, SignedHeaders=host, Signature=0");
        self.post("/", "application/x-www-form-urlencoded", &authorization, &form)
    }

    fn post(&self, path: &str, content_type: &str, authorization: &str, body: &str) -> Result<String, String> {
        let failed = |error: std::io::Error| format!("moto: {error}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(failed)?;
        let authorization =
            if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
        write!(
            stream,
            "POST {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n{authorization}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        if status == "200" { Ok(answer) } else { Err(format!("moto: {answer}")) }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }
}

fn printed_port(log: &str) -> Option<u16> {
    let (_, address) = log.split_once("Running on http://127.0.0.1:")?;
    let digits = address.find(|letter: char| !letter.is_ascii_digit())?;
    address[..digits].parse().ok()
}

fn between(xml: &str, element: &str) -> Result<String, String> {
    let found = xml.split_once(&format!("<{element}>")).and_then(|(_, rest)| rest.split_once(&format!("</{element}>")));
    found.map(|(text, _)| text.to_owned()).ok_or_else(|| format!("moto: no {element} in {xml}"))
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "%{byte:02X}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_when_all_of_it_is_there() {
        assert_eq!(printed_port("x\n * Running on http://127.0.0.1:45867\nPress\n"), Some(45_867));
        assert_eq!(printed_port(" * Running on http://127.0.0.1:458"), None);
        assert_eq!(printed_port(""), None);
    }

    #[test]
    fn fields_are_read_and_written() {
        assert_eq!(between("<a><Arn>x</Arn></a>", "Arn").as_deref(), Ok("x"));
        assert!(between("<a/>", "Arn").is_err());
        assert_eq!(encode("a&ü"), "%61%26%C3%BC");
    }
}
