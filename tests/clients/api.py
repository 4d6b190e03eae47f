"""Plain HTTP calls."""

import json

API = "/api/svc/v1"


class Api:
    """Plain HTTP with one token: for what the SDK has no method for, and for what tests need to prepare."""

    def __init__(self, server, token):
        self.server, self.token = server, token

    def call(self, method, path, **request):
        headers = {"authorization": f"Bearer {self.token}"} | request.pop("headers", {})
        return self.server.http.request(method, f"{API}{path}", headers=headers, **request)

    def ok(self, method, path, **request):
        answer = self.call(method, path, **request)
        assert answer.is_success, answer.text
        return answer.json()

    def create(self, name, **values):
        secrets = [{"key": key, "value": value} for key, value in values.items()]
        body = {"name": name, "integrationId": self.server.integration["id"], "secrets": secrets}
        return self.ok("POST", "/secret-groups", json=body)["data"]

    def share(self, name, roles):
        """Gives roles on a group: `{"user:a@example.com": "viewer"}`. Makes the group when it isn't there."""
        entries = [{"subject": subject, "role_id": f"secret-group-{role}"} for subject, role in roles.items()]
        return self.ok("PUT", "/secret-groups", json={"manifest": self.manifest(name, collaborators=entries)})["data"]

    def manifest(self, name, **more):
        return {"type": "secret-group", "name": name, "integration_fqn": self.server.integration["fqn"]} | more

    def apply(self, manifest):
        """Applies a manifest of any type; what there is afterwards."""
        answer = self.ok("PUT", "/apply", json={"manifest": manifest})
        self.server.keep(answer.get("token"))
        return answer["data"]

    def unapply(self, manifest):
        """Deletes what a manifest names."""
        self.ok("POST", "/delete", json={"manifest": manifest})

    def binding(self, name, subjects, *permissions):
        """A role binding: `["user:a@example.com"]`, and permissions as `(type, fqn, role)`."""
        pairs = [subject.split(":", 1) for subject in subjects]
        granted = [{"resourceType": kind, "resourceFqn": fqn, "role": role} for kind, fqn, role in permissions]
        return {
            "type": "role-binding",
            "name": name,
            "subjects": [{"type": kind, "name": name} for kind, name in pairs],
            "permissions": granted,
        }

    def groups(self):
        """The names of the groups that one sees."""
        return sorted(group["name"] for group in self.ok("GET", "/secret-groups?limit=1000")["data"])

    def referenced(self, reference):
        """The value that a reference names, the way the External Secrets webhook asks."""
        return self.ok("GET", "/control-plane/secret", params={"secret_ref": reference})["value"]

    def person(self, name):
        """A registered person with a token: the address, and plain HTTP as that person."""
        name = self.server.fresh(name)
        email = f"{name}@example.com"
        self.ok("POST", "/users/register", json={"email": email, "sendInviteEmail": False})
        body = {"name": "tests", "userEmail": email}
        token = self.ok("POST", "/personal-access-tokens/for-user", json=body)["token"]
        self.server.tokens[name] = token
        return email, Api(self.server, token)

    def machine(self, name, roles):
        """A virtual account with roles on groups: `{"default:group": "viewer"}`."""
        name = self.server.fresh(name)
        permissions = [
            {"resource_type": "secret-group", "resource_fqn": fqn, "role_id": f"secret-group-{role}"}
            for fqn, role in roles.items()
        ]
        manifest = {"type": "virtual-account", "name": name, "permissions": permissions}
        token = self.ok("PUT", "/virtual-accounts", json={"manifest": manifest})["token"]
        self.server.tokens[name] = token
        return name, Api(self.server, token)


def is_error_body(status, content):
    """Whether an error's body has the contract's form."""
    try:
        body = json.loads(content)
        details = body["details"]
        return (
            body["statusCode"] == status
            and isinstance(body["message"], str)
            and bool(body["message"])
            and (details is None or (isinstance(details, list) and all(isinstance(item, dict) for item in details)))
        )
    except (ValueError, LookupError, TypeError):
        return False
