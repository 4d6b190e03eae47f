"""Secret groups through the real SDK: rows 1 to 17 and 23 of the drop-in checklist."""

import pytest
from truefoundry_sdk import (
    BadRequestError,
    Collaborator,
    ConflictError,
    DeleteSecretGroupResponse,
    FailedDependencyError,
    NotFoundError,
    SecretGroupManifest,
    SecretInput,
    UnprocessableEntityError,
    UpdateSecretInput,
)
from truefoundry_sdk.core.api_error import ApiError

from canary import CANARY

V1, V2, X = f"{CANARY}-v1", f"{CANARY}-v2", f"{CANARY}-x"


@pytest.fixture
def make(server, sdk):
    """Creates a group, and gives it with its secrets' ids by key."""

    def make(name, client=sdk, **values):
        secrets = [SecretInput(key=key, value=value) for key, value in values.items()]
        group = client.secret_groups.create(name=name, integration_id=server.integration["id"], secrets=secrets).data
        return group, {secret.name: secret.id for secret in group.associated_secrets}

    return make


def versions(sdk, secret):
    return sorted(version.version for version in sdk.secrets.get(secret).data.secret_versions)


def keep(key):
    return UpdateSecretInput(key=key)


def put(key, value):
    return UpdateSecretInput(key=key, value=value)


def test_row_01_create(make, name, server, sdk):
    group, _ = make(name, K=V1)
    assert len(sdk.sent) == 1
    (secret,) = group.associated_secrets
    assert (secret.name, secret.value) == ("K", None)
    assert group.fqn == f"default:{name}" and secret.fqn == f"default:{name}:K"
    assert group.integration_id == server.integration["id"] and group.name == name
    assert group.tenant_name == "default" and group.created_by_subject.subject_type == "user"
    assert secret.secret_group_id == group.id


def test_row_02_get_secret(make, name, sdk):
    _, ids = make(name, K=V1)
    secret = sdk.secrets.get(ids["K"]).data
    assert secret.value == V1
    (version,) = secret.secret_versions
    assert version.version == 1 and version.fqn == f"default:{name}:K:1"


def test_row_03_update_with_the_same_value(make, name, sdk):
    group, ids = make(name, K=V1)
    sdk.secret_groups.update(group.id, secrets=[put("K", V1)])
    assert versions(sdk, ids["K"]) == [1] and sdk.secrets.get(ids["K"]).data.value == V1


def test_row_04_update_with_another_value(make, name, sdk):
    group, ids = make(name, K=V1)
    updated = sdk.secret_groups.update(group.id, secrets=[put("K", V2)]).data
    assert [(secret.id, secret.value) for secret in updated.associated_secrets] == [(ids["K"], None)]
    assert versions(sdk, ids["K"]) == [1, 2] and sdk.secrets.get(ids["K"]).data.value == V2


def test_row_05_update_keeps_what_has_no_value(make, name, sdk):
    group, ids = make(name, K=V1)
    sdk.secret_groups.update(group.id, secrets=[put("K", V2)])
    updated = sdk.secret_groups.update(group.id, secrets=[keep("K"), put("J", X)]).data
    added = {secret.name: secret.id for secret in updated.associated_secrets}
    assert set(added) == {"K", "J"} and added["K"] == ids["K"]
    assert versions(sdk, ids["K"]) == [1, 2] and sdk.secrets.get(ids["K"]).data.value == V2
    assert versions(sdk, added["J"]) == [1] and sdk.secrets.get(added["J"]).data.value == X


def test_row_06_update_drops_what_is_left_out(make, name, sdk):
    group, ids = make(name, K=V1, J=X)
    updated = sdk.secret_groups.update(group.id, secrets=[keep("J")])
    assert [secret.name for secret in updated.data.associated_secrets] == ["J"]
    with pytest.raises(NotFoundError):
        sdk.secrets.get(ids["K"])
    assert sdk.secrets.get(ids["J"]).data.value == X
    # The answer says how to bring it back.
    (dropped,) = updated.droppedSecrets
    assert (dropped["name"], dropped["id"]) == ("K", ids["K"]) and ids["K"] in dropped["restore"]


def test_row_07_update_with_nothing(make, name, sdk):
    group, _ = make(name, K=V1)
    sdk.sent.clear()
    with pytest.raises(UnprocessableEntityError) as raised:
        sdk.secret_groups.update(group.id, secrets=[])
    assert raised.value.body.status_code == 422 and len(sdk.sent) == 1
    assert [secret.name for secret in sdk.secret_groups.get(group.id).data.associated_secrets] == ["K"]


def test_row_08_create_on_an_unknown_integration(name, sdk):
    with pytest.raises(FailedDependencyError) as raised:
        sdk.secret_groups.create(name=name, integration_id="nope", secrets=[SecretInput(key="K", value=V1)])
    assert raised.value.body.status_code == 424 and len(sdk.sent) == 1
    assert list(sdk.secret_groups.list(fqn=f"default:{name}")) == []


def test_row_09_create_without_secrets(api, name, server):
    answer = api.call("POST", "/secret-groups", json={"name": name, "integrationId": server.integration["id"]})
    assert answer.status_code == 422
    body = answer.json()
    assert body["statusCode"] == 422 and "secrets" in body["message"]


def test_row_10_apply_twice(api, name, people, sdk):
    collaborators = [Collaborator(subject=people.viewer.subject, role_id="secret-group-viewer")]
    manifest = SecretGroupManifest(**api.manifest(name))
    first = sdk.secret_groups.create_or_update(manifest=manifest).data
    assert first.fqn == f"default:{name}" and first.associated_secrets == []
    sdk.secret_groups.update(first.id, secrets=[put("K", V1)])
    manifest.collaborators = collaborators
    second = sdk.secret_groups.create_or_update(manifest=manifest).data
    # Who applies it stays its admin, and the manifest says so.
    kept = {"subject": "user:admin@strongroom.local", "role_id": "secret-group-admin"}
    assert second.id == first.id
    assert second.manifest["collaborators"] == [*(entry.dict() for entry in collaborators), kept]
    (secret,) = second.associated_secrets
    assert versions(sdk, secret.id) == [1] and sdk.secrets.get(secret.id).data.value == V1


def test_row_11_dry_run(api, name, people, sdk):
    manifest = SecretGroupManifest(**api.manifest(name))
    group = sdk.secret_groups.create_or_update(manifest=manifest, dry_run=True).data
    assert group.id is None and group.manifest["name"] == name
    assert list(sdk.secret_groups.list(fqn=f"default:{name}")) == []
    for subject, role in [("user:nobody@example.com", "secret-group-viewer"), (people.viewer.subject, "cluster-admin")]:
        manifest.collaborators = [Collaborator(subject=subject, role_id=role)]
        sdk.sent.clear()
        with pytest.raises((BadRequestError, NotFoundError)):
            sdk.secret_groups.create_or_update(manifest=manifest, dry_run=True)
        assert len(sdk.sent) == 1


def test_row_12_apply_on_an_unknown_integration(api, name, sdk):
    manifest = SecretGroupManifest(**api.manifest(name, integration_fqn="default:truefoundry:default:secret-store:nope"))
    with pytest.raises((NotFoundError, UnprocessableEntityError)):
        sdk.secret_groups.create_or_update(manifest=manifest)
    assert len(sdk.sent) == 1
    assert list(sdk.secret_groups.list(fqn=f"default:{name}")) == []


def test_row_13_a_taken_name(api, make, name, people, sdk, sdk_as):
    make(name, K=V1)
    stranger = sdk_as(people.stranger.api)
    with pytest.raises(ConflictError) as raised:
        stranger.secret_groups.create_or_update(manifest=SecretGroupManifest(**api.manifest(name)))
    assert raised.value.body.status_code == 409 and len(stranger.sent) == 3
    # The SDK has no typed 409 for the other way to create.
    with pytest.raises(ApiError) as raised:
        no_retries = {"max_retries": 0}
        secrets = [SecretInput(key="K", value=V2)]
        integration = api.server.integration["id"]
        sdk.secret_groups.create(name=name, integration_id=integration, secrets=secrets, request_options=no_retries)
    assert raised.value.status_code == 409


def test_row_14_list_in_pages(api, make, name, sdk_as):
    _, newcomer = api.person("pager")
    sdk = sdk_as(newcomer)
    made = [make(f"{name}-{number}", client=sdk, K=V1)[0].id for number in range(3)]
    sdk.sent.clear()
    listed = list(sdk.secret_groups.list(limit=2))
    assert sorted(group.id for group in listed) == sorted(made)
    assert [request.url.params["offset"] for request in sdk.sent] == ["0", "2", "3"]
    assert all(secret.value is None for group in listed for secret in group.associated_secrets)


def test_row_15_search_by_a_part_of_a_key(make, name, sdk):
    group, _ = make(name, **{f"PAYMENTS.{name}": V1})
    make(f"{name}-other", K=V1)
    assert [found.id for found in sdk.secret_groups.list(search=f"ments.{name}")] == [group.id]


def test_row_16_list_with_attributes(api, make, name, sdk):
    group, _ = make(name, K=V1)
    sdk.sent.clear()
    (found,) = sdk.secret_groups.list(fqn=group.fqn, attributes=["id", "fqn"])
    assert (found.id, found.fqn, found.manifest) == (group.id, group.fqn, None)
    assert sdk.sent[0].url.params.get_list("attributes") == ["id", "fqn"]
    (item,) = api.ok("GET", f"/secret-groups?fqn={group.fqn}&attributes=id,fqn")["data"]
    assert (item["id"], item["fqn"], item.get("manifest")) == (group.id, group.fqn, None)


def test_row_17_get_by_fqn(make, name, sdk):
    group, _ = make(name, K=V1)
    assert sdk.secret_groups.get_by_fqn(group.fqn).data.id == group.id
    with pytest.raises(NotFoundError):
        sdk.secret_groups.get_by_fqn(f"{group.fqn}-missing")


def test_row_23_delete_a_group(make, name, sdk):
    group, ids = make(name, K=V1)
    assert isinstance(sdk.secret_groups.delete(group.id), DeleteSecretGroupResponse)
    for gone in [lambda: sdk.secret_groups.get(group.id), lambda: sdk.secrets.get(ids["K"])]:
        with pytest.raises(NotFoundError):
            gone()
    assert list(sdk.secret_groups.list(fqn=group.fqn)) == []
