"""Which wheels share a layer: a large one has its own, all others are together.

What is in a layer of its own is neither made, sent nor fetched again when another package changes;
an engine unpacks each layer that is new to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import parse_wheel_filename

from mlpack.oci.wheels import Wheel

SIZES = (2_000_000, 100_000)
"""From these sizes of its file on a wheel has a layer of its own, in bytes.

Those of the first size lie below those of the second: an engine finds what it has from below, and a
package that is sent again for the sake of one below it should not be a large one.
"""

MOST = 24
"""How many have one at most: engines take 127 layers, the base's among them."""

TOGETHER = "dependencies"


@dataclass(frozen=True)
class Group:
    """The wheels of a layer.

    Attributes:
        title: what the image's history says of it.
        wheels: each with its path.
    """

    title: str
    wheels: tuple[tuple[Wheel, Path], ...]


def grouped(wheels: Sequence[tuple[Wheel, Path]]) -> tuple[Group, ...]:
    """The layers of wheels, the lowest first; of no wheels one that is empty.

    The same wheels give the same groups. Those that are together come last: they change most often,
    and what an engine has is found from below.
    """
    sizes = {wheel.file: path.stat().st_size for wheel, path in wheels}
    by_name = sorted(wheels, key=lambda each: each[0].file)
    largest = sorted(by_name, key=lambda each: -sizes[each[0].file])[:MOST]
    tiers: list[list[tuple[Wheel, Path]]] = [[] for _ in (*SIZES, TOGETHER)]
    for each in by_name:
        size = sizes[each[0].file] if each in largest else 0
        tiers[sum(size < least for least in SIZES)].append(each)
    *alone, others = tiers
    groups = [Group(_title(each[0]), (each,)) for tier in alone for each in tier]
    if others or not groups:
        groups.append(Group(TOGETHER, tuple(others)))
    return tuple(groups)


def _title(wheel: Wheel) -> str:
    name, version, _, _ = parse_wheel_filename(wheel.file)
    return f"{name} {version}"
