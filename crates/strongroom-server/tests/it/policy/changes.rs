//! How identities and policy are changed: the one place to touch when there is an endpoint for what has none yet.

use std::cell::Cell;

use serde_json::{Value, json};
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::{Actor, SubjectKind};
use strongroom_domain::{Clock, GroupId, Timestamp, UserId, VirtualAccountId};
use strongroom_metadata::{Grant, GrantSource, IdentityChange, Named, NamedRow, RoleGrant, UserRow};
use strongroom_testkit::{Client, TestApp};

use crate::support::{GROUPS, text};

/// A role for somebody, until a time in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) subject: String,
    pub(super) role: String,
    pub(super) until: Option<i64>,
}

/// A way into the app for whoever changes who may do what.
pub(super) struct Changes<'a> {
    app: &'a TestApp,
    admin: Client,
    ids: Cell<u64>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(app: &'a TestApp) -> Self {
        Self { app, admin: app.admin(), ids: Cell::new(0) }
    }

    /// Registers a person; gives their id and a client with a token.
    pub(super) async fn register(&self, email: &str) -> (String, Client) {
        let made = self.admin.post("/api/svc/v1/users/register", json!({"email": email})).await.expect(200);
        (text(&made, "/data/id").to_owned(), self.app.person(email).await)
    }

    /// Says what a person is in the tenant, and whether they may act.
    pub(super) async fn set_person(&self, id: &str, email: &str, role: &str, active: bool) {
        let user = self.user(id, email, role, active);
        self.change(|change| change.update_user(&user)).await;
    }

    pub(super) async fn remove_person(&self, id: &str, email: &str) {
        let user = self.user(id, email, "tenant-member", false);
        self.change(|change| {
            change.take_grants_of(&format!("user:{email}"));
            change.remove_user(&user, user.updated_at);
        })
        .await;
    }

    /// Makes a virtual account or changes it; gives its id, and a client where it is new.
    pub(super) async fn machine(&self, name: &str, permissions: &[(String, &str)]) -> (String, Option<Client>) {
        let mut manifest = json!({"type": "virtual-account", "name": name});
        if !permissions.is_empty() {
            let permission = |(group, role): &(String, &str)| json!({"resource_type": "secret-group", "resource_fqn": format!("default:{group}"), "role_id": role});
            manifest["permissions"] = permissions.iter().map(permission).collect();
        }
        let made = self.admin.put("/api/svc/v1/virtual-accounts", json!({"manifest": manifest})).await.expect(200);
        let client = made["token"].as_str().map(|token| self.app.client(name, Some(token)));
        (text(&made, "/data/id").to_owned(), client)
    }

    pub(super) async fn remove_machine(&self, id: &str, name: &str) {
        let (id, subject) = (VirtualAccountId::parse(id).unwrap(), format!("virtualaccount:{name}"));
        let now = self.app.clock.now();
        self.change(|change| change.remove_machine(id, SubjectKind::VirtualAccount, &subject, now)).await;
    }

    /// Makes something that has a name; gives its row.
    pub(super) async fn add_named(&self, what: Named, name: &str, permissions: &[&str]) -> NamedRow {
        let row = self.named(name);
        let permissions = json!(permissions).to_string();
        let role = (what == Named::Role).then_some(("account", permissions.as_str()));
        self.change(|change| change.add_named(what, &row, role)).await;
        row
    }

    pub(super) async fn remove_named(&self, what: Named, row: &NamedRow) {
        self.change(|change| change.remove_named(what, row)).await;
    }

    pub(super) async fn set_role_permissions(&self, row: &NamedRow, permissions: &[&str]) {
        let permissions = json!(permissions).to_string();
        self.change(|change| change.update_named(Named::Role, row, Some(&permissions))).await;
    }

    pub(super) async fn set_team(&self, team: &str, members: &[String], managers: &[String]) {
        self.change(|change| change.replace_team_people(team, members, managers)).await;
    }

    /// Says what a role binding gives: roles on groups by their id, and in the tenant.
    pub(super) async fn bind(&self, row: &NamedRow, on_groups: &[(String, Given)], in_tenant: &[Given]) {
        let groups: Vec<Grant> = on_groups.iter().map(|(group, given)| grant(group, given)).collect();
        let tenant: Vec<RoleGrant> = in_tenant
            .iter()
            .map(|given| RoleGrant {
                subject: given.subject.clone(),
                resource_type: "account".to_owned(),
                resource_id: "account".to_owned(),
                role: given.role.clone(),
                expires_at: given.until.map(Timestamp::from_micros),
            })
            .collect();
        self.change(|change| {
            change.take_grants_from(&row.id);
            change.grant(GrantSource::RoleBinding, &row.id, &groups, &tenant);
        })
        .await;
    }

    /// Says who are a group's collaborators, by its manifest. Those whose role ends are beside it: it can't say so yet.
    pub(super) async fn share(&self, name: &str, id: &str, collaborators: &[Given]) {
        let (ending, lasting): (Vec<&Given>, Vec<&Given>) = collaborators.iter().partition(|one| one.until.is_some());
        let named: Vec<(&str, &str)> = lasting.iter().map(|one| (one.subject.as_str(), one.role.as_str())).collect();
        let mut manifest = self.app.manifest(name, &named);
        // A manifest that is equal to the one before changes nothing, and would leave what stands beside it.
        manifest["ownedBy"] = json!({"account": format!("account-{}", self.next())});
        self.admin.put(GROUPS, json!({"manifest": manifest})).await.expect(200);
        let ending: Vec<Grant> = ending.into_iter().map(|one| grant(id, one)).collect();
        self.change(|change| change.grant(GrantSource::Manifest, "", &ending, &[])).await;
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

    async fn change(&self, put: impl FnOnce(&mut IdentityChange)) {
        self.app.instance().change_identities(put).await.unwrap();
    }

    fn user(&self, id: &str, email: &str, role: &str, active: bool) -> UserRow {
        let now = self.app.clock.now();
        UserRow {
            id: UserId::parse(id).unwrap(),
            email: email.to_owned(),
            tenant_role: role.to_owned(),
            active,
            created_at: now,
            updated_at: now,
        }
    }

    fn named(&self, name: &str) -> NamedRow {
        let now = self.app.clock.now();
        let created_by = Actor {
            id: String::new(),
            kind: "user".to_owned(),
            slug: "test".to_owned(),
            display_name: None,
            token_name: None,
            external_slug: None,
            controller: None,
        };
        NamedRow {
            id: format!("0192f0c1-2b3c-7d4e-8f50-{:012x}", self.next()),
            name: name.to_owned(),
            manifest: "{}".to_owned(),
            created_by,
            created_at: now,
            updated_at: now,
        }
    }

    fn next(&self) -> u64 {
        self.ids.set(self.ids.get() + 1);
        self.ids.get()
    }
}

fn grant(group: &str, given: &Given) -> Grant {
    Grant {
        group_id: GroupId::parse(group).unwrap(),
        subject: given.subject.clone(),
        role: GroupRole::parse(&given.role).unwrap(),
        expires_at: given.until.map(Timestamp::from_micros),
    }
}
