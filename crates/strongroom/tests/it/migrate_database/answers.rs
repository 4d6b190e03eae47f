//! What the API answers to everything that reads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Client, Server};

const PAGE: usize = 1_000;
const GROUPS: &str = "/api/svc/v1/secret-groups";

/// Answers by who asked for what.
pub(super) type Answers = BTreeMap<String, String>;

struct Reader<'a> {
    who: &'a str,
    client: Client,
    answers: Answers,
}

/// Everything that these may read, and their audit log at the end of it.
pub(super) fn read(server: &Server, tokens: &[(&str, String)]) -> Answers {
    let mut all = Answers::new();
    for (who, token) in tokens {
        let client = Client::new(server.address(), token);
        let mut reader = Reader { who, client, answers: Answers::new() };
        reader.everything();
        all.append(&mut reader.answers);
    }
    all
}

/// The audit log. Reading it leaves no event.
pub(super) fn audit_log(server: &Server, token: &str) -> Answers {
    let client = Client::new(server.address(), token);
    let mut reader = Reader { who: "admin", client, answers: Answers::new() };
    reader.pages("/api/svc/v1/audit-logs?metric=list");
    reader.answers
}

impl Reader<'_> {
    /// All but what tells the address.
    fn everything(&mut self) {
        for path in [
            "/api/svc/v1/session",
            "/api/svc/v1/x/users/info",
            "/api/svc/v1/min-cli-version",
            "/api/svc/v1/provider-accounts",
            "/api/svc/v1/provider-integrations?type=secret-store",
            "/api/v1/trash?limit=1000",
            "/healthz",
            "/readyz",
        ] {
            self.get(path);
        }
        for (number, group) in self.pages(GROUPS).into_iter().enumerate() {
            self.get(&format!("{GROUPS}/{}", text(&group["id"])));
            // Of each group two secrets, and of some all.
            let all = if number % 50 == 0 { usize::MAX } else { 2 };
            for secret in group["associatedSecrets"].as_array().unwrap().iter().take(all) {
                let id = text(&secret["id"]);
                self.get(&format!("/api/svc/v1/secrets/{id}"));
                self.get(&format!("/api/svc/v1/secrets/{id}/versions"));
                let reference = format!("{}:{}", text(&group["fqn"]), text(&secret["name"]));
                self.get(&format!("/api/svc/v1/control-plane/secret?secret_ref={reference}"));
                self.get(&format!("/api/svc/v1/control-plane/secret?secret_ref={reference}:1"));
            }
        }
        self.all_values();
    }

    fn get(&mut self, path: &str) -> Value {
        let answer = self.client.get(path).unwrap();
        let etag = answer.header("etag").unwrap_or_default().to_owned();
        let shown = format!("{} {etag} {}", answer.status, answer.text());
        self.answers.insert(format!("{} GET {path}", self.who), shown);
        answer.json()
    }

    /// All pages of a list, and what is in them.
    fn pages(&mut self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{path}{sign}limit={PAGE}&offset={}", all.len()));
            match page["data"].as_array() {
                Some(page) if !page.is_empty() => all.extend(page.iter().cloned()),
                _ => return all,
            }
        }
    }

    /// Every value that may be read.
    fn all_values(&mut self) {
        let mut offset = 0;
        loop {
            let wanted = json!({"withValue": true, "limit": PAGE, "offset": offset});
            let answer = self.client.post("/api/svc/v1/secrets", &wanted).unwrap();
            self.answers
                .insert(format!("{} values from {offset}", self.who), format!("{} {}", answer.status, answer.text()));
            match answer.json()["data"].as_array() {
                Some(page) if !page.is_empty() => offset += page.len(),
                _ => return,
            }
        }
    }
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Fails at the first answer that is another one.
#[track_caller]
pub(super) fn same(what: &str, before: &Answers, after: &Answers) {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{what}");
    for (path, answer) in before {
        assert!(after[path] == *answer, "{what}: {path}\nbefore: {answer:.2000}\nafter:  {:.2000}", after[path]);
    }
}
