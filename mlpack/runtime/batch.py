"""``python -m churn predict IN OUT``: predictions beside the rows of a file, in batches."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from . import tables
from .faults import FileError, InvalidInputError
from .malformed import MalformedError
from .model import Model
from .predictions import Predictions, Refusal
from .values import Clean

_JSON_LINES = (".jsonl", ".ndjson")


def predict_file(
    model: Model,
    source: Path,
    target: str,
    *,
    skip_bad: bool = False,
    size: int = 10_000,
    told: Callable[[int], None] = lambda _: None,
) -> int:
    """Predict every row of a CSV or JSON lines file, and write the rows with their predictions.

    Columns that the model does not know are kept and not looked at.

    Args:
        model: answers.
        source: a ``.csv``, ``.jsonl`` or ``.ndjson`` file.
        target: the file to write, in the same format, whole or not at all; ``-`` for stdout.
        skip_bad: leave the predictions of refused rows empty.
        size: how many rows are predicted at once.
        told: hears after each batch how many rows are done.

    Returns:
        How many rows were refused.

    Raises:
        FileError: a file cannot be read or written, is of another format, or lacks a column.
        InvalidInputError: rows are refused, and `skip_bad` is not set.
    """
    suffix = source.suffix.lower()
    if suffix != ".csv" and suffix not in _JSON_LINES:
        raise FileError(f"{source}: the suffix is .csv, .jsonl or .ndjson")
    write = _csv if suffix == ".csv" else _json_lines
    try:
        # utf-8-sig: spreadsheets put a mark before the first column's name.
        with source.open(encoding="utf-8-sig", newline="") as lines, _output(target) as out:
            return write(model, lines, out, skip_bad, size, told)
    except UnicodeDecodeError as error:
        raise FileError(f"{source} is not UTF-8 at byte {error.start}") from error
    except MalformedError as error:
        raise FileError(f"{source}: {error}") from error
    except OSError as error:
        raise FileError(f"{error.filename or target}: {error.strerror}") from error


@contextlib.contextmanager
def _output(target: str) -> Iterator[TextIO]:
    """Stdout, or a temporary neighbour of the target that replaces it when all went well."""
    if target == "-":
        yield sys.stdout
        return
    path = Path(target)
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as stream:
            yield stream
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _csv(
    model: Model, lines: TextIO, out: TextIO, skip_bad: bool, size: int, told: Callable[[int], None]
) -> int:
    reader = tables.CsvReader(lines, model.signature)
    known = [column.name for column in model.signature.columns]
    absent = [
        c.name for c in model.signature.columns if not c.nullable and c.name not in reader.header
    ]
    if absent or not set(known) & set(reader.header):
        raise MalformedError(f"there is no column {(absent or known)[0]!r}")
    writer = csv.writer(out, lineterminator="\n")
    added: list[str] | None = None
    bad = 0
    for batch in reader.batches(size):
        columns = {name: batch.columns[name] for name in known if name in batch.columns}
        predictions = _predict(model, model.validator.columns(columns), batch.start, skip_bad)
        refused = predictions.refused.tolist()
        bad += sum(refused)
        if added is None:
            added = tables.header(model.answers, predictions)
            writer.writerow([*reader.header, *_distinct(added, reader.header)])
        empty = [""] * len(added)
        answers = tables.cells(model.answers, predictions)
        for row, answer, no in zip(batch.cells, answers, refused, strict=True):
            writer.writerow([*row, *(empty if no else answer)])
        told(batch.start + len(batch.cells))
    if added is None:
        writer.writerow(reader.header)
    return bad


def _distinct(added: Sequence[str], header: Sequence[str]) -> list[str]:
    """The added names, with underscores where the file has a column of that name already."""
    result = []
    for name in added:
        free = name
        while free in header:
            free += "_"
        result.append(free)
    return result


def _json_lines(
    model: Model, lines: TextIO, out: TextIO, skip_bad: bool, size: int, told: Callable[[int], None]
) -> int:
    known = {column.name for column in model.signature.columns}
    bad = 0
    start = 0
    rows: list[dict[str, Any]] = []

    def flush() -> int:
        mine = [{name: value for name, value in row.items() if name in known} for row in rows]
        predictions = _predict(model, model.validator.rows(mine), start, skip_bad)
        refused = predictions.refused.tolist()
        objects = model.answers.objects(predictions)
        for row, answer, no in zip(rows, objects, refused, strict=True):
            line = msgspec.json.encode({**row, "prediction": None if no else answer})
            out.write(line.decode() + "\n")
        told(start + len(rows))
        return sum(refused)

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedError(f"line {number}: {error}") from error
        if len(rows) == size:
            bad += flush()
            start += size
            rows.clear()
    if rows:
        bad += flush()
    return bad


def _predict(model: Model, clean: Clean, start: int, skip_bad: bool) -> Predictions:
    predictions = model.session.clean(clean)
    if predictions.refusals and not skip_bad:
        raise InvalidInputError(
            [
                Refusal(problem.row + start, problem.column, problem.expected, problem.got)
                for problem in predictions.refusals
            ]
        )
    return predictions
