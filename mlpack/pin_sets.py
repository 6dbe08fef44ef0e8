"""Sets of pins: of several machines in one, of production within development, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlpack.lock import Pin, this_platform


@dataclass(frozen=True)
class Change:
    """A package whose version is another than before.

    Attributes:
        name: normalised.
        before, after: versions; None where it was, or is, not there.
    """

    name: str
    before: str | None
    after: str | None


def merge(found: Mapping[str, tuple[Pin, ...]]) -> tuple[Pin, ...]:
    """One set from the sets of several platforms; what differs gets a marker."""
    by_pin: dict[tuple[str, str], list[str]] = {}
    hashes: dict[tuple[str, str], set[str]] = {}
    for platform, pins in found.items():
        for pin in pins:
            by_pin.setdefault((pin.name, pin.version), []).append(platform)
            hashes.setdefault((pin.name, pin.version), set()).update(pin.hashes)
    merged = []
    for (name, version), platforms in sorted(by_pin.items()):
        marker = None if len(platforms) == len(found) else _marker(sorted(platforms))
        merged.append(Pin(name, version, tuple(sorted(hashes[name, version])), marker))
    return tuple(merged)


def superset(
    dev: tuple[Pin, ...], prod: tuple[Pin, ...], platforms: tuple[str, ...]
) -> tuple[Pin, ...]:
    """The development set with what only production's machines need, for those machines."""
    names = {pin.name for pin in dev}
    elsewhere = None if this_platform() in platforms else _marker(sorted(platforms))
    missing = [
        replace(pin, marker=pin.marker or elsewhere) for pin in prod if pin.name not in names
    ]
    return tuple(sorted((*dev, *missing), key=lambda pin: (pin.name, pin.version)))


def changes(before: Sequence[Pin], after: Sequence[Pin]) -> tuple[Change, ...]:
    """What is new, gone or of another version, by name."""
    old = {pin.name: pin.version for pin in before}
    new = {pin.name: pin.version for pin in after}
    return tuple(
        Change(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _marker(platforms: Sequence[str]) -> str:
    """The PEP 508 marker of machines, such as ``linux/amd64``."""
    machines = {
        "linux/amd64": "x86_64",
        "linux/arm64": "aarch64",
        "darwin/amd64": "x86_64",
        "darwin/arm64": "arm64",
        "windows/amd64": "AMD64",
    }
    systems = {"windows": "win32"}
    texts = []
    for platform in platforms:
        system = platform.partition("/")[0]
        machine = machines.get(platform, platform.partition("/")[2])
        texts.append(
            f'sys_platform == "{systems.get(system, system)}" and platform_machine == "{machine}"'
        )
    return " or ".join(texts)
