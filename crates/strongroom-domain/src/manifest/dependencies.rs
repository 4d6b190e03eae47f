//! In which order manifests that are applied together must be applied.
//!
//! `tfy apply` sends all of them, matches the answer to its files by type and name, and applies a file after the files
//! that it depends on. A manifest that is missing from the answer, or that lies on a cycle, it drops without a word: so
//! every manifest is in the answer, however malformed (applying it tells what is wrong), and no cycle is.

use std::collections::{BTreeSet, HashMap};
use std::mem::replace;

use serde_json::Value;

use super::{GrantedRole, manifest_type};
use crate::fqn::REFERENCE_SCHEME;
use crate::subject::{SubjectName, SubjectType};

/// What one manifest must wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependencies {
    /// The manifest's whole `type`, as the command line matches it.
    pub resource_type: String,
    /// Its name, or its type if it has none.
    pub name: String,
    /// What it names, whether or not that is among the manifests.
    pub dependencies: Vec<Dependency>,
}

/// Something that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dependency {
    /// The first part of its type: `provider-account` for an account of any provider.
    pub resource_type: &'static str,
    /// Its name.
    pub name: String,
}

const IDENTITY_PROVIDER: &str = "identity-provider";
const ROLE: &str = "role";
const TEAM: &str = "team";
const ACCOUNT: &str = "provider-account";
const GROUP: &str = "secret-group";
const VIRTUAL_ACCOUNT: &str = "virtual-account";
const AGENT: &str = "agent-identity";

/// Which of two goes first when each names the other; types that are not here go last.
const ORDER: [&str; 7] = [IDENTITY_PROVIDER, ROLE, TEAM, ACCOUNT, GROUP, VIRTUAL_ACCOUNT, AGENT];

/// What each manifest must wait for, in the order in which they are given.
///
/// Where manifests name each other in a circle, those names are left out that go against the order of types: a group and
/// a virtual account that name each other come out as group first.
#[must_use]
pub fn dependency_tree(manifests: &[Value]) -> Vec<Dependencies> {
    let mut tree: Vec<Dependencies> = manifests.iter().map(dependencies).collect();
    // The command line finds what is depended on by these two, so manifests that share them are one node.
    let mut nodes: HashMap<(String, String), usize> = HashMap::new();
    let mut node_of = |kind: &str, name: &str| {
        let next = nodes.len();
        *nodes.entry((kind.to_owned(), name.to_owned())).or_insert(next)
    };
    let own: Vec<usize> = tree.iter().map(|one| node_of(base(&one.resource_type), &one.name)).collect();
    let named: Vec<Vec<usize>> = tree
        .iter()
        .map(|one| one.dependencies.iter().map(|named| node_of(named.resource_type, &named.name)).collect())
        .collect();
    let mut edges = vec![Vec::new(); nodes.len()];
    for (from, to) in own.iter().zip(&named) {
        edges[*from].extend(to);
    }
    let component = components(&edges);
    for ((one, from), to) in tree.iter_mut().zip(own).zip(named) {
        let rank = rank(base(&one.resource_type));
        let mut to = to.into_iter();
        // What is left goes down in rank all along a circle, which nothing can.
        one.dependencies.retain(|named| {
            to.next().is_some_and(|to| component[from] != component[to] || self::rank(named.resource_type) < rank)
        });
    }
    tree
}

fn rank(kind: &str) -> usize {
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

fn base(kind: &str) -> &str {
    kind.split('/').next().unwrap_or_default()
}

fn dependencies(manifest: &Value) -> Dependencies {
    let resource_type = manifest_type(manifest).unwrap_or_default().to_owned();
    let mut named = BTreeSet::new();
    collect(manifest, &mut named);
    // An agent has them one level deeper.
    collect(&manifest["identity"], &mut named);
    let dependencies = named.into_iter().map(|(resource_type, name)| Dependency { resource_type, name: name.into() });
    Dependencies { name: name(manifest, &resource_type), dependencies: dependencies.collect(), resource_type }
}

/// The name as the command line reads it: what Python takes for false counts as none, and numbers are text.
fn name(manifest: &Value, resource_type: &str) -> String {
    match &manifest["name"] {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) if number.as_f64() != Some(0.0) => number.to_string(),
        Value::Bool(true) => "True".into(),
        _ => resource_type.into(),
    }
}

type Named<'a> = BTreeSet<(&'static str, &'a str)>;

/// Every name in a manifest of something that can be applied. The fields mean the same in all types that have them.
fn collect<'a>(manifest: &'a Value, named: &mut Named<'a>) {
    let mut add = |kind, name: Option<&'a str>| named.extend(name.map(|name| (kind, name)));
    add(ACCOUNT, part(&manifest["integration_fqn"], 2));
    add(TEAM, manifest["ownedBy"]["team"].as_str());
    let target = &manifest["secret_store_config"];
    add(GROUP, target["secret_group"].as_str());
    add(ACCOUNT, part(&target["integration_fqn"], 2));
    for mapping in list(&manifest["identity_provider_mapping"]) {
        add(IDENTITY_PROVIDER, mapping["identity_provider"].as_str());
    }
    for permission in list(&manifest["permissions"]) {
        let either = |snake: &str, camel: &str| permission.get(snake).or_else(|| permission.get(camel));
        let (kind, fqn) = (either("resource_type", "resourceType"), either("resource_fqn", "resourceFqn"));
        let (kind, fqn) = (kind.and_then(Value::as_str).unwrap_or_default(), fqn.unwrap_or(&Value::Null));
        match kind {
            "secret-group" => add(GROUP, part(fqn, 1)),
            "provider-integration" | "provider-account" => add(ACCOUNT, part(fqn, 2)),
            "team" => add(TEAM, fqn.as_str().and_then(|fqn| fqn.rsplit(':').next())),
            _ => {}
        }
        let role = either("role_id", "role").and_then(Value::as_str).unwrap_or_default();
        let custom = GrantedRole::parse(kind, role).is_some_and(|role| role.custom().is_some());
        add(ROLE, custom.then_some(role));
    }
    for entry in list(&manifest["collaborators"]) {
        add_subject(&entry["subject"], named);
    }
    for subject in list(&manifest["integrations"]).iter().flat_map(|entry| list(&entry["authorized_subjects"])) {
        add_subject(subject, named);
    }
    let integrations = list(&manifest["integrations"]).iter().map(|entry| &entry["auth_data"]);
    for auth in integrations.chain([&manifest["auth_data"]]) {
        let texts = auth.as_object().into_iter().flat_map(|fields| fields.values()).filter_map(Value::as_str);
        let referred = texts.filter_map(|text| text.strip_prefix(REFERENCE_SCHEME)?.split(':').nth(1));
        named.extend(referred.map(|group| (GROUP, group)));
    }
    for subject in list(&manifest["subjects"]) {
        let kind = subject["type"].as_str().and_then(SubjectType::parse).and_then(applied_as);
        named.extend(kind.zip(subject["name"].as_str()));
    }
}

fn add_subject<'a>(subject: &'a Value, named: &mut Named<'a>) {
    // What doesn't read as a subject is refused when it is applied, in whatever order.
    let text = subject.as_str().filter(|text| SubjectName::parse(text).is_ok());
    if let Some((kind, name)) = text.and_then(|text| text.split_once(':')) {
        named.extend(SubjectType::parse(kind).and_then(applied_as).map(|kind| (kind, name)));
    }
}

/// The type of manifest that makes a subject, if one does.
fn applied_as(kind: SubjectType) -> Option<&'static str> {
    match kind {
        SubjectType::User => None,
        SubjectType::VirtualAccount => Some(VIRTUAL_ACCOUNT),
        SubjectType::Team => Some(TEAM),
        SubjectType::Agent => Some(AGENT),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn part(fqn: &Value, index: usize) -> Option<&str> {
    fqn.as_str()?.split(':').nth(index)
}

/// For each node the circle that it lies on: two nodes have the same number exactly if each leads to the other
/// (Kosaraju's way, without recursion: the input decides how deep it goes).
fn components(edges: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut seen = vec![false; edges.len()];
    let mut finished = Vec::with_capacity(edges.len());
    for start in 0..edges.len() {
        let mut path = if replace(&mut seen[start], true) { Vec::new() } else { vec![(start, 0)] };
        while let Some((node, next)) = path.last_mut() {
            if let Some(to) = edges[*node].get(*next) {
                *next += 1;
                if !replace(&mut seen[*to], true) {
                    path.push((*to, 0));
                }
            } else {
                finished.push(*node);
                path.pop();
            }
        }
    }
    let mut back = vec![Vec::new(); edges.len()];
    for (from, to) in edges.iter().enumerate() {
        for to in to {
            back[*to].push(from);
        }
    }
    let mut component = vec![None; edges.len()];
    for root in finished.into_iter().rev() {
        let mut waiting = vec![root];
        while let Some(node) = waiting.pop() {
            if component[node].is_none() {
                component[node] = Some(root);
                waiting.extend(&back[node]);
            }
        }
    }
    component
}

#[cfg(test)]
#[path = "dependencies_tests.rs"]
mod tests;
