"""The OpenAPI document: valid, whole, and for creating a group the same as the one that the project started from."""

from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

SEED = Path(__file__).resolve().parents[3] / "shared/seed/create-secret-group.openapi.yaml"
CREATE = "/api/svc/v1/secret-groups"


@pytest.fixture(scope="module")
def document(server):
    return server.http.get("/openapi.json").json()


def nodes(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from nodes(inner)


def resolve(document, reference):
    assert reference.startswith("#/"), f"{reference} leads out of the document"
    for part in reference[2:].split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def test_a_public_validator_accepts_it(document):
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_no_reference_dangles(document):
    references = [node["$ref"] for node in nodes(document) if isinstance(node, dict) and "$ref" in node]
    assert len(references) > 20
    for reference in references:
        assert isinstance(resolve(document, reference), dict), reference


def test_everything_that_the_sdk_calls_is_in_it(document):
    """Rows 1 to 9 of the contract's table, and what the command line asks."""
    prefix = "/api/svc/v1"
    calls = {
        "/secret-groups": {"get", "post", "put"},
        "/secret-groups/{id}": {"get", "put", "delete"},
        "/secrets": {"post"},
        "/secrets/{id}": {"get", "delete"},
        "/secrets/{id}/versions": {"get"},
        "/control-plane/secret": {"get"},
        "/apply": {"put"},
        "/delete": {"post"},
        "/session": {"get"},
    }
    for path, methods in calls.items():
        assert methods <= set(document["paths"][prefix + path]), path


def shape(document, schema, seen=()):
    """What a schema says, without words, names of schemas, and the spelling of nullability: (nullable, facts)."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if name in seen:
            return False, {"again": name}
        return shape(document, resolve(document, schema["$ref"]), (*seen, name))
    nullable = bool(schema.get("nullable"))
    for word in ["allOf", "oneOf", "anyOf"]:
        if word in schema:
            options = [option for option in schema[word] if option.get("type") != "null"]
            nullable |= len(options) < len(schema[word])
            shapes = [shape(document, option, seen) for option in options]
            nullable |= any(inner for inner, _ in shapes)
            return nullable, shapes[0][1] if len(shapes) == 1 else {"one of": sorted(map(str, (s for _, s in shapes)))}
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    nullable |= "null" in kinds
    kinds = sorted(kind for kind in kinds if kind != "null")
    if kinds == ["integer", "string"]:
        return nullable, {"one of": sorted(str({"type": [kind]}) for kind in kinds)}
    facts = {"type": kinds}
    if "enum" in schema:
        facts["enum"] = sorted(value for value in schema["enum"] if value is not None)
    if "format" in schema:
        facts["format"] = schema["format"]
    if "items" in schema:
        facts["items"] = shape(document, schema["items"], seen)
    if "properties" in schema:
        facts["required"] = sorted(schema.get("required", []))
        facts["fields"] = {name: shape(document, field, seen) for name, field in schema["properties"].items()}
    return nullable, facts


def facts(document):
    operation = document["paths"][CREATE]["post"]

    def content(holder):
        return shape(document, holder["content"]["application/json"]["schema"])

    return {
        "request": content(operation["requestBody"]),
        "request required": operation["requestBody"]["required"],
        "answers": {status: content(answer) for status, answer in operation["responses"].items()},
        "security": operation["security"],
        "scheme": document["components"]["securitySchemes"]["jwt"]["scheme"],
    }


@pytest.mark.skipif(not SEED.is_file(), reason="the document that the project started from isn't here")
def test_creating_a_group_is_the_seeds(document):
    assert facts(document) == facts(yaml.safe_load(SEED.read_text()))


def test_a_difference_is_found(document):
    """The comparison itself: each kind of fact that is changed makes another document."""
    schemas = document["components"]["schemas"]
    changes = [
        lambda: schemas["SecretInput"]["required"].remove("value"),
        lambda: schemas["SubjectType"]["enum"].pop(),
        lambda: schemas["SecretGroup"]["properties"].pop("accountId"),
        lambda: schemas["Secret"]["properties"]["name"].update(type="integer"),
        lambda: schemas["CreateSecretGroupRequest"]["properties"].update(more={"type": "string"}),
        lambda: document["paths"][CREATE]["post"]["responses"].pop("424"),
    ]
    for change in changes:
        before = facts(document)
        change()
        assert facts(document) != before
