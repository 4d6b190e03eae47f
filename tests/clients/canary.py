"""Looks for secrets where none may be, in every spelling that a careless program gives them."""

import base64
import os
from pathlib import Path

# A part of every value that the suite stores. Nothing else in the world is called so.
CANARY = "qUeTzaL-7f3kXw91-cAnArY"


def spellings(secret):
    """The secret as it is, in hex, and in base64 wherever it begins within a group of three bytes."""
    raw = secret.encode()
    found = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    for shift in range(3):
        # Letters that depend on the neighbours too are left out.
        encoded = base64.b64encode(b"\0" * shift + raw)
        first = (shift * 8 + 5) // 6
        last = (shift + len(raw)) * 8 // 6
        found[f"base64+{shift}"] = encoded[first:last]
        found[f"base64url+{shift}"] = base64.urlsafe_b64encode(b"\0" * shift + raw)[first:last]
    return found


def traces(place, content, secrets):
    """What of the secrets is in the content, as readable lines that don't repeat them."""
    return [
        f"{place}: {label} as {spelling}"
        for label, secret in secrets.items()
        for spelling, needle in spellings(secret).items()
        if needle in content
    ]


def traces_in_folder(folder, secrets, but=()):
    lines = []
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and path.name not in but:
            lines += traces(path.relative_to(folder), path.read_bytes(), secrets)
    return lines


def traces_in_process(pid, secrets):
    lines = []
    for name in ["cmdline", "environ"]:
        path = Path(f"/proc/{pid}/{name}")
        # A process without dumps shows its environment to root only.
        if os.access(path, os.R_OK):
            lines += traces(path, path.read_bytes(), secrets)
    return lines
