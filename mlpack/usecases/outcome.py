"""What a build made or found. A file of its own: an unchanged build loads nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpack import records
from mlpack.errors import InputError
from mlpack.ports import Built

if TYPE_CHECKING:
    from mlpack.usecases.export import Proved


@dataclass(frozen=True)
class Result:
    """What a build made or found.

    Attributes:
        built: the artifacts.
        proved: the export, None where nothing had changed at all.
        unchanged: whether everything was there already.
    """

    built: Built
    proved: Proved | None
    unchanged: bool


def last(root: Path) -> Result:
    """What the last build left in ``dist/``: `mlpack.usecases.unchanged` says whether it stands.

    Raises:
        InputError: there is none, or its record is damaged.
    """
    dist = root / "dist"
    record = records.read_record(dist)
    if record is None:
        raise InputError("nothing is built yet", where=dist.name, hint="Run: mlpack build")
    return Result(records.built_from(record, dist), None, unchanged=True)
