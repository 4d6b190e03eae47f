use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[test]
fn no_reference_dangles() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    found.insert(target.clone());
                }
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for target in found {
        let name = target.strip_prefix("#/components/schemas/").expect("a reference into the components");
        assert!(document["components"]["schemas"][name].is_object(), "{target} dangles");
    }
}

/// The facts of `POST /secret-groups`: each schema's fields, types, required fields and enums, and the statuses.
fn facts(document: &Value) -> Value {
    let mut schemas = BTreeMap::new();
    let post = &document["paths"]["/api/svc/v1/secret-groups"]["post"];
    collect(document, &post["requestBody"], &mut schemas);
    collect(document, &post["responses"], &mut schemas);
    let statuses: Vec<_> = post["responses"].as_object().expect("responses").keys().collect();
    json!({"operationId": post["operationId"], "statuses": statuses, "security": post["security"],
        "requestRequired": post["requestBody"]["required"], "schemas": schemas})
}

fn collect(document: &Value, value: &Value, schemas: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str).and_then(|target| target.rsplit('/').next())
                && !schemas.contains_key(name)
            {
                let schema = &document["components"]["schemas"][name];
                schemas.insert(name.to_owned(), Value::Null);
                collect(document, schema, schemas);
                schemas.insert(name.to_owned(), shape(schema));
            }
            fields.values().for_each(|field| collect(document, field, schemas));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(document, item, schemas)),
        _ => {}
    }
}

/// A schema without words, and with nullability taken out however it was written.
fn shape(schema: &Value) -> Value {
    let mut out = BTreeMap::new();
    if let Some(target) = schema.get("$ref") {
        return json!({"ref": target});
    }
    for word in ["allOf", "anyOf", "oneOf"] {
        if let Some(options) = schema.get(word).and_then(Value::as_array) {
            let options: Vec<_> = options.iter().filter(|option| option["type"] != "null").map(shape).collect();
            return if options.len() == 1 { options[0].clone() } else { json!({"oneOf": options}) };
        }
    }
    let kind = schema.get("type").map(|kind| match kind {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default(),
        single => single.clone(),
    });
    out.insert("type", kind.unwrap_or_default());
    for word in ["enum", "format"] {
        if let Some(value) = schema.get(word) {
            out.insert(word, value.clone());
        }
    }
    if let Some(required) = schema.get("required").and_then(Value::as_array) {
        out.insert(
            "required",
            required.iter().filter_map(Value::as_str).collect::<BTreeSet<_>>().into_iter().collect(),
        );
    }
    if let Some(items) = schema.get("items") {
        out.insert("items", shape(items));
    }
    if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
        out.insert("properties", fields.iter().map(|(name, field)| (name.clone(), shape(field))).collect());
    }
    json!(out)
}

#[test]
fn creating_a_group_has_the_contracts_structure() {
    let expected: Value = serde_json::from_str(include_str!("create_secret_group.facts.json")).expect("JSON");
    let found = facts(&document());
    assert_eq!(found, expected, "\n{}", serde_json::to_string_pretty(&found).unwrap_or_default());
}
