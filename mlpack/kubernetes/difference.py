"""What is another one between two objects, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlpack.kubernetes.values import RELEASE, Manifest

_NONE = object()
_LONGEST = 60
_OF_THE_CLUSTER = frozenset(
    (
        *("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation"),
        *("managedFields", "resourceVersion", "selfLink", "uid"),
    )
)
"""What the cluster writes into an object's metadata."""


def differences(there: Manifest, wanted: Manifest) -> list[str]:
    """A line for each field of `wanted` that is not in `there` as it is, such as
    ``spec.replicas: 2 → 3``.

    Fields of the status, of the cluster's own and the release's number are left out.
    """
    return list(_values("", _stripped(there), _stripped(wanted)))


def named_only(there: Manifest, wanted: Manifest) -> list[str]:
    """As `differences`, but for what `wanted` names alone: nothing that is there is too much."""
    return list(_values("", _stripped(there), _stripped(wanted), whole=False))


def _stripped(manifest: Manifest) -> dict[str, Any]:
    made = {key: value for key, value in manifest.items() if key != "status"}
    made["metadata"] = {
        key: value for key, value in manifest["metadata"].items() if key not in _OF_THE_CLUSTER
    }
    return made


def _values(path: str, there: Any, wanted: Any, *, whole: bool = True) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(there, Mapping) and isinstance(wanted, Mapping):
        keys = [*wanted, *(key for key in there if whole and key not in wanted)]
        for key in keys:
            if key == RELEASE or key.startswith("deployment.kubernetes.io/"):
                continue
            before, after = there.get(key, _NONE), wanted.get(key, _NONE)
            yield from _values(f"{path}.{key}" if path else key, before, after, whole=whole)
    elif _listed(there) and _listed(wanted):
        yield from _lists(path, there, wanted, whole=whole)
    elif there != wanted and not _both_empty(there, wanted):
        yield f"{path}: {_told(there)} → {_told(wanted)}"


def _lists(path: str, there: Sequence[Any], wanted: Sequence[Any], *, whole: bool) -> Iterator[str]:
    before, after = _by_name(there), _by_name(wanted)
    for key in [*after, *(each for each in before if each not in after)]:
        one, other = before.get(key, _NONE), after.get(key, _NONE)
        yield from _values(f"{path}[{key}]", one, other, whole=whole)


def _by_name(items: Sequence[Any]) -> dict[str, Any]:
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    if all(names) and len(set(names)) == len(names):
        return dict(zip(map(str, names), items, strict=True))
    return {str(number): item for number, item in enumerate(items)}


def _listed(value: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(value, Sequence) and not isinstance(value, str)


def _both_empty(there: Any, wanted: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether one is not there and the other one empty, which the cluster takes for the same."""
    empty: tuple[Any, ...] = (_NONE, None, {}, [])
    return any(there is each or there == each for each in empty) and any(
        wanted is each or wanted == each for each in empty
    )


def _told(value: Any) -> str:  # noqa: ANN401 - JSON
    if value is _NONE:
        return "none"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
