"""What a layer of dependencies holds, package by package; what wheels in a zip are for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Files of a package that an image does without.

    Attributes:
        what: what they are, in words.
        files: how many.
        size: in bytes.
    """

    what: str
    files: int
    size: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A package in a layer.

    Attributes:
        name: the distribution's name as its metadata folder has it, such as ``scikit_learn``.
        version: its version.
        files: how many of its files are in the layer, bytecode among them.
        size: of these, in bytes.
        bytecode: of this, what is bytecode.
        cuts: what is not in the layer.
    """

    name: str
    version: str
    files: int
    size: int
    bytecode: int = 0
    cuts: tuple[Cut, ...] = ()


def part(record: str, kept: Mapping[str, int], cuts: Mapping[str, list[int]]) -> Part:
    """A package's account.

    Args:
        record: the path of its ``RECORD``.
        kept: the sizes of its files in the layer, by path.
        cuts: the sizes of those that are not, by what they are.
    """
    name, _, version = PurePosixPath(record).parent.name.removesuffix(".dist-info").partition("-")
    return Part(
        name=name,
        version=version,
        files=len(kept),
        size=sum(kept.values()),
        bytecode=sum(size for path, size in kept.items() if path.endswith(".pyc")),
        cuts=tuple(
            Cut(what=what, files=len(sizes), size=sum(sizes)) for what, sizes in cuts.items()
        ),
    )


class Offline(msgspec.Struct, frozen=True, kw_only=True):
    """What the wheels of an offline zip are for.

    Attributes:
        platforms: such as ``linux/amd64``, sorted.
        glibc: the oldest C library that they run on, such as ``2.28``.
    """

    platforms: tuple[str, ...]
    glibc: str
