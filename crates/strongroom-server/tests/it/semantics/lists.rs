//! Lists of groups, accounts and integrations: rows 14 to 17 of the checklist.

use serde_json::{Value, json};
use strongroom_testkit::{Client, TestApp, encode};

use crate::support::{GROUPS, SECRETS, column, list, text};

/// Pages as the SDK does: on by the length of what came, until nothing comes.
async fn page_through(client: &Client, limit: usize, mut between: impl AsyncFnMut(usize)) -> Vec<String> {
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let page = client.get(&format!("{GROUPS}?limit={limit}&offset={}", names.len())).await.expect(200);
        assert_eq!(page["pagination"]["offset"], names.len());
        if list(&page, "/data").is_empty() {
            return names;
        }
        names.extend(column(&page, "/data", "/name").into_iter().map(str::to_owned));
        pages += 1;
        assert!(pages < 100, "it doesn't end");
        between(pages).await;
    }
}

#[tokio::test]
async fn groups_are_paged_newest_first() {
    let app = TestApp::start().await;
    let admin = app.admin();
    for number in 0..5 {
        app.group(&admin, &format!("group-{number}"), &[]).await;
    }
    let all = ["group-4", "group-3", "group-2", "group-1", "group-0"];
    for limit in [1, 2, 3, 5, 100] {
        assert_eq!(page_through(&admin, limit, async |_| {}).await, all, "by {limit}");
    }
    let far = admin.get(&format!("{GROUPS}?limit=10&offset=1000000000000000000")).await.expect(200);
    assert_eq!(far["data"], json!([]));
    assert_eq!(far["pagination"], json!({"total": 5, "offset": 1_000_000_000_000_000_000_i64, "limit": 10}));
    let middle = admin.get(&format!("{GROUPS}?limit=2&offset=1")).await.expect(200);
    assert_eq!(column(&middle, "/data", "/name"), ["group-3", "group-2"], "an offset that nobody paged to");
}

#[tokio::test]
async fn what_is_made_meanwhile_neither_repeats_nor_hides_anything() {
    let app = TestApp::start().await;
    let admin = app.admin();
    for number in 0..6 {
        app.group(&admin, &format!("group-{number}"), &[]).await;
    }
    let seen = page_through(&admin, 2, async |page| {
        app.group(&admin, &format!("late-{page}"), &[]).await;
    });
    assert_eq!(seen.await, ["group-5", "group-4", "group-3", "group-2", "group-1", "group-0"]);
}

#[tokio::test]
async fn secrets_are_paged_too() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let keys: Vec<String> = (0..7).map(|number| format!("KEY_{number}")).collect();
    let secrets: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "x")).collect();
    let group = app.group(&admin, "group", &secrets).await;
    let mut seen = Vec::new();
    loop {
        let body = json!({"limit": 3, "offset": seen.len(), "secretGroupId": group["id"]});
        let page = admin.post(SECRETS, body).await.expect(200);
        assert_eq!(page["pagination"]["total"], 7);
        if list(&page, "/data").is_empty() {
            break;
        }
        seen.extend(column(&page, "/data", "/name").into_iter().map(str::to_owned));
    }
    seen.sort();
    assert_eq!(seen, keys);
}

#[tokio::test]
async fn search_finds_parts_of_names_and_keys_without_case() {
    let app = TestApp::start().await;
    let admin = app.admin();
    app.group(&admin, "payments", &[("STRIPE_KEY", "needle")]).await;
    app.group(&admin, "mail", &[("Smtp.Password", "needle"), ("OTHER", "x")]).await;
    app.group(&admin, "odd", &[("A-B", "x"), ("AxB", "x")]).await;
    let search = async |text: &str| {
        let found = admin.get(&format!("{GROUPS}?search={}", encode(text))).await.expect(200);
        assert_eq!(found["pagination"]["total"], list(&found, "/data").len(), "{text}");
        column(&found, "/data", "/name").join(" ")
    };
    for (wanted, found) in [
        ("pay", "payments"),
        ("PAYM", "payments"),
        ("stripe", "payments"),
        ("pe_k", "payments"),
        ("smtp.p", "mail"),
        ("SMTP.PASSWORD", "mail"),
        ("a", "odd mail payments"),
        ("needle", ""),
        ("%", ""),
        ("_", "payments"),
        ("p%s", ""),
        ("a_b", ""),
        ("a-b", "odd"),
        ("\\", ""),
        ("'", ""),
        ("\u{0}", ""),
        ("é", ""),
    ] {
        assert_eq!(search(wanted).await, found, "{wanted:?}");
    }
    let deleted = app.group(&admin, "gone", &[("VANISHED", "x")]).await;
    admin.delete(&format!("{GROUPS}/{}", text(&deleted, "/id"))).await.expect(200);
    assert_eq!(search("vanished").await, "");
}

#[tokio::test]
async fn an_fqn_finds_one_group_or_none() {
    let app = TestApp::start().await;
    let admin = app.admin();
    app.group(&admin, "group", &[("K", "x")]).await;
    let total = async |fqn: &str| {
        let found = admin.get(&format!("{GROUPS}?limit=1&offset=0&fqn={}", encode(fqn))).await.expect(200);
        assert_eq!(found["pagination"]["total"], list(&found, "/data").len());
        list(&found, "/data").len()
    };
    assert_eq!((total("default:group").await, total("tfy-secret://default:group").await), (1, 1));
    for missing in ["default:nope", "other:group", "group", "default:group:K", "default:", ":", "default:grou", "%"] {
        assert_eq!(total(missing).await, 0, "{missing}");
    }
    let past = admin.get(&format!("{GROUPS}?limit=1&offset=1&fqn=default:group")).await.expect(200);
    assert_eq!(past["data"], json!([]), "the pager's second request");
}

#[tokio::test]
async fn attributes_leave_out_only_what_clients_can_do_without() {
    let app = TestApp::start().await;
    let admin = app.admin();
    app.group(&admin, "group", &[("K", "x")]).await;
    let full = admin.get(GROUPS).await.expect(200);
    for query in
        ["attributes=id&attributes=fqn", "attributes=id,fqn", "attributes=id%2Cfqn", "attributes=id,&attributes=fqn"]
    {
        let found = admin.get(&format!("{GROUPS}?{query}")).await.expect(200);
        let (item, whole) = (&found["data"][0], &full["data"][0]);
        assert_eq!((&item["id"], &item["fqn"]), (&whole["id"], &whole["fqn"]), "{query}");
        for required in ["tenantName", "createdBySubject", "accountId", "createdAt", "updatedAt"] {
            assert_eq!(item[required], whole[required], "{query}");
        }
        assert_eq!(item["associatedSecrets"], json!([]));
        assert!(["manifest", "integrationId", "createdBy"].iter().all(|left_out| item[left_out].is_null()), "{item}");
    }
    let with_secrets = admin.get(&format!("{GROUPS}?attributes=associatedSecrets")).await.expect(200);
    assert_eq!(text(&with_secrets, "/data/0/associatedSecrets/0/name"), "K");
    assert!(!with_secrets["data"][0]["id"].is_null(), "the id is always there");
}

#[tokio::test]
async fn integrations_are_found_by_type_fqn_and_id() {
    let app = TestApp::start().await;
    let member = app.person("member@example.com").await;
    let (id, fqn) = (app.integration_id(), app.integration_fqn());
    for (query, found) in [
        ("", 1),
        ("type=secret-store", 1),
        ("type=cluster", 0),
        (&format!("id={id}"), 1),
        ("id=x", 0),
        (&format!("fqn={fqn}"), 1),
        ("fqn=default:truefoundry:default", 0),
        (&format!("type=cluster&id={id}"), 0),
    ] {
        let page = member.get(&format!("/api/svc/v1/provider-integrations?{query}")).await.expect(200);
        assert_eq!((list(&page, "/data").len(), page["pagination"]["total"].clone()), (found, json!(found)), "{query}");
    }
    let accounts = member.get("/api/svc/v1/provider-accounts?type=secret-store").await.expect(200);
    assert_eq!(text(&accounts, "/data/0/integrations/0/id"), id);
    assert_eq!(text(&accounts, "/data/0/integrations/0/type"), "secret-store");
    assert_eq!(text(&accounts, "/data/0/provider"), "truefoundry");
    let none = member.get("/api/svc/v1/provider-accounts?type=cluster").await.expect(200);
    assert_eq!(none["data"], Value::Array(Vec::new()));
    let by_account = member.get("/api/svc/v1/provider-accounts?fqn=default:truefoundry:default").await.expect(200);
    assert_eq!(list(&by_account, "/data").len(), 1);
}
