"""Who shares a group, through all that can say so: rows 34 and 35 of the drop-in checklist, readers, and ends."""

import datetime
import time

import pytest
from truefoundry_sdk import (
    ForbiddenError,
    NotFoundError,
    RoleBinding,
    RoleBindingManifest,
    RoleBindingPermission,
    RoleBindingSubject,
    SecretGroupManifest,
    SecretInput,
    TeamManifest,
    UpdateSecretInput,
    VirtualAccountManifest,
)

from api import Api
from canary import CANARY

UPDATE = [UpdateSecretInput(key="K", value=f"{CANARY}-new"), UpdateSecretInput(key="J")]


def granting(name, subjects, fqn, role, **more):
    return RoleBindingManifest(
        name=name,
        subjects=[RoleBindingSubject(type=kind, name=name) for kind, name in subjects],
        permissions=[RoleBindingPermission(resource_type="secret-group", resource_fqn=fqn, role=role, **more)],
    )


def test_row_34_a_binding_of_a_person(people, sdk, sdk_as, server, shared):
    stranger = sdk_as(people.stranger.api)
    binding = server.fresh("binding")
    subjects = [("user", people.stranger.email)]
    created = sdk.apply(manifest=granting(binding, subjects, shared.fqn, "secret-group-viewer"))
    assert created.action == "CREATE" and created.data.name == binding
    assert [group.id for group in stranger.secret_groups.list(fqn=shared.fqn)] == [shared.id]
    assert stranger.secrets.get(shared.secrets["K"]).data.value is None
    # Another role through the same binding.
    updated = sdk.apply(manifest=granting(binding, subjects, shared.fqn, "secret-group-editor"))
    assert updated.action == "UPDATE" and updated.data.id == created.data.id
    assert updated.existing_manifest.permissions[0].role == "secret-group-viewer"
    assert stranger.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    sdk.delete(manifest=granting(binding, subjects, shared.fqn, "secret-group-editor"))
    assert list(stranger.secret_groups.list(fqn=shared.fqn)) == []
    with pytest.raises(NotFoundError):
        stranger.secrets.get(shared.secrets["K"])


def test_row_34_a_binding_of_a_team(people, sdk, sdk_as, server, shared):
    stranger, team, binding = sdk_as(people.stranger.api), server.fresh("team"), server.fresh("binding")
    sdk.apply(manifest=TeamManifest(name=team, members=[]))
    sdk.apply(manifest=granting(binding, [("team", team)], shared.fqn, "secret-group-reader"))
    for members, sees in [([], False), ([people.stranger.email], True), ([people.editor.email], False)]:
        sdk.apply(manifest=TeamManifest(name=team, members=members))
        assert bool(list(stranger.secret_groups.list(fqn=shared.fqn))) == sees
    sdk.apply(manifest=TeamManifest(name=team, members=[people.stranger.email]))
    assert stranger.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    # With the team goes what it was granted.
    sdk.delete(manifest=TeamManifest(name=team, members=[]))
    assert list(stranger.secret_groups.list(fqn=shared.fqn)) == []


def test_row_34_what_manifest_and_binding_grant_adds_up(api, people, sdk, sdk_as, server, shared):
    viewer, binding = sdk_as(people.viewer.api), server.fresh("binding")
    manifest = granting(binding, [("user", people.viewer.email)], shared.fqn, "secret-group-editor")
    sdk.apply(manifest=manifest)
    assert viewer.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    # The group's manifest takes away what it gave, and nothing else.
    api.share(shared.name, {})
    assert viewer.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    sdk.delete(manifest=manifest)
    with pytest.raises(NotFoundError):
        viewer.secret_groups.get(shared.id)


def test_row_34_who_manages_a_group_binds_roles_on_it_only(api, people, sdk_as, server, shared):
    editor, binding = sdk_as(people.editor.api), server.fresh("binding")
    secrets = [SecretInput(key="K", value=f"{CANARY}-own")]
    integration = server.integration["id"]
    own = editor.secret_groups.create(name=f"{shared.name}-own", integration_id=integration, secrets=secrets).data
    subjects = [("user", people.stranger.email)]
    editor.apply(manifest=granting(binding, subjects, own.fqn, "secret-group-viewer"))
    assert people.stranger.api.call("GET", f"/secret-groups/{own.id}").status_code == 200
    for granted in [("account", "default", "tenant-admin"), ("secret-group", shared.fqn, "secret-group-viewer")]:
        manifest = api.binding(f"{binding}-b", [people.stranger.subject], granted)
        assert people.editor.api.call("PUT", "/apply", json={"manifest": manifest}).status_code == 403
    # Nor do they change what somebody else has bound.
    theirs = api.binding(f"{binding}-c", [people.viewer.subject], ("secret-group", shared.fqn, "secret-group-reader"))
    api.apply(theirs)
    assert people.editor.api.call("PUT", "/apply", json={"manifest": theirs}).status_code == 409
    assert people.editor.api.call("POST", "/delete", json={"manifest": theirs}).status_code == 404
    assert people.stranger.api.call("GET", f"/secret-groups/{shared.id}").status_code == 404
    assert people.viewer.api.referenced(f"{shared.fqn}:K") == shared.values["K"]


def test_bindings_without_a_name_are_bindings_like_others(api, people, sdk, sdk_as, shared):
    stranger = sdk_as(people.stranger.api)
    role = {"resourceType": "secret-group", "resourceFqn": shared.fqn, "role": "secret-group-viewer"}
    body = {"roleBindings": [role | {"subjectFqn": people.stranger.subject}]}
    (made,) = api.ok("POST", "/role-bindings/inline", json=body)["data"]
    # The SDK has no call for it, but a type of the answer.
    binding = RoleBinding.model_validate(made)
    assert [subject.name for subject in binding.manifest.subjects] == [people.stranger.email]
    assert [permission.role for permission in binding.manifest.permissions] == ["secret-group-viewer"]
    assert binding.manifest.name == binding.name and binding.name.startswith(f"sg-{shared.name}"[:20])
    assert stranger.secret_groups.get(shared.id).data.fqn == shared.fqn
    assert [row["id"] for row in api.ok("POST", "/role-bindings/inline", json=body)["data"]] == [binding.id]
    sdk.delete(manifest=binding.manifest)
    with pytest.raises(NotFoundError):
        stranger.secret_groups.get(shared.id)


def test_roles_written_down_as_bindings_stand_in_for_the_collaborators(api, people, sdk, sdk_as, shared):
    query = {"resourceType": "secret-group", "resourceId": shared.id}
    written = api.ok("GET", "/role-bindings/generate-manifest", params=query)["data"]
    roles = {permission["role"] for manifest in written for permission in manifest["permissions"]}
    assert {"secret-group-editor", "secret-group-viewer"} <= roles and len(written) == len(roles)
    for manifest in written:
        # As the SDK reads and applies them.
        applied = sdk.apply(manifest=RoleBindingManifest.model_validate(manifest))
        assert applied.action == "CREATE" and applied.data.name == manifest["name"]
    sdk.secret_groups.create_or_update(manifest=SecretGroupManifest(**api.manifest(shared.name, collaborators=[])))
    assert sdk_as(people.editor.api).secrets.get(shared.secrets["K"]).data.value == shared.values["K"]
    assert sdk_as(people.viewer.api).secrets.get(shared.secrets["K"]).data.value is None
    assert api.ok("GET", "/role-bindings/generate-manifest", params=query)["data"] == written


def test_row_35_authorized_subjects(api, name, people, sdk_as, server):
    account = server.fresh("account")

    def authorize(*subjects):
        integration = {
            "type": "integration/secret-store/truefoundry/db",
            "name": "db",
            "authorized_subjects": list(subjects),
        }
        manifest = {"type": "provider-account/truefoundry", "name": account, "integrations": [integration]}
        return api.apply(manifest)["integrations"][0]

    person = sdk_as(people.stranger.api)

    def create(name):
        manifest = SecretGroupManifest(name=name, integration_fqn=integration["fqn"])
        return person.secret_groups.create_or_update(manifest=manifest).data

    integration = authorize("team:everyone")
    create(name)
    authorize()
    with pytest.raises(ForbiddenError) as raised:
        create(f"{name}-b")
    assert raised.value.body.status_code == 403
    refused = people.stranger.api.call(
        "POST",
        "/secret-groups",
        json={"name": f"{name}-b", "integrationId": integration["id"], "secrets": [{"key": "K", "value": CANARY}]},
    )
    assert refused.status_code == 403 and f"{name}-b" not in api.groups()
    # What is there goes on, and administrators may.
    (group,) = person.secret_groups.list(fqn=f"default:{name}")
    person.secret_groups.update(group.id, secrets=[UpdateSecretInput(key="K", value=f"{CANARY}-k")])
    secrets = [SecretInput(key="K", value=f"{CANARY}-k")]
    sdk_as(api).secret_groups.create(name=f"{name}-c", integration_id=integration["id"], secrets=secrets)
    # A binding does what a line of `authorized_subjects` does.
    binding = api.binding(
        server.fresh("binding"),
        [people.stranger.subject],
        ("provider-integration", integration["fqn"], "provider-integration-access"),
    )
    api.apply(binding)
    create(f"{name}-d")
    api.unapply(binding)
    with pytest.raises(ForbiddenError):
        create(f"{name}-e")


def test_a_machine_that_only_reads(api, sdk, sdk_as, server, shared):
    name = server.fresh("reader")
    permissions = [{"resource_type": "secret-group", "resource_fqn": shared.fqn, "role_id": "secret-group-reader"}]
    made = sdk.virtual_accounts.create_or_update(manifest=VirtualAccountManifest(name=name, permissions=permissions))
    reader = sdk_as(Api(server, server.keep(made.token)))
    keys = list(reader.secrets.list(secret_group_id=shared.id))
    assert {key.name: reader.secrets.get(key.id).data.value for key in keys} == shared.values
    (listed,) = reader.secrets.list(secret_fqns=[f"{shared.fqn}:K"], with_value=True)
    assert listed.value == shared.values["K"]
    refused = [
        lambda: reader.secret_groups.update(shared.id, secrets=UPDATE),
        lambda: reader.secrets.delete(shared.secrets["K"]),
        lambda: reader.secret_groups.delete(shared.id),
        lambda: reader.secret_groups.create_or_update(manifest=SecretGroupManifest(**api.manifest(shared.name))),
    ]
    for call in refused:
        with pytest.raises(ForbiddenError) as raised:
            call()
        assert raised.value.body.status_code == 403
    assert sdk.secrets.get(shared.secrets["K"]).data.value == shared.values["K"]


@pytest.mark.parametrize("through", ["collaborators", "permissions", "binding"])
def test_a_role_ends_when_its_grant_says(api, people, server, shared, through):
    name, reader = api.machine("reader", {f"default:{api.create(server.fresh('other'))['name']}": "reader"})

    def grant(until):
        ends = {"expires_at": until.isoformat()}
        if through == "collaborators":
            entry = {"subject": f"virtualaccount:{name}", "role_id": "secret-group-reader"} | ends
            manifest = api.manifest(shared.name, collaborators=[entry])
        elif through == "permissions":
            entry = {"resource_type": "secret-group", "resource_fqn": shared.fqn, "role_id": "secret-group-reader"}
            manifest = {"type": "virtual-account", "name": name, "permissions": [entry | ends]}
        else:
            permission = ("secret-group", shared.fqn, "secret-group-reader")
            manifest = api.binding(f"{name}-b", [f"virtualaccount:{name}"], permission)
            manifest["permissions"][0] |= ends
        api.apply(manifest)

    def now():
        return datetime.datetime.now(datetime.timezone.utc)

    # As soon as a read still finds it.
    for seconds in [2, 10, 50]:
        until = now() + datetime.timedelta(seconds=seconds)
        grant(until)
        answer = reader.call("GET", f"/secrets/{shared.secrets['K']}")
        if answer.status_code == 200:
            break
        assert now() >= until, answer.text
    assert answer.json()["data"]["value"] == shared.values["K"]
    deadline = time.monotonic() + 120
    while answer.status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
        answer = reader.call("GET", f"/secrets/{shared.secrets['K']}")
    assert answer.status_code == 404 and now() >= until
    assert shared.name not in reader.groups()
    # It can be given anew.
    grant(now() + datetime.timedelta(days=1))
    assert reader.referenced(f"{shared.fqn}:K") == shared.values["K"]
