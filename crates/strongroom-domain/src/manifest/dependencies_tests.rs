use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The order in which `tfy apply` (0.17.5, `dao/apply.py`) applies the manifests: positions in the input. It drops what
/// lies on a cycle or is missing.
fn applied(manifests: &[Value]) -> Vec<usize> {
    let tree = dependency_tree(manifests);
    let key = |one: &Dependencies| (one.resource_type.clone(), one.name.clone());
    let mut by_base = HashMap::new();
    let mut by_type = HashMap::new();
    for (index, one) in tree.iter().enumerate() {
        by_base.insert((base(&one.resource_type).to_owned(), one.name.clone()), index);
        by_type.insert(key(one), index);
    }
    let mut waiting: Vec<usize> = Vec::new();
    let mut in_degree = vec![0; tree.len()];
    let mut children = vec![Vec::new(); tree.len()];
    for one in &tree {
        let own = by_type[&key(one)];
        for dependency in &one.dependencies {
            let Some(on) = by_base.get(&(dependency.resource_type.to_owned(), dependency.name.clone())) else {
                continue;
            };
            children[by_type[&key(&tree[*on])]].push(own);
            in_degree[own] += 1;
        }
    }
    waiting.extend(tree.iter().map(|one| by_type[&key(one)]).filter(|own| in_degree[*own] == 0));
    waiting.dedup();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let wave = std::mem::take(&mut waiting);
        for own in &wave {
            for child in &children[*own] {
                in_degree[*child] -= 1;
                if in_degree[*child] == 0 {
                    waiting.push(*child);
                }
            }
        }
        order.extend(wave);
    }
    order
}

fn group(name: &str, collaborators: &[&str]) -> Value {
    let entries: Vec<Value> =
        collaborators.iter().map(|who| json!({"subject": who, "role_id": "secret-group-viewer"})).collect();
    json!({"type": "secret-group", "name": name, "integration_fqn": "acme:truefoundry:main:secret-store:db",
           "collaborators": entries})
}

fn machine(name: &str, group: &str) -> Value {
    json!({"type": "virtual-account", "name": name, "permissions": [
        {"resource_type": "secret-group", "resource_fqn": format!("acme:{group}"), "role_id": "secret-group-viewer"}]})
}

fn named(manifest: &Value) -> Vec<String> {
    let one = dependency_tree(std::slice::from_ref(manifest)).remove(0);
    one.dependencies.iter().map(|named| format!("{} {}", named.resource_type, named.name)).collect()
}

#[test]
fn what_is_named_goes_first() {
    let binding = json!({"type": "role-binding", "name": "b", "subjects": [
            {"type": "user", "name": "a@x.io"}, {"type": "team", "name": "devs"},
            {"type": "virtualaccount", "name": "bot"}, {"type": "agent", "name": "helper"}],
        "permissions": [
            {"resourceType": "secret-group", "resourceFqn": "acme:pay", "role": "secret-group-viewer"},
            {"resourceType": "provider-integration", "resourceFqn": "acme:aws:keys:secret-store:sm", "role": "x"},
            {"resourceType": "team", "resourceFqn": "ops", "role": "team-manager"},
            {"resourceType": "account", "resourceFqn": "acme", "role": "auditor"}]});
    assert_eq!(
        named(&binding),
        [
            "agent-identity helper",
            "provider-account keys",
            "role auditor",
            "secret-group pay",
            "team devs",
            "team ops",
            "virtual-account bot",
        ]
    );
    let mut bot = machine("bot", "pay");
    bot["secret_store_config"] = json!({"type": "tfy-secrets", "secret_group": "tokens", "key": "BOT"});
    bot["identity_provider_mapping"] = json!([{"identity_provider": "github", "value": "x"}]);
    bot["ownedBy"] = json!({"team": "devs"});
    assert_eq!(named(&bot), ["identity-provider github", "secret-group pay", "secret-group tokens", "team devs"]);
    assert_eq!(
        named(&group("pay", &["user:a@x.io", "team:devs", "serviceaccount:bot"])),
        ["provider-account main", "team devs", "virtual-account bot"]
    );
    let agent = json!({"type": "agent-identity", "name": "helper", "identity": {"type": "truefoundry-backed",
        "secret_store_config": {"integration_fqn": "acme:aws:keys:secret-store:sm", "secret_path": "p"}}});
    assert_eq!(named(&agent), ["provider-account keys"]);
    let account = json!({"type": "provider-account/truefoundry", "name": "main", "integrations": [
        {"name": "db", "authorized_subjects": ["team:everyone", "agent:helper", "nobody"]}]});
    assert_eq!(named(&account), ["agent-identity helper", "team everyone"]);
    let account = json!({"type": "provider-account/aws", "auth_data": {"access_key_id": "tfy-secret://acme:keys:ID"},
        "integrations": [{"auth_data": {"token": "tfy-secret://acme:tokens:VAULT:3", "type": "token"}}]});
    assert_eq!(named(&account), ["secret-group keys", "secret-group tokens"]);
}

#[test]
fn files_in_the_wrong_order_come_out_right() {
    let team = json!({"type": "team", "name": "devs", "members": []});
    let account = json!({"type": "provider-account/truefoundry", "name": "main"});
    let binding = json!({"type": "role-binding", "name": "b", "subjects": [{"type": "virtualaccount", "name": "bot"}],
        "permissions": [{"resourceType": "account", "resourceFqn": "acme", "role": "auditor"}]});
    let role = json!({"type": "role", "name": "auditor"});
    let manifests = [binding, machine("bot", "pay"), group("pay", &["team:devs"]), account, team, role];
    let order = applied(&manifests);
    let at = |index| order.iter().position(|one| *one == index).unwrap();
    assert_eq!(order.len(), manifests.len());
    for (later, earlier) in [(0, 1), (0, 5), (1, 2), (2, 3), (2, 4)] {
        assert!(at(earlier) < at(later), "{order:?}: {earlier} before {later}");
    }
}

#[test]
fn a_circle_is_cut_where_it_goes_against_the_order_of_types() {
    assert_eq!(applied(&[machine("bot", "pay"), group("pay", &["virtualaccount:bot"])]), [1, 0]);
    // Without a circle the group waits, whatever the order of types.
    assert_eq!(applied(&[group("pay", &["virtualaccount:bot"]), machine("bot", "logs")]), [1, 0]);
    // A circle elsewhere changes nothing for those who only lead to it or come from it.
    let manifests = [
        group("away", &["virtualaccount:bot"]),
        machine("bot", "pay"),
        group("pay", &["virtualaccount:bot", "virtualaccount:other"]),
        machine("other", "logs"),
    ];
    assert_eq!(applied(&manifests), [3, 2, 1, 0]);
}

#[test]
fn every_manifest_is_answered_under_the_name_that_the_command_line_has_for_it() {
    for (manifest, kind, name) in [
        (json!({"type": "workspace", "name": "w", "cluster_fqn": "c"}), "workspace", "w"),
        (json!({"type": "provider-account/aws", "name": "keys"}), "provider-account/aws", "keys"),
        (json!({"type": "settings"}), "settings", "settings"),
        (json!({"type": "team", "name": ""}), "team", "team"),
        (json!({"type": "team", "name": null}), "team", "team"),
        (json!({"type": "team", "name": 0}), "team", "team"),
        (json!({"type": "team", "name": 7}), "team", "7"),
        (json!({"type": "team", "name": true}), "team", "True"),
        (
            json!({"type": "secret-group", "name": "pay", "collaborators": 7, "permissions": [[]]}),
            "secret-group",
            "pay",
        ),
        (json!({"name": "x"}), "", "x"),
        (json!([1]), "", ""),
    ] {
        let tree = dependency_tree(&[manifest]);
        assert_eq!((tree.len(), tree[0].resource_type.as_str(), tree[0].name.as_str()), (1, kind, name));
    }
}

/// A chain as long as a request can carry must not overflow the stack.
#[test]
fn long_chains_are_followed() {
    let manifests: Vec<Value> = (0..20_000)
        .flat_map(|n| {
            [
                group(&format!("g{n}"), &[&format!("virtualaccount:v-{n}")]),
                machine(&format!("v-{n}"), &format!("g{}", n + 1)),
            ]
        })
        .collect();
    assert_eq!(applied(&manifests).len(), manifests.len());
}

fn any_manifest() -> impl Strategy<Value = Value> {
    let name = || "[a-c]{3}".prop_map(|name: String| name.chars().take(1).collect::<String>().repeat(3));
    let kind = prop::sample::select(vec![
        "secret-group",
        "virtual-account",
        "team",
        "role",
        "role-binding",
        "agent-identity",
        "provider-account/truefoundry",
        "provider-account/aws",
        "identity-provider",
        "workspace",
    ]);
    let subject = (prop::sample::select(vec!["team", "virtualaccount", "agent"]), name());
    let permission =
        (prop::sample::select(vec!["secret-group", "provider-account", "team", "account"]), name(), name());
    (
        kind,
        name(),
        prop::collection::vec(subject, 0..3),
        prop::collection::vec(permission, 0..3),
        prop::option::of(name()),
    )
        .prop_map(|(kind, own, subjects, permissions, other)| {
            let permissions: Vec<Value> = permissions
                .into_iter()
                .map(|(kind, name, role)| {
                    json!({"resource_type": kind, "resource_fqn": format!("acme:{name}:{name}"), "role_id": role})
                })
                .collect();
            let entries: Vec<Value> =
                subjects.into_iter().map(|(kind, name)| json!({"subject": format!("{kind}:{name}")})).collect();
            json!({"type": kind, "name": own, "collaborators": entries, "permissions": permissions,
                   "ownedBy": {"team": other}, "secret_store_config": {"secret_group": other}})
        })
}

proptest! {
    /// However they name each other, and whether or not that makes sense.
    #[test]
    fn nothing_is_ever_dropped(manifests in prop::collection::vec(any_manifest(), 0..12)) {
        let tree = dependency_tree(&manifests);
        prop_assert_eq!(tree.len(), manifests.len());
        let distinct: BTreeSet<_> = tree.iter().map(|one| (&one.resource_type, &one.name)).collect();
        let order: BTreeSet<usize> = applied(&manifests).into_iter().collect();
        prop_assert_eq!(order.len(), distinct.len());
        prop_assert_eq!(dependency_tree(&manifests), tree);
    }
}
