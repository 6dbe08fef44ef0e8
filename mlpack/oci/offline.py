"""The wheels of a zip that installs without a network: what they are for, and how they are got."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from mlpack.errors import InputError, OutsideError
from mlpack.oci.account import Offline
from mlpack.oci.cache import Cache
from mlpack.oci.machine import PLATFORMS, Machine
from mlpack.oci.wheels import NoWheelError, Pinned, fetch
from mlpack.process import Runner

OFFLINE_FILE = "offline.json"
"""What in a zip says that it is such a zip, and for what: who builds it again reads it."""

GLIBC = "2.28"
"""The C library that wheels must fit unless another is asked for: RHEL 8, Debian 10, Ubuntu 20.04
and all that is newer have it, and the packages of a production set have wheels for it.

It is not the base image's: a zip is for machines that mlpack does not know, and what fits an older
C library fits a newer one.
"""

_GLIBC = re.compile(r"2\.([0-9]|[1-9][0-9])")


def offline(platforms: Sequence[str], glibc: str) -> Offline:
    """What wheels shall be for.

    Raises:
        InputError: there is no such C library.
    """
    return Offline(platforms=tuple(sorted(set(platforms))), glibc=read_glibc(glibc))


def read_glibc(text: str) -> str:
    """The version of a C library, as ``--glibc`` has it.

    Raises:
        InputError: there is no such one.
    """
    if not _GLIBC.fullmatch(text):
        raise InputError(
            f"{text[:50]!r} is no version of the GNU C library",
            where="--glibc",
            hint="Write it like 2.28; ldd --version tells a machine's.",
        )
    return text


def encode(value: Offline) -> bytes:
    """The content of ``offline.json``."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def decode(data: bytes, where: str) -> Offline:
    """What an ``offline.json`` of somebody else's says.

    Raises:
        InputError: it says nothing that mlpack would have written.
    """
    try:
        found = msgspec.json.decode(data, type=Offline)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{OFFLINE_FILE} in it is damaged: {error}", where=where) from error
    known = found.platforms and set(found.platforms) <= set(PLATFORMS)
    if not known or not _GLIBC.fullmatch(found.glibc):
        raise InputError(f"{OFFLINE_FILE} in it says nothing that can be built", where=where)
    return offline(found.platforms, found.glibc)


@dataclass(frozen=True)
class Gathered:
    """Wheels for all platforms.

    Attributes:
        wheels: by file name the path in the cache.
        downloaded: how many were not in the cache before.
    """

    wheels: dict[str, Path]
    downloaded: int


@dataclass(frozen=True)
class Supply:
    """Gets the wheels of a lock for an offline zip.

    Attributes:
        offline: what they are for.
        pins: the production lock, for all platforms.
        cache: the user's cache.
        runner: runs pip.
    """

    offline: Offline
    pins: Sequence[Pinned]
    cache: Cache
    runner: Runner

    def gather(self, python: str) -> Gathered:
        """The wheels for a minor version of Python, each one's digest checked.

        Raises:
            NoWheelError: a package has none for one of the platforms.
            OutsideError: the index does not answer, or gives other bytes than the lock names.
        """
        major, _, minor = self.offline.glibc.partition(".")
        found: dict[str, Path] = {}
        downloaded = 0
        for platform in self.offline.platforms:
            machine = Machine(platform, python, (int(major), int(minor)))
            try:
                fetched = fetch(self.pins, machine, self.cache, self.runner)
            except NoWheelError as error:
                raise replace(error, hint=self._choices(platform)) from error
            downloaded += fetched.downloaded
            for wheel, path in fetched.wheels:
                if found.setdefault(wheel.file, path) != path:
                    raise OutsideError(f"there are two files called {wheel.file}")
        return Gathered(dict(sorted(found.items())), downloaded)

    def _choices(self, without: str) -> str:
        others = [platform for platform in self.offline.platforms if platform != without]
        fewer = [f"For fewer platforms: mlpack build --offline --platform {','.join(others)}"]
        return "\n".join(
            (
                "Take a version that has one: bound it in pyproject.toml, and run mlpack lock",
                "For machines with a newer C library: mlpack build --offline --glibc 2.36",
                *(fewer if others else ()),
                "As a zip that installs from the package index: mlpack build",
            )
        )
