//! How identities and policy are changed: by an admin of the tenant, over the API.

use serde_json::{Value, json};
use strongroom_domain::Timestamp;
use strongroom_testkit::{Client, TestApp};

use crate::support::{GROUPS, text};

/// Where a role is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Group(&'a str),
    Tenant,
}

/// A role somewhere, until a time in microseconds.
pub(super) struct Permission<'a> {
    pub(super) place: Place<'a>,
    pub(super) role: &'a str,
    pub(super) until: Option<i64>,
}

/// A collaborator of a group.
pub(super) struct Collaborator<'a> {
    pub(super) subject: &'a str,
    pub(super) role: &'a str,
    pub(super) until: Option<i64>,
}

/// A way into the app for whoever changes who may do what.
pub(super) struct Changes<'a> {
    app: &'a TestApp,
    admin: Client,
}

impl<'a> Changes<'a> {
    pub(super) fn new(app: &'a TestApp) -> Self {
        Self { app, admin: app.admin() }
    }

    /// Registers a person; gives their id and a client with a token.
    pub(super) async fn register(&self, email: &str) -> (String, Client) {
        let made = self.admin.post("/api/svc/v1/users/register", json!({"email": email})).await.expect(200);
        (text(&made, "/data/id").to_owned(), self.app.person(email).await)
    }

    pub(super) async fn set_tenant_role(&self, email: &str, role: &str) {
        self.patch("roles", json!({"email": email, "roles": [role]})).await;
    }

    pub(super) async fn set_active(&self, email: &str, active: bool) {
        self.patch(if active { "activate" } else { "deactivate" }, json!({"email": email})).await;
    }

    pub(super) async fn remove_person(&self, id: &str) {
        self.admin.delete(&format!("/api/svc/v1/users/{id}?tenantName=default&forceDelete=true")).await.expect(200);
    }

    /// Makes a virtual account or changes it; gives a client where it is new.
    pub(super) async fn machine(&self, name: &str, permissions: &[Permission<'_>]) -> Option<Client> {
        let mut manifest = json!({"type": "virtual-account", "name": name});
        if !permissions.is_empty() {
            let names = ["resource_type", "resource_fqn", "role_id"];
            manifest["permissions"] = permissions.iter().map(|permission| written(permission, names)).collect();
        }
        let made = self.admin.put("/api/svc/v1/virtual-accounts", json!({"manifest": manifest})).await.expect(200);
        made["token"].as_str().map(|token| self.app.client(name, Some(token)))
    }

    /// Makes a role of the tenant's own, or says what it allows from now on.
    pub(super) async fn own_role(&self, name: &str, permissions: &[&str]) {
        self.apply(json!({
            "type": "role",
            "name": name,
            "displayName": name,
            "description": "a role of the test",
            "resourceType": "account",
            "permissions": permissions,
        }))
        .await;
    }

    /// Makes a team, or says who is in it from now on.
    pub(super) async fn team(&self, name: &str, members: &[String], managers: &[String]) {
        self.apply(json!({"type": "team", "name": name, "members": members, "managers": managers})).await;
    }

    /// Makes a role binding, or says what it gives from now on: one of the two lists has one entry.
    pub(super) async fn bind(&self, name: &str, subjects: &[String], permissions: &[Permission<'_>]) {
        let names = ["resourceType", "resourceFqn", "role"];
        let permissions: Value = permissions.iter().map(|permission| written(permission, names)).collect();
        let subject = |subject: &String| {
            let (kind, name) = subject.split_once(':').unwrap();
            json!({"type": kind, "name": name})
        };
        let subjects: Value = subjects.iter().map(subject).collect();
        self.apply(json!({"type": "role-binding", "name": name, "subjects": subjects, "permissions": permissions}))
            .await;
    }

    /// Says who are a group's collaborators.
    pub(super) async fn share(&self, group: &str, collaborators: &[Collaborator<'_>]) {
        let mut manifest = self.app.manifest(group, &[]);
        let entry = |one: &Collaborator<'_>| ending(json!({"subject": one.subject, "role_id": one.role}), one.until);
        manifest["collaborators"] = collaborators.iter().map(entry).collect();
        self.apply(manifest).await;
    }

    /// Removes what a manifest of this type and name describes.
    pub(super) async fn remove(&self, kind: &str, name: &str) {
        let manifest = json!({"type": kind, "name": name});
        self.admin.post("/api/svc/v1/delete", json!({"manifest": manifest})).await.expect(200);
    }

    /// The same of a binding, which goes by itself with the last one whom it names: then it may not be there.
    pub(super) async fn unbind(&self, name: &str, gives: bool) {
        let manifest = json!({"type": "role-binding", "name": name});
        let answer = self.admin.post("/api/svc/v1/delete", json!({"manifest": manifest})).await;
        assert!(answer.status == 200 || !gives && answer.status == 404, "{name}: {}", answer.text);
    }

    /// Makes a group with one secret `K`; gives it.
    pub(super) async fn make_group(&self, name: &str) -> Value {
        self.app.group(&self.admin, name, &[("K", "value")]).await
    }

    pub(super) async fn delete_group(&self, id: &str) {
        self.admin.delete(&format!("{GROUPS}/{id}")).await.expect(200);
    }

    pub(super) async fn restore_group(&self, id: &str) {
        self.admin.post(&format!("/api/v1/secret-groups/{id}/restore"), json!({})).await.expect(200);
    }

    async fn apply(&self, manifest: Value) {
        self.admin.put("/api/svc/v1/apply", json!({"manifest": manifest})).await.expect(200);
    }

    async fn patch(&self, what: &str, body: Value) {
        self.admin.request("PATCH", &format!("/api/svc/v1/users/{what}")).json(&body).send().await.expect(200);
    }
}

/// A permission with its fields under the names that they have in a manifest: the type, the resource, the role.
fn written(permission: &Permission<'_>, [kind, resource, role]: [&str; 3]) -> Value {
    let (resource_type, fqn) = match permission.place {
        Place::Group(group) => ("secret-group", format!("default:{group}")),
        Place::Tenant => ("account", "default".to_owned()),
    };
    ending(json!({kind: resource_type, resource: fqn, role: permission.role}), permission.until)
}

fn ending(mut entry: Value, until: Option<i64>) -> Value {
    if let Some(until) = until {
        entry["expires_at"] = Timestamp::from_micros(until).to_wire().into();
    }
    entry
}
