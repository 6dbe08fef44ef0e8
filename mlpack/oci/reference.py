"""Names of images, after the grammar of the distribution specification and of Docker."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlpack.errors import InputError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")

DOCKER_HUB = "docker.io"


@dataclass(frozen=True)
class Reference:
    """Where an image is in a registry.

    Attributes:
        host: the registry, with its port if it has one; ``docker.io`` for Docker Hub.
        repository: such as ``library/python``.
        tag: such as ``3.11-slim``; None where only a digest is given.
        digest: ``sha256:...`` of the manifest, or None.
        scheme: ``https``, or ``http`` for this machine and where the user wrote it.
    """

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None
    scheme: str = "https"

    @property
    def name(self) -> str:
        """Host and repository, without tag and digest."""
        return f"{self.host}/{self.repository}"

    @property
    def version(self) -> str:
        """What the registry is asked for: the digest, or else the tag."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse(text: str, where: str = "image reference") -> Reference:
    """The reference that `text` is, such as ``docker.io/library/python:3.11-slim``.

    ``python:3.11`` stands for Docker Hub's, as it does for engines. A leading ``http://`` asks
    for a registry without TLS; for names of this machine that is the default.

    Raises:
        InputError: it is no reference; the message says what is wrong with it.
    """
    scheme, rest = _scheme(text, where)
    rest, at, digest = rest.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _wrong(text, "what follows @ is not sha256: and 64 hexadecimal digits", where)
    first, slash, remainder = rest.partition("/")
    if slash and (scheme or "." in first or ":" in first or first == "localhost"):
        host, path = first, remainder
    else:
        host, path = DOCKER_HUB, rest
    repository, colon, tag = path.partition(":")
    if host == "index.docker.io":
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    if not _HOST.fullmatch(host):
        raise _wrong(text, f"{host!r} is no host name", where)
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255 - len(host):
        raise _wrong(
            text, "a repository has lower-case letters, digits, and . _ - between them", where
        )
    if colon and not is_tag(tag):
        raise _wrong(text, f"{tag!r} is no tag", where)
    return Reference(
        host,
        repository,
        tag if colon else (None if at else "latest"),
        digest if at else None,
        scheme or ("http" if is_loopback(host) else "https"),
    )


def is_tag(text: str) -> bool:
    """Whether `text` may be a tag."""
    return _TAG.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether `host`, with or without a port, is this very machine."""
    return _LOOPBACK.fullmatch(host) is not None


def _scheme(text: str, where: str) -> tuple[str, str]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return "", text
    if scheme not in ("http", "https"):
        raise _wrong(text, f"{scheme!r} is neither http nor https", where)
    return scheme, rest


def _wrong(text: str, why: str, where: str) -> InputError:
    shown = re.sub(r"//[^@/]*@", "//...@", text)[:200]
    return InputError(
        f"{shown!r} is no image reference: {why}",
        where=where,
        hint="Write it like docker.io/library/python:3.11-slim.",
    )
