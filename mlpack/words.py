"""Words of the configuration that reach a Dockerfile or a command line: each has a grammar.

A check answers None for a word that is one, and else what it should be, to follow its name in a
message. Every grammar is a whitelist of ASCII characters for the whole of the word, so that no
line end, quote, blank or ``$`` gets past it: what other tools did with such values became
CVE-2026-33744 (packages), CVE-2026-44345 (base images) and CVE-2026-44346 (names of variables).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# Debian policy 5.6.7 and 5.6.12 (https://www.debian.org/doc/debian-policy/ch-controlfields.html).
# apt-get takes a minus at the end of a name for "remove it".
_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](?:=(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*)?", re.ASCII
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%+/-]*)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# An image's name as registries, layouts and engines have it.
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+~-]*", re.ASCII)
_PATH_IMAGE = re.compile(r"(?:oci|archive):[A-Za-z0-9._/:@+~-]+", re.ASCII)

_PATHLIKE = re.compile(r"[/:]")
_DIGEST = re.compile(r"@sha[0-9]+:")

_LONGEST = 512
OWN = "mlpack-"
"""What the names of mlpack's own secrets begin with."""


def package(word: str) -> str | None:
    """A Debian package, with its version or without."""
    if _PACKAGE.fullmatch(word) and len(word) <= _LONGEST:
        return None
    return "is no Debian package: write it like libgomp1, or libgomp1=12.2.0-14"


def image(word: str) -> str | None:
    """The name of a base image."""
    known = _IMAGE.fullmatch(word) or _PATH_IMAGE.fullmatch(word)
    if known and len(word) <= _LONGEST:
        return None
    return "is no image: write it like docker.io/library/python:3.11-slim, oci:PATH or docker:NAME"


def variable(word: str) -> str | None:
    """The name of an environment variable (POSIX.1-2017, 8.1, lower case too)."""
    if _VARIABLE.fullmatch(word) and len(word) <= _LONGEST:
        return None
    return "is no name of an environment variable, such as INDEX_TOKEN"


def secret(word: str) -> str | None:
    """The name of a build secret: a file's in ``/run/secrets``."""
    if word.startswith(OWN):
        return f"is mlpack's own: take a name that does not begin with {OWN}"
    if _SECRET.fullmatch(word) and len(word) <= _LONGEST:
        return None
    return "is no name of a secret: it has letters, digits, and . _ - between them"


def distribution(word: str) -> str | None:
    """A package's name on an index (the core metadata specification), or ``:all:``."""
    if word == ":all:" or (_DISTRIBUTION.fullmatch(word) and len(word) <= _LONGEST):
        return None
    return "is no package's name, such as lightgbm, and not :all:"


def index(word: str) -> str | None:
    """The URL of a package index. Credentials have no place in a project."""
    try:
        known = _URL.fullmatch(word) is not None and urlsplit(word).port != 0
    except ValueError:  # a port above 65535
        known = False
    if known and len(word) <= _LONGEST:
        return None
    if "@" in word:
        return (
            "has a user in it: credentials belong to pip's own configuration on this machine, "
            "which the build gets as a secret"
        )
    return "is no URL of a package index, such as https://pypi.org/simple"


def path(word: str) -> str | None:
    """A file's path, of any characters but control characters."""
    if word and not _CONTROL.search(word):
        return None
    return "is no path"


def shown(word: str) -> str:
    """A refused word as a message can quote it: short, in one line, without a password.

    Of what has an ``@`` and could be an address nothing is shown: where a password ends is known
    for addresses that are right alone.
    """
    return public(_CONTROL.sub("�", word))[:80].join('""')


def public(text: str) -> str:
    """The text, or dots in its place where it could be an address with a login."""
    address = "://" in text or (_PATHLIKE.search(text) and not _DIGEST.search(text))
    return "..." if "@" in text and address else text
