"""People and their tokens through the real SDK: every answer parses, lists end, errors are the SDK's typed ones."""

import pytest
from truefoundry_sdk import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RoleManifest,
    TeamManifest,
    UnprocessableEntityError,
)
from truefoundry_sdk.core.api_error import ApiError

from api import Api

NOTHING = "00000000-0000-7000-8000-000000000000"
ONCE = {"max_retries": 0}


@pytest.fixture
def person(sdk, server):
    """Somebody newly registered, and their address."""
    email = f"{server.fresh('person')}@example.com"
    sdk.users.pre_register_users(email=email)
    (user,) = sdk.users.list(query=email)
    assert user.email == email and user.roles == ["tenant-member"] and user.active
    return user


@pytest.fixture
def token_of(sdk, sdk_as, server):
    """The SDK as somebody, with a new token of theirs."""

    def make(user):
        made = sdk.personal_access_tokens.create_for_user(name=server.fresh("token"), user_email=user.email)
        return sdk_as(Api(server, server.keep(made.token)))

    return make


def test_registering(sdk, server):
    email = f"{server.fresh('Person')}@Example.com"
    sdk.users.pre_register_users(email=email, dry_run=True)
    assert list(sdk.users.list(query=email)) == []
    sdk.users.pre_register_users(email=email, send_invite_email=True, accept_invite_client_url="https://x.example.com")
    (user,) = sdk.users.list(query=email)
    assert user.email == email.lower() and sdk.users.get(user.id).data == user
    with pytest.raises(ConflictError) as raised:
        sdk.users.pre_register_users(email=email, request_options=ONCE)
    assert raised.value.body.status_code == 409
    sdk.users.pre_register_users(email=email, skip_if_user_exists=True)
    with pytest.raises(UnprocessableEntityError):
        sdk.users.pre_register_users(email="nobody")


def test_the_list_of_people_ends(sdk, server):
    mark = server.fresh("mark")
    emails = {f"{mark}-{number}@example.com" for number in range(5)}
    for email in emails:
        sdk.users.pre_register_users(email=email)
    sdk.sent.clear()
    listed = list(sdk.users.list(query=f"{mark}-", limit=2))
    assert len(listed) == 5 and {user.email for user in listed} == emails
    assert [request.url.params["offset"] for request in sdk.sent] == ["0", "2", "4", "5"]
    assert list(sdk.users.list(query=f"{mark}-", offset=99)) == []


def test_who_is_not_there(sdk):
    users = sdk.users
    for id in [NOTHING, "no-id"]:
        for call in [users.get, users.delete, users.get_resources, users.get_permissions, users.get_teams]:
            with pytest.raises(NotFoundError):
                call(id)
    for call in [users.activate, users.deactivate, lambda email: users.update_roles(email=email, roles=["tenant-admin"])]:
        with pytest.raises(NotFoundError):
            call(email="nobody@example.com")


def test_roles_in_the_tenant(person, sdk, server, token_of):
    role = server.fresh("auditor")
    description = {"display_name": "Auditors", "description": "They read the audit log."}
    sdk.apply(
        manifest=RoleManifest(name=role, resource_type="account", permissions=["audit-log:read"], **description)
    )
    theirs = token_of(person)
    with pytest.raises(ApiError) as raised:
        theirs.users.deactivate(email="nobody@example.com", request_options=ONCE)
    assert raised.value.status_code == 403
    assert theirs_reads_the_log(server, theirs) == 403
    sdk.users.update_roles(email=person.email, roles=[role])
    assert sdk.users.get(person.id).data.roles == [role]
    assert theirs_reads_the_log(server, theirs) == 200
    sdk.users.update_roles(email=person.email, roles=["tenant-admin"], resource_type="account")
    with pytest.raises(NotFoundError):
        theirs.users.deactivate(email="nobody@example.com")
    sdk.users.update_roles(email=person.email, roles=["tenant-member"])
    assert theirs_reads_the_log(server, theirs) == 403
    with pytest.raises(NotFoundError):
        sdk.users.update_roles(email=person.email, roles=["no-such-role"])
    for roles in [[], ["tenant-admin", "tenant-member"]]:
        with pytest.raises(UnprocessableEntityError):
            sdk.users.update_roles(email=person.email, roles=roles)


def theirs_reads_the_log(server, sdk):
    token = sdk.sent[0].headers["authorization"].split()[1]
    return Api(server, token).call("GET", "/audit-logs?metric=count").status_code


def test_who_is_deactivated_is_out(person, sdk, token_of):
    theirs = token_of(person)
    assert theirs.users.get(person.id).data.email == person.email
    sdk.users.deactivate(email=person.email)
    with pytest.raises(ApiError) as raised:
        theirs.users.get(person.id)
    assert raised.value.status_code == 401
    assert list(sdk.users.list(query=person.email)) == []
    (hidden,) = sdk.users.list(query=person.email, show_invalid_users=True)
    assert not hidden.active
    sdk.users.activate(email=person.email)
    assert theirs.users.get(person.id).data.active


def test_the_last_administrator_stays(sdk, server):
    answer = server.admin.ok("GET", "/x/users/info")
    calls = [
        lambda: sdk.users.deactivate(email=answer["email"]),
        lambda: sdk.users.update_roles(email=answer["email"], roles=["tenant-member"]),
        lambda: sdk.users.delete(answer["id"], force_delete=True),
    ]
    for call in calls:
        with pytest.raises(ApiError) as raised:
            call()
        body = raised.value.body
        assert (body["code"] if isinstance(body, dict) else body.code) == "last_admin"


def test_what_a_person_has(api, people, person, sdk, sdk_as, server, shared, token_of):
    team = server.fresh("team")
    made = sdk.teams.create_or_update(manifest=TeamManifest(name=team, members=[person.email], managers=[person.email]))
    api.share(shared.name, {f"user:{person.email}": "reader", f"team:{team}": "viewer"})
    for client in [sdk, token_of(person)]:
        (resource,) = client.users.get_resources(person.id).data
        assert (resource.resource_type, resource.resource_id) == ("secret-group", shared.id)
        assert (resource.resource_name, resource.role_id) == (shared.name, "secret-group-reader")
        permissions = client.users.get_permissions(person.id).data
        found = {(one.resource_type, one.role_id, one.subject_type, one.subject_id) for one in permissions}
        assert found == {
            ("account", "tenant-member", "user", person.id),
            ("secret-group", "secret-group-reader", "user", person.id),
            ("secret-group", "secret-group-viewer", "team", made.data.id),
            ("provider-integration", "provider-integration-access", "team", "everyone"),
        }
        teams = {team.team_name: sorted(team.roles) for team in client.users.get_teams(person.id).data}
        assert teams == {team: ["team-manager", "team-member"], "everyone": ["team-member"]}
    stranger = sdk_as(people.stranger.api)
    for call in [stranger.users.get_resources, stranger.users.get_permissions, stranger.users.get_teams]:
        for id in [person.id, NOTHING]:
            with pytest.raises(ForbiddenError) as raised:
                call(id)
            assert raised.value.body.status_code == 403


def test_deleting(api, person, sdk, server, shared, token_of):
    theirs, subject = token_of(person), f"user:{person.email}"
    api.share(shared.name, {subject: "editor"})
    with pytest.raises(ApiError) as raised:
        sdk.users.delete(person.id)
    assert raised.value.status_code == 422 and "1 secret group" in raised.value.body["message"]
    sdk.users.delete(person.id, tenant_name="default", force_delete=True)
    with pytest.raises(NotFoundError):
        sdk.users.get(person.id)
    with pytest.raises(ApiError) as raised:
        theirs.users.list()
    assert raised.value.status_code == 401
    # The same address again is somebody else.
    sdk.users.pre_register_users(email=person.email)
    (again,) = sdk.users.list(query=person.email)
    assert again.id != person.id and sdk.users.get_resources(again.id).data == []
    sdk.users.delete(again.id)
    assert list(sdk.users.list(query=person.email, show_invalid_users=True)) == []


def test_inviting(people, person, sdk, sdk_as, server):
    page = "https://vault.example.com/welcome"
    link = sdk.users.invite_user(email=person.email, accept_invite_client_url=page).link
    code = server.keep(link.removeprefix(f"{page}#invitation="))
    assert code != link
    answer = server.http.post("/api/v1/invitations/accept", json={"code": code})
    token = server.keep(answer.json()["token"])
    assert sdk_as(Api(server, token)).users.get(person.id).data.email == person.email
    assert server.http.post("/api/v1/invitations/accept", json={"code": code}).status_code == 401
    with pytest.raises(ForbiddenError):
        sdk_as(people.stranger.api).users.invite_user(email=person.email, accept_invite_client_url=page)


def test_tokens(person, sdk, sdk_as, server):
    made = [
        sdk.personal_access_tokens.create_for_user(name=name, user_email=person.email, expiration_date="2099-12-31")
        for name in ["laptop", "phone", "laptop-two"]
    ]
    theirs = sdk_as(Api(server, server.keep(made[0].token)))
    for one in made[1:]:
        server.keep(one.token)
    listed = list(theirs.personal_access_tokens.list(limit=1))
    assert [token.manifest.name for token in listed] == ["laptop-two", "phone", "laptop"]
    assert all(token.type == "pat" and not token.is_expired for token in listed)
    assert [request.url.params["offset"] for request in theirs.sent] == ["0", "1", "2", "3"]
    found = list(theirs.personal_access_tokens.list(name_search_query="LAP"))
    assert [token.manifest.name for token in found] == ["laptop-two", "laptop"]
    # No token makes another of the same kind.
    with pytest.raises(ApiError) as raised:
        theirs.personal_access_tokens.create(name="another")
    assert raised.value.status_code == 403
    with pytest.raises(ConflictError):
        sdk.personal_access_tokens.create_for_user(name="phone", user_email=person.email, request_options=ONCE)
    with pytest.raises(NotFoundError):
        sdk.personal_access_tokens.create_for_user(name="phone", user_email="nobody@example.com")
    with pytest.raises(ForbiddenError):
        theirs.personal_access_tokens.create_for_user(name="phone-two", user_email=person.email)
    theirs.personal_access_tokens.delete(listed[1].id)
    assert Api(server, made[1].token).call("GET", "/secret-groups").status_code == 401
    for id in [listed[1].id, NOTHING, "no-id"]:
        with pytest.raises(NotFoundError):
            theirs.personal_access_tokens.delete(id)
    theirs.personal_access_tokens.revoke_all(email=person.email)
    for one in made:
        assert Api(server, one.token).call("GET", "/secret-groups").status_code == 401
    with pytest.raises(NotFoundError):
        sdk.personal_access_tokens.revoke_all(email="nobody@example.com")


def test_a_token_says_who_made_it(person, sdk, token_of):
    theirs = token_of(person)
    (token,) = theirs.personal_access_tokens.list()
    assert token.created_by_subject.subject_slug != person.email
    assert [token] == list(token_of(person).personal_access_tokens.list())[1:]
