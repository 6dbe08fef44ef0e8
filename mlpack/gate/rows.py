"""The rows that both versions are asked: the reference rows, or what somebody gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from mlpack.errors import InputError
from mlpack.gate.cells import labels, plain_row
from mlpack.runtime.contract import Signature
from mlpack.runtime.faults import FileError
from mlpack.runtime.samples import Sample
from mlpack.runtime.samples import read as read_samples
from mlpack.training.columns import real_rows
from mlpack.training.reference import PREFIX, TARGET

FORMATS = (".parquet", ".csv", ".jsonl", ".ndjson")

_TEXT = frozenset(("string", "date", "datetime"))


@dataclass(frozen=True)
class Rows:
    """Rows as JSON has them.

    Attributes:
        rows: dicts of raw columns.
        target: what would be right for each; None where nobody knows.
        source: where they came from, for people.
    """

    rows: tuple[Mapping[str, Any], ...]
    target: tuple[Any, ...] | None
    source: str

    def column(self, name: str) -> list[Any]:
        """A column's values; None for what is missing."""
        return [row.get(name) for row in self.rows]


def read(path: Path, signature: Signature, target: str | None = None) -> Rows:
    """The rows of a file.

    Args:
        path: Parquet, CSV or JSON lines; of the latter also requests that a server has sampled.
        signature: whose columns they have; a CSV's texts are read as it says.
        target: the column with what would be right; by default the one that the signature names,
            if it is there.

    Raises:
        InputError: the file cannot be read, or lacks a column.
    """
    if path.suffix not in FORMATS:
        raise InputError(
            f"{path.name} is none of {', '.join(FORMATS)}", where="--data", hint="--data rows.csv"
        )
    if path.suffix in (".jsonl", ".ndjson"):
        return _lines(path, signature, target)
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            kinds = {each.name: str for each in signature.columns if each.type in _TEXT}
            right = target or signature.target
            if right and signature.labels and all(isinstance(x, str) for x in signature.labels):
                kinds[right] = str
            frame = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise InputError(f"it cannot be read: {error}", where=path.name) from error
    return of_frame(frame, signature, path.name, target)


def of_frame(
    frame: pd.DataFrame, signature: Signature, source: str, target: str | None = None
) -> Rows:
    """The rows of a data frame, without the columns that training adds to its reference rows.

    Raises:
        InputError: a column is missing, or holds what no JSON has.
    """
    names = [str(name) for name in frame.columns]
    wanted = target or (TARGET if TARGET in names else signature.target)
    if target is not None and target not in names:
        raise InputError(
            f"it has no column {target!r}", where=source, hint=f"It has {', '.join(names[:20])}."
        )
    right = None
    if wanted in names:
        right = [row[str(wanted)] for row in real_rows(frame[[wanted]])]
    raw = [name for name in frame.columns if not str(name).startswith(PREFIX) and name != wanted]
    rows = real_rows(frame[raw])
    return _checked(rows, right, signature, source)


def _lines(path: Path, signature: Signature, target: str | None) -> Rows:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", where=path.name) from error
    try:
        rows = [json.loads(line) for line in lines if line.strip()]
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is no JSON lines: {error}", where=path.name) from error
    if not all(isinstance(row, dict) for row in rows):
        raise InputError("each line must be an object", where=path.name)
    if rows and {"request_id", "sha256", "path"} <= set(rows[0]):
        return _checked(sampled(path), None, signature, f"{path.name}, sampled requests")
    wanted = target or signature.target
    right = None
    if wanted is not None and rows and all(wanted in row for row in rows):
        right = [row.pop(wanted) for row in rows]
    elif target is not None:
        raise InputError(f"some lines have no {target!r}", where=path.name)
    return _checked(rows, right, signature, path.name)


def sampled(path: Path) -> list[dict[str, Any]]:
    """The rows of the JSON requests that a server has sampled and answered.

    Raises:
        InputError: it is no such file.
    """
    found: list[dict[str, Any]] = []
    try:
        for sample in read_samples(path):
            found += instances(sample)
    except FileError as error:
        raise InputError(str(error), where=path.name) from error
    return found


def instances(sample: Sample) -> Sequence[dict[str, Any]]:
    """The rows of a sampled request, if it is one for predictions in JSON that was answered."""
    if sample.status != 200 or not sample.path.endswith("/predict"):
        return []
    try:
        body = msgspec.json.decode(sample.body_bytes)
    except msgspec.DecodeError:
        return []  # another format, or compressed
    rows = body.get("instances", [body]) if isinstance(body, dict) else body
    whole = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    return rows if whole else []


def _checked(
    rows: Sequence[Mapping[str, Any]],
    right: Sequence[Any] | None,
    signature: Signature,
    source: str,
) -> Rows:
    if not rows:
        raise InputError("it has no rows", where=source)
    missing = [each.name for each in signature.columns if all(each.name not in row for row in rows)]
    if missing:
        raise InputError(f"it has no column {', '.join(missing[:10])}", where=source)
    kinds = {each.name: each.type for each in signature.columns}
    rows = [plain_row(row, place, kinds, source) for place, row in enumerate(rows)]
    if right is not None and any(each is None for each in right):
        kept = [place for place, each in enumerate(right) if each is not None]
        rows, right = [rows[place] for place in kept], [right[place] for place in kept]
        if not rows:
            raise InputError("what would be right is missing in all rows", where=source)
    return Rows(tuple(rows), None if right is None else labels(right, signature, source), source)
