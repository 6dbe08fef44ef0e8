"""What a CSV file is like, found without loading it into a data frame."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from mlpack.errors import InputError

_LARGEST = 64 << 20


@dataclass(frozen=True)
class Sample:
    """A CSV file's header and its number of rows; None where it is too large to count them."""

    columns: tuple[str, ...]
    rows: int | None


def read(path: Path, where: str) -> Sample:
    """The header and the number of rows of a CSV file.

    Raises:
        InputError: it is empty, or not UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            columns = tuple(next(rows, ()))
            if not columns:
                raise InputError("has no header", where=where)
            count = sum(1 for row in rows if row) if path.stat().st_size <= _LARGEST else None
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=where) from error
    except csv.Error as error:
        raise InputError(f"not CSV: {error}", where=where) from error
    return Sample(columns, count)
