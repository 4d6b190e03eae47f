//! A caller for every way to have a role on a group, and every way to have none.

use serde_json::{Value, json};
use strongroom_domain::Timestamp;

use crate::{Cast, Client, FakeIdp, TestApp};

/// Somebody who calls.
pub struct Caller {
    /// In a few words.
    pub name: &'static str,
    /// How they speak.
    pub client: Client,
}

/// Everybody, and the identity provider whose tokens some of them have.
pub struct Crowd {
    /// Those with plain roles, around a group without secrets.
    pub cast: Cast,
    /// All of them.
    pub callers: Vec<Caller>,
    /// Where it isn't there, its tokens are no use.
    pub idp: FakeIdp,
    /// Who has which role on each group of theirs.
    collaborators: Vec<Value>,
}

/// What each role on a group is called, with its id.
const ROLES: [(&str, &str); 4] = [
    ("admin", "secret-group-admin"),
    ("editor", "secret-group-editor"),
    ("reader", "secret-group-reader"),
    ("viewer", "secret-group-viewer"),
];
/// So long do the tokens of the provider hold, in seconds.
const LONG: i64 = 30 * 86_400;
/// Whose role on each group has ended.
const LAPSED: &str = "lapsed@example.com";

impl Crowd {
    /// A caller by name.
    #[must_use]
    pub fn client(&self, name: &str) -> &Client {
        &self.callers.iter().find(|caller| caller.name == name).expect("a caller").client
    }

    /// Gives a group of the cast's owner to everybody in their role; the role of one of them has ended afterwards.
    pub async fn share(&self, app: &TestApp, group: &str) {
        let mut manifest = app.manifest(group, &[]);
        let mut collaborators = self.collaborators.clone();
        let ends = Timestamp::from_micros((app.clock_seconds() + 2) * 1_000_000);
        collaborators
            .push(json!({"subject": format!("user:{LAPSED}"), "role_id": ROLES[1].1, "expires_at": ends.to_wire()}));
        manifest["collaborators"] = collaborators.into();
        self.cast.owner.put("/api/svc/v1/secret-groups", json!({"manifest": manifest})).await.expect(200);
        app.clock.advance_seconds(3);
    }
}

impl TestApp {
    /// Makes everybody. It takes the setting [`FakeIdp::EGRESS`].
    #[expect(clippy::too_many_lines, reason = "a few lines for each of them")]
    pub async fn crowd(&self) -> Crowd {
        let cast = self.cast("shared", &[]).await;
        let admin = self.admin();
        let idp = FakeIdp::start(&self.clock).await;
        let mut provider = idp.manifest("idp");
        provider["users"] = true.into();
        self.apply(&provider).await;

        let mut callers = Vec::new();
        let mut collaborators = Vec::new();
        let mut add = |name, client: &Client| callers.push(Caller { name, client: client.clone() });
        let mut share = |subject: String, role: &str| collaborators.push(json!({"subject": subject, "role_id": role}));
        let user = |client: &Client| format!("user:{}", client.name());
        let machine = |client: &Client| format!("virtualaccount:{}", client.name());

        add("tenant admin", &cast.admin);
        let by_token = self.person("by-token@example.com").await;
        self.set_role(&by_token, "tenant-admin").await;
        add("tenant admin by PAT", &by_token);

        add("group admin", &cast.owner);
        let reader = self.person("reader@example.com").await;
        for (name, client, (_, role)) in
            [("editor", &cast.editor, ROLES[1]), ("reader", &reader, ROLES[2]), ("viewer", &cast.viewer, ROLES[3])]
        {
            add(name, client);
            share(user(client), role);
        }
        share(user(&cast.owner), ROLES[0].1);
        add("stranger", &cast.stranger);

        let elsewhere = self.person("elsewhere@example.com").await;
        self.group(&elsewhere, "elsewhere", &[("E", "x")]).await;
        add("editor elsewhere", &elsewhere);
        let lapsed = self.person("lapsed@example.com").await;
        add("lapsed editor", &lapsed);

        let names = ["admin by team", "editor by team", "reader by team", "viewer by team"];
        for ((short, role), name) in ROLES.into_iter().zip(names) {
            let member = self.person(&format!("team-{short}@example.com")).await;
            let team = format!("{short}s");
            self.apply(&json!({"type": "team", "name": team, "members": [member.name()]})).await;
            share(format!("team:{team}"), role);
            add(name, &member);
        }

        for (role, permission) in [("onlooker", "secret-group:view"), ("auditor", "secret-group:read-values")] {
            self.apply(&json!({
                "type": "role", "name": role, "displayName": role, "description": "Of the test.",
                "resourceType": "account", "permissions": [permission],
            }))
            .await;
        }
        let onlooker = self.person("onlooker@example.com").await;
        self.set_role(&onlooker, "onlooker").await;
        add("tenant viewer", &onlooker);
        let auditor = self.person("auditor@example.com").await;
        self.apply(&json!({
            "type": "role-binding", "name": "auditors",
            "subjects": [{"type": "user", "name": auditor.name()}],
            "permissions": [{"resourceType": "account", "resourceFqn": self.settings().tenant.as_str(), "role": "auditor"}],
        }))
        .await;
        add("tenant reader", &auditor);

        let exp = self.clock_seconds() + LONG;
        let single = self.person("single-sign-on@example.com").await;
        share(user(&single), ROLES[1].1);
        let token = idp.token(&json!({"sub": "0815", "email": single.name(), "exp": exp}));
        add("editor by IdP token", &self.client(single.name(), Some(&token)));

        let machine_reader = self.machine("shared-reader", &[]).await;
        for (name, client, (_, role)) in [
            ("machine editor", &cast.machine, ROLES[1]),
            ("machine reader", &machine_reader, ROLES[2]),
            ("machine viewer", &cast.watcher, ROLES[3]),
        ] {
            add(name, client);
            share(machine(client), role);
        }
        add("machine stranger", &cast.drone);

        let mapping = json!([{"identity_provider": "idp", "value": "system:serviceaccount:prod:deployer"}]);
        self.apply(&json!({"type": "virtual-account", "name": "deployer", "identity_provider_mapping": mapping})).await;
        share("virtualaccount:deployer".to_owned(), ROLES[1].1);
        let token = idp.token(&json!({"sub": "system:serviceaccount:prod:deployer", "exp": exp}));
        add("machine editor by IdP token", &self.client("deployer", Some(&token)));
        let mapping = json!([{"identity_provider": "idp", "value": "agent-7"}]);
        let identity = json!({"type": "identity-provider-backed", "identity_provider_mapping": mapping});
        self.apply(&json!({"type": "agent-identity", "name": "helper", "identity": identity})).await;
        share("agent:helper".to_owned(), ROLES[1].1);
        let token = idp.token(&json!({"sub": "agent-7", "exp": exp}));
        add("agent editor by IdP token", &self.client("helper", Some(&token)));

        add("nobody", &cast.nobody);
        add("unknown token", &cast.unknown);
        let unmapped = idp.token(&json!({"sub": "nobody", "email": "nobody@example.com", "exp": exp}));
        add("IdP token of nobody", &self.client("nobody@example.com", Some(&unmapped)));
        let expired = self.person_until("expired@example.com", "2026-11-24").await;
        share(user(&expired), ROLES[0].1);
        add("expired token", &expired);
        let inactive = self.person("inactive@example.com").await;
        share(user(&inactive), ROLES[0].1);
        add("deactivated", &inactive);
        share(user(&cast.revoked), ROLES[0].1);
        add("revoked token", &cast.revoked);

        // Who was admin until now is nobody from now on.
        self.set_role(&inactive, "tenant-admin").await;
        self.set_role(&expired, "tenant-admin").await;
        let off = json!({"email": inactive.name()});
        admin.request("PATCH", "/api/svc/v1/users/deactivate").json(&off).send().await.expect(200);
        self.clock.advance_days(1);
        Crowd { cast, callers, idp, collaborators }
    }

    /// Applies a manifest as the administrator.
    pub async fn apply(&self, manifest: &Value) -> Value {
        self.admin().put("/api/svc/v1/apply", json!({"manifest": manifest})).await.expect(200)
    }

    /// Gives somebody a role in the tenant.
    pub async fn set_role(&self, person: &Client, role: &str) {
        let wanted = json!({"email": person.name(), "roles": [role]});
        self.admin().request("PATCH", "/api/svc/v1/users/roles").json(&wanted).send().await.expect(200);
    }

    async fn person_until(&self, email: &str, day: &str) -> Client {
        self.person(email).await;
        let wanted = json!({"name": "short", "userEmail": email, "expirationDate": day});
        let made = self.admin().post("/api/svc/v1/personal-access-tokens/for-user", wanted).await.expect(200);
        self.client(email, made["token"].as_str())
    }

    fn clock_seconds(&self) -> i64 {
        use strongroom_domain::Clock as _;
        self.clock.now().micros() / 1_000_000
    }
}
