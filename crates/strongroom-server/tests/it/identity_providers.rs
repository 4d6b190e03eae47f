//! Tokens of identity providers: whom they stand for, and when they stop.

use serde_json::{Value, json};
use strongroom_testkit::{Client, FakeIdp, TestApp};

use crate::support::{GROUPS, LOG, TOKENS, USERS, list, secret_id, secret_path, text};

const SECRET: &str = "only for those who may";
const KUBERNETES: &str = "system:serviceaccount:prod:deployer";
const GITHUB: &str = "repo:acme/app:ref:refs/heads/main";

/// A server with a provider, and a group that a machine and a person may edit.
struct Setting {
    app: TestApp,
    idp: FakeIdp,
    group: Value,
}

impl Setting {
    async fn new(users: bool) -> Self {
        Self::on(TestApp::with(FakeIdp::EGRESS.0, FakeIdp::EGRESS.1).start().await, users).await
    }

    async fn on(app: TestApp, users: bool) -> Self {
        let idp = FakeIdp::start(&app.clock).await;
        let mut provider = idp.manifest("idp");
        provider["users"] = users.into();
        app.apply(&provider).await;
        let group = app.group(&app.admin(), "shared", &[("K", SECRET)]).await;
        app.person("anna@example.com").await;
        let setting = Self { app, idp, group };
        setting.map(&[KUBERNETES, GITHUB]).await;
        let roles =
            [("virtualaccount:deployer", "secret-group-editor"), ("user:anna@example.com", "secret-group-editor")];
        setting.app.apply(&setting.app.manifest("shared", &roles)).await;
        setting
    }

    async fn map(&self, values: &[&str]) {
        let mapping: Value = values.iter().map(|value| json!({"identity_provider": "idp", "value": value})).collect();
        self.app
            .apply(&json!({"type": "virtual-account", "name": "deployer", "identity_provider_mapping": mapping}))
            .await;
    }

    fn client(&self, token: &str) -> Client {
        self.app.client("bearer", Some(token))
    }

    fn with(&self, claims: &Value) -> Client {
        self.client(&self.idp.token(claims))
    }

    /// Whether a client gets in, and then to the value: all or nothing.
    async fn acts(&self, client: &Client) -> bool {
        let path = format!("/api/svc/v1/secrets/{}", text(&self.group, "/associatedSecrets/0/id"));
        let answer = client.get(&path).await;
        assert_eq!(answer.text.contains(SECRET), answer.status == 200, "{}", answer.text);
        if answer.status != 200 {
            answer.refused(401, "unauthenticated");
        }
        answer.status == 200
    }

    async fn provider(&self) -> Value {
        let providers = self.app.admin().get("/api/v1/identity-providers").await.expect(200);
        list(&providers, "/data")[0].clone()
    }
}

fn machine() -> Value {
    json!({"sub": KUBERNETES})
}

fn person() -> Value {
    json!({"sub": "00u1", "email": "anna@example.com"})
}

fn logged() -> String {
    String::from_utf8_lossy(&LOG.bytes()).into_owned()
}

#[tokio::test]
async fn a_mapped_machine_acts_as_itself() {
    let at = Setting::new(false).await;
    let id = text(&at.provider().await, "/id").to_owned();
    // As Kubernetes and as GitHub write them.
    let kubernetes = json!({
        "sub": KUBERNETES, "aud": ["https://kubernetes.default.svc", "strongroom"],
        "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "deployer"}},
    });
    let github = json!({
        "sub": GITHUB, "repository": "acme/app", "ref": "refs/heads/main", "jti": "1", "email": "bot@example.com",
    });
    for (claims, slug, key) in [
        (kubernetes, format!("{id}:{KUBERNETES}:"), "FROM_KUBERNETES"),
        (github, format!("{id}:{GITHUB}:bot@example.com"), "FROM_GITHUB"),
    ] {
        let client = at.with(&claims);
        assert!(at.acts(&client).await);
        let info = client.get("/api/svc/v1/x/users/info").await.expect(200);
        assert_eq!(text(&info, "/subjectExternalIdentitySlug"), slug);
        let made = at.app.manifest("shared", &[]);
        client.put(GROUPS, json!({"manifest": made})).await.refused(403, "forbidden");
        let group = format!("{GROUPS}/{}", text(&at.group, "/id"));
        let body = json!({"secrets": [{"key": "K"}, {"key": key, "value": slug}]});
        let changed = client.put(&group, body).await.expect(200);
        let secret = client.get(&secret_path(secret_id(&changed["data"], key))).await.expect(200);
        let by = &secret["data"]["createdBySubject"];
        assert_eq!(
            (text(by, "/subjectType"), text(by, "/subjectSlug"), text(by, "/subjectExternalIdentitySlug")),
            ("serviceaccount", "deployer", slug.as_str()),
            "{by}"
        );
    }
    // Who isn't mapped is nobody, whatever else the token says.
    for sub in
        ["system:serviceaccount:prod:other", "system:serviceaccount:prod:deployer2", GITHUB.trim_end_matches("in")]
    {
        assert!(!at.acts(&at.with(&json!({"sub": sub, "email": "anna@example.com"}))).await, "{sub}");
    }
    assert_eq!(at.idp.asked(), 1, "keys are kept");
}

#[tokio::test]
async fn people_are_found_by_a_checked_address_where_the_provider_may() {
    let (on, off) = (Setting::new(true).await, Setting::new(false).await);
    assert!(on.acts(&on.with(&person())).await && !off.acts(&off.with(&person())).await);
    for (name, value, taken) in [
        ("email_verified", json!(true), true),
        ("email_verified", json!(false), false),
        ("email_verified", json!("false"), false),
        ("email_verified", json!("False"), false),
        ("email_verified", json!(0), false),
        ("email_verified", json!("true"), true),
        ("email", json!("nobody@example.com"), false),
        ("email", json!("team:everyone"), false),
        ("email", json!(["anna@example.com"]), false),
        ("email", json!(null), false),
    ] {
        let mut claims = person();
        claims[name] = value;
        assert_eq!(on.acts(&on.with(&claims)).await, taken, "{claims}");
    }
    let client = on.with(&person());
    let info = client.get("/api/svc/v1/x/users/info").await.expect(200);
    assert_eq!(text(&info, "/email"), "anna@example.com");
    // What ends in an hour makes nothing for the same person that doesn't, an admin's neither; for others it does.
    let refused = client.post(TOKENS, json!({"name": "laptop"})).await;
    assert!(refused.refused(403, "forbidden").contains("identity provider"));
    let role = json!({"email": "anna@example.com", "roles": ["tenant-admin"]});
    on.app.admin().request("PATCH", &format!("{USERS}/roles")).json(&role).send().await.expect(200);
    on.app.person("other@example.com").await;
    for (email, status) in [("anna@example.com", 403), ("other@example.com", 200)] {
        let wanted = json!({"name": "laptop", "userEmail": email});
        assert_eq!(client.post(&format!("{TOKENS}/for-user"), wanted).await.status, status, "{email}");
        let wanted = json!({"email": email, "acceptInviteClientUrl": "https://console.example.com"});
        assert_eq!(client.post(&format!("{USERS}/invite"), wanted).await.status, status, "{email}");
    }
}

/// In Unicode's lower case a Kelvin sign is a `k`: a provider that lets people choose such an address lends no other's.
#[tokio::test]
async fn an_address_that_only_looks_like_another_is_another() {
    let at = Setting::new(true).await;
    let admin = at.app.admin();
    let kate = at.app.person("kate@example.com").await;
    let roles = [("user:kate@example.com", "secret-group-editor")];
    at.app.apply(&at.app.manifest("shared", &roles)).await;
    assert!(at.acts(&at.with(&json!({"sub": "1", "email": "KATE@Example.com"}))).await);
    for email in ["\u{212a}ate@example.com", "kate@example\u{ff0e}com"] {
        let claims = json!({"sub": "2", "email": email});
        assert!(!at.acts(&at.with(&claims)).await, "{email}");
        // Nor has whoever names them that way anything of hers.
        let wanted = json!({"name": "laptop", "userEmail": email});
        admin.post(&format!("{TOKENS}/for-user"), wanted).await.refused(404, "reference_not_found");
        let revoked = admin.request("DELETE", &format!("{TOKENS}/revoke/all")).json(&json!({"email": email}));
        revoked.send().await.refused(404, "reference_not_found");
        assert!(at.acts(&kate).await);
        // They may be registered, as themselves.
        at.app.person(email).await;
        let other = at.with(&claims);
        assert_ne!(other.get("/api/svc/v1/x/users/info").await.expect(200)["email"], "kate@example.com");
        other.get(&format!("{GROUPS}/{}", text(&at.group, "/id"))).await.refused(404, "secret_group_not_found");
    }
}

#[tokio::test]
async fn only_good_tokens_for_us_are_taken() {
    let at = Setting::new(true).await;
    let mut strict = at.idp.manifest("idp");
    strict["users"] = true.into();
    strict["claims"] = json!({"org": "acme"});
    at.app.apply(&strict).await;
    let now = 1_795_420_800;
    for (name, value, taken) in [
        ("org", json!("acme"), true),
        ("org", json!("other"), false),
        ("org", json!(null), false),
        ("aud", json!("else"), false),
        ("aud", json!(["else"]), false),
        ("aud", json!(null), false),
        ("iss", json!("https://evil.test"), false),
        ("iss", json!(null), false),
        ("exp", json!(now - 1), false),
        ("exp", json!(null), false),
        ("exp", json!("9999999999"), false),
        ("nbf", json!(now + 3_600), false),
        ("iat", json!(now + 3_600), false),
    ] {
        for mut claims in [machine(), person()] {
            claims["org"] = json!("acme");
            claims[name] = value.clone();
            assert_eq!(at.acts(&at.with(&claims)).await, taken, "{claims}");
        }
    }
    let mut claims = machine();
    claims["org"] = json!("acme");
    let kid = at.idp.key_id();
    let good = at.idp.token(&claims);
    assert!(at.acts(&at.client(&good)).await);
    let parts: Vec<&str> = good.split('.').collect();
    let other = at.idp.token(&json!({"sub": GITHUB, "org": "acme"}));
    for token in [
        at.idp.unsigned_token(&claims),
        at.idp.token_by_public_key(&claims),
        at.idp.token_with(&json!({"alg": "none", "kid": kid}), &claims),
        at.idp.token_with(&json!({"alg": "HS256", "kid": kid}), &claims),
        at.idp.token_with(&json!({"alg": "RS256", "kid": kid}), &claims),
        at.idp.token_with(&json!({"alg": "EdDSA", "kid": "other"}), &claims),
        at.idp.token_with(&json!({"alg": "EdDSA", "kid": kid, "crit": ["exp"]}), &claims),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]),
        format!("{good}A"),
        format!("{good}.{}", parts[2]),
    ] {
        assert!(!at.acts(&at.client(&token)).await, "{token}");
    }
    assert!(at.acts(&at.client(&good)).await);
}

#[tokio::test]
async fn a_token_ends_by_itself() {
    let at = Setting::new(true).await;
    let (short, now) = (at.with(&machine()), at.with(&person()));
    assert!(at.acts(&short).await && at.acts(&now).await);
    at.app.clock.advance_seconds(3_601);
    assert!(!at.acts(&short).await && !at.acts(&now).await);
    assert!(at.acts(&at.with(&machine())).await);
}

#[tokio::test]
async fn a_new_key_is_fetched_and_an_old_one_is_no_more() {
    let at = Setting::new(false).await;
    let old = at.with(&machine());
    assert!(at.acts(&old).await);
    at.idp.rotate();
    at.app.clock.advance_seconds(31);
    let new = at.idp.token(&json!({"sub": KUBERNETES, "exp": 1_900_000_000}));
    assert!(at.acts(&at.client(&new)).await);
    let forgotten = at.with(&json!({"sub": GITHUB}));
    assert!(at.acts(&forgotten).await);
    // Nobody makes us ask by writing key ids.
    let asked = at.idp.asked();
    for number in 0..20 {
        let header = json!({"alg": "EdDSA", "kid": format!("made-up-{number}")});
        assert!(!at.acts(&at.client(&at.idp.token_with(&header, &machine()))).await);
    }
    assert!(at.idp.asked() <= asked + 1, "{} after {asked}", at.idp.asked());
    // While the provider is down, what is known goes on; what it signs with a new key has to wait.
    at.idp.set_down(true);
    at.app.clock.advance_seconds(3_600);
    assert!(at.acts(&at.with(&machine())).await);
    at.idp.rotate();
    let later = at.idp.token(&json!({"sub": KUBERNETES, "exp": 1_900_000_000}));
    assert!(!at.acts(&at.client(&later)).await);
    at.idp.set_down(false);
    at.app.clock.advance_seconds(31);
    assert!(at.acts(&at.client(&later)).await);
    at.app.clock.advance_days(2);
    at.idp.set_down(true);
    let fresh = at.idp.token(&json!({"sub": GITHUB, "exp": 1_900_000_000}));
    assert!(!at.acts(&at.client(&fresh)).await, "keys of two days ago are too old");
}

/// Whatever end a token gives itself, it works as long as its provider has the key.
#[tokio::test]
async fn a_key_that_is_withdrawn_ends_its_tokens() {
    let endless = || json!({"sub": KUBERNETES, "exp": i64::MAX});
    // Nobody asks for the keys before they are ten minutes old, and then whoever comes next does.
    let at = Setting::new(true).await;
    let (machine, person) = (at.with(&endless()), at.with(&person()));
    assert!(at.acts(&machine).await && at.acts(&person).await);
    at.idp.rotate();
    at.app.clock.advance_seconds(599);
    assert!(at.acts(&machine).await && at.acts(&person).await);
    assert_eq!(at.idp.asked(), 1);
    at.app.clock.advance_seconds(1);
    assert!(!at.acts(&machine).await && !at.acts(&person).await);
    // A token with the new key has them fetched earlier; that is noticed within five minutes.
    let machine = at.with(&endless());
    assert!(at.acts(&machine).await);
    at.idp.rotate();
    at.app.clock.advance_seconds(31);
    assert!(at.acts(&at.with(&endless())).await);
    at.app.clock.advance_seconds(300);
    assert!(!at.acts(&machine).await);
    // A provider that is down takes nothing away for a day.
    let machine = at.with(&endless());
    assert!(at.acts(&machine).await);
    at.idp.set_down(true);
    for _ in 0..22 {
        at.app.clock.advance_seconds(3_600);
        assert!(at.acts(&machine).await);
    }
    at.app.clock.advance_seconds(2 * 3_600);
    assert!(!at.acts(&machine).await);
}

#[tokio::test]
async fn what_is_changed_counts_with_the_next_request() {
    let at = Setting::new(true).await;
    let admin = at.app.admin();
    let (machine, person) = (at.with(&machine()), at.with(&person()));
    assert!(at.acts(&machine).await && at.acts(&person).await);

    let mut provider = at.idp.manifest("idp");
    at.app.apply(&provider).await;
    assert!(at.acts(&machine).await && !at.acts(&person).await, "`users` was taken away");
    provider["users"] = true.into();
    for (field, other) in
        [("audiences", json!(["else"])), ("issuer", json!("https://else.test")), ("claims", json!({"org": "acme"}))]
    {
        let mut changed = provider.clone();
        changed[field] = other;
        at.app.apply(&changed).await;
        assert!(!at.acts(&machine).await && !at.acts(&person).await, "{field}");
        at.app.apply(&provider).await;
        assert!(at.acts(&machine).await && at.acts(&person).await, "{field}");
    }

    let active = |active: bool| {
        let path = format!("{USERS}/{}", if active { "activate" } else { "deactivate" });
        let request = admin.request("PATCH", &path).json(&json!({"email": "anna@example.com"}));
        async move { request.send().await.expect(200) }
    };
    active(false).await;
    assert!(!at.acts(&person).await && at.acts(&machine).await);
    active(true).await;
    assert!(at.acts(&person).await);

    at.map(&[GITHUB]).await;
    assert!(!at.acts(&machine).await);
    at.map(&[KUBERNETES]).await;
    assert!(at.acts(&machine).await);
    let path = format!("/api/v1/identity-providers/{}", text(&at.provider().await, "/id"));
    admin.delete(&path).await.refused(422, "in_use");
    let manifest = json!({"type": "virtual-account", "name": "deployer"});
    admin.post("/api/svc/v1/delete", json!({"manifest": manifest})).await.expect(200);
    assert!(!at.acts(&machine).await && at.acts(&person).await);
    admin.delete(&path).await.expect(200);
    assert!(!at.acts(&person).await);
    // Another of the same name and with the same keys has other people.
    at.app.apply(&at.idp.manifest("idp")).await;
    assert!(!at.acts(&machine).await && !at.acts(&person).await);
}

#[tokio::test]
async fn keys_on_this_machine_are_not_fetched_unasked() {
    let _ = &*LOG;
    // An earlier setting let it be named.
    let mut at = Setting::new(true).await;
    at.app.set(FakeIdp::EGRESS.0, "203.0.113.0/24");
    at.app.restart().await;
    let tokens = [at.idp.token(&machine()), at.idp.token(&person())];
    for token in &tokens {
        assert!(!at.acts(&at.client(token)).await);
    }
    assert_eq!(at.idp.asked(), 0);
    let log = logged();
    assert!(log.contains("STRONGROOM_EGRESS_ALLOW"), "the log says what to do");
    for token in tokens {
        for part in token.split('.') {
            // All have the same header.
            let told = log.contains(part) && !part.starts_with("eyJhbGciOi");
            assert!(!told, "a part of a token in the log");
        }
    }
    assert!(!log.contains("00u1"), "a claim in the log");
}

#[tokio::test]
async fn a_provider_is_stored_as_it_was_sent() {
    let app = TestApp::start().await;
    let least = json!({"type": "identity-provider", "name": "okta", "issuer": "https://okta.example",
                       "jwks_uri": "https://okta.example/keys"});
    let mut full = least.clone();
    for (field, value) in
        [("name", json!("full")), ("audiences", json!([])), ("subject_claim", json!("sub")), ("users", json!(false))]
    {
        full[field] = value;
    }
    for manifest in [least, full] {
        app.apply(&manifest).await;
        let again =
            app.admin().put("/api/svc/v1/apply", json!({"manifest": manifest, "dryRun": true})).await.expect(200);
        assert_eq!(again["existingManifest"], manifest);
        assert_eq!(again["data"]["manifest"], manifest);
    }
}

#[tokio::test]
async fn an_address_that_is_never_called_is_refused_with_the_setting_that_says_so() {
    let refused = |uri: &str| json!({"manifest": {"type": "identity-provider", "name": "okta", "issuer": "x", "jwks_uri": uri}, "dryRun": true});
    let (strict, open) =
        (TestApp::start().await, TestApp::with("STRONGROOM_EGRESS_ALLOW", "127.0.0.0/8").start().await);
    for uri in
        ["https://127.0.0.1/keys", "https://localhost/keys", "http://localhost:9/keys", "https://169.254.169.254/"]
    {
        let answer = strict.admin().put("/api/v1/identity-providers", refused(uri)).await;
        assert_eq!(answer.faults(), ["manifest.jwks_uri"]);
        assert!(answer.text.contains("STRONGROOM_EGRESS_ALLOW"), "{}", answer.text);
    }
    for uri in ["http://127.0.0.1:9/keys", "https://localhost/keys"] {
        open.admin().put("/api/v1/identity-providers", refused(uri)).await.expect(200);
    }
    // What a name stands for is seen when it is called.
    for uri in ["https://idp.internal/keys", "https://10.0.0.1/keys"] {
        strict.admin().put("/api/v1/identity-providers", refused(uri)).await.expect(200);
    }
}
