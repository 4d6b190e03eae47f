//! Why somebody may do something, and who may read a group's values: what is told, to whom, of whom.

use serde_json::{Value, json};
use strongroom_testkit::{Client, TestApp, encode};

use crate::support::{ABSENT, GROUPS, column, group_path, list, text};

async fn explain(client: &Client, subject: &str, action: &str, resource: &str) -> strongroom_testkit::Answer {
    let asked = format!("subject={}&action={action}&resource={}", encode(subject), encode(resource));
    client.get(&format!("/api/v1/access/explain?{asked}")).await
}

fn readers_path(group: &Value) -> String {
    format!("/api/v1/secret-groups/{}/access", text(group, "/id"))
}

#[tokio::test]
async fn it_says_why() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let told = |subject: &'static str, action: &'static str| {
        let owner = cast.owner.clone();
        async move { explain(&owner, subject, action, "default:shared").await.expect(200) }
    };
    let may = told("user:shared-editor@example.com", "write-secrets").await;
    assert_eq!(
        may,
        json!({
            "allowed": true,
            "reason": "`user:shared-editor@example.com` may change the group's secrets: `secret-group-editor` by \
                       the group's collaborators",
            "decision": "allowed",
            "role": "secret-group-editor",
            "through": [{
                "source": "manifest",
                "name": "shared",
                "subject": "user:shared-editor@example.com",
                "role": "secret-group-editor",
                "expiresAt": null,
                "suffices": true,
            }],
        })
    );
    let may_not = told("user:shared-viewer@example.com", "read-values").await;
    assert_eq!((text(&may_not, "/decision"), &may_not["through"][0]["suffices"]), ("forbidden", &json!(false)));
    assert!(text(&may_not, "/reason").contains("that takes `secret-group-reader`"), "{may_not}");
    let machine = told("serviceaccount:shared-machine", "read-values").await;
    assert_eq!(column(&machine, "/through", "/source"), ["virtual-account"]);
    assert!(text(&machine, "/reason").contains("the permissions of the virtual account `shared-machine`"), "{machine}");
    let stranger = told("user:shared-stranger@example.com", "see").await;
    assert_eq!((text(&stranger, "/decision"), &stranger["role"]), ("invisible", &json!(null)));
    assert!(text(&stranger, "/reason").contains("does not exist"), "{stranger}");
    let everyone = told("team:everyone", "see").await;
    assert!(text(&everyone, "/reason").contains("who is in `team:everyone`"), "{everyone}");
    let admin = told("user:admin@example.com", "manage").await;
    assert_eq!(column(&admin, "/through", "/name"), ["tenant-admin"]);
}

#[tokio::test]
async fn hidden_values_and_deactivated_persons_are_named_as_reasons() {
    let app = TestApp::with("DISABLE_SECRET_VALUE_VIEW", "true").start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let hidden =
        explain(&cast.owner, "user:shared-editor@example.com", "read-values", "default:shared").await.expect(200);
    assert!(text(&hidden, "/reason").contains("DISABLE_SECRET_VALUE_VIEW"), "{hidden}");
    assert_eq!((&hidden["allowed"], &hidden["through"][0]["suffices"]), (&json!(false), &json!(false)));
    let writes = explain(&cast.owner, "user:shared-editor@example.com", "write-secrets", "default:shared").await;
    assert_eq!(writes.expect(200)["allowed"], true);
    let readers = cast.owner.get(&format!("/api/v1/secret-groups/{}/access", cast.group_id)).await.expect(200);
    assert_eq!(column(&readers, "/data", "/subject"), ["virtualaccount:shared-machine"]);
    assert_eq!(readers["valuesHiddenFromPeople"], true);
    let email = cast.editor.name();
    cast.admin.request("PATCH", "/api/svc/v1/users/deactivate").json(&json!({"email": email})).send().await.expect(200);
    let gone =
        explain(&cast.owner, "user:shared-editor@example.com", "write-secrets", "default:shared").await.expect(200);
    assert!(text(&gone, "/reason").contains("deactivated"), "{gone}");
    assert_eq!((text(&gone, "/decision"), text(&gone, "/role")), ("invisible", "secret-group-editor"));
}

#[tokio::test]
async fn it_takes_every_name_of_a_group_and_says_what_is_wrong_with_others() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let owner = &cast.owner;
    let subject = "user:shared-editor@example.com";
    for resource in
        [&*cast.group_id, "default:shared", "default:SHARED", "default:shared:K", "tfy-secret://default:shared:K:1"]
    {
        assert_eq!(explain(owner, subject, "see", resource).await.expect(200)["allowed"], true, "{resource}");
    }
    for resource in [ABSENT, "default:other", "other:shared", "nonsense", "default:other:K"] {
        explain(owner, subject, "see", resource).await.refused(404, "secret_group_not_found");
    }
    explain(owner, subject, "see", "default:shared:L").await.refused(404, "secret_not_found");
    explain(owner, "user:nobody@example.com", "see", "default:shared").await.refused(404, "reference_not_found");
    explain(owner, "team:nobody", "see", "default:shared").await.refused(404, "reference_not_found");
    assert_eq!(explain(owner, "nobody", "see", "default:shared").await.faults(), ["query.subject"]);
    assert_eq!(explain(owner, subject, "read", "default:shared").await.faults(), ["query.action"]);
    assert_eq!(owner.get("/api/v1/access/explain?subject=user:a@b.c&action=see").await.faults(), ["query.resource"]);
    // Who doesn't manage the group learns nothing of anybody, not even whether they exist.
    for subject in [subject, "user:nobody@example.com"] {
        explain(&cast.editor, subject, "see", "default:shared").await.refused(403, "forbidden");
        explain(&cast.stranger, subject, "see", "default:shared").await.refused(404, "secret_group_not_found");
    }
    owner.delete(&cast.group_path()).await.expect(200);
    explain(owner, subject, "see", &cast.group_id).await.refused(404, "secret_group_not_found");
}

#[tokio::test]
async fn readers_come_in_pages_and_everyone_as_one() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let group = app.group(&cast.owner, "second", &[]).await;
    let path = readers_path(&group);
    let manifest = app.manifest(
        "second",
        &[
            ("user:shared-viewer@example.com", "secret-group-viewer"),
            ("user:shared-editor@example.com", "secret-group-reader"),
            ("virtualaccount:shared-drone", "secret-group-editor"),
            ("team:everyone", "secret-group-reader"),
        ],
    );
    cast.owner.put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    let all = cast.owner.get(&path).await.expect(200);
    let expected = [
        "team:everyone",
        "user:admin@example.com",
        "user:shared-editor@example.com",
        "user:shared-owner@example.com",
        "virtualaccount:shared-drone",
    ];
    assert_eq!(column(&all, "/data", "/subject"), expected);
    // The admin, and five of the cast.
    assert_eq!((&all["data"][0]["members"], all["data"][1].get("members")), (&json!(6), None));
    assert_eq!(text(&all, "/data/1/through/0/source"), "tenant-role");
    for (offset, wanted) in [(0, &expected[..2]), (2, &expected[2..4]), (4, &expected[4..]), (5, &[])] {
        let page = cast.owner.get(&format!("{path}?limit=2&offset={offset}")).await.expect(200);
        assert_eq!(column(&page, "/data", "/subject"), wanted);
        assert_eq!(page["pagination"], json!({"total": 5, "offset": offset, "limit": 2}));
    }
    assert_eq!(cast.owner.get(&format!("{path}?limit=0")).await.faults(), ["query.limit"]);
    let email = cast.editor.name();
    cast.admin.request("PATCH", "/api/svc/v1/users/deactivate").json(&json!({"email": email})).send().await.expect(200);
    let all = cast.owner.get(&path).await.expect(200);
    let active: Vec<_> = list(&all, "/data").iter().map(|reader| reader["active"].as_bool().unwrap()).collect();
    assert_eq!(active, [true, true, false, true, true]);
    cast.viewer.get(&path).await.refused(403, "forbidden");
    cast.stranger.get(&group_path(&group)).await.expect(200);
}
