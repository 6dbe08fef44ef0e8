"""Which locked packages differ."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mlpack.gate.values import Package


def differences(before: str, after: str) -> tuple[Package, ...]:
    """The packages of two lists of requirements that are not the same, by name.

    Args:
        before: as `mlpack.delivery.unpacked` tells them.
        after: likewise.
    """
    old, new = _versions(before), _versions(after)
    return tuple(
        Package(name=name, before=old.get(name), after=new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _versions(text: str) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        told = line.partition(" \\")[0].strip()
        if not told or told.startswith(("#", "-")):
            continue
        try:
            requirement = Requirement(told)
        except InvalidRequirement:
            continue  # what an installer makes of it is not looked at here
        version = str(requirement.specifier).removeprefix("==") or "any"
        found.setdefault(str(canonicalize_name(requirement.name)), set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
