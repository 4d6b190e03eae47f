"""Teams through the real SDK: every answer parses, lists end, errors are the SDK's typed ones."""

import json

import pytest
from truefoundry_sdk import ForbiddenError, NotFoundError, Role, TeamManifest, TeamOwnedBy, UnprocessableEntityError
from truefoundry_sdk.core.api_error import ApiError

NOTHING = "00000000-0000-7000-8000-000000000000"


def test_making_and_changing(people, sdk, server):
    name = server.fresh("team")
    manifest = TeamManifest(name=name, display_name="Developers", members=[people.editor.email])
    sdk.teams.create_or_update(manifest=manifest, dry_run=True)
    assert name not in [team.manifest.name for team in sdk.teams.list()]
    made = sdk.teams.create_or_update(manifest=manifest).data
    assert made.manifest.members == [people.editor.email] and made.manifest.display_name == "Developers"
    assert made.tenant_name == "default" and made.is_editable
    members = [people.viewer.email, people.editor.email]
    changed = sdk.teams.create_or_update(manifest=TeamManifest(name=name, members=members)).data
    assert changed.id == made.id and changed.manifest.members == members
    assert sdk.teams.get(made.id).data.total_member_count == 2
    sdk.teams.delete(made.id)
    lists = [sdk.teams.list_members, sdk.teams.list_managers, sdk.teams.get_permissions]
    for call in [sdk.teams.get, sdk.teams.delete, *lists]:
        for id in [made.id, NOTHING, "no-id"]:
            with pytest.raises(NotFoundError):
                list(call(id))


def test_what_is_no_team(people, sdk, server):
    for manifest in [TeamManifest(name="everyone", members=[]), TeamManifest(name="x", members=["nobody"])]:
        with pytest.raises(UnprocessableEntityError) as raised:
            sdk.teams.create_or_update(manifest=manifest)
        assert raised.value.body.status_code == 422
    with pytest.raises(ApiError) as raised:
        sdk.teams.create_or_update(manifest=TeamManifest(name=server.fresh("team"), members=["nobody@example.com"]))
    assert raised.value.status_code == 404


def test_the_lists_end(api, sdk, sdk_as, server):
    names = [server.fresh("team") for _ in range(3)]
    emails, client = [], None
    for _ in range(3):
        email, person = api.person("member")
        emails.append(email)
    for name in names:
        made = sdk.teams.create_or_update(manifest=TeamManifest(name=name, members=emails, managers=emails[:2])).data
    sdk.sent.clear()
    listed = list(sdk.teams.list(limit=2))
    assert set(names) <= {team.manifest.name for team in listed}
    assert len({team.id for team in listed}) == len(listed)
    assert int(sdk.sent[-1].url.params["offset"]) == len(listed)
    for call, wanted in [(sdk.teams.list_members, emails), (sdk.teams.list_managers, emails[:2])]:
        rows = list(call(made.id, limit=1))
        assert sorted(row.subject_slug for row in rows) == sorted(wanted)
        assert {row.subject_type for row in rows} == {"user"}
    client = sdk_as(person)
    assert [team.manifest.name for team in client.teams.list(role="manager")] == []


def test_managers_choose_the_members(api, people, sdk, sdk_as, server):
    name, (email, lead) = server.fresh("team"), api.person("lead")
    lead = sdk_as(lead)
    with pytest.raises(ApiError) as raised:
        lead.teams.create_or_update(manifest=TeamManifest(name=name, members=[email]))
    assert raised.value.status_code == 403
    made = sdk.teams.create_or_update(manifest=TeamManifest(name=name, members=[], managers=[email])).data
    assert [team.id for team in lead.teams.list(role="manager", limit=1)] == [made.id]
    members = [email, people.viewer.email]
    lead.teams.create_or_update(manifest=TeamManifest(name=name, members=members, managers=[email]))
    assert lead.teams.get(made.id).data.members == members
    for managers in [[], [email, people.viewer.email]]:
        with pytest.raises(ApiError) as raised:
            lead.teams.create_or_update(manifest=TeamManifest(name=name, members=members, managers=managers))
        assert raised.value.status_code == 403
    # With the team goes what it was granted, which they didn't give.
    for client in [lead, sdk_as(people.viewer.api)]:
        with pytest.raises(ApiError) as raised:
            client.teams.delete(made.id)
        assert raised.value.status_code == 403
    sdk.teams.delete(made.id)


def test_managing_by_a_role_is_listed_in_pages(api, sdk, sdk_as, server):
    email, lead = api.person("lead")
    lead, names = sdk_as(lead), sorted(server.fresh("team") for _ in range(3))
    for name, managers in zip(names, [[email], [], []]):
        sdk.teams.create_or_update(manifest=TeamManifest(name=name, members=[], managers=managers))
    role = server.fresh("leads")
    manifest = {"type": "role", "name": role, "displayName": role, "description": "Of a test.", "resourceType": "team"}
    api.apply(manifest | {"permissions": ["team:manage-members"]})
    api.apply(api.binding(server.fresh("binding"), [f"user:{email}"], ("team", names[1], "team-manager")))
    api.apply(api.binding(server.fresh("binding"), [f"user:{email}"], ("team", names[2], role)))
    listed = list(lead.teams.list(role="manager", limit=2))
    assert sorted(team.manifest.name for team in listed) == names
    for team in listed:
        lead.teams.create_or_update(manifest=team.manifest, dry_run=True)


def test_what_a_team_has(api, people, sdk, sdk_as, server, shared):
    team, (email, lead) = server.fresh("team"), api.person("lead")
    made = sdk.teams.create_or_update(manifest=TeamManifest(name=team, members=[people.stranger.email])).data
    assert list(sdk.teams.get_permissions(made.id).data) == []
    store = server.integration["fqn"]
    subject = [f"team:{team}"]
    api.apply(api.binding(server.fresh("binding"), subject, ("secret-group", shared.fqn, "secret-group-viewer")))
    access = ("provider-integration", store, "provider-integration-access")
    api.apply(api.binding(server.fresh("binding"), subject, access))

    def seen(client):
        rows = client.teams.get_permissions(made.id).data
        assert {(row.subject_id, row.subject_type) for row in rows} == {(made.id, "team")}
        return [(row.resource_type, row.resource_name, row.resource_fqn, row.role_id) for row in rows]

    on_group = ("secret-group", shared.name, shared.fqn, "secret-group-viewer")
    on_store = ("provider-integration", None, None, "provider-integration-access")
    for client in [sdk, sdk_as(people.viewer.api), sdk_as(people.stranger.api)]:
        assert seen(client) == [on_group, on_store]
    # Who doesn't see the group doesn't learn of it here, until they may join the team.
    lead = sdk_as(lead)
    assert seen(lead) == [on_store]
    sdk.teams.create_or_update(manifest=TeamManifest(name=team, members=[people.stranger.email], managers=[email]))
    assert seen(lead) == [on_group, on_store]
    _, machine = api.machine("bot", {shared.fqn: "admin"})
    with pytest.raises(ForbiddenError) as raised:
        sdk_as(machine).teams.get_permissions(made.id)
    assert raised.value.body.status_code == 403


def test_owners_tags_and_filters(api, people, sdk, server):
    name, tags = server.fresh("team"), {"site": "berlin", "tier": 3, "live": True}
    members = [people.editor.email, people.viewer.email]
    manifest = TeamManifest(name=name, members=members, tags=tags, owned_by=TeamOwnedBy(account="root"))
    made = sdk.teams.create_or_update(manifest=manifest).data
    assert made.manifest.tags == tags and made.manifest.owned_by.account == "root"
    # One that the SDK couldn't read would break the list for everybody.
    for owner in [{}, {"account": 5}, {"account": None}]:
        manifest = {"type": "team", "name": name, "members": [], "ownedBy": owner}
        refused = api.call("PUT", "/teams", json={"manifest": manifest})
        assert refused.status_code == 422 and "manifest.ownedBy.account" in refused.text
    assert made.id in [team.id for team in sdk.teams.list()]
    # As the SDK's documentation writes it.
    one = {"column": "email", "op": "STRING_CONTAINS", "value": people.viewer.email}
    found = sdk.teams.list_members(made.id, filter=json.dumps({"type": "AND", "children": [one]}), limit=1)
    assert [row.subject_slug for row in found] == [people.viewer.email]
    with pytest.raises(ApiError) as raised:
        list(sdk.teams.list_members(made.id, filter="{}"))
    assert raised.value.status_code == 422


def test_every_role_reads(api):
    for role in api.ok("GET", "/roles?limit=1000")["data"]:
        assert Role.model_validate(role).created_by_subject["subjectSlug"]
