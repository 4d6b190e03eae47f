//! The OpenAPI 3.1 document, written from the operation table and the wire types.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::operation::{Access, AuditMode, Body, Operation, OperationSpec, Parameter, ParameterKind};
use crate::{ErrorBody, wire};

/// The document for everything that is served.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    generator.subschema_for::<wire::SubjectType>();
    let mut paths = Map::new();
    for operation in Operation::ALL {
        let spec = operation.spec();
        let path = paths.entry(spec.path).or_insert_with(|| json!({}));
        path[spec.method.name().to_lowercase()] = describe(spec, &mut generator);
    }
    let mut schemas = generator.take_definitions(true);
    for (name, schema) in &mut schemas {
        finish(name, schema);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Strongroom",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Secret groups: named sets of key/value secrets with versions. Every answer under `/api` that is \
                not a success has the body `HttpError`: 400 for a body that can't be read, 401 without a valid token, 404 also \
                where the caller may not know that a thing exists, 405, 409, 413, 415, 422 with the faults in `details`, \
                424 when a secret store fails, 429 with `Retry-After` after too many requests, 503 with `Retry-After` when the \
                database can't be written. Unknown fields are ignored. Answers may carry fields that this document does not name.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

fn describe(spec: &OperationSpec, generator: &mut SchemaGenerator) -> Value {
    let mut out = json!({"tags": [spec.tag], "summary": spec.summary, "operationId": spec.id});
    if !spec.description.is_empty() {
        out["description"] = spec.description.into();
    }
    out["parameters"] = path_parameters(spec.path).chain(spec.parameters.iter().map(parameter)).collect();
    if let Some(request) = spec.request {
        let optional = spec.id.ends_with(".restore");
        out["requestBody"] = json!({"required": !optional, "content": json_content(request, generator)});
    }
    let mut responses = Map::new();
    let success = if spec.id == "SecretGroup.post" { "The created secret group." } else { spec.summary };
    let mut ok = json!({"description": success, "content": json_content(spec.response, generator)});
    if spec.path == "/metrics" {
        ok["content"] = json!({"text/plain": ok["content"]["application/json"].take()});
    }
    if spec.parameters.iter().any(|parameter| parameter.name == "If-Match") || spec.id == "SecretGroup.get" {
        ok["headers"] = json!({"ETag": {"description": "The group's revision", "schema": {"type": "string"}}});
    }
    responses.insert("200".into(), ok);
    for (status, description) in spec.errors {
        let body = if spec.path.starts_with("/api") { error as Body } else { spec.response };
        responses
            .insert(status.to_string(), json!({"description": description, "content": json_content(body, generator)}));
    }
    out["responses"] = responses.into();
    out["security"] = if spec.access == Access::Public { json!([]) } else { json!([{"jwt": []}]) };
    if spec.audit == AuditMode::Reveal {
        out["x-audit"] = "An event is durable before a value is given.".into();
    }
    out
}

fn path_parameters(path: &str) -> impl Iterator<Item = Value> + '_ {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).map(
        |name| json!({"name": name, "in": "path", "required": true, "description": "Id", "schema": {"type": "string"}}),
    )
}

fn parameter(parameter: &Parameter) -> Value {
    let (place, schema) = match parameter.kind {
        ParameterKind::Text | ParameterKind::RequiredText => ("query", json!({"type": "string"})),
        ParameterKind::Integer => ("query", json!({"type": "integer"})),
        ParameterKind::Boolean => ("query", json!({"type": "boolean"})),
        ParameterKind::List => ("query", json!({"type": "array", "items": {"type": "string"}})),
        ParameterKind::Header => ("header", json!({"type": "string"})),
    };
    json!({
        "name": parameter.name, "in": place, "required": parameter.kind == ParameterKind::RequiredText,
        "description": parameter.description, "schema": schema,
    })
}

fn json_content(body: Body, generator: &mut SchemaGenerator) -> Value {
    json!({"application/json": {"schema": body(generator)}})
}

fn error(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<ErrorBody>()
}

fn tags() -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for operation in Operation::ALL {
        if !names.contains(&operation.spec().tag) {
            names.push(operation.spec().tag);
        }
    }
    names.into_iter().map(|name| json!({"name": name})).collect()
}

/// Brings a schema into the contract's form: number formats that say nothing to a client go, names come.
fn finish(name: &str, schema: &mut Value) {
    strip(schema);
    schema["title"] = name.into();
    schema["x-fern-type-name"] = name.into();
}

fn strip(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("format").is_some_and(|format| format != "date-time") {
                fields.remove("format");
                fields.remove("minimum");
                fields.remove("maximum");
            }
            if fields.get("enum").is_some() {
                fields.insert("type".into(), "string".into());
            }
            let nullable: Vec<String> =
                fields.get("properties").and_then(Value::as_object).map_or_else(Vec::new, |properties| {
                    properties.iter().filter(|(_, field)| takes_null(field)).map(|(name, _)| name.clone()).collect()
                });
            // What may be null may be left out: clients must not count on it.
            if let Some(required) = fields.get_mut("required").and_then(Value::as_array_mut) {
                required.retain(|name| nullable.iter().all(|field| name != field));
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn takes_null(schema: &Value) -> bool {
    let is_null = |kind: &Value| kind == "null";
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(is_null),
        _ => ["anyOf", "oneOf"].iter().any(|word| {
            schema[word].as_array().is_some_and(|options| options.iter().any(|option| is_null(&option["type"])))
        }),
    }
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
