//! A client for every role.

use serde_json::{Value, json};

use crate::{Client, TestApp};

/// Everybody who may meet a secret group, around one group that the owner made.
pub struct Cast {
    /// Admin of the tenant; no grant on the group.
    pub admin: Client,
    /// Made the group, and is its admin.
    pub owner: Client,
    /// May read and write its secrets.
    pub editor: Client,
    /// May see its keys.
    pub viewer: Client,
    /// A member without a grant.
    pub stranger: Client,
    /// A machine granted the editor's role by its own manifest.
    pub machine: Client,
    /// A machine granted the viewer's role by the group's manifest.
    pub watcher: Client,
    /// A machine without a grant.
    pub drone: Client,
    /// No token at all.
    pub nobody: Client,
    /// A well-formed token that nobody has.
    pub unknown: Client,
    /// An editor whose token was revoked.
    pub revoked: Client,
    /// The group's id.
    pub group_id: String,
    /// The group's secrets as (key, id), in the order given.
    pub secret_ids: Vec<(String, String)>,
}

impl Cast {
    /// All of them by role.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &Client); 11] {
        [
            ("tenant admin", &self.admin),
            ("group admin", &self.owner),
            ("editor", &self.editor),
            ("viewer", &self.viewer),
            ("stranger", &self.stranger),
            ("machine editor", &self.machine),
            ("machine viewer", &self.watcher),
            ("machine stranger", &self.drone),
            ("nobody", &self.nobody),
            ("unknown token", &self.unknown),
            ("revoked token", &self.revoked),
        ]
    }

    /// The path of the group.
    #[must_use]
    pub fn group_path(&self) -> String {
        format!("/api/svc/v1/secret-groups/{}", self.group_id)
    }

    /// The id of one of the group's first secrets.
    #[must_use]
    pub fn secret_id(&self, key: &str) -> &str {
        &self.secret_ids.iter().find(|(name, _)| name == key).expect("a key of the group").1
    }

    /// The path of one of the group's first secrets.
    #[must_use]
    pub fn secret_path(&self, key: &str) -> String {
        format!("/api/svc/v1/secrets/{}", self.secret_id(key))
    }
}

impl TestApp {
    /// Registers a person and makes them a token.
    pub async fn person(&self, email: &str) -> Client {
        let admin = self.admin();
        admin.post("/api/svc/v1/users/register", json!({"email": email, "skipIfUserExists": true})).await.expect(200);
        let wanted = json!({"name": "test-token", "userEmail": email});
        let made = admin.post("/api/svc/v1/personal-access-tokens/for-user", wanted).await.expect(200);
        self.client(email, made["token"].as_str())
    }

    /// Makes a virtual account, granted roles on groups as (group, role).
    pub async fn machine(&self, name: &str, roles: &[(&str, &str)]) -> Client {
        let mut manifest = json!({"type": "virtual-account", "name": name});
        if !roles.is_empty() {
            manifest["permissions"] = roles
                .iter()
                .map(|(group, role)| {
                    let fqn = format!("{}:{group}", self.settings().tenant);
                    json!({"resource_type": "secret-group", "resource_fqn": fqn, "role_id": role})
                })
                .collect();
        }
        let made = self.admin().put("/api/svc/v1/virtual-accounts", json!({"manifest": manifest})).await.expect(200);
        self.client(name, made["token"].as_str())
    }

    /// Makes a group as a client; gives its JSON.
    pub async fn group(&self, maker: &Client, name: &str, secrets: &[(&str, &str)]) -> Value {
        let secrets: Value = secrets.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let wanted = json!({"name": name, "integrationId": self.integration_id(), "secrets": secrets});
        maker.post("/api/svc/v1/secret-groups", wanted).await.expect(200)["data"].take()
    }

    /// A group's manifest with collaborators as (subject, role).
    #[must_use]
    pub fn manifest(&self, name: &str, collaborators: &[(&str, &str)]) -> Value {
        let collaborators: Value =
            collaborators.iter().map(|(subject, role)| json!({"subject": subject, "role_id": role})).collect();
        json!({
            "type": "secret-group",
            "name": name,
            "integration_fqn": self.integration_fqn(),
            "collaborators": collaborators,
        })
    }

    /// Makes a group and everybody around it. The addresses begin with the group's name, so that several casts can meet.
    pub async fn cast(&self, group: &str, secrets: &[(&str, &str)]) -> Cast {
        let email = |role: &str| format!("{group}-{role}@example.com");
        let owner = self.person(&email("owner")).await;
        let editor = self.person(&email("editor")).await;
        let viewer = self.person(&email("viewer")).await;
        let stranger = self.person(&email("stranger")).await;
        let revoked = self.person(&email("revoked")).await;
        let made = self.group(&owner, group, secrets).await;
        let machine = self.machine(&format!("{group}-machine"), &[(group, "secret-group-editor")]).await;
        let watcher = self.machine(&format!("{group}-watcher"), &[]).await;
        let drone = self.machine(&format!("{group}-drone"), &[]).await;
        let subject = |client: &Client, kind: &str| format!("{kind}:{}", client.name());
        let manifest = self.manifest(
            group,
            &[
                (&subject(&owner, "user"), "secret-group-admin"),
                (&subject(&editor, "user"), "secret-group-editor"),
                (&subject(&viewer, "user"), "secret-group-viewer"),
                (&subject(&revoked, "user"), "secret-group-editor"),
                (&subject(&watcher, "virtualaccount"), "secret-group-viewer"),
            ],
        );
        owner.put("/api/svc/v1/secret-groups", json!({"manifest": manifest})).await.expect(200);
        self.tamper().revoke_tokens_of(revoked.name());
        let id_of = |key: &str| {
            let secrets = made["associatedSecrets"].as_array().unwrap();
            let found = secrets.iter().find(|secret| secret["name"] == key).unwrap();
            (key.to_owned(), found["id"].as_str().unwrap().to_owned())
        };
        Cast {
            admin: self.admin(),
            owner,
            editor,
            viewer,
            stranger,
            machine,
            watcher,
            drone,
            nobody: self.client("nobody", None),
            unknown: self.client("unknown", Some(&self.unknown_token())),
            revoked,
            group_id: made["id"].as_str().unwrap().to_owned(),
            secret_ids: secrets.iter().map(|(key, _)| id_of(key)).collect(),
        }
    }
}
