"""What the gate lets pass: ``[gate]`` of an environment's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mlpack.config import refuse_unknown
from mlpack.delivery.settings import Reader
from mlpack.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Where the gate stops. Each can be set in ``[gate]``; further away is more than allowed.

    Attributes:
        enabled: whether a deployment is compared with what runs at all.
        changed: the share of rows with another label, or a value that moved by more than a tenth
            of a standard deviation of what was answered before; the latter count in `moved`.
        moved: of values, the root mean square of the differences in standard deviations.
        refused: the share of rows that are refused now and were answered before.
        metric_drop: by how much a score may fall, as such; an error may grow by twice this part of
            itself. Only what is surely worse stops.
        calibration: by how much the expected calibration error may grow, if it surely did.
        drift: the population stability index of a column or of the predictions, where chance does
            not explain it.
        lost: the share of the values of a column that the earlier one was trained on, and that the
            later one does not know.
        rows: at least so many rows for each that the earlier one was trained with.
        latency, memory, start, size: at most so many times as much.
    """

    enabled: bool = True
    changed: float = 0.15
    moved: float = 0.5
    refused: float = 0.01
    metric_drop: float = 0.02
    calibration: float = 0.05
    drift: float = 0.25
    lost: float = 0.1
    rows: float = 0.5
    latency: float = 1.5
    memory: float = 1.5
    start: float = 2.0
    size: float = 2.0


_SHARES = frozenset(("changed", "refused", "metric_drop", "calibration", "lost", "rows"))


def read(config: Mapping[str, Any]) -> Limits:
    """The limits of an environment: those of ``[gate]``, the defaults for the rest.

    Raises:
        InputError: a key is unknown, or no number that it can be.
    """
    table = config.get("gate", {})
    if not isinstance(table, Mapping):
        raise InputError("it is no table", where="[gate]", hint="[gate]\nchanged = 0.15")
    default = Limits()
    names = [each.name for each in fields(Limits)]
    refuse_unknown(table, names, table="gate")
    given = Reader(table, "gate")
    found = {
        name: given.fraction(
            name, getattr(default, name), 0.0, 1.0 if name in _SHARES else 1_000_000.0
        )
        for name in names
        if name != "enabled"
    }
    return Limits(enabled=given.switch("enabled", default=True), **found)
