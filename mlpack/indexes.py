"""The user's package indexes: read from pip's configuration, handed to uv, written nowhere.

uv does not read pip's configuration. Somebody whose pip works behind a company's index should not
have to say everything twice, so that it is translated into uv's environment variables here
(https://docs.astral.sh/uv/reference/environment/). What the user told uv itself goes before.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import uv

from mlpack.errors import OutsideError
from mlpack.process import Runner

_PYPI = "https://pypi.org/simple"
# Up to the last @ before the path: a password may hold one, unquoted as people write it.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")


@dataclass(frozen=True)
class Indexes:
    """Where pip looks for packages, and how.

    Attributes:
        index_url: the main index, or None for pip's default.
        extra: further indexes.
        find_links: further folders and pages with files.
        no_index: look into `find_links` alone.
        trusted_hosts: whose certificates are not checked.
        cert, client_cert: files with certificates.
        proxy: for all connections.
        timeout: seconds, as pip writes them.
        constraints: files that limit versions.
        dead: local folders that pip's configuration names and that are not there.
    """

    index_url: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    client_cert: str | None = None
    proxy: str | None = None
    timeout: str | None = None
    constraints: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()

    @property
    def uv_options(self) -> tuple[str, ...]:
        """Options for uv's commands: what it takes from no environment variable."""
        return ("--no-index",) if self.no_index else ()

    def for_uv(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The whole environment for a process of uv, so that it looks where pip would."""
        given: dict[str, str] = {}
        if self.extra:
            # uv prefers what stands first and puts the default last. The main index has to be
            # first: a version's files are taken from one index, and a mirror may hold few of them.
            urls = [self.index_url or _PYPI, *self.extra]
            given["UV_INDEX"] = " ".join(urls[:-1])
            given["UV_DEFAULT_INDEX"] = urls[-1]
            given["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's: the newest of all indexes
        elif self.index_url:
            given["UV_DEFAULT_INDEX"] = self.index_url
        listed = {
            "UV_FIND_LINKS": ",".join(self.find_links),
            "UV_INSECURE_HOST": " ".join(self.trusted_hosts),
            "UV_HTTP_TIMEOUT": self.timeout or "",
            "SSL_CERT_FILE": self.cert or "",
            "SSL_CLIENT_CERT": self.client_cert or "",
            "ALL_PROXY": self.proxy or "",
        }
        given |= {name: value for name, value in listed.items() if value}
        if any(name in environ for name in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL")):
            for name in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_STRATEGY"):
                given.pop(name, None)
        return {**given, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", **environ}


def read(runner: Runner, python: str, environ: Mapping[str, str]) -> Indexes:
    """What ``pip config list`` says, files and environment variables both.

    Raises:
        OutsideError: pip does not answer.
    """
    done = runner([python, "-m", "pip", "config", "list"], env=environ, timeout=60)
    if done.code:
        raise OutsideError(
            "pip's configuration cannot be read",
            where="pip config list",
            hint=redact(done.stderr.strip()[-500:]) or None,
        )
    return parse(done.stdout)


def parse(text: str) -> Indexes:
    """The output of ``pip config list``: ``section.key='value'`` in lines."""
    values: dict[str, str] = {}
    # pip's own order: a command's section goes before [global], the environment before both.
    for section in ("global", "install", ":env:"):
        for line in text.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                values[key.removeprefix(f"{section}.")] = _unquoted(value)
    extra, dead_extra = _alive(values.get("extra-index-url", ""))
    links, dead_links = _alive(values.get("find-links", ""))
    constraints, dead_constraints = _alive(values.get("constraint", ""))
    return Indexes(
        index_url=values.get("index-url") or None,
        extra=extra,
        find_links=links,
        no_index=values.get("no-index", "").lower() in ("1", "true", "yes", "on"),
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        cert=values.get("cert") or None,
        client_cert=values.get("client-cert") or None,
        proxy=values.get("proxy") or None,
        timeout=values.get("timeout") or values.get("default-timeout") or None,
        constraints=constraints,
        dead=(*dead_extra, *dead_links, *dead_constraints),
    )


def uv_program() -> str:
    """The path of uv's program, which comes with mlpack.

    Raises:
        OutsideError: it is not there.
    """
    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise OutsideError(
            "uv's program is not there", hint="Install it again: pip install --force-reinstall uv"
        ) from error


def redact(text: str) -> str:
    """The same text without the credentials of the URLs in it."""
    return _CREDENTIALS.sub("", text)


def _unquoted(value: str) -> str:
    try:
        return str(ast.literal_eval(value))
    except (ValueError, SyntaxError):
        return value


def _alive(value: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Places that are remote or there, and local ones that are not: uv would stop at those."""
    places = [place if "://" in place else _at_home(place) for place in value.split()]
    dead = tuple(place for place in places if not _there(place))
    return tuple(place for place in places if place not in dead), dead


def _at_home(place: str) -> str:
    try:
        return str(Path(place).expanduser())
    except RuntimeError:  # nobody's home
        return place


def _there(place: str) -> bool:
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path)).exists()
    return "://" in place or Path(place).exists()
