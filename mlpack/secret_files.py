"""Files that look like secrets, by name or by content. None of them may enter an artifact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_NAMES = {
    "an environment file": (".env", ".env.*"),
    "a private key": (
        "*.key",
        "*.p12",
        "*.pem",
        "*.pfx",
        "*.ppk",
        "id_dsa*",
        "id_ecdsa*",
        "id_ed25519*",
        "id_rsa*",
    ),
    "a file of credentials": (
        ".git-credentials",
        ".htpasswd",
        ".netrc",
        "_netrc",
        ".npmrc",
        ".pgpass",
        ".pypirc",
        "client_secret*.json",
        "credentials",
        "credentials.json",
        "service-account*.json",
        "service_account*.json",
    ),
}
# Examples are meant to be shared, and say so in their names.
_HARMLESS = (".env.example", ".env.sample", ".env.template")

_CONTENT = {
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    # The prefixes of long-term and of temporary access keys:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    "an AWS access key": re.compile(
        rb"(?<![A-Za-z0-9/+=])A(?:KIA|SIA)[A-Z2-7]{16}(?![A-Za-z0-9/+=])"
    ),
    "a GitHub token": re.compile(
        rb"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{50,})"
    ),
    "a Slack token": re.compile(rb"(?<![A-Za-z0-9])xox[abprs]-[A-Za-z0-9-]{20,}"),
}


def suspicion(name: str, content: bytes) -> str | None:
    """What kind of secret a file looks like, such as ``a private key``; None for an ordinary file.

    Args:
        name: its path, with forward slashes.
        content: its bytes.
    """
    base = PurePosixPath(name).name.lower()
    if base not in _HARMLESS:
        for kind, patterns in _NAMES.items():
            if any(fnmatchcase(base, pattern) for pattern in patterns):
                return kind
    for kind, expression in _CONTENT.items():
        if expression.search(content):
            return kind
    return None


def secrets_in(tree: Mapping[str, bytes]) -> dict[str, str]:
    """The files of `tree` that look like secrets: path to what they look like, sorted."""
    found = {name: suspicion(name, tree[name]) for name in sorted(tree)}
    return {name: kind for name, kind in found.items() if kind is not None}
