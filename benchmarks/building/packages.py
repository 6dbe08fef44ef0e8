"""What pip and uv are told, which is the same for everybody."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from mlpack import indexes
from mlpack.dockerfile import CA_SECRET, PIP_SECRET
from mlpack.files import expanded
from mlpack.packagers.docker_image import pip_configuration
from mlpack.ports import SecretSource
from mlpack.process import run as runner

PYPI = "https://pypi.org/simple"
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Packages:
    """Where packages come from.

    Attributes:
        env: variables for commands on this machine.
        secrets: the same as files for a build's steps.
    """

    env: dict[str, str]
    secrets: tuple[SecretSource, ...]


def told(scratch: Path) -> Packages:
    """This machine's indexes, without its own folders: a container cannot see those.

    What both sides download must come from the same place, or cold builds say nothing.
    """
    found = indexes.read(runner, sys.executable, os.environ)
    remote = [place for place in found.extra if _remote(place)]
    links = [place for place in found.find_links if _remote(place)]
    env = {}
    # A variable cannot be empty here: pip would take what its files say.
    if len(remote) != len(found.extra):
        env["PIP_EXTRA_INDEX_URL"] = " ".join(remote) or found.index_url or PYPI
    if len(links) != len(found.find_links):
        empty = scratch / "no-links"
        empty.mkdir()
        env["PIP_FIND_LINKS"] = " ".join(links) or str(empty)
    authorities = _authorities(found)
    told = scratch / "pip.conf"
    told.touch(mode=0o600)
    told.write_text(pip_configuration(found, certificates=authorities is not None))
    secrets = [SecretSource(PIP_SECRET, file=told)]
    if authorities is not None:
        secrets.append(SecretSource(CA_SECRET, file=authorities))
    return Packages(env, tuple(secrets))


def _authorities(pip: indexes.Indexes) -> Path | None:
    for place in (pip.cert, *(os.environ.get(name) for name in _AUTHORITIES)):
        if place and (file := expanded(place)) is not None:
            return file
    return None


def _remote(place: str) -> bool:
    return place.startswith(("https://", "http://"))
