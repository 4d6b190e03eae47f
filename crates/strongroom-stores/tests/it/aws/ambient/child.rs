//! A process with an environment of its own: this binary again, with one test, which does what it is told.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{self, ChildStdout, Command, Stdio},
    sync::Arc,
};

use strongroom_stores::{
    SecretStore,
    aws::{AwsAuthData, AwsSecretsManagerSettings, ProcessIdentity},
};
use tempfile::TempDir;

use super::{super::setting, CANARIES};

const URL: &str = "STRONGROOM_TEST_CHILD_URL";
const ROLE: &str = "STRONGROOM_TEST_CHILD_ROLE";
/// Of the lines that are answers.
const MARK: &str = "= ";

/// How one is started. Its environment has what is given here only, and its home is empty.
pub(super) struct Launch {
    env: BTreeMap<String, String>,
    home: TempDir,
}

/// One with a store at an address, which knows nobody but the process itself.
pub(super) struct Child {
    process: process::Child,
    out: BufReader<ChildStdout>,
    seen: String,
    _home: TempDir,
}

impl Child {
    pub(super) fn at(url: &str) -> Launch {
        let home = tempfile::tempdir().unwrap();
        let launch = Launch { env: BTreeMap::new(), home };
        let home = launch.path("");
        launch
            .env(URL, url)
            .env("HOME", &home)
            .env("PATH", &env::var("PATH").unwrap())
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// What the store's connection check says.
    pub(super) fn probe(&mut self) -> String {
        self.ask("probe")
    }

    /// What the shorter one says.
    pub(super) fn answers(&mut self) -> String {
        self.ask("answers")
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.process.stdin.as_mut().unwrap(), "{what}").unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it ended: {}", self.seen);
            self.seen.push_str(&line);
            // The test's name may stand before it.
            if let Some((_, answer)) = line.split_once(MARK) {
                return answer.trim_end().to_owned();
            }
        }
    }

    /// All that it ever printed, which has no secret in it.
    pub(super) fn end(mut self) -> String {
        drop(self.process.stdin.take());
        self.out.read_to_string(&mut self.seen).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut self.seen).unwrap();
        assert!(self.process.wait().unwrap().success(), "{}", self.seen);
        for canary in CANARIES {
            assert!(!self.seen.contains(canary), "{}", self.seen);
        }
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Launch {
    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A variable that says where a file of its home is.
    pub(super) fn env_file(self, name: &str, file: &str) -> Self {
        let path = self.path(file);
        self.env(name, &path)
    }

    pub(super) fn file(self, name: &str, text: &str) -> Self {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The store assumes this role.
    pub(super) fn role(self, arn: &str) -> Self {
        self.env(ROLE, arn)
    }

    fn path(&self, file: &str) -> String {
        self.home.path().join(file).to_str().unwrap().to_owned()
    }

    pub(super) fn start(self) -> Child {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "aws::ambient::child::the_child", "--nocapture"]).env_clear().envs(&self.env);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        Child { process, out, seen: String::new(), _home: self.home }
    }
}

/// No test where nobody has started it so.
#[tokio::test(flavor = "multi_thread")]
async fn the_child() {
    let Ok(url) = env::var(URL) else { return };
    let role = env::var(ROLE).ok().map(|assumed_role_arn| AwsAuthData::AssumedRole {
        assumed_role_arn,
        external_id: Some("external-1".to_owned()),
    });
    let store = setting::store(AwsSecretsManagerSettings {
        account_auth: None,
        integration_auth: role,
        process: ProcessIdentity::lent(Arc::new(setting::client())),
        ..setting::settings(&url, setting::access_key("unused", "unused"))
    });
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).unwrap() > 0 {
        let done = match line.trim() {
            "probe" => store.probe().await,
            _ => store.answers().await,
        };
        println!("{MARK}{}", done.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned()));
        eprintln!("{done:?}");
        line.clear();
    }
    eprintln!("{store:?}");
}
